"""Which nodes the last transactions changed: what is kept beside the graph follows it by this."""

from __future__ import annotations

from app.store.changed import KEEP, MOST, follow
from graph_schema.claims import Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from tests.contract.harness import say

K = NodeKind
RUN, OTHER, COMMIT = "mlflow.run_id=first", "mlflow.run_id=second", f"git.sha={'ab' * 20}"


def handle(store: GraphStore, text: str) -> int:
    (found,) = store.resolve(text)
    return found


def test_a_node_that_is_new_or_changes_is_named(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"status": "RUNNING"}), key="a")
    start = store.counts().revision
    say(store, States(K.RUN, OTHER, {"status": "RUNNING"}), key="b")
    say(store, States(K.RUN, RUN, {"status": "FAILED"}), key="a")

    found = follow(store, start)

    assert found.revision == store.counts().revision == start + 2
    assert found.nodes == {handle(store, RUN), handle(store, OTHER)}


def test_both_ends_of_an_edge_that_comes_or_goes_are_named(store: GraphStore) -> None:
    say(store, Names(K.RUN, (RUN,)), Names(K.COMMIT, (COMMIT,)), key="a")
    ends = {handle(store, RUN), handle(store, COMMIT)}
    start = store.counts().revision

    say(store, Links(EdgeKind.CODE_FOR, COMMIT, RUN), key="b")
    came = follow(store, start)
    say(store, key="b")

    assert came.nodes == follow(store, came.revision).nodes == ends


def test_nodes_that_join_are_both_named(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"name": "x"}), key="a")
    say(store, States(K.RUN, "dvc.experiment=" + "c" * 40, {"note": "y"}), key="b")
    before = {handle(store, RUN), handle(store, "dvc.experiment=" + "c" * 40)}
    start = store.counts().revision

    say(store, Names(K.RUN, (RUN, "dvc.experiment=" + "c" * 40)), key="c")

    nodes = follow(store, start).nodes
    assert nodes is not None and before <= nodes


def test_nothing_new_is_nothing(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"name": "x"}))
    now = store.counts().revision

    say(store, States(K.RUN, RUN, {"name": "x"}))

    assert follow(store, now) == follow(store, now)
    assert (follow(store, now).revision, follow(store, now).nodes) == (now, frozenset())


def test_what_is_too_much_to_name_is_said_so(store: GraphStore) -> None:
    start = store.counts().revision

    say(store, *(Names(K.TAG, (f"tag={n}",)) for n in range(MOST + 1)))

    found = follow(store, start)
    assert (found.revision, found.nodes) == (store.counts().revision, None)


def test_who_has_not_followed_for_long_is_told_so(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"name": "x"}))
    start = store.counts().revision

    # A page of transactions as an engine makes them, at once: a thousand commits take long.
    def forget(tx: object) -> None:
        for key, _ in tx.service_list("change"):  # type: ignore[attr-defined]
            tx.service_delete("change", key)  # type: ignore[attr-defined]

    for number in range(3):
        say(store, States(K.RUN, RUN, {"name": f"x{number}"}))
    kept = dict(store.service("change"))
    store.transact(forget)
    say(store, States(K.RUN, RUN, {"name": "last"}))

    assert len(kept) <= KEEP
    assert follow(store, start).nodes is None
    assert follow(store, start + 3).nodes == {handle(store, RUN)}
