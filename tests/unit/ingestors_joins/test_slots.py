"""Slots: incremental derivation comes to what a full one comes to, and touches no more than it has to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.edges import EdgeKind
from graph_schema.store import Derived, KeyedClaim, Touch
from ingestors.joins import slots
from tests.unit.ingestors_joins.claims_at_hand import ClaimsAtHand, claim

KEY = "table:users"
EDGE = {"edge": "INPUT_TO"}


def data(n: int) -> str:
    return f"dvc.md5={str(n) * 32}"


def put(anchor: str, n: int, at: int, until: int | None = None, by: str | None = None) -> KeyedClaim:
    return claim(anchor, "occupies", data(n), at, until=until, by=by)


def use(anchor: str, by: str, at: int | None) -> KeyedClaim:
    return claim(anchor, "uses", by, at, data=EDGE)


def everything(tx: ClaimsAtHand) -> dict[str, Sequence[Derived]]:
    return tx.run(slots.rule, KEY, Touch("slot", KEY, None, ""))


def inputs(found: dict[str, Sequence[Derived]]) -> dict[str, str]:
    return {anchor: edges[0].edge.src for anchor, edges in found.items() if edges}


def test_a_derived_edge_says_everything() -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, claim("o", "occupies", data(1), 10, source="pipelines"))
    tx.put("slot", KEY, claim("u", "uses", "mlflow.run_id=1", 20, data={**EDGE, "as": "train"}))

    ((derived,),) = everything(tx).values()

    assert (derived.edge.kind, derived.edge.src, derived.edge.dst) == (
        EdgeKind.INPUT_TO,
        data(1),
        "mlflow.run_id=1",
    )
    assert (derived.edge.since, derived.edge.until, derived.edge.properties) == (20, None, {"as": "train"})
    assert derived.sources == ("pipelines", "tracking")
    assert derived.edge.evidence is not None
    assert KEY in derived.edge.evidence


def test_a_use_whose_occupant_went_is_restated_as_nothing() -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, use("u", "mlflow.run_id=1", 20))

    assert everything(tx) == {"u": []}


def test_a_use_that_went_is_restated_as_nothing() -> None:
    assert ClaimsAtHand().run(slots.rule, KEY, Touch("slot", KEY, 20, "u")) == {"u": []}


def test_a_use_without_a_time_uses_nothing() -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, put("o", 1, 10), use("u", "mlflow.run_id=1", None))

    assert inputs(everything(tx)) == {}


def test_more_products_of_ones_own_than_a_page_holds_hide_nothing() -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, put("first", 9, 1), use("u", "mlflow.run_id=1", 1_000))
    tx.put("slot", KEY, *[put(f"o{n}", n % 9, n + 2, by="mlflow.run_id=1") for n in range(100)])

    assert inputs(everything(tx)) == {"u": data(9)}


def test_a_late_occupant_looks_again_only_at_its_window() -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, put("first", 1, 10), put("later", 3, 30))
    tx.put("slot", KEY, *[use(f"u{at}", "mlflow.run_id=1", at) for at in (5, 15, 20, 29, 30, 35)])
    tx.put("slot", KEY, put("late", 2, 20))

    found = tx.run(slots.rule, KEY, Touch("slot", KEY, 20, "late"))

    assert inputs(found) == {"u20": data(2), "u29": data(2)}
    assert set(found) == {"late", "u20", "u29"}


RUNS = ["mlflow.run_id=1", "mlflow.run_id=2"]
_at = st.integers(0, 9)
_occupants = st.tuples(
    st.just("o"), st.integers(1, 4), _at, st.none() | _at, st.none() | st.sampled_from(RUNS)
)
_uses = st.tuples(st.just("u"), st.sampled_from(RUNS), _at)
_claims = st.lists(st.one_of(_occupants, _occupants, _uses), min_size=1, max_size=40)


def _claim(number: int, drawn: tuple[object, ...]) -> KeyedClaim:
    kind, *rest = drawn
    return put(f"{number}", *rest) if kind == "o" else use(f"{number}", *rest)  # type: ignore[arg-type]


def _oracle(claims: Sequence[KeyedClaim]) -> dict[str, str]:
    found: dict[str, str] = {}
    for u in claims:
        there = [
            o
            for o in claims
            if u.role == "uses" and o.role == "occupies"
            if o.at is not None and u.at is not None and o.at <= u.at
            if o.until is None or o.until > u.at
            if o.by is None or o.by != u.ref
        ]
        if there:
            best = max(there, key=lambda o: (o.at, o.ref))
            found[u.anchor] = str(best.ref)
    return found


@settings(max_examples=400, deadline=None)
@given(drawn=_claims, together=st.integers(1, 12), gone=st.sets(st.integers(0, 39), max_size=12))
def test_step_by_step_comes_to_what_the_oracle_says(
    drawn: list[tuple[object, ...]], together: int, gone: set[int]
) -> None:
    """Claims come a few at a time and some go again; only what the rule restates is updated."""
    claims = [_claim(n, d) for n, d in enumerate(drawn)]
    tx, held = ClaimsAtHand(), dict[str, Sequence[Derived]]()
    for start in range(0, len(claims), together):
        batch = claims[start : start + together]
        tx.put("slot", KEY, *batch)
        held.update(tx.run(slots.rule, KEY, *[Touch("slot", KEY, c.at, c.anchor) for c in batch]))
        assert inputs(held) == _oracle(claims[: start + together])

    withdrawn = [c for n, c in enumerate(claims) if n in gone]
    tx.held["slot", KEY] = [c for c in claims if c not in withdrawn]
    held.update(tx.run(slots.rule, KEY, *[Touch("slot", KEY, c.at, c.anchor) for c in withdrawn]))

    assert inputs(held) == _oracle(tx.held["slot", KEY])


@pytest.mark.parametrize("edge", ["INPUT_TO", "IMPLICATED_IN"])
def test_the_use_says_which_edge_it_gets(edge: str) -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, put("o", 1, 10), claim("u", "uses", "mlflow.run_id=1", 20, data={"edge": edge}))

    ((derived,),) = everything(tx).values()

    assert derived.edge.kind is EdgeKind(edge)
