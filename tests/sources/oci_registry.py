"""Debian's docker-registry on loopback, images pushed to it over plain HTTP, and who it notifies."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.receiver import Receiver
from tests.tool_venvs import free_port

OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
REVISION = "org.opencontainers.image.revision"
TOKEN = "registry-to-kinlore"


class Recorder(Receiver):
    """Takes what a registry pushes."""

    def events(self) -> list[dict[str, Any]]:
        """All events that came, in the order of arrival."""
        return [event for d in self.deliveries for event in json.loads(d.body)["events"]]

    def wait_for(self, digest: str, action: str = "push") -> None:
        """Until an event on a digest has come."""
        self.wait_until(
            lambda _: any(
                e["action"] == action and e["target"].get("digest") == digest for e in self.events()
            )
        )


class OciRegistry:
    """A registry in a folder of its own, notifying ``hook`` with a bearer token."""

    def __init__(self, home: Path, hook: str | None = None) -> None:
        self.home = home
        self.host = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.host}"
        self._hook = hook
        self._process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=self.url, timeout=10)

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.home)}, "delete": {"enabled": True}},
            "http": {"addr": self.host, "secret": "for tests", "relativeurls": True},
        }
        if self._hook is not None:
            endpoint = {
                "name": "kinlore",
                "url": self._hook,
                "headers": {"Authorization": [f"Bearer {TOKEN}"]},
                "timeout": "5s",
                "threshold": 3,
                "backoff": "100ms",
            }
            config["notifications"] = {"endpoints": [endpoint]}
        file = self.home / "config.yml"
        file.write_text(json.dumps(config), encoding="utf-8")
        with (self.home / "registry.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(file)], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if self.client.get("/v2/").status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        self.__exit__(None, None, None)
        raise RuntimeError((self.home / "registry.log").read_text(encoding="utf-8"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        self.client.close()

    def blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Upload a blob; its digest and size."""
        digest = f"sha256:{sha256(content).hexdigest()}"
        place = httpx.URL(self.client.post(f"/v2/{repository}/blobs/uploads/").headers["location"])
        where = place.copy_merge_params({"digest": digest})
        kind = {"Content-Type": "application/octet-stream"}
        self.client.put(where, content=content, headers=kind).raise_for_status()
        return {"digest": digest, "size": len(content)}

    def put(self, repository: str, reference: str | None, manifest: Mapping[str, Any]) -> str:
        """Upload a manifest under a tag, or under its digest; the digest."""
        content = json.dumps(manifest).encode()
        digest = f"sha256:{sha256(content).hexdigest()}"
        self.client.put(
            f"/v2/{repository}/manifests/{reference or digest}",
            content=content,
            headers={"Content-Type": manifest["mediaType"]},
        ).raise_for_status()
        return digest

    def push(
        self,
        repository: str,
        tag: str | None,
        labels: Mapping[str, str] | None = None,
        *,
        kind: str = OCI,
        created: str = "2026-11-01T10:00:00.5Z",
        **more: Any,
    ) -> str:
        """An image made by hand: a config with labels, one layer, a manifest. Its digest."""
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {"Labels": dict(labels or {})},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
        held = self.blob(repository, json.dumps(config).encode())
        layer = self.blob(repository, b"layer")
        suffix = "vnd.oci.image.layer.v1.tar" if kind == OCI else "vnd.docker.image.rootfs.diff.tar"
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {"mediaType": OCI_CONFIG if kind == OCI else DOCKER_CONFIG, **held},
            "layers": [{"mediaType": f"application/{suffix}", **layer}],
            **more,
        }
        return self.put(repository, tag, manifest)

    def push_index(self, repository: str, tag: str, children: Sequence[str]) -> str:
        """An index over images that are there, one for each of amd64, arm64, …; then one attestation."""
        entries = []
        for digest, architecture in zip(children, ("amd64", "arm64"), strict=False):
            got = self.client.get(f"/v2/{repository}/manifests/{digest}", headers={"Accept": OCI})
            entries.append(
                {
                    "mediaType": OCI,
                    "digest": digest,
                    "size": len(got.content),
                    "platform": {"os": "linux", "architecture": architecture},
                }
            )
        note = self.push(repository, None, {"note": "attestation"})
        entries.append(
            {
                "mediaType": OCI,
                "digest": note,
                "size": len(
                    self.client.get(f"/v2/{repository}/manifests/{note}", headers={"Accept": OCI}).content
                ),
                "platform": {"os": "unknown", "architecture": "unknown"},
                "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
            }
        )
        return self.put(repository, tag, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})

    def untag(self, repository: str, tag: str) -> None:
        """Take a tag away: this registry has no way but its files."""
        import shutil

        base = self.home / "docker/registry/v2/repositories" / repository / "_manifests/tags"
        shutil.rmtree(base / tag)

    def delete(self, repository: str, digest: str) -> None:
        """Delete an image and its tags."""
        self.client.delete(f"/v2/{repository}/manifests/{digest}").raise_for_status()
