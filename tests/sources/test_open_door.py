"""Through a running `kinlore serve`: a registry that notifies, a release and an incident that are told by
CloudEvents' own SDK, and a cluster that is pulled; asked over GraphQL from the incident to the commit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingestors.sources.events.claims import incident_id
from tests.cli.test_serve import started
from tests.sources.cdevents import cdevent, incident, sdk_sent
from tests.sources.kubernetes_cluster import TOKEN as CLUSTER_TOKEN
from tests.sources.kubernetes_cluster import Cluster, deployment, pod, template
from tests.sources.kubernetes_cluster import replicas as replica_set
from tests.sources.oci_registry import REVISION, TOKEN, OciRegistry
from tests.tool_venvs import free_port

SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
SECRET = "who-tells-of-releases"
SETTINGS = """
[[sources]]
type = "events"
name = "ops"
secret_env = "OPS_EVENTS_TOKEN"

[[sources]]
type = "oci"
name = "images"
url = "{registry}"
secret_env = "REGISTRY_HOOK_TOKEN"

[[sources]]
type = "kubernetes"
name = "cluster"
url = "{cluster}"
token_env = "CLUSTER_TOKEN"
environments = {{ml = "prod"}}
every = "1s"
"""
LINEAGE = """query ($id: ID!) {
  lineage(id: $id, direction: UPSTREAM, maxHops: 10) { nodes { node { id kind } hops } complete }
}"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.server.shutdown()
    made.server.server_close()


def upstream(address: str, identifier: str) -> dict[str, str]:
    """Ids upstream of a thing, by kind; nothing where it is not there yet."""
    asked = {"query": LINEAGE, "variables": {"id": identifier}}
    answer = httpx.post(f"{address}/graphql", json=asked).json()
    found = (answer.get("data") or {}).get("lineage")
    return {} if found is None else {n["node"]["id"]: n["node"]["kind"] for n in found["nodes"]}


def until(address: str, identifier: str, *wanted: str) -> dict[str, str]:
    """What is upstream, once these are."""
    deadline = time.monotonic() + 60
    found: dict[str, str] = {}
    while time.monotonic() < deadline:
        found = upstream(address, identifier)
        if set(wanted) <= set(found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{wanted} are not upstream of {identifier}; {found} are")


def test_from_an_incident_to_the_commit_through_a_running_server(tmp_path: Path, cluster: Cluster) -> None:
    port = free_port()
    with OciRegistry(tmp_path / "registry", f"http://127.0.0.1:{port}/hooks/images") as registry:
        folder = tmp_path / "kinlore"
        folder.mkdir()
        settings = SETTINGS.format(registry=registry.url, cluster=cluster.url)
        (folder / "kinlore.toml").write_text(settings, encoding="utf-8")
        secrets = {
            "OPS_EVENTS_TOKEN": SECRET,
            "REGISTRY_HOOK_TOKEN": TOKEN,
            "CLUSTER_TOKEN": CLUSTER_TOKEN,
        }
        with started(folder, "serve", "--port", str(port), **secrets) as (_, said):
            address = str(said["address"])
            # Arrange: an image that the registry tells of, released by its tag, and in the cluster
            digest = registry.push("acme/churn", "1.0", {REVISION: SHA})
            image, commit = f"oci.digest={digest}", f"git.sha={SHA}"
            until(address, image, commit)
            # To the microsecond: a release at the start of this second was before the push.
            now = datetime.now(UTC).isoformat()
            purl = f"pkg:oci/churn?repository_url={registry.host}/acme/churn&tag=1.0"
            released = cdevent(
                "service.deployed", now, content={"artifactId": purl}, custom={"revision": "7"}
            )
            broken = incident("detected", now)
            cluster.objects = [
                deployment(1, "2026-11-01T10:00:00Z", metadata={"name": "scorer"}),
                replica_set(2, 1, "2026-11-01T10:00:00Z", template("1.0")),
                pod(3, 2, f"{registry.host}/acme/churn@{digest}"),
            ]

            # Act: binary mode, structured mode, the same once more, and without the token
            sent = [(one.headers, one.body) for one in sdk_sent(released, broken)]
            hook = f"{address}/hooks/ops"
            codes = []
            for headers, body in [*sent, *sent]:
                auth = {"authorization": f"Bearer {SECRET}", **headers}
                codes.append(httpx.post(hook, content=body, headers=auth).status_code)
            stranger = httpx.post(hook, content=sent[0][1], headers=dict(sent[0][0])).status_code
            odd: dict[str, Any] = {**released, "subject": {"id": "churn", "content": {}}}
            refused = httpx.post(hook, content=json.dumps(odd), headers={"authorization": f"Bearer {SECRET}"})

            # Assert
            assert all(200 <= code < 300 for code in codes)
            assert (stranger, refused.status_code) == (401, 400)
            assert "environment.id is missing" in refused.text
            incident_at_ops = incident_id("ops", "/monitoring/prod1", "incident-123")
            me = "deployment@ops=prod/churn@7"
            found = until(address, incident_at_ops, commit)
            assert set(found) - {incident_at_ops} == {me, image, commit}
            serving = until(address, "deployment=prod/scorer@1", commit)
            assert image in serving
