"""What rules conclude: claims held for the sources that they rest on, always as the rule said last."""

from __future__ import annotations

from collections.abc import Callable

from graph_schema.claims import Claim, Links, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Transaction, Written
from tests.contract.harness import CODE, TRACKING, say

RUN, OTHER = "mlflow.run_id=1", "mlflow.run_id=2"
KEY = "k"


def states(name: str, run: str = RUN) -> Claim:
    return States(NodeKind.RUN, run, {"name": name})


def conclude(store: GraphStore, **found: list[Claim]) -> Written:
    return store.transact(lambda tx: tx.conclude({("run_events", KEY): found}))


def known(store: GraphStore) -> None:
    """Both sources have written something."""
    for source in (TRACKING, CODE):
        say(store, states("said", OTHER), source=source)


def names(store: GraphStore) -> dict[str, tuple[str, list[str]]]:
    return {n.id: (n.name, sorted(n.sources)) for n in store.find(NodeKind.RUN).items}


def test_a_conclusion_is_a_claim_of_the_source_that_it_rests_on(store: GraphStore) -> None:
    known(store)

    written = conclude(store, tracking=[states("one"), Links(EdgeKind.HAS, RUN, OTHER)])

    assert names(store)[RUN] == ("one", ["tracking"])
    assert (written.new, written.changed, written.edges) == (0, 0, 1)
    assert store.counts().edges == {"HAS": 1}


def test_it_is_as_the_rule_said_last_even_within_a_transaction(store: GraphStore) -> None:
    known(store)
    for name in ("b", "a", "c", "a"):

        def work(tx: Transaction, name: str = name) -> None:
            for said in ("z", name, "x", name):
                tx.conclude({("run_events", KEY): {"tracking": [states(said)]}})

        store.transact(work)

        assert names(store)[RUN][0] == name


def test_the_same_again_changes_nothing(store: GraphStore) -> None:
    known(store)
    conclude(store, tracking=[states("one")])
    before = store.counts().revision

    conclude(store, tracking=[states("one")])

    assert store.counts().revision == before


def test_sources_that_are_not_named_lose_theirs(store: GraphStore) -> None:
    known(store)
    conclude(store, tracking=[states("one")], code=[states("two")])
    assert names(store)[RUN][1] == ["code", "tracking"]

    conclude(store, code=[states("two")])
    assert names(store)[RUN] == ("two", ["code"])

    conclude(store)
    assert set(names(store)) == {OTHER}, "nobody says anything of the other any more"


def test_keys_do_not_touch_each_other(store: GraphStore) -> None:
    known(store)
    conclude(store, tracking=[states("one")])

    third = {"tracking": [states("two", "mlflow.run_id=3")]}
    store.transact(lambda tx: tx.conclude({("run_events", "other"): third}))
    store.transact(lambda tx: tx.conclude({("run_events", "other"): {}}))

    assert set(names(store)) == {RUN, OTHER}


def test_what_was_concluded_and_withdrawn_leaves_the_state_as_it_was(fresh: Callable[[], GraphStore]) -> None:
    store = fresh()
    known(store)
    before = store.digest()

    conclude(store, tracking=[states("one")])
    conclude(store)

    assert store.digest() == before
