"""A real Neo4j server for tests and benchmarks: jars through Maven, one process, loopback only.

``python -m tests.neo4j_server`` starts one by hand until Ctrl-C; ``--prepare`` only fetches the jars.

Variables: ``KINLORE_TEST_NEO4J_VERSION`` chooses the version (default 5.26.30);
``KINLORE_TEST_NEO4J_URL`` with ``KINLORE_TEST_NEO4J_PASSWORD`` points at a server somebody already has.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from neo4j import Driver, GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from tests.tool_venvs import CACHE, build_once, free_port, stop_group

DEFAULT_VERSION = "5.26.30"
START_SECONDS = 90.0
_JAVA_HOMES = Path("/usr/lib/jvm")
_OPENED = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")


def version_from_environment() -> str:
    """The version to run where the test does not say."""
    return os.environ.get("KINLORE_TEST_NEO4J_VERSION") or DEFAULT_VERSION


def jars(version: str) -> Path:
    """The folder with the server's jars (125 MB), filled through Maven the first time."""
    folder = CACHE / "neo4j" / version

    def fetch() -> None:
        subprocess.run(
            ["mvn", "-q", "-B", "-f", str(Path(__file__).with_name("neo4j") / "pom.xml"),
             f"-Dneo4j.version={version}", "dependency:copy-dependencies", "-DincludeScope=runtime",
             f"-DoutputDirectory={folder / 'lib'}"],
            check=True,
        )  # fmt: skip

    build_once(folder, version, fetch)
    return folder / "lib"


@cache
def _java_major(java: str) -> int:
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else 0


def java_for(version: str) -> str:
    """A Java that this Neo4j supports: 5.x runs on 17 and 21, the calendar versions on 21 and 25."""
    wanted = (17, 21) if version.startswith("5.") else (21, 25)
    homes = [Path(home) for home in (os.environ.get("JAVA_HOME"),) if home]
    homes += sorted(_JAVA_HOMES.iterdir()) if _JAVA_HOMES.is_dir() else []
    candidates = [str(home / "bin" / "java") for home in homes] + [shutil.which("java") or "java"]
    for java in candidates:
        if _java_major(java) in wanted:
            return java
    needs = " or ".join(map(str, wanted))
    raise RuntimeError(f"Neo4j {version} needs Java {needs}; looked at JAVA_HOME, {_JAVA_HOMES} and PATH")


class Neo4jServer:
    """One server process with its data in ``home``; ``restart`` keeps data, port and password.

    Heap and page cache are sizes as Java and Neo4j spell them (``1g``, ``256m``).
    """

    user = "neo4j"
    ours = True

    def __init__(
        self,
        home: Path,
        *,
        version: str | None = None,
        password: str = "kinlore-tests-only",
        heap: str = "1g",
        pagecache: str = "256m",
        port: int | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.home = home.resolve()
        self.version = version or version_from_environment()
        self.password = password
        self.heap = heap
        self.pagecache = pagecache
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As ``[store] url`` in kinlore.toml takes it; the password goes separately."""
        return f"neo4j://{self.user}@{self.host}:{self.port}"

    @property
    def bolt(self) -> str:
        """As the raw driver takes it, together with ``auth``."""
        return f"bolt://{self.host}:{self.port}"

    @property
    def auth(self) -> tuple[str, str]:
        return self.user, self.password

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        """What the process said on stdout and stderr."""
        return self.home / "console.log"

    def driver(self) -> Driver:
        """A raw driver of the official client, without notifications; the caller closes it."""
        return GraphDatabase.driver(self.bolt, auth=self.auth, notifications_min_severity="OFF")

    def start(self) -> Self:
        """Start and wait until Bolt answers (5-7 s); raises with the log's tail if it does not."""
        if self.running:
            return self
        java, classpath = java_for(self.version), f"{jars(self.version)}/*"
        config = self._write_config()
        if not (self.home / "data" / "dbms").exists():
            subprocess.run(
                [java, "-cp", classpath, "org.neo4j.cli.AdminTool",
                 "dbms", "set-initial-password", self.password],
                env={**os.environ, "NEO4J_HOME": str(self.home), "NEO4J_CONF": str(config)},
                check=True, capture_output=True,
            )  # fmt: skip
        entry = "CommunityEntryPoint" if self.version.startswith("5.") else "Neo4jCommunity"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [java, f"-Xms{self.heap}", f"-Xmx{self.heap}", "-XX:+UseG1GC",
                 *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
                 "-cp", classpath, f"org.neo4j.server.{entry}",
                 f"--home-dir={self.home}", f"--config-dir={config}", "--console-mode"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        atexit.register(self.kill)
        self._await_bolt()
        return self

    def stop(self, seconds: float = 30.0) -> None:
        """SIGTERM, and SIGKILL for one that does not end in time."""
        if self._process is not None:
            stop_group(self._process, seconds)
        self._forget()

    def kill(self) -> None:
        """SIGKILL at once, as a crash would."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
            self._running().wait()
        self._forget()

    def restart(self) -> Self:
        """The same data at the same address; after ``kill`` this is a recovery."""
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the Neo4j server is not running")
        return self._process

    def _forget(self) -> None:
        self._process = None
        atexit.unregister(self.kill)

    def _write_config(self) -> Path:
        address = f"{self.host}:{self.port}"
        settings = {
            "server.default_listen_address": self.host,
            "server.bolt.listen_address": address,
            "server.bolt.advertised_address": address,
            "server.http.enabled": "false",
            "server.https.enabled": "false",
            "dbms.security.auth_enabled": "true",
            "dbms.usage_report.enabled": "false",
            "server.memory.pagecache.size": self.pagecache,
            # A test server keeps no history of logs; what a crash needs stays.
            "db.tx_log.rotation.retention_policy": "keep_none",
            "db.tx_log.preallocate": "false",
            # Else every stop waits ten seconds for connections that are already closed.
            "internal.server.bolt.thread_pool_shutdown_wait_time": "1s",
            "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
            **self.settings,
        }
        config = self.home / "conf"
        config.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{key}={value}\n" for key, value in settings.items())
        (config / "neo4j.conf").write_text(lines, encoding="utf-8")
        return config

    def _await_bolt(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                break
            try:
                with socket.create_connection((self.host, self.port), timeout=1):
                    pass
                with self.driver() as driver:
                    driver.verify_connectivity()
                return
            except (OSError, DriverError, Neo4jError):
                time.sleep(0.1)
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        self.kill()
        raise RuntimeError(f"Neo4j {self.version} did not answer on {self.host}:{self.port}:\n{tail}")


class ExternalNeo4j(Neo4jServer):
    """A server somebody already has: looked at and written to, never started or stopped."""

    ours = False

    def __init__(self, url: str, password: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname or not password:
            raise ValueError("KINLORE_TEST_NEO4J_URL needs a host, and KINLORE_TEST_NEO4J_PASSWORD a value")
        super().__init__(Path.cwd(), password=password, port=parts.port or 7687)
        self.user, self.host, self._url, self._scheme = (
            parts.username or "neo4j",
            parts.hostname,
            url,
            parts.scheme,
        )

    @property
    def url(self) -> str:
        return self._url

    @property
    def bolt(self) -> str:
        return f"{self._scheme}://{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        return True

    def start(self) -> Self:
        with self.driver() as driver:
            driver.verify_connectivity()
        return self

    def stop(self, seconds: float = 30.0) -> None:
        return

    def kill(self) -> None:
        raise RuntimeError("this server is not ours to kill; use the fixture own_neo4j_server")

    def restart(self) -> Self:
        raise RuntimeError("this server is not ours to restart; use the fixture own_neo4j_server")


def server_for_tests(home: Path) -> Neo4jServer:
    """The server of a test run, not yet started: the one the environment names, else one of our own."""
    url = os.environ.get("KINLORE_TEST_NEO4J_URL")
    if url:
        return ExternalNeo4j(url, os.environ.get("KINLORE_TEST_NEO4J_PASSWORD", ""))
    return Neo4jServer(home)


def main(arguments: list[str]) -> int:
    version = version_from_environment()
    if "--prepare" in arguments:
        if not os.environ.get("KINLORE_TEST_NEO4J_URL"):
            print(f"Neo4j {version}: {len(list(jars(version).glob('*.jar')))} jars, {java_for(version)}")
        return 0
    home = CACHE / "neo4j" / "by-hand"
    shutil.rmtree(home, ignore_errors=True)
    with Neo4jServer(home, version=version) as server:
        print(f"Neo4j {version}, pid {server.pid}; Ctrl-C ends it\n"
              f"url       {server.url}\npassword  {server.password}", flush=True)  # fmt: skip
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    # SIGTERM ends it like Ctrl-C does, so that the server is not left behind; a shell starts what it puts
    # into the background with SIGINT ignored.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
