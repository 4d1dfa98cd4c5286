"""A real Evidently report on what a deployed model is fed with leads causes to the data that changed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from app.answers.causes import root_causes
from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from ingestors import registry
from ingestors.deployments import blamed, deployed
from ingestors.loop import Policy, ingest
from tests.contract.harness import node
from tests.contract.test_causes import HOUR, INCIDENT, data, deployment, run, tell, thing, version
from tests.sources import checkers

E, K = EdgeKind, NodeKind


@pytest.fixture
def monitored(tmp_path: Path) -> Path:
    """A workspace with one report, made now: of what the deployment gets, one column drifted."""
    place = {"deployment": "churn", "environment": "prod", "kinlore.kind": "data_drift", "shift": 3}
    checkers.evidently(tmp_path / "workspace", place)
    return tmp_path / "workspace"


def test_the_column_that_drifted_where_the_model_serves_names_the_data(
    store: SqliteStore, monitored: Path
) -> None:
    now = time.time_ns() // 1000
    claims: list[Claim] = []
    for number in (1, 2):
        at = now - (5 - 2 * number) * 24 * HOUR
        read = {
            data(number): ("lake/orders", ("sum", "amount")),
            data(10 + number): ("lake/users", ("a", "b")),
        }
        for extract, (table, names) in read.items():
            columns = ["id", names[number - 1]]
            claims += thing(K.DATASET_VERSION, extract, at - 4 * HOUR, name=table, columns=columns)
            claims += [Names(K.DATASET, (f"dataset={table}",)), Links(E.HAS, f"dataset={table}", extract, at)]
            claims.append(Links(E.INPUT_TO, extract, run(number), at - 2 * HOUR))
        claims += thing(K.RUN, run(number), at - 2 * HOUR, name="train", status="FINISHED")
        claims += thing(K.MODEL_VERSION, version(number), at - HOUR, name=f"churn v{number}")
        claims.append(Links(E.PRODUCED, run(number), version(number), at - HOUR))
        claims += deployed(
            deployment(number), environment="prod", name="churn", scope="tools", at=at,
            of=[(K.MODEL_VERSION, version(number))],
        )  # fmt: skip
    claims += thing(K.INCIDENT, INCIDENT, now + HOUR, name="ConversionDrop")
    claims += blamed(INCIDENT, name="churn", environment="prod", at=now + HOUR)
    tell(store, claims)
    config = {"type": "evidently", "name": "drift", "path": str(monitored)}

    report = ingest(store, registry.build(config, monitored.parent), policy=Policy(attempts=1))
    answer = root_causes(store, node(store, INCIDENT).handle, first=20)

    assert report.error is None
    words = {c.node.id: [e.text for e in c.evidence if e.kind == "words"] for c in answer.candidates}
    assert answer.candidates[0].node.id == data(2)
    assert words[data(2)] == ["the failure names its column amount, which changed"]
    assert words[data(12)] == ["the failure names other data"]
