"""Similar failures and search by meaning, over GraphQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.api.searching import fused
from app.container import Container
from app.embeddings.background import Model
from app.embeddings.vectors import NodeVectors
from app.learnings.keeping import FailureVectors
from app.settings import load
from graph_schema.claims import Links, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from ingestors import joins
from tests.counting import Counting
from tests.encoders import WordEncoder

TRACKING = Source("tracking", "mlflow")
ERROR = "ValueError: could not convert string to float: 'N/A' in column tenure_months"
START = 1_767_225_600_000_000
ALL = """query($id: ID, $text: String, $first: Int, $kinds: [NodeKind!]) {
  similar(id: $id, text: $text, first: $first, kinds: $kinds) {
    matches { node { id kind owners { role } } probability sameProject shared { kind text weight node { id } }
              differs { path left right weight } remediations { remediation { id } because } }
    noPrecedent semantic because } }"""
SEARCH = """query($text: String!, $first: Int, $after: String) {
  search(text: $text, first: $first, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"""

Asked = Callable[..., dict[str, Any]]


def run(number: int) -> str:
    return f"mlflow.run_id={number:032x}"


def failures(count: int) -> list[Record]:
    records = []
    for number in range(count):
        at = START + number * 1_000_000
        said = {"name": f"run {number}", "status": "FAILED", "error": ERROR, "createdAt": at,
                "params": {"seed": str(number)}}  # fmt: skip
        claims = (
            States(NodeKind.RUN, run(number), said),
            Links(EdgeKind.INPUT_TO, "dvc.md5=" + "a" * 32, run(number)),
        )
        records.append(Record(key=run(number), type="run", version=1, claims=claims))
    return records


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    (tmp_path / "kinlore.toml").write_text("")
    with Container(load(tmp_path / "kinlore.toml", environ={})) as made:
        made.migrated()
        yield made


def asking(store: GraphStore, model: Model | None = None) -> Asked:
    def ask(query: str, **variables: Any) -> dict[str, Any]:
        return answer(Request(query, variables), lambda: Ask(store, None, list, model=model))

    return ask


def test_a_match_with_everything_that_can_be_asked_of_it(container: Container) -> None:
    container.store.transact(lambda tx: joins.apply(tx, TRACKING, failures(3)))

    found = asking(container.store)(ALL, id=run(2))["data"]["similar"]

    assert {match["node"]["id"] for match in found["matches"]} == {run(0), run(1)}
    assert (found["noPrecedent"], found["semantic"]) == (False, False)
    assert found["because"] == "no model is set ([embeddings] model)"
    first = found["matches"][0]
    assert any(each["node"] == {"id": "dvc.md5=" + "a" * 32} for each in first["shared"])
    assert {"path": "params.seed", "left": "2", "right": "1"}.items() <= first["differs"][0].items()
    assert first["remediations"] == []


@pytest.mark.parametrize(
    ("asked", "because"),
    [
        ({}, "give either"),
        ({"id": run(0), "text": ERROR}, "give either"),
        ({"text": ERROR, "first": 0}, "allowed are 1 to 50"),
        ({"text": ERROR, "first": 51}, "allowed are 1 to 50"),
        ({"text": ERROR, "kinds": ["DATASET"]}, "allowed kinds are RUN, JOB_RUN, INCIDENT"),
        ({"id": "dvc.md5=" + "a" * 32}, "what fails is a Run, JobRun, Incident"),
    ],
)
def test_what_is_wrong_is_said(container: Container, asked: dict[str, Any], because: str) -> None:
    container.store.transact(lambda tx: joins.apply(tx, TRACKING, failures(1)))

    (error,) = asking(container.store)(ALL, **asked)["errors"]

    assert error["extensions"]["code"] == "BAD_INPUT" and because in error["message"]


def test_the_number_of_store_calls_does_not_grow_with_the_answer(container: Container) -> None:
    container.store.transact(lambda tx: joins.apply(tx, TRACKING, failures(30)))
    store: Any = Counting(container.store)
    ask, calls, shown = asking(store), [], []
    ask(ALL, id=run(29))

    for first in (1, 20):
        store.calls.clear()
        shown.append(len(ask(ALL, id=run(29), first=first)["data"]["similar"]["matches"]))
        calls.append(store.calls.total())

    assert shown == [1, 20] and calls[0] == calls[1]


def test_meaning_once_the_model_is_there(container: Container) -> None:
    store, encoder = container.store, WordEncoder()
    store.transact(lambda tx: joins.apply(tx, TRACKING, failures(3)))
    model = Model("words", load=lambda name: encoder)
    ask = asking(store, model)

    before = ask(ALL, text=ERROR)["data"]["similar"]
    assert model.wait(20) is not None
    keeper = FailureVectors(store)
    keeper.prepare()
    between = ask(ALL, text=ERROR)["data"]["similar"]
    while keeper.step(encoder):
        pass
    after = ask(ALL, text=ERROR)["data"]["similar"]

    assert [(each["semantic"], each["because"]) for each in (before, between, after)] == [
        (False, "the model is not loaded"), (False, "earlier failures are being embedded"), (True, None),
    ]  # fmt: skip
    assert len(before["matches"]) == len(after["matches"]) == 3


# --- search --------------------------------------------------------------------------------------------


def named(number: int, name: str) -> Record:
    id = f"dataset=pg://db/t{number}"
    return Record(key=id, type="d", version=1, claims=(States(NodeKind.DATASET, id, {"name": name}),))


def test_search_pages_through_one_ranking_by_words_and_meaning(container: Container) -> None:
    store, encoder = container.store, WordEncoder()
    records = [named(number, f"customers who left in month {number}") for number in range(30)]
    records += [named(100 + number, f"crane {number}") for number in range(5)]
    store.transact(lambda tx: joins.apply(tx, TRACKING, records))
    model = Model("words", load=lambda name: encoder)
    ask = asking(store, model)
    by_words = ask(SEARCH, text="left customers", first=100)["data"]["search"]
    assert model.wait(20) is not None
    nodes = NodeVectors(store)
    while nodes.step(encoder):
        pass

    whole = ask(SEARCH, text="left customers", first=100)["data"]["search"]
    paged: list[str] = []
    after = None
    while True:
        page = ask(SEARCH, text="left customers", first=7, after=after)["data"]["search"]
        paged += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert paged == [node["id"] for node in whole["nodes"]] and len(set(paged)) == len(paged)
    assert {node["id"] for node in by_words["nodes"]} <= set(paged)
    assert ask(SEARCH, text="zebra")["data"]["search"]["nodes"] == []


def test_a_page_goes_on_in_the_ranking_that_it_began_in(container: Container) -> None:
    store, encoder = container.store, WordEncoder()
    records = [named(number, f"customers who left in month {number}") for number in range(9)]
    store.transact(lambda tx: joins.apply(tx, TRACKING, records))
    model = Model("words", load=lambda name: encoder)
    ask = asking(store, model)
    words = asking(store)(SEARCH, text="customers month 3", first=9)["data"]["search"]["nodes"]

    begun = ask(SEARCH, text="customers month 3", first=4)["data"]["search"]
    assert model.wait(20) is not None
    rest = ask(SEARCH, text="customers month 3", first=9, after=begun["pageInfo"]["endCursor"])

    assert begun["nodes"] + rest["data"]["search"]["nodes"] == words


def test_rankings_are_fused_by_places() -> None:
    assert fused([1, 2, 3], [3, 1, 4]) == [1, 3, 2, 4]
    assert fused([1, 2], []) == [1, 2]
    assert fused([], [5]) == [5]
