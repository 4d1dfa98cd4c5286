"""Packages of the npm registry that tests run or read, each in a folder under ``.cache/tools``."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.tool_venvs import CACHE, build_once, free_port, stop_group

# Exact versions. emulate 1.0.2 is another package of that name.
PACKAGES: dict[str, str] = {
    "emulate": "emulate@0.11.2",
    "octokit-webhooks": "@octokit/webhooks-examples@7.6.1",
}
#: The emulator binds every interface; nothing of ours may.
_LOOPBACK = """
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, host, ...rest) {
  if (typeof port !== "number") return listen.call(this, port, host, ...rest);
  const more = typeof host === "string" || host === undefined ? rest : [host, ...rest];
  return listen.call(this, port, "127.0.0.1", ...more);
};
"""


def npm_tool(name: str) -> Path:
    """The ``node_modules`` of a package, installed the first time."""
    folder = CACHE / "tools" / f"npm-{name}"
    package = PACKAGES[name]

    def build() -> None:
        subprocess.run(
            ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts",
             "--no-save", "--loglevel=error", package],
            check=True, capture_output=True,
        )  # fmt: skip

    build_once(folder, package, build)
    return folder / "node_modules"


def webhook_examples() -> dict[str, list[dict[str, Any]]]:
    """Published payloads of GitHub's webhooks by event (npm @octokit/webhooks-examples 7.6.1)."""
    folder = npm_tool("octokit-webhooks") / "@octokit" / "webhooks-examples"
    listed = json.loads((folder / "api.github.com" / "index.json").read_text(encoding="utf-8"))
    return {each["name"]: each["examples"] for each in listed}


class GitHubServer:
    """The GitHub of npm's emulate 0.11.2 on a free port of the loopback address: REST and signed webhooks."""

    START_SECONDS = 30.0

    def __init__(self, home: Path, seed: dict[str, Any]) -> None:
        self.home = home
        self.port = free_port()
        self._seed = seed
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start and wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        preload, seed = self.home / "loopback.cjs", self.home / "seed.json"
        preload.write_text(_LOOPBACK, encoding="utf-8")
        seed.write_text(json.dumps(self._seed), encoding="utf-8")
        program = npm_tool("emulate") / "emulate" / "dist" / "index.js"
        with (self.home / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["node", "--require", str(preload), str(program), "start", "--service", "github",
                 "--port", str(self.port), "--seed", str(seed), "--base-url", self.url],
                cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "NO_COLOR": "1"}, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + self.START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/users/ada", timeout=2)
                return self
            except urllib.error.HTTPError:
                return self
            except OSError:
                time.sleep(0.05)
        said = (self.home / "server.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"emulate did not answer at {self.url}:\n{said}")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            stop_group(self._process, 5)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
