"""The source events: CDEvents of both versions, deployments and incidents, on both stores."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from graph_schema.edges import EdgeKind
from graph_schema.store import GraphStore
from graph_schema.times import format_time
from graph_schema.values import Edge
from ingestors.source import Delivery, Source
from ingestors.sources.events.claims import incident_id
from tests.contract.conftest import Fresh
from tests.sources.cdevents import DIGEST, IMAGE, cdevent, incident, service
from tests.sources.pushing import delivery, edges, links, node, push, source_of, write

SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
INCIDENT = incident_id("events", "/monitoring/prod1", "incident-123")


@pytest.fixture
def source() -> Source:
    return source_of(type="events")


@pytest.fixture
def store(fresh: Fresh) -> Iterator[GraphStore]:
    yield fresh()


def told(events: Sequence[dict[str, Any]]) -> list[Delivery]:
    return [delivery(event) for event in events]


def spans(store: GraphStore, text: str, kind: EdgeKind = EdgeKind.DEPLOYED_AS) -> list[tuple[Any, ...]]:
    """Edges of a kind at a node: (from, to, since, until, share)."""
    return sorted((_value(e.src), _value(e.dst), *_when(e)) for e in edges(store, text) if e.kind is kind)


def _value(text: str) -> str:
    return text.partition("=")[2]


def _when(e: Edge) -> tuple[str | None, str | None, Any]:
    times = [None if t is None else format_time(t)[8:16] for t in (e.valid_from, e.valid_to)]
    return times[0], times[1], e.properties.get("share")


# --- releases --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["0.5.1", "0.4.1"])
def test_a_release_is_what_the_event_says(source: Source, store: GraphStore, spec: str) -> None:
    event = cdevent(
        "service.deployed",
        "2026-11-06T10:00:00.5Z",
        spec=spec,
        content={"artifactId": f"pkg:oci/churn@sha256%3A{DIGEST}?tag=latest"},
        custom={
            "revision": 7,
            "model": ["churn/4", "models:/scaler/2"],
            "bentoml.bento": "churn_service:abc",
            "commit": SHA,
            "share": 0.1,
            "mode": "canary",
            "identifiers": {
                "k8s.uid": "0190f2a4-6b1c-7def-8123-456789abcdef",
                "dvc.md5": "1bc29b36f623ba82aaf6724fd3b16718",
                "mlflow.model_version@tracking": "extra/1",
            },
            "ticket": "OPS-7",
            "apiToken": "ghp_" + "a" * 36,
        },
    )

    push(store, source, delivery(event))

    me = node(store, "deployment@events=prod/churn@7")
    uid = "k8s.uid=0190f2a4-6b1c-7def-8123-456789abcdef"
    assert me.id == uid
    assert me.properties["revision"] == "7"
    assert me.properties["customData"]["ticket"] == "OPS-7"
    assert "ghp_" not in json.dumps(me.properties)
    assert links(store, uid) == [
        ("dvc.md5=1bc29b36f623ba82aaf6724fd3b16718", "INPUT_TO", uid),
        ("environment=prod", "HAS", uid),
        (f"git.sha={SHA}", "CODE_FOR", uid),
        ("mlflow.model_version=extra/1", "DEPLOYED_AS", uid),
        (IMAGE, "DEPLOYED_AS", uid),
    ]
    shares = {e.properties["share"] for e in edges(store, uid) if e.kind is EdgeKind.DEPLOYED_AS}
    assert shares == {0.1}


def test_a_release_without_a_revision_is_called_by_its_event(source: Source, store: GraphStore) -> None:
    push(store, source, *told([service("deployed", "2026-11-06T10:00:00Z")]))

    assert (
        node(store, "deployment=prod/churn@service.deployed-churn-2026-11-06T10:00:00Z").kind == "Deployment"
    )


LIFE = [
    service("deployed", "2026-11-01T10:00:00Z", "1"),
    service("upgraded", "2026-11-02T10:00:00Z", "2", share=0.1, mode="canary"),
    service("published", "2026-11-03T10:00:00Z", "2"),
    incident("detected", "2026-11-03T12:00:00Z"),
    service("rolledback", "2026-11-03T13:00:00Z", "3"),
    incident("reported", "2026-11-03T14:00:00Z", custom={"severity": "high"}),
    incident("resolved", "2026-11-03T15:00:00Z"),
    service("removed", "2026-11-05T10:00:00Z"),
]


def test_a_service_lives_and_an_incident_is_blamed_on_what_stood_then(
    source: Source, store: GraphStore
) -> None:
    push(store, source, *told(LIFE))

    assert spans(store, IMAGE) == [
        (_value(IMAGE), "prod/churn@1", "01T10:00", "02T10:00", 1.0),
        (_value(IMAGE), "prod/churn@1", "02T10:00", "03T10:00", 0.9),
        (_value(IMAGE), "prod/churn@2", "02T10:00", "03T10:00", 0.1),
        (_value(IMAGE), "prod/churn@2", "03T10:00", "03T13:00", 1.0),
        (_value(IMAGE), "prod/churn@3", "03T13:00", "05T10:00", 1.0),
    ]
    assert spans(store, INCIDENT, EdgeKind.IMPLICATED_IN) == [
        ("prod/churn@2", _value(INCIDENT), "03T12:00", None, 1.0)
    ]
    assert node(store, "deployment=prod/churn@3").properties["rollback"] is True
    one = node(store, INCIDENT)
    told_of = ("status", "startedAt", "endedAt", "severity", "resolution")
    assert [one.properties[key] for key in told_of] == [
        "RESOLVED", "2026-11-03T12:00:00Z", "2026-11-03T15:00:00Z", "high", "Response time restored",
    ]  # fmt: skip
    assert (one.name, one.url) == ("Response time above 100 ms", "https://issues.example.com/345")


def test_events_doubled_and_in_any_order_give_the_same_graph(source: Source, fresh: Fresh) -> None:
    seen: set[str] = set()
    for seed in range(12):
        store = fresh()
        shuffled = told([*LIFE, *LIFE])
        random.Random(seed).shuffle(shuffled)
        push(store, source, *shuffled)
        seen.add(store.digest())

    assert len(seen) == 1
    assert push(store, source, *told(LIFE)) == 0


def test_a_removal_that_does_not_say_what_ends_whatever_stood(source: Source, fresh: Fresh) -> None:
    first = service("deployed", "2026-11-01T10:00:00Z", "1")
    canary = service("upgraded", "2026-11-02T10:00:00Z", "2", share=0.2, mode="canary")
    gone = service("removed", "2026-11-03T10:00:00Z")
    back = service("deployed", "2026-11-04T10:00:00Z", "3", share=0.5)
    late = incident("detected", "2026-11-03T11:00:00Z")
    seen = set()

    for order in random.Random(7).sample(list(permutations([first, canary, gone, back, late])), 12):
        store = fresh()
        push(store, source, *told(order))
        seen.add(store.digest())

    assert len(seen) == 1
    assert spans(store, IMAGE) == [
        (_value(IMAGE), "prod/churn@1", "01T10:00", "02T10:00", 1.0),
        (_value(IMAGE), "prod/churn@1", "02T10:00", "03T10:00", 0.8),
        (_value(IMAGE), "prod/churn@2", "02T10:00", "03T10:00", 0.2),
        (_value(IMAGE), "prod/churn@3", "04T10:00", None, 0.5),
    ]
    assert spans(store, INCIDENT, EdgeKind.IMPLICATED_IN) == []


def test_a_removal_with_a_revision_ends_that_one(source: Source, store: GraphStore) -> None:
    events = [
        service("deployed", "2026-11-01T10:00:00Z", "1"),
        service("upgraded", "2026-11-02T10:00:00Z", "2", share=0.2),
        service("removed", "2026-11-03T10:00:00Z", "2"),
    ]

    push(store, source, *told(events))

    assert node(store, "deployment=prod/churn@2").properties["status"] == "ENDED"
    assert spans(store, "deployment=prod/churn@1")[-1][2:] == ("03T10:00", None, 1.0)


def test_an_image_known_by_its_tag_is_a_question_to_the_registry(source: Source, store: GraphStore) -> None:
    event = cdevent(
        "service.deployed",
        "2026-11-06T10:00:00Z",
        content={"artifactId": "pkg:oci/churn?repository_url=ghcr.io/acme/churn&tag=1.0"},
        custom={"revision": "1"},
    )
    registry = source_of(type="oci", name="images", url="https://ghcr.io")
    target = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "repository": "acme/churn",
        "digest": f"sha256:{DIGEST}",
        "tag": "1.0",
    }
    pushed = {"id": "1", "action": "push", "timestamp": "2026-11-05T00:00:00Z", "target": target}

    push(store, source, delivery(event))
    tag = [i for i in registry.receive(delivery({"events": [pushed]})) if i.type == "push"]
    before = links(store, "deployment=prod/churn@1")
    write(store, registry, tag)

    me = "deployment=prod/churn@1"
    assert before == [("environment=prod", "HAS", me)]
    assert links(store, me) == [("environment=prod", "HAS", me), (IMAGE, "DEPLOYED_AS", me)]


# --- incidents -------------------------------------------------------------------------------------------


def test_an_incident_told_by_two_tools_is_one(source: Source, store: GraphStore) -> None:
    event = incident(
        "detected",
        "2026-11-03T12:00:00Z",
        content={"artifactId": f"pkg:oci/churn@sha256:{DIGEST}"},
        custom={"identifiers": {"pagerduty.incident": "Q1ABCDEF2GHIJK"}, "model": "churn/4"},
    )

    push(store, source, delivery(event))

    one = node(store, INCIDENT)
    assert one.id == "pagerduty.incident=Q1ABCDEF2GHIJK"
    assert links(store, one.id) == [(IMAGE, "IMPLICATED_IN", one.id)]
    assert store.open_references() == [f"mlflow.model_version=churn/4 IMPLICATED_IN {INCIDENT}"]


def test_two_subjects_are_two_incidents_and_so_are_those_of_two_sources(store: GraphStore) -> None:
    events = told([incident("detected", "2026-11-03T12:00:00Z", named=name) for name in ("a", "b")])

    for name in ("events", "elsewhere"):
        push(store, source_of(type="events", name=name), *events)

    assert store.counts().nodes["Incident"] == 4


def test_a_report_alone_tells_of_the_incident_and_blames_only_with_the_time_it_began(
    source: Source, store: GraphStore
) -> None:
    events = [
        service("deployed", "2026-11-01T10:00:00Z", "1"),
        service("rolledback", "2026-11-02T10:00:00Z", "2"),
        incident("reported", "2026-11-02T12:00:00Z", named="late"),
        incident(
            "reported",
            "2026-11-02T12:00:00Z",
            named="dated",
            id="2",
            custom={"startedAt": "2026-11-02T09:00:00Z"},
        ),
    ]

    push(store, source, *told(events))

    late, dated = (incident_id("events", "/monitoring/prod1", name) for name in ("late", "dated"))
    assert node(store, late).properties["startedAt"] == "2026-11-02T12:00:00Z"
    assert spans(store, late, EdgeKind.IMPLICATED_IN) == []
    assert [s[0] for s in spans(store, dated, EdgeKind.IMPLICATED_IN)] == ["prod/churn@1"]


def test_what_a_resolution_names_is_not_implicated(source: Source, store: GraphStore) -> None:
    content = {"artifactId": f"pkg:oci/churn@sha256:{DIGEST}"}

    push(store, source, delivery(incident("resolved", "2026-11-03T12:00:00Z", content=content)))

    assert links(store, INCIDENT) == []
    assert node(store, INCIDENT).properties["status"] == "RESOLVED"


def test_the_page_says_how_an_incident_is_called() -> None:
    page = (Path(__file__).parents[2] / "docs/sources/events.md").read_text(encoding="utf-8")

    assert incident_id("ops", "/monitoring/prod1", "incident-123").partition("=")[2] in page


def test_the_event_on_the_page_is_taken(source: Source, store: GraphStore) -> None:
    page = (Path(__file__).parents[2] / "docs/sources/events.md").read_text(encoding="utf-8")
    pasted = page.partition(" -d '")[2].partition("'\n```")[0]

    push(store, source, delivery(pasted.encode()))

    me = "deployment=prod/churn@7"
    assert links(store, me) == [
        ("environment=prod", "HAS", me),
        (f"git.sha={SHA}", "CODE_FOR", me),
        (IMAGE, "DEPLOYED_AS", me),
    ]
