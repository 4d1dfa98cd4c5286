"""The real tools that tests read from, each in an environment of its own under ``.cache/tools``.

They are kept out of Kinlore's environment because their dependencies are many and exclude each other,
and because Kinlore must work without them. ``python -m tests.tool_venvs`` builds them ahead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

CACHE = Path(__file__).resolve().parent.parent / ".cache"

# Exact versions: what the sources are known to read. A newer one is a deliberate change with its tests.
TOOLS: dict[str, list[str]] = {
    "mlflow": ["mlflow==3.17.2"],
    "dvc": ["dvc==3.67.1"],
    "ipython": ["ipython==9.18.1"],
    # 1.4.40 asks for a certifi (2026.10.19) that the registries do not have.
    "bentoml": ["bentoml==1.4.39"],
    "cloudevents": ["cloudevents==2.2.0"],
    "dbt": ["dbt-core==1.11.16", "dbt-duckdb==1.11.1", "duckdb==2.0.0", "openlineage-dbt==1.54.0"],
    "great_expectations": ["great-expectations==1.24.1"],
    "evidently": ["evidently==0.7.23", "pandas<3"],
    "whylogs": ["whylogs==1.6.4", "pandas<3"],
    "airflow": ["apache-airflow==3.3.2", "apache-airflow-providers-openlineage==2.20.3"],
}


def free_port() -> int:
    """A port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def build_once(folder: Path, stamp: str, build: Callable[[], None]) -> None:
    """Run ``build`` unless ``folder`` carries this stamp; processes wait for each other."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / ".built"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists() and mark.read_text(encoding="utf-8") == stamp:
            return
        for old in folder.iterdir():
            if old.name != ".lock":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        build()
        mark.write_text(stamp, encoding="utf-8")


def stop_group(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a process that leads its own group, and the group: SIGTERM, then SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tool(name: str) -> Path:
    """The ``bin`` folder of a tool's environment, built the first time (up to a minute or two)."""
    folder = CACHE / "tools" / name
    requirements = TOOLS[name]

    def build() -> None:
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if uv is None:
            raise RuntimeError("uv is missing: run `make setup`")
        python = folder / "venv" / "bin" / "python"
        subprocess.run(
            [uv, "venv", "--quiet", "--python", sys.executable, str(python.parent.parent)], check=True
        )
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *requirements], check=True)

    stamp = "\n".join([*requirements, sys.version])
    build_once(folder, stamp, build)
    return folder / "venv" / "bin"


class MLflowServer:
    """A real tracking server on a free port, with its database and artifacts in ``home``."""

    START_SECONDS = 180.0

    def __init__(
        self, home: Path, *, port: int | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self.home = home.resolve()
        self.port = port or free_port()
        self.environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The tracking URI."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def backend_store_uri(self) -> str:
        """The database behind it, for `mlflow gc` and for reading without a server."""
        return f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def start(self) -> Self:
        """Start and wait for /health (about 9 s); raises with the log's tail if it does not come."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(tool("mlflow") / "mlflow"), "server", "--backend-store-uri", self.backend_store_uri,
                 "--artifacts-destination", str(self.home / "artifacts"), "--workers", "1",
                 "--host", "127.0.0.1", "--port", str(self.port)],
                # With job execution on it starts ten processes.
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **self.environment},
                cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + self.START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except urllib.error.HTTPError as refusal:
                # A server with authentication answers too.
                if refusal.code in (401, 403):
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        self.stop()
        raise RuntimeError(f"mlflow server did not answer at {self.url}:\n{tail}")

    def stop(self) -> None:
        """End the server and its workers; starting again keeps data and port."""
        if self._process is not None:
            stop_group(self._process, 10)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def main(names: list[str]) -> int:
    for name in names or list(TOOLS):
        print(f"{name}: {', '.join(TOOLS[name])} in {tool(name).relative_to(CACHE.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
