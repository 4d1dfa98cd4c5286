"""Slots of tables: what was read before any known write, and what follows for the table itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.claims import Claim, Keyed, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from ingestors import tables
from ingestors.joins import slots
from ingestors.joins.rule import Outcome
from tests.unit.ingestors_joins.claims_at_hand import ClaimsAtHand, claim

TABLE = "pg/users"
KEY = tables.slot(TABLE)
UNOBSERVED = tables.version(TABLE, "unobserved")
RUNS = [f"openlineage.run_id=0190f2a4-6b1c-7def-8123-{number:012d}" for number in range(4)]


def held(anchor: str, said: Keyed) -> KeyedClaim:
    return claim(anchor, said.role, said.ref, said.at, by=said.by, data=said.data or {})


def wrote(anchor: str, run: int, at: int) -> KeyedClaim:
    version = tables.version(TABLE, RUNS[run].partition("=")[2])
    return held(anchor, tables.written(TABLE, version, at, RUNS[run]))


def read(anchor: str, run: int, at: int) -> KeyedClaim:
    return held(anchor, tables.read(TABLE, RUNS[run], at))


def outcome(tx: ClaimsAtHand, *touches: Touch) -> Outcome:
    here: Any = tx
    as_transaction: Transaction = here
    return slots.rule(as_transaction, KEY, touches or [Touch("slot", KEY, None, "")])


def inputs(found: dict[str, Sequence[Derived]]) -> dict[str, str]:
    return {anchor: edges[0].edge.src for anchor, edges in found.items() if edges}


def concluded(told: Outcome) -> list[Claim]:
    assert told.concluded is not None
    return [each for claims in told.concluded.values() for each in claims]


def test_a_table_that_nobody_wrote_has_its_unobserved_version() -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, read("a", 1, 10), read("b", 2, 20))

    told = outcome(tx)

    assert inputs(dict(told.found)) == {"a": UNOBSERVED, "b": UNOBSERVED}
    assert concluded(told) == [
        Names(NodeKind.DATASET_VERSION, (UNOBSERVED,)),
        Links(EdgeKind.HAS, tables.dataset(TABLE), UNOBSERVED),
    ]


def test_a_table_says_when_it_was_last_written() -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, wrote("a", 1, 1_000_000), wrote("b", 2, 3_000_000), read("c", 3, 2_000_000))

    (said,) = concluded(outcome(tx))

    assert isinstance(said, States)
    assert said.properties == {"lastWrittenAt": "1970-01-01T00:00:03Z"}


def test_a_run_that_wrote_first_read_nothing_that_is_known() -> None:
    tx = ClaimsAtHand()
    tx.put("slot", KEY, wrote("a", 1, 10), read("same", 1, 10), read("later", 1, 11), read("other", 2, 10))

    told = outcome(tx)

    assert inputs(dict(told.found)) == {"same": UNOBSERVED, "other": wrote("a", 1, 10).ref}


def test_other_slots_conclude_nothing() -> None:
    tx: Any = ClaimsAtHand()

    assert slots.rule(tx, "alias:champion", [Touch("slot", "alias:champion", None, "")]).concluded is None


_drawn = st.tuples(st.sampled_from([wrote, read, read]), st.integers(0, 3), st.integers(0, 9))


@settings(max_examples=300, deadline=None)
@given(
    drawn=st.lists(_drawn, min_size=1, max_size=30),
    together=st.integers(1, 8),
    gone=st.sets(st.integers(0, 29)),
)
def test_step_by_step_comes_to_what_all_at_once_says(drawn: list[Any], together: int, gone: set[int]) -> None:
    claims = [make(f"{number}", run, at) for number, (make, run, at) in enumerate(drawn)]
    tx, found = ClaimsAtHand(), dict[str, Sequence[Derived]]()

    def step(changed: Sequence[KeyedClaim]) -> None:
        told = outcome(tx, *[Touch("slot", KEY, c.at, c.anchor) for c in changed])
        found.update(told.found)
        whole = outcome(tx)
        assert inputs(found) == inputs(dict(whole.found))
        assert told.concluded == whole.concluded
        named = UNOBSERVED in inputs(found).values()
        assert named is any(isinstance(each, Names) for each in concluded(told))

    for start in range(0, len(claims), together):
        tx.put("slot", KEY, *claims[start : start + together])
        step(claims[start : start + together])
    withdrawn = [c for number, c in enumerate(claims) if number in gone]
    tx.held["slot", KEY] = [c for c in claims if c not in withdrawn]
    if withdrawn:
        step(withdrawn)
