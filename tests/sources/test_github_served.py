"""GitHub's webhooks through a running `kinlore serve`: signed by emulate 0.11.2, enriched, in the graph."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from tests.cli.test_serve import started
from tests.npm_tools import GitHubServer
from tests.sources.forge import SECRET, Forge
from tests.tool_venvs import free_port

_SETTINGS = """
[[sources]]
type = "github"
name = "forge"
repository = "{path}"
api_url = "{url}"
token_env = "FORGE_TOKEN"
secret_env = "FORGE_SECRET"
"""
_QUERY = """query($pull: ID!, $home: ID!) {
  pull: node(id: $pull) { properties owners { owner { id } role } }
  lineage(id: $pull, direction: DOWNSTREAM, edgeKinds: [HAS]) { nodes { node { id } } }
  home: node(id: $home) { owners { owner { id } role } }
}"""


def test_what_a_team_does_is_in_the_graph_at_once(github_server: GitHubServer, tmp_path: Path) -> None:
    forge = Forge(github_server, "served")
    (tmp_path / "kinlore.toml").write_text(_SETTINGS.format(path=forge.path, url=github_server.url))
    environ = {"FORGE_TOKEN": "ada-token", "FORGE_SECRET": SECRET.decode()}
    port = free_port()
    with started(tmp_path, "serve", "--port", str(port), **environ) as (_, said):
        address = said["address"]
        forge.watch(f"{address}/hooks/forge")

        number = forge.pull("Repair", "Fixes #9")
        merge = forge.of("PUT", f"/pulls/{number}/merge")["sha"]
        head = forge.of("GET", f"/pulls/{number}")["head"]["sha"]
        forge.put("CODEOWNERS", "* @acme/ml\n")
        forged = httpx.post(
            f"{address}/hooks/forge",
            content=b"{}",
            headers={"x-github-event": "issues", "x-hub-signature-256": "x"},
        )

        names = {
            "pull": f"github.pull_request={forge.path}#{number}",
            "home": f"git.remote=127.0.0.1:{github_server.port}/{forge.path}",
        }
        found: dict[str, Any] = {}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            body = {"query": _QUERY, "variables": names}
            told = httpx.post(f"{address}/graphql", json=body).json()
            found = told.get("data") or {}
            if found.get("home") and found["home"]["owners"] and found["pull"]["properties"].get("mergedAt"):
                break
            time.sleep(0.1)
    forge.close()

    assert forged.status_code == 401 and "home" in found, told
    assert found["home"]["owners"] == [{"owner": {"id": "team=acme/ml"}, "role": "codeowner"}]
    assert found["pull"]["properties"]["status"] == "MERGED"
    assert found["pull"]["properties"]["fixes"] == [f"github.issue={forge.path}#9"]
    assert found["pull"]["owners"] == [{"owner": {"id": "github.login=ada"}, "role": "author"}]
    ids = {each["node"]["id"] for each in found["lineage"]["nodes"]}
    assert {f"git.sha={head}", f"git.sha={merge}"} <= ids
