"""``kinlore causes`` and ``kinlore incident``, as people type them."""

from __future__ import annotations

import json

import pytest

from app.container import Container
from graph_schema.claims import Claim
from graph_schema.kinds import NodeKind
from tests.cli.conftest import Kinlore
from tests.contract.harness import EPOCH
from tests.contract.test_causes import HOUR, INCIDENT, data, deployment, history, run, sha, tell, thing


@pytest.fixture
def failed(graph: Container) -> Container:
    """Two releases, the second of which made an incident."""
    tell(graph.store, history())
    return graph


def test_from_the_alert_to_the_commit(failed: Container, kinlore: Kinlore) -> None:
    found = kinlore("causes", "latest")

    assert found.code == 0
    lines = found.out.splitlines()
    steps = lines[: lines.index("")]
    kinds = ["Incident", "Deployment", "ModelVersion", "Run", "DatasetVersion", "Commit"]
    assert [line[18:].split()[1] for line in steps] == kinds
    assert all(line.startswith("2026-") and " tools " in line for line in steps)
    assert steps[4].endswith("raw v2  ← cause")
    assert max(len(line) for line in lines) <= 100
    assert any(line.startswith("Last good: prod/churn@1 stood there") for line in lines)


def test_json_has_all_of_it(failed: Container, kinlore: Kinlore) -> None:
    found = json.loads(kinlore("causes", INCIDENT, "--json").out)

    first = found["candidates"][0]
    assert (first["node"]["id"], first["path"][0]["from"]) == (data(2), sha(12))
    assert found["lastGood"]["id"] == deployment(1)


def test_a_cause_is_confirmed(failed: Container, kinlore: Kinlore) -> None:
    said = kinlore("causes", INCIDENT, "--confirm", data(2), "--why", "tenure in days", "--by", "ada")

    assert said.out == f"{data(2)} caused {INCIDENT}\n"
    assert "1. confirmed  DatasetVersion raw v2\n" in kinlore("causes", INCIDENT).out
    assert kinlore("causes", INCIDENT, "--confirm", data(2), "--reject", data(2)).code == 2


def test_an_incident_is_opened_and_advanced(failed: Container, kinlore: Kinlore) -> None:
    opened = kinlore("incident", "open", "Too many leave", "--implicates", deployment(2), "--by", "ada")

    id = opened.out.strip()
    assert id.startswith("kinlore=")
    assert f"kinlore causes {id}" in opened.err
    assert kinlore("incident", "advance", id, "resolved").out == "Too many leave is resolved\n"
    assert kinlore("incident", "advance", id, "mitigated").code == 2
    assert kinlore("causes", id).code == 0


def test_latest_of_none(graph: Container, kinlore: Kinlore) -> None:
    found = kinlore("causes", "latest", "--known-at", "2001-01-01")

    assert (found.code, found.out) == (4, "")
    assert "no incident is known and no run failed; kinlore incident open" in found.err


@pytest.mark.parametrize("last", [NodeKind.RUN, NodeKind.JOB_RUN])
def test_of_a_team_without_incidents_latest_is_what_failed_last(
    graph: Container, kinlore: Kinlore, last: NodeKind
) -> None:
    job = "openlineage.run_id=0190b6a1-0000-7000-8000-00000000000{}"
    claims: list[Claim] = []
    for number, status in enumerate(("FAILED", "FAILED", "FINISHED")):
        id, name = (run(number + 70), f"train {number}")
        claims += thing(NodeKind.RUN, id, EPOCH + number * HOUR, name=name, status=status)
    at = EPOCH + (2 if last is NodeKind.JOB_RUN else 0) * HOUR
    claims += thing(NodeKind.JOB_RUN, job.format(1), at, name="load", status="FAILED")
    claims += thing(NodeKind.JOB_RUN, job.format(2), EPOCH + 9 * HOUR, name="load", status="COMPLETE")
    tell(graph.store, claims)

    found = kinlore("causes", "latest", "--json")

    wanted, name = (job.format(1), "load") if last is NodeKind.JOB_RUN else (run(71), "train 1")
    assert (found.code, json.loads(found.out)["subject"]["id"]) == (0, wanted)
    assert f"no incident is known; the last that failed is {name}" in found.err
