"""A column that lost its values one night, without any check: git, DVC and whylogs tell what happened."""

from __future__ import annotations

import random
from pathlib import Path

import yaml

from app.answers.causes import root_causes
from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import parse_time
from ingestors.judgements import open_incident
from tests.contract.harness import node
from tests.sources import checkers
from tests.sources.pushing import apply, source_of
from tests.sources.repositories import Repository, ingested
from tests.tool_venvs import tool

_NIGHTS = 7
_RUN = "mlflow.run_id=5f0c3c1f6f0b4b0e8d7a1f2e3c4d5b6a"


def _table(chance: random.Random, empty: float) -> str:
    rows = []
    for number in range(400):
        country = "" if chance.random() < empty else chance.choice(["DE", "FR", "IT"])
        rows.append(f"{number},{chance.gauss(40, 9):.1f},{country}")
    return "\n".join(["id,amount,country", *rows, ""])


def test_the_night_on_which_a_column_went_empty_is_named(store: SqliteStore, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "shop", tool("dvc"))
    repository.start_dvc()
    chance = random.Random(7)
    told = []
    for night in range(_NIGHTS):
        # The newest extract is fine again; nobody looked at the one before.
        text = _table(chance, 0.45 if night == _NIGHTS - 2 else 0.02)
        repository.write({"orders.csv": text})
        repository.dvc("add", "--quiet", "orders.csv")
        repository.commit(f"Extract of night {night}", {f"tables/{night}": ""})
        md5 = yaml.safe_load((repository.folder / "orders.csv.dvc").read_text())["outs"][0]["md5"]
        table = tmp_path / f"{night}.csv"
        table.write_text(text)
        told.append(
            {"table": str(table), "at": f"2026-01-01T00:0{night + 1}:30+00:00", "name": f"{night}.bin",
             "metadata": {"dvc.md5": md5, "name": "orders"}}
        )  # fmt: skip
    checkers.profiles(tmp_path / "profiles", *told)
    ingested(store, "git", repository.folder)
    ingested(store, "dvc", repository.folder)
    ingested(store, "whylogs", tmp_path / "profiles")
    bad, newest = (f"dvc.md5={each['metadata']['dvc.md5']}" for each in told[-2:])  # type: ignore[index]
    at = parse_time("2026-01-01T01:00:00Z")
    claims = [
        Names(NodeKind.RUN, (_RUN,)),
        States(NodeKind.RUN, _RUN, {"name": "train", "createdAt": at}, at),
        *(Links(EdgeKind.INPUT_TO, data, _RUN, at) for data in (bad, newest)),
    ]
    apply(store, source_of(type="events", name="tracking"), Record("r", "run", 1, tuple(claims)))
    opened = open_incident(
        store, "Scores too low", implicated=[node(store, _RUN)], started_at=at + 3_600_000_000
    )

    (handle,) = store.resolve(opened.a)
    answer = root_causes(store, handle)

    assert answer.candidates[0].node.id == bad
    (text,) = (each.text for each in answer.candidates[0].evidence if each.kind == "statistics")
    # whylogs calls what pandas reads where there is no text not a number.
    assert text.startswith("its statistics are out of line: ") and "country: nans 0.4" in text
    (other,) = (cause for cause in answer.candidates if cause.node.id == newest)
    assert [e.text for e in other.evidence if e.kind == "statistics"] == ["its statistics are as usual"]
