"""What a cluster's deployments are set to, and incidents that are about one of several at a place."""

from __future__ import annotations

import time
from typing import Any

from app.answers.causes import root_causes
from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Record, States
from graph_schema.kinds import NodeKind
from graph_schema.times import format_time, parse_time
from ingestors.deployments import blamed
from tests.sources.kubernetes_cluster import (
    Cluster,
    deployment,
    inference_service,
    knative,
    owned,
    pull,
    replicas,
    source_for,
    template,
    thing,
    uid,
)
from tests.sources.pushing import apply, delivery, edges, links, node, push, source_of

INCIDENT = "pagerduty.incident=Q1"


def test_what_containers_are_set_to_is_known_of_each_revision(cluster: Cluster, store: SqliteStore) -> None:
    def set_to(memory: str, threshold: str) -> dict[str, Any]:
        made = template("1.0")
        churn, proxy = {"name": "churn", "image": "ghcr.io/acme/churn:1.0"}, {"name": "proxy", "image": "p:1"}
        elsewhere = {"configMapKeyRef": {"name": "churn", "key": "mode"}}
        churn["env"] = [
            {"name": "THRESHOLD", "value": threshold},
            {"name": "MODE", "valueFrom": elsewhere},
            {"name": "MODEL_URI", "value": "models:/churn/3"},
            {"name": "DB_PASSWORD", "value": "hunter2hunter2"},
            {"name": "LOG_LEVEL", "value": "info"},
        ]
        proxy["env"] = [{"name": "LOG_LEVEL", "value": "warn"}]
        churn["resources"] = {"limits": {"memory": memory, "nvidia.com/gpu": 1}}
        churn["args"] = ["--workers", 4]
        made["spec"]["containers"] = [churn, proxy]
        return made

    cluster.objects = [
        deployment(2, "2026-11-02T10:01:00Z"),
        replicas(2, 1, "2026-11-01T10:00:01Z", set_to("4Gi", "0.5")),
        replicas(3, 2, "2026-11-02T10:00:00Z", set_to("1Gi", "0.9")),
    ]
    pull(store, source_for(cluster))

    before, after = (node(store, f"deployment=ml/churn@{n}") for n in "12")
    one, two, two_id = before.properties["configuration"], after.properties["configuration"], after.id
    password = one["env"].pop("DB_PASSWORD")
    assert password.startswith("[redacted:") and two["env"].pop("DB_PASSWORD") == password
    assert one == {
        "env": {
            "LOG_LEVEL": "churn: info, proxy: warn",
            "MODE": "configMapKeyRef churn/mode",
            "THRESHOLD": "0.5",
        },
        "resources": {"limits.memory": "4Gi", "limits.nvidia.com/gpu": "1"},
        "run": {"args": "--workers 4"},
    }
    assert two["env"]["THRESHOLD"] == "0.9" and two["resources"]["limits.memory"] == "1Gi"

    began = "2026-11-02T11:00:00Z"
    opened = States(NodeKind.INCIDENT, INCIDENT, {"name": "Restarts", "startedAt": began})
    place = blamed(INCIDENT, name="churn", environment="ml", at=parse_time(began))
    apply(store, source_of(type="events"), Record("alert", "incident", 1, (opened, *place)))
    first = root_causes(store, node(store, INCIDENT).handle).candidates[0]

    assert first.node.id == two_id and first.score > 0.5
    told = "\n".join(each.text for each in first.evidence)
    assert "configuration.resources.limits.memory: 4Gi → 1Gi" in told
    assert "kubernetes" not in told and "password" not in told.lower()


def test_a_predictor_tells_what_its_model_is_set_to(cluster: Cluster, store: SqliteStore) -> None:
    cluster.unknown = {"Revision", "SeldonDeployment"}
    cluster.objects = [inference_service([], resources={"limits": {"memory": "2Gi"}}, storageUri="s3://b/c")]
    pull(store, source_for(cluster))

    found = node(store, "deployment=ml/churn@1").properties
    assert found["configuration"] == {"resources": {"limits.memory": "2Gi"}}
    assert found["models"] == ["s3://b/c"]


def test_an_incident_is_blamed_by_share(cluster: Cluster, store: SqliteStore) -> None:
    cluster.objects = [
        inference_service([(2, 10), (1, 90)]),
        knative(1, "2026-11-01T10:00:00Z"),
        knative(2, "2026-11-02T10:00:00Z"),
    ]
    source = source_for(cluster)
    pull(store, source)

    alert = tuple(blamed(INCIDENT, name="churn", environment="ml", at=1_793_700_000_000_000))
    apply(store, source_of(type="events"), Record("alert", "incident", 1, alert))

    shares = {e.src: e.properties["share"] for e in edges(store, INCIDENT)}
    assert shares == {f"k8s.uid={uid(61)}": 0.9, f"k8s.uid={uid(62)}": 0.1}


def test_the_alert_of_a_pod_is_about_its_own_deployment_of_two_at_a_place(
    cluster: Cluster, store: SqliteStore
) -> None:
    at = "2026-11-02T10:00:00Z"
    held = template("1.1", name="churn", share="0.1", mode="canary")
    canary = thing("Deployment", "churn-canary", 7, at, spec={"template": held})
    made = thing("ReplicaSet", "churn-canary-7f5d8c9b4", 8, at, spec={"template": held})
    made["metadata"]["ownerReferences"] = owned("Deployment", 7)
    cluster.objects = [deployment(1), canary, made, replicas(2, 1, "2026-11-01T10:00:00Z", template("1.0"))]
    pull(store, source_for(cluster, environments={"ml": "prod"}))
    began = format_time(time.time_ns() // 1_000)

    for number, pod_of in enumerate(("churn-canary-7f5d8c9b4", "kube-state-metrics-6bb5cd7f9"), 1):
        labels = {"alertname": "Crashing", "namespace": "ml", "service": "churn", "pod": f"{pod_of}-x2x9z"}
        alert = {
            "labels": labels,
            "annotations": {},
            "status": "firing",
            "startsAt": began,
            "fingerprint": f"9c{number}",
        }
        alerts = source_of(type="alertmanager", name="alerts", environments={"ml": "prod"})
        push(store, alerts, delivery({"version": "4", "groupKey": "g", "alerts": [alert]}))

    def about(number: int) -> set[str]:
        told = links(store, f"alertmanager.alert=9c{number}@{began}")
        return {src for src, kind, _ in told if kind == "IMPLICATED_IN"}

    assert node(store, "deployment=prod/churn@churn-canary-1").id == f"k8s.uid={uid(8)}"
    assert about(1) == {f"k8s.uid={uid(8)}"}
    assert about(2) == {f"k8s.uid={uid(8)}", f"k8s.uid={uid(2)}"}
