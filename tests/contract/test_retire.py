"""Gone at the source is a fact about the node, and withdraws nothing."""

from __future__ import annotations

import pytest

from graph_schema.claims import Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from tests.contract.harness import CODE, TRACKING, node, record, say, see, write

K, E = NodeKind, EdgeKind
RUN, DATA = "mlflow.run_id=1", f"dvc.md5={'1' * 32}"


def retire(store: GraphStore, *keys: str, at: int | None = 7, source: Source = TRACKING) -> int:
    return store.transact(lambda tx: tx.retire(source, keys, at))


def held(
    store: GraphStore, type: str = "run", source: Source = TRACKING, after: str = "", limit: int = 100
) -> list[tuple[str, int | None]]:
    rows = store.transact(lambda tx: tx.held(source, type, after, limit))
    return [(row.key, row.gone_at) for row in rows]


@pytest.mark.parametrize("at", [7, 0, -5])
def test_gone_is_a_fact_about_the_node_and_its_edges_stay(store: GraphStore, at: int) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}), Links(E.INPUT_TO, DATA, RUN))
    before = see(store, [K.RUN, K.DATASET_VERSION])

    changed = retire(store, "r", at=at)

    gone = node(store, RUN)
    assert changed == 1
    assert (gone.gone_at, gone.properties, gone.stub) == (at, {"user": "ada"}, False)
    assert see(store, [K.RUN, K.DATASET_VERSION]).edges == before.edges
    assert node(store, DATA).gone_at is None, "a stub is not gone: nobody ever had it"


def test_gone_is_no_part_of_the_state(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    before, backup = store.digest(), store.backup_digest()

    retire(store, "r")

    assert store.digest() == before
    assert store.backup_digest() != backup


def test_back_again(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    retire(store, "r")

    assert retire(store, "r", at=None) == 1
    assert node(store, RUN).gone_at is None


def test_a_newer_state_of_a_record_brings_it_back(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    retire(store, "r")

    say(store, States(K.RUN, RUN, {"user": "bob"}))

    assert node(store, RUN).gone_at is None
    assert held(store) == [("r", None)]


def test_a_newer_version_with_the_same_content_brings_it_back_too(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    retire(store, "r")

    say(store, States(K.RUN, RUN, {"user": "ada"}))

    assert node(store, RUN).gone_at is None


def test_saying_it_twice_changes_nothing(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    retire(store, "r")
    before = store.backup_digest()

    assert retire(store, "r", at=9) == 0
    assert retire(store, "never there") == 0
    assert retire(store, "r", source=CODE) == 0
    assert store.backup_digest() == before


def test_a_node_is_gone_when_all_that_is_said_of_it_is(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    say(store, States(K.RUN, RUN, {"host": "x"}), source=CODE)

    retire(store, "r", at=0)
    assert node(store, RUN).gone_at is None
    retire(store, "r", at=5, source=CODE)

    assert node(store, RUN).gone_at == 5
    say(store, source=CODE)
    assert node(store, RUN).gone_at == 0, "what is left is gone since its own time"


def test_a_withdrawn_record_has_nothing_to_be_gone(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    say(store)

    retire(store, "r")

    assert store.resolve(RUN) == []


def test_gone_moves_with_a_node_that_joins_another(store: GraphStore) -> None:
    experiment = f"dvc.experiment={'c' * 40}"
    say(store, States(K.RUN, experiment, {"user": "ada"}), key="a")
    retire(store, "a")

    say(store, Names(K.RUN, (RUN, experiment)), key="join")

    assert node(store, RUN).gone_at is None, "somebody still names it"
    retire(store, "join", at=8)
    assert node(store, RUN).gone_at == 8


def test_what_was_gone_when_is_known(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    before = store.transact(lambda tx: tx.now)

    def work(tx: object) -> int:
        tx.retire(TRACKING, ["r"], 7)  # type: ignore[attr-defined]
        return tx.now  # type: ignore[attr-defined, no-any-return]

    gone = store.transact(work)
    retire(store, "r", at=None)

    assert [node(store, RUN, known_at=t).gone_at for t in (before, gone)] == [None, 7]
    assert node(store, RUN).gone_at is None


def test_held_lists_records_of_a_type_by_key(store: GraphStore) -> None:
    keys = ["b", "a", "\U0001f642", "\uff21", "c"]
    write(store, TRACKING, *[record(k, Names(K.RUN, (f"mlflow.run_id={k}",))) for k in keys])
    write(store, TRACKING, record("other", type="model"), record("empty"))
    retire(store, "b")
    in_order = sorted([*keys, "empty"], key=lambda k: k.encode())

    assert held(store) == [(k, 7 if k == "b" else None) for k in in_order]
    assert held(store, "model") == [("other", None)]
    assert held(store, after="b", limit=2) == [("c", None), ("empty", None)]
    assert held(store, source=CODE) == []
