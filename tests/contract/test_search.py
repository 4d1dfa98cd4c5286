"""Search: words as people type them, never as a query language; vectors by nearness."""

from __future__ import annotations

import math
import struct

import pytest

from graph_schema.claims import Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from tests.contract.harness import say

K = NodeKind
RUN, OTHER, TAG = "mlflow.run_id=first", "mlflow.run_id=second", "tag=out-of-memory"


def hits(store: GraphStore, text: str, *kinds: NodeKind, first: int = 20) -> list[str]:
    found = store.search_text(text, kinds, first)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True), "best first"
    return [label.id for label in store.labels([h.handle for h in found])]


def fill(store: GraphStore) -> None:
    crane = {"name": "bold crane", "error": "CUDA out of memory at step 12", "params": {"lr": "x"}}
    owl = {"name": "calm owl", "error": "Größe überschritten", "note": ["naïve", {"a": "日本語"}]}
    say(store, States(K.RUN, RUN, crane), States(K.RUN, OTHER, owl), Names(K.TAG, (TAG,)))


WORDS = [
    ("crane", [RUN]),
    ("CRANE", [RUN]),
    ("bold", [RUN]),
    ("cuda", [RUN]),
    ("owl", [OTHER]),
    ("größe", [OTHER]),
    ("GRÖSSE", [OTHER]),
    ("überschritten", [OTHER]),
    ("naïve", [OTHER]),
    ("日本語", [OTHER]),
    ("cra", [RUN]),
    ("zebra", []),
    ("", []),
    ("   ", []),
    ("?!;", []),
]


def test_words_of_names_and_properties_are_found(store: GraphStore) -> None:
    fill(store)

    assert [(text, hits(store, text)) for text, _ in WORDS] == WORDS


def test_identifiers_are_found(store: GraphStore) -> None:
    fill(store)
    say(
        store,
        Names(K.COMMIT, (f"git.sha={'ab' * 20}",)),
        Names(K.DATASET, ("dataset=pg://db/users",)),
        key="c",
    )

    assert hits(store, "ab" * 20) == [f"git.sha={'ab' * 20}"]
    assert hits(store, "users") == ["dataset=pg://db/users"]


def test_more_of_the_words_is_better(store: GraphStore) -> None:
    fill(store)

    assert hits(store, "memory crane")[0] == RUN
    assert set(hits(store, "memory")) == {RUN, TAG}


def test_kinds_narrow_and_first_limits(store: GraphStore) -> None:
    fill(store)

    assert hits(store, "memory", K.TAG) == [TAG]
    assert hits(store, "memory", K.TAG, K.RUN, first=1) == hits(store, "memory")[:1]
    assert hits(store, "memory", K.MODEL) == []


def test_search_follows_what_is_claimed_now(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"name": "bold crane"}))
    say(store, States(K.RUN, RUN, {"name": "calm owl"}))
    assert (hits(store, "crane"), hits(store, "owl")) == ([], [RUN])

    say(store)

    assert hits(store, "owl") == []


def test_search_follows_nodes_that_join_and_split(store: GraphStore) -> None:
    experiment = f"dvc.experiment={'c' * 40}"
    say(store, States(K.RUN, RUN, {"name": "bold crane"}), key="a")
    say(store, States(K.RUN, experiment, {"note": "owl"}), key="b")
    say(store, Names(K.RUN, (RUN, experiment)), key="join")
    assert hits(store, "owl") == hits(store, "crane") == [RUN]

    say(store, key="join")

    assert (hits(store, "owl"), hits(store, "crane")) == ([experiment], [RUN])


OPERATORS = ['"', "'", "crane\"", "crane'", "cra*ne", "crane*", "(crane", "crane)", "crane AND", "OR crane",
     "NOT crane", "NEAR(crane, 2)", "name:crane", "crane^2", "-crane", "+crane", "{crane}", "[crane TO x]",
     "crane~", "crane/x", "crane\\", "cr\0ane crane", "/crane/", "crane && x || y", "!crane", "%crane%",
     "crane; DROP TABLE node; --", "crane) RETURN 1 //", "\ud800crane", "crane " * 5_000, "x" * 100_000,
     "\u202ecrane", "*:*", "?", "*", "\\"]  # fmt: skip


def test_operators_are_plain_text(store: GraphStore) -> None:
    fill(store)

    for text in OPERATORS:
        found = hits(store, text)
        assert set(found) <= {RUN}, text
        if "crane" in text.split():
            assert found == [RUN], text


def test_a_caller_finds_no_words_of_other_spaces(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"name": "bold crane"}), source=Source("a", "mlflow", "red"))
    say(store, States(K.RUN, RUN, {"note": "secret owl"}), source=Source("b", "git", "blue"))
    say(store, States(K.RUN, OTHER, {"note": "other crane"}), source=Source("b", "git", "blue"), key="2")

    def ids(text: str, space: str) -> list[str]:
        found = store.search_text(text, spaces=frozenset({space}))
        return [label.id for label in store.labels([h.handle for h in found])]

    assert ids("crane", "red") == [RUN]
    assert ids("owl", "blue") == [RUN]


# vectors -----------------------------------------------------------------------------------------------


def handle(store: GraphStore, text: str) -> int:
    (found,) = store.resolve(text)
    return found


def near(store: GraphStore, vector: list[float], *kinds: NodeKind, first: int = 20) -> list[str]:
    found = store.search_vectors("m", vector, kinds, first)
    return [label.id for label in store.labels([h.handle for h in found])]


def embed(store: GraphStore) -> None:
    fill(store)
    rows = [(RUN, [1.0, 0.0, 0.0]), (OTHER, [0.6, 0.8, 0.0]), (TAG, [0.0, 0.0, 2.0])]
    store.put_vectors("m", [(handle(store, text), f"hash of {text}", vector) for text, vector in rows])


def test_the_nearest_by_cosine_comes_first(store: GraphStore) -> None:
    embed(store)

    assert near(store, [1.0, 0.1, 0.0])[:2] == [RUN, OTHER]
    assert near(store, [0.0, 0.0, 0.1])[0] == TAG
    assert near(store, [0.5, 1.0, 0.0])[0] == OTHER


def test_scores_tell_nearness(store: GraphStore) -> None:
    embed(store)

    scores = {h.handle: h.score for h in store.search_vectors("m", [5.0, 0.0, 0.0])}

    assert math.isclose(scores[handle(store, RUN)], 1.0, abs_tol=0.01)
    assert math.isclose(scores[handle(store, OTHER)], 0.6, abs_tol=0.01)


def test_kinds_narrow_and_first_limits_the_nearest(store: GraphStore) -> None:
    embed(store)

    assert near(store, [1.0, 0.0, 0.0], K.TAG) == [TAG]
    assert near(store, [1.0, 0.0, 0.0], first=1) == [RUN]
    assert near(store, [1.0, 0.0, 0.0], K.MODEL) == []


def test_a_vector_is_replaced(store: GraphStore) -> None:
    embed(store)

    store.put_vectors("m", [(handle(store, RUN), "changed", [0.0, 0.0, 1.0])])

    assert set(near(store, [0.0, 0.0, 1.0], first=2)) == {RUN, TAG}
    assert near(store, [1.0, 0.0, 0.0])[0] == OTHER


def test_a_node_that_is_gone_is_near_nothing(store: GraphStore) -> None:
    embed(store)

    say(store, Links(EdgeKind.TAGGED, OTHER, TAG))

    assert RUN not in near(store, [1.0, 0.0, 0.0])


def test_a_model_that_nobody_used_knows_nothing(store: GraphStore) -> None:
    fill(store)

    assert store.search_vectors("other", [1.0, 0.0]) == []
    store.put_vectors("m", [])
    assert store.search_vectors("m", [1.0, 0.0]) == []


def test_models_are_kept_apart(store: GraphStore) -> None:
    embed(store)

    store.put_vectors("n", [(handle(store, RUN), "h", [0.0, 1.0])])

    assert [h.handle for h in store.search_vectors("n", [0.0, 1.0])] == [handle(store, RUN)]
    assert len(near(store, [1.0, 0.0, 0.0])) == 3


def test_vectors_are_no_part_of_the_state(store: GraphStore) -> None:
    fill(store)
    before = store.digest(), store.counts().revision

    embed(store)

    assert (store.digest(), store.counts().revision) == before


def test_vectors_that_come_after_a_search_are_found_by_the_next(store: GraphStore) -> None:
    embed(store)
    assert near(store, [1.0, 0.0, 0.0])[0] == RUN

    store.put_vectors("m", [(handle(store, OTHER), "nearer", [2.0, 0.0, 0.01])])
    store.put_vectors("m", [(handle(store, RUN), "farther", [0.0, 1.0, 0.0])])

    assert near(store, [1.0, 0.0, 0.0])[0] == OTHER


def test_vectors_are_read_back_at_length_one_with_the_hash_they_were_put_with(store: GraphStore) -> None:
    embed(store)
    nodes = [handle(store, text) for text in (TAG, RUN)]
    say(store, Names(K.TAG, ("tag=without",)), key="w")

    found = store.vectors("m", [*nodes, handle(store, "tag=without"), nodes[0]])

    assert [None if each is None else each[0] for each in found] == [
        f"hash of {TAG}", f"hash of {RUN}", None, f"hash of {TAG}",
    ]  # fmt: skip
    assert found[0] is not None and struct.unpack("<3f", found[0][1]) == pytest.approx((0, 0, 1))
    assert store.vectors("other", nodes) == [None, None]
    assert store.vectors("m", []) == []


def test_what_is_no_more_makes_no_room_for_less(store: GraphStore) -> None:
    fill(store)
    gone = [f"tag=t{n}" for n in range(40)]
    say(store, *(Names(K.TAG, (text,)) for text in gone), key="tags")
    store.put_vectors("m", [(handle(store, text), "h", [1.0, 0.001 * n, 0.0]) for n, text in enumerate(gone)])
    store.put_vectors("m", [(handle(store, RUN), "h", [0.0, 1.0, 0.0])])

    say(store, key="tags")

    assert near(store, [1.0, 0.0, 0.0], first=1) == [RUN]
