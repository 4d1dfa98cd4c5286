"""A server on loopback that lists as Kubernetes' API does, and objects as the published schemas have them:
apps/v1 and v1 of Kubernetes 1.34, serving.kserve.io/v1beta1 of KServe 0.15, serving.knative.dev/v1 of Knative
1.18, machinelearning.seldon.io/v1 of Seldon Core 1.18; read off these schemas, 2026-11."""

from __future__ import annotations

import http.server
import json
import threading
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.store.sqlite.store import SqliteStore
from graph_schema.edges import EdgeKind
from graph_schema.times import format_time
from ingestors.loop import Policy, ingest
from ingestors.report import Report
from ingestors.source import Source
from tests.sources.pushing import edges, source_of

DIGESTS = [f"sha256:{n}" + "0" * 63 for n in range(10)]
TOKEN = "a-service-account"
_LISTS = MappingProxyType(
    {
        "/apis/apps/v1/deployments": "Deployment",
        "/apis/apps/v1/replicasets": "ReplicaSet",
        "/api/v1/pods": "Pod",
        "/apis/serving.kserve.io/v1beta1/inferenceservices": "InferenceService",
        "/apis/serving.knative.dev/v1/revisions": "Revision",
        "/apis/machinelearning.seldon.io/v1/seldondeployments": "SeldonDeployment",
    }
)


class Cluster:
    """An API server: lists in pages, forgets continuations when told to, does not know every kind."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.unknown: set[str] = set()
        self.expired = 0
        self.asked: list[str] = []
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                cluster.asked.append(self.path)
                status, body = cluster.answer(self.path, self.headers.get("Authorization"))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        parts, query = urlsplit(path), parse_qs(urlsplit(path).query)
        if authorization != f"Bearer {TOKEN}":
            return 403, {"kind": "Status", "reason": "Forbidden", "code": 403}
        before, _, rest = parts.path.partition("/namespaces/")
        space, _, plural = rest.partition("/")
        kind = _LISTS.get(f"{before}/{plural}" if rest else parts.path)
        if kind is None or kind in self.unknown:
            return 404, {"kind": "Status", "reason": "NotFound", "code": 404}
        start = int(query.get("continue", ["0"])[0])
        if start and self.expired:
            self.expired -= 1
            return 410, {"kind": "Status", "reason": "Expired", "code": 410, "metadata": {"continue": "x"}}
        held = [
            o for o in self.objects if o["kind"] == kind and (not rest or o["metadata"]["namespace"] == space)
        ]
        end = start + int(query["limit"][0])
        meta = {"resourceVersion": "7", **({"continue": str(end)} if end < len(held) else {})}
        items = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in held[start:end]]
        return 200, {"kind": f"{kind}List", "metadata": meta, "items": items}


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def thing(kind: str, name: str, number: int, at: str, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ml", "uid": uid(number), "creationTimestamp": at, "generation": 1}
    return {"kind": kind, "metadata": {**meta, **more.pop("metadata", {})}, **more}


def owned(kind: str, number: int) -> list[dict[str, Any]]:
    return [{"apiVersion": "x", "kind": kind, "name": "x", "uid": uid(number), "controller": True}]


def template(tag: str, **annotations: str) -> dict[str, Any]:
    named = {f"kinlore.dev/{key}": value for key, value in annotations.items()}
    containers = [
        {"name": "auth-token", "image": f"ghcr.io/acme/churn:{tag}", "env": [{"name": "A", "value": "b"}]}
    ]
    return {"metadata": {"annotations": named}, "spec": {"containers": containers}}


def deployment(
    revision: int, at: str = "2026-11-01T10:00:00Z", *, replicas: int = 2, **more: Any
) -> dict[str, Any]:
    """The Deployment churn; ``at``: when its last rollout was done."""
    meta = {"annotations": {"deployment.kubernetes.io/revision": str(revision)}, **more.pop("metadata", {})}
    status = {
        "conditions": [{"type": "Progressing", "reason": "NewReplicaSetAvailable", "lastUpdateTime": at}]
    }
    return thing("Deployment", "churn", 1, "2026-11-01T10:00:00Z", metadata=meta,
                 spec={"replicas": replicas, "template": template("now")}, status=status, **more)  # fmt: skip


def replicas(
    number: int, revision: int, at: str, held: dict[str, Any], *, history: str = "", ready: int = 2
) -> dict[str, Any]:
    said = {"deployment.kubernetes.io/revision": str(revision)}
    if history:
        said["deployment.kubernetes.io/revision-history"] = history
    meta = {"annotations": said, "ownerReferences": owned("Deployment", 1)}
    return thing("ReplicaSet", f"churn-{number}", number, at, metadata=meta, spec={"template": held},
                 status={"replicas": 2, "readyReplicas": ready})  # fmt: skip


def pod(number: int, of: int, image_id: str) -> dict[str, Any]:
    statuses = [
        {"name": "auth-token", "imageID": image_id},
        {"name": "istio-proxy", "imageID": "x@sha256:" + "9" * 64},
    ]
    meta = {"ownerReferences": owned("ReplicaSet", of)}
    at = "2026-11-01T10:00:00Z"
    return thing("Pod", f"churn-{number}", number, at, metadata=meta, status={"containerStatuses": statuses})


def inference_service(traffic: list[tuple[int, int]], **predictor: Any) -> dict[str, Any]:
    """``traffic``: number of the revision and its percent, the latest first."""
    targets = [
        {"latestRevision": n == 0, "percent": percent, "revisionName": f"churn-predictor-{revision:05}"}
        for n, (revision, percent) in enumerate(traffic)
    ]
    spec = {"predictor": {"model": {"modelFormat": {"name": "mlflow"}, **predictor}}}
    status = {"components": {"predictor": {"traffic": targets}}}
    return thing("InferenceService", "churn", 50, "2026-11-01T10:00:00Z", spec=spec, status=status)


def knative(number: int, at: str, component: str = "predictor") -> dict[str, Any]:
    labels = {"serving.kserve.io/inferenceservice": "churn", "component": component}
    said = {"internal.serving.kserve.io/storage-initializer-sourceuri": f"models:/churn/{number}"}
    spec = {"containers": [{"name": "kserve-container", "image": "kserve/mlserver:1.5"}]}
    status = {"containerStatuses": [{"name": "kserve-container", "imageDigest": f"x/y@{DIGESTS[number]}"}]}
    meta = {"labels": labels, "annotations": said}
    number += 60 if component == "predictor" else 70
    return thing(
        "Revision", f"churn-{component}-{number % 10:05}", number, at, spec=spec, status=status, metadata=meta
    )


def seldon(generation: int, *predictors: dict[str, Any]) -> dict[str, Any]:
    fields = [{"time": f"2026-11-0{generation}T10:00:00Z"}]
    meta = {"generation": generation, "managedFields": fields}
    spec = {"predictors": list(predictors)}
    return thing("SeldonDeployment", "churn", 70, "2026-11-01T10:00:00Z", spec=spec, metadata=meta)


def predictor(name: str, digest: str, traffic: int | None = None, **more: Any) -> dict[str, Any]:
    graph = {"name": "m", "implementation": "MLFLOW_SERVER", "children": [], "modelUri": "s3://b/churn"}
    container = {"name": "m", "image": f"x/y@{digest}"}
    said = {} if traffic is None else {"traffic": traffic}
    specs = [{"spec": {"containers": [container]}}]
    return {"name": name, "graph": graph, "componentSpecs": specs, "replicas": 1, **said, **more}


def many(count: int) -> list[dict[str, Any]]:
    at = "2026-11-01T10:00:00Z"
    return [thing("Deployment", f"d{n}", 100 + n, at, spec={"template": template("1")}) for n in range(count)]


# --- reading it ------------------------------------------------------------------------------------------


def source_for(cluster: Cluster, **more: Any) -> Source:
    return source_of(type="kubernetes", name="cluster", url=cluster.url, token_env="CLUSTER_TOKEN", **more)


def pull(store: SqliteStore, source: Source, *, full: bool = False) -> Report:
    report = ingest(store, source, full=full, policy=Policy(attempts=1))
    assert report.error is None, report.error
    assert report.dead_letters == 0
    return report


def spans(store: SqliteStore, *revisions: str, place: str = "ml/churn") -> list[tuple[str, ...]]:
    """DEPLOYED_AS of revisions: (revision, what, since, until, share); times of pulls as now."""
    found = []
    for revision in revisions:
        for e in edges(store, f"deployment={place}@{revision}"):
            if e.kind is EdgeKind.DEPLOYED_AS:
                times = ["" if t is None else format_time(t)[:13] for t in (e.valid_from, e.valid_to)]
                seen = [t if t.startswith("2026-11-0") or not t else "now" for t in times]
                found.append((revision, e.src.partition("=")[2], *seen, f"{e.properties['share']:g}"))
    return sorted(found)
