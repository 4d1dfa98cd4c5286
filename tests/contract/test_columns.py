"""The whole graph in columns: what a walk sees, at once."""

from __future__ import annotations

from graph_schema.claims import Links
from graph_schema.edges import EDGE_CODES, FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import ALWAYS, FOREVER, NOW, Columns, Direction
from tests.contract.harness import say

A, B, RUN = f"dvc.md5={32 * 'a'}", f"dvc.md5={32 * 'b'}", "mlflow.run_id=r1"
ORIGINAL, COPY = "mlflow.model_version@a=m/1", "bentoml.model@b=m:1"
KINDS = (*FLOW_KINDS, EdgeKind.SAME_AS)


def edges_of(columns: Columns) -> set[tuple[int, ...]]:
    return set(
        zip(
            columns.src,
            columns.dst,
            columns.edge_kinds,
            columns.beliefs,
            columns.since,
            columns.until,
            columns.evidence,
            strict=True,
        )
    )


def test_columns_hold_what_expansions_find(store: GraphStore) -> None:
    say(
        store,
        Links(EdgeKind.INPUT_TO, A, RUN, since=5, until=9),
        Links(EdgeKind.PRODUCED, RUN, B, evidence="seen"),
        Links(EdgeKind.SAME_AS, ORIGINAL, COPY, properties={"by": "somebody"}),
        Links(EdgeKind.OWNED_BY, A, "email=ada@example.com"),
    )

    columns = store.columns(KINDS)

    a, b, run = (store.resolve(text)[0] for text in (A, B, RUN))
    one, two = (store.resolve(text)[0] for text in (ORIGINAL, COPY))
    found = store.expand([a, run, one], Direction.DOWNSTREAM, KINDS, NOW)
    belief = {(s.src, s.dst): s.belief for s in found.steps}
    (same,) = found.same
    code = EDGE_CODES
    assert edges_of(columns) == {
        (a, run, code[EdgeKind.INPUT_TO], belief[a, run], 5, 9, 0),
        (run, b, code[EdgeKind.PRODUCED], belief[run, b], ALWAYS, FOREVER, 1),
        (one, two, code[EdgeKind.SAME_AS], same.belief, ALWAYS, FOREVER, 0),
    }
    assert columns.revision == store.counts().revision
    kinds = dict(zip(columns.nodes, columns.kinds, strict=True))
    assert kinds[run] == list(NodeKind).index(NodeKind.RUN)
    assert list(columns.nodes) == sorted(columns.nodes) and len(columns.nodes) == 6


def test_what_was_withdrawn_is_in_no_column(store: GraphStore) -> None:
    say(store, Links(EdgeKind.INPUT_TO, A, RUN))
    before = store.columns(KINDS)

    say(store, Links(EdgeKind.INPUT_TO, B, RUN))

    after = store.columns(KINDS)
    assert after.revision > before.revision
    (b,) = store.resolve(B)
    assert list(after.src) == [b]


def test_an_empty_store_has_empty_columns(store: GraphStore) -> None:
    columns = store.columns(KINDS)

    assert (columns.revision, len(columns.nodes), len(columns.src)) == (0, 0, 0)
