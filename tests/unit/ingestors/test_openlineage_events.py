"""What is read of an OpenLineage event, and what it says. Real events are in tests/sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graph_schema.claims import Claim, Keyed, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from ingestors.registry import checked
from ingestors.source import Delivery, Item
from ingestors.sources.openlineage import OpenLineageConfig, OpenLineageSource

RUN = "0190f2a4-6b1c-7def-8123-456789abcdef"
SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"


def source(**keys: Any) -> OpenLineageSource:
    return OpenLineageSource(OpenLineageConfig(type="openlineage", name="pipelines", **keys))


def event(**keys: Any) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-11-18T02:00:00Z",
        "run": {"runId": RUN},
        "job": {"namespace": "etl", "name": "load"},
        "inputs": [],
        "outputs": [],
        **keys,
    }


def items(*events: Any, **keys: Any) -> list[Item]:
    body = events[0] if len(events) == 1 else list(events)
    return list(source(**keys).receive(Delivery({}, json.dumps(body).encode(), 0)))


def said(*events: Any, type: str) -> list[Claim]:
    return [c for item in items(*events) if item.type == type for c in source().to_claims(item)]


def told(given: dict[str, Any]) -> Keyed:
    (claim,) = said(given, type="event")
    assert isinstance(claim, Keyed)
    return claim


def test_the_key_of_an_event_is_its_run_type_and_time() -> None:
    first, again, other = (
        items(given)[0] for given in (event(), event(producer="somebody else"), event(eventType="FAIL"))
    )

    assert first == again
    assert first.key != other.key
    assert first.key.startswith(f"{RUN}/COMPLETE/")


def test_one_request_may_hold_several_events() -> None:
    found = items(event(eventType="START"), event(), event())

    assert [item.type for item in found].count("event") == 2


BAD: list[tuple[Any, str]] = [
    (b"{", "no JSON"),
    (b"[" * 100_000, "no JSON"),
    (b'"text"', "JSON object"),
    ({}, "eventTime"),
    (event(eventTime="yesterday"), "yesterday"),
    (event(run={}), "run.runId"),
    (event(run={"runId": "seven"}), "UUID"),
    (event(run="seven"), "run is missing"),
    (event(job={"namespace": "etl"}), "job.name"),
    (event(eventType="DONE"), "START, RUNNING, COMPLETE"),
    (event(inputs=[{"namespace": "pg"}]), "a dataset's name"),
    (event(outputs=[{"namespace": "pg", "name": "x" * 5_000}]), "4000 characters"),
    ({"eventTime": "2026-11-18"}, "a run, a job or a dataset"),
]


@pytest.mark.parametrize(("body", "words"), BAD)
def test_what_is_no_event_is_refused_by_name(body: Any, words: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    with pytest.raises(BadInput, match=words):
        source().receive(Delivery({}, raw, 0))


def test_odd_facets_are_passed_over() -> None:
    odd: dict[str, Any] = {
        "errorMessage": "text",
        "parent": {"run": {"runId": "by hand"}},
        "airflow": {"dagRun": []},
        "processing_engine": {"name": None},
        "tags": {"tags": "none"},
        "nominalTime": {"nominalStartTime": "soon"},
    }

    claim = told(event(run={"runId": RUN, "facets": odd}, inputs="none", outputs=[7]))

    assert claim.data is not None
    assert claim.data["properties"] == {"name": "load", "job": "load", "namespace": "etl"}
    assert "reads" not in claim.data


def test_an_event_claims_nothing_by_itself() -> None:
    facets = {
        "parent": {"run": {"runId": RUN.replace("0190", "0191")}, "job": {"namespace": "etl", "name": "all"}},
        "errorMessage": {"message": "no such column", "stackTrace": "x" * 9_000},
        "processing_engine": {"name": "dbt", "version": "1.11.16"},
        "nominalTime": {"nominalStartTime": "2026-11-18T02:00:00+01:00"},
    }
    code = {
        "type": "git",
        "version": SHA,
        "repoUrl": "https://github.com/acme/etl.git",
        "path": "models/a.sql",
    }
    job = {"namespace": "etl", "name": "load", "facets": {"sourceCodeLocation": code}}

    claim = told(event(run={"runId": RUN, "facets": facets}, job=job))

    assert claim.data is not None
    assert claim.data["properties"] == {
        "name": "load",
        "job": "load",
        "namespace": "etl",
        "engine": "dbt 1.11.16",
        "nominalStart": "2026-11-18T01:00:00Z",
        "error": "no such column",
        "errorTrace": "x" * 8_000,
        "commit": SHA,
        "path": "models/a.sql",
    }
    assert {(c[1], c[2]) for c in claim.data["says"]} == {
        ("HAS", "openlineage.job=etl/load"),
        ("HAS", f"openlineage.run_id={RUN.replace('0190', '0191')}"),
        ("CODE_FOR", f"git.sha={SHA}"),
        ("HAS", "git.remote=github.com/acme/etl"),
    }


def test_what_holds_whatever_the_run_is_a_record_of_its_own() -> None:
    owners = [
        {"name": "team:retention", "type": "MAINTAINER"},
        {"name": "user:Ada <ada@example.com>"},
        {"name": "user:ada"},
        {"name": "growth"},
    ]
    job = {"namespace": "etl", "name": "load", "facets": {"ownership": {"owners": owners}}}
    fields = [{"name": "id", "type": "BIGINT"}, {"name": "password", "type": "VARCHAR"}, {"name": "x"}]
    table = {"namespace": "pg", "name": "users", "facets": {"schema": {"fields": fields}}}
    given = event(job=job, inputs=[table])

    links = [c for c in said(given, type="job_facet") if isinstance(c, Links)]
    (columns,) = said(given, type="dataset_facet")

    assert {(c.dst, (c.properties or {})["role"]) for c in links if c.kind is EdgeKind.OWNED_BY} == {
        ("team=retention", "MAINTAINER"),
        ("email=ada@example.com", "owner"),
        ("team=growth", "owner"),
    }
    assert isinstance(columns, States)
    assert columns.properties == {
        "columns": ["id", "password", "x"],
        "columnTypes": {"id": "BIGINT", "password": "VARCHAR"},
    }


def test_nobody_is_called_airflow() -> None:
    facets = {"ownership": {"owners": [{"name": "airflow"}]}, "jobType": {"integration": "AIRFLOW"}}
    given = event(job={"namespace": "etl", "name": "load", "facets": facets})

    assert not [c for c in said(given, type="job_facet") if isinstance(c, Links)]


def test_a_mapped_task_is_part_of_the_task_as_a_whole() -> None:
    facets = {
        "airflow": {
            "dagRun": {"dag_id": "etl", "run_id": "manual"},
            "task": {"task_id": "count"},
            "taskInstance": {"map_index": 2, "try_number": 1},
        }
    }

    claim = told(event(run={"runId": RUN, "facets": facets}, job={"namespace": "af", "name": "etl.count"}))

    assert claim.data is not None
    task, mapped = (f"airflow.task_instance@af=etl/manual/count{end}" for end in ("", "/2"))
    said = json.loads(json.dumps(claim.data["says"]))
    assert ["names", "JobRun", [f"openlineage.run_id={RUN}", mapped]] in said
    assert [c[2:4] for c in said if c[1] == "HAS"][1:] == [
        [task, f"openlineage.run_id={RUN}"],
        ["airflow.dag_run@af=etl/manual", task],
    ]


def test_events_without_a_run_speak_of_the_data_set_or_the_job() -> None:
    time = {"eventTime": "2026-11-18T02:00:00Z"}
    table = {"namespace": "pg", "name": "users", "facets": {"documentation": {"description": "who we know"}}}

    of_data = items({**time, "dataset": table})
    of_job = items({**time, "job": {"namespace": "etl", "name": "load"}, "outputs": [table]})

    assert [item.type for item in of_data] == ["dataset", "dataset_facet"]
    assert [item.type for item in of_job] == ["job", "dataset", "dataset_facet"]


def test_only_what_is_wanted_is_kept() -> None:
    table = {"namespace": "pg", "name": "users"}
    given = (event(outputs=[table]), event(job={"namespace": "dev", "name": "load"}, outputs=[table]))

    kept = items(*given, include=("*/load",), exclude=("dev/*",))

    assert {item.data["jobId"] for item in kept} == {"etl/load"}
    assert items(*given, since="2026-12-01") == []


def test_the_config_is_checked() -> None:
    with pytest.raises(BadInput, match="unknown key 'url'"):
        checked({"type": "openlineage", "name": "p", "url": "http://x"}, Path())


def test_names_longer_than_keys_stay_apart() -> None:
    names = ["n" * 1_500 + end for end in "ab"]
    found = items(event(outputs=[{"namespace": "pg", "name": name} for name in names]))

    keys = {item.key for item in found if item.type == "dataset"}

    assert len(keys) == 2
    assert max(map(len, keys)) < 1_000


def test_a_job_is_named() -> None:
    (claim,) = said(event(), type="job")

    assert claim == States(NodeKind.JOB, "openlineage.job=etl/load", {"name": "load", "namespace": "etl"})
    assert not isinstance(claim, Names)
