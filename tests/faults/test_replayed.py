"""Rows 2, 3, 5 and 8: what is written again, because the server died, a reply was lost, a line was cut, or
because the source sends it again and again, is in the graph once."""

from __future__ import annotations

import random
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.store.neo4j.store import Neo4jStore
from app.store.sqlite import store as sqlite_store
from app.store.sqlite.store import SqliteStore
from graph_schema.errors import StoreBusy, StoreUnavailable
from graph_schema.store import GraphStore
from ingestors.loop import ingest
from tests.contract.harness import clean_neo4j
from tests.faults.conftest import Figure
from tests.faults.synthetic import Synthetic
from tests.faults.victim import SHORT, Address, Telling
from tests.neo4j_server import Neo4jServer
from tests.unit.store.test_neo4j_faults import COMMIT, Cutter


@pytest.fixture
def cutter(neo4j_server: Neo4jServer) -> Iterator[Cutter]:
    clean_neo4j(neo4j_server)
    wire = Cutter(neo4j_server)
    yield wire
    wire.close()


def told(store: GraphStore, tell: Callable[[], None]) -> Any:
    return Telling(store, tell)


def clean_digest(count: int, folder: Path) -> tuple[str, int]:
    """What an undisturbed ingestion makes, on either engine: its digest, and how many records."""
    store = SqliteStore(folder / "clean.db")
    store.migrate()
    assert ingest(store, Synthetic(count)).error is None
    found = store.digest(), store.counts().records
    store.close()
    return found


# row 8 -------------------------------------------------------------------------------------------------


def test_the_same_pages_ten_times_have_one_effect(store: GraphStore, figure: Figure) -> None:
    source = Synthetic(120)
    ingest(store, source)
    once, counts = store.digest(), store.counts()

    reports = [ingest(store, source, full=True) for _ in range(9)]

    there = store.counts()
    figure("after ten times, records doubled:", there.records - counts.records)
    assert [report.error for report in reports] == [None] * 9
    assert store.digest() == once
    assert (there.records, there.nodes, there.edges) == (counts.records, counts.nodes, counts.edges)


def test_every_record_ten_times_in_its_page_has_one_effect(
    store: GraphStore, tmp_path: Path, figure: Figure
) -> None:
    wanted, records = clean_digest(120, tmp_path)
    source = Synthetic(120)
    source.pages = [[item for item in page for _ in range(10)] for page in source.pages]

    report = ingest(store, source)

    figure("after ten times, records doubled:", store.counts().records - records)
    assert report.error is None
    assert (store.digest(), store.counts().records) == (wanted, records)


# row 3 -------------------------------------------------------------------------------------------------


def test_an_ingestion_that_loses_replies_to_commits_doubles_nothing(
    cutter: Cutter, neo4j_server: Neo4jServer, tmp_path: Path, figure: Figure
) -> None:
    wanted, records = clean_digest(120, tmp_path)
    store = migrated(Address(f"bolt://127.0.0.1:{cutter.port}", neo4j_server.password))
    begun: list[int] = []

    def strike() -> None:
        begun.append(1)
        if len(begun) % 3 == 0:
            cutter.cut(COMMIT, delivered=len(begun) % 6 == 0)

    report = ingest(told(store, strike), Synthetic(120), policy=SHORT)

    doubled = store.counts().records - records
    figure(f"replies to {cutter.cuts} of {len(begun)} commits lost, records doubled:", doubled)
    assert report.error is None
    assert cutter.cuts >= 3
    assert (store.digest(), store.counts().records) == (wanted, records)
    store.close()


# row 2 -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.soak)])
@pytest.mark.timeout(1_200)
def test_a_server_that_is_killed_under_an_ingestion_gets_all_of_it(
    own_neo4j_server: Neo4jServer, kills: int, tmp_path: Path, figure: Figure
) -> None:
    server = own_neo4j_server.start()
    here = Address(server.url, server.password)
    size = 80 * kills
    wanted, records = clean_digest(size, tmp_path)
    rng = random.Random(kills)
    store = migrated(here)
    begun: list[float] = []
    failed: list[str] = []
    done = threading.Event()

    def work() -> None:
        """As a schedule would do it: what fails is tried again."""
        while not done.is_set():
            try:
                report = ingest(
                    told(store, lambda: begun.append(time.monotonic())), Synthetic(size), policy=SHORT
                )
                assert report.error is None
                done.set()
            except StoreUnavailable as problem:
                failed.append(str(problem))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    recoveries = []
    for number in range(kills):
        reach(lambda: len(begun) >= 5 * (number + 1) or done.is_set())  # noqa: B023
        time.sleep(rng.uniform(0, 0.05))
        server.kill()
        killed = time.monotonic()
        server.start()
        seen = len(begun)
        # Two more have begun: the one that was killed is committed.
        reach(lambda: len(begun) > seen + 1 or done.is_set())  # noqa: B023
        recoveries.append(time.monotonic() - killed)
    assert done.wait(120)
    thread.join(10)

    listed = ", ".join(f"{seconds:.1f}" for seconds in recoveries)
    figure(f"Neo4j killed {kills} times, recovered in", f"{listed} s (with its start), retried {len(failed)}")
    assert not thread.is_alive()
    assert all("\n" not in line for line in failed)
    assert (store.digest(), store.counts().records) == (wanted, records)
    store.close()


# row 5 -------------------------------------------------------------------------------------------------


class Line:
    """A wire to a server that can be down for a while."""

    def __init__(self, server: Neo4jServer) -> None:
        self._server = (server.host, server.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._down = False
        threading.Thread(target=self._accept, daemon=True).start()

    def down(self) -> None:
        self._down = True
        for end in self._ends:
            # Either side may have ended it before.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def up(self) -> None:
        self._down = False

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if self._down:
                client.close()
                continue
            server = socket.create_connection(self._server)
            for end in (client, server):
                # Else each of the many small messages waits for the other side's delayed acknowledgement.
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_store_that_is_away_for_a_while_is_waited_for(
    neo4j_server: Neo4jServer, tmp_path: Path, figure: Figure
) -> None:
    wanted, records = clean_digest(120, tmp_path)
    clean_neo4j(neo4j_server)
    line = Line(neo4j_server)
    store = migrated(Address(f"bolt://127.0.0.1:{line.port}", neo4j_server.password))
    begun: list[int] = []

    def strike() -> None:
        begun.append(1)
        if len(begun) == 5:
            line.down()
            threading.Timer(3, line.up).start()

    began = time.monotonic()
    report = ingest(told(store, strike), Synthetic(120), policy=SHORT)
    took = time.monotonic() - began

    figure("away for 3 s, the ingestion took", f"{took:.1f} s")
    assert report.error is None
    assert (store.digest(), store.counts().records) == (wanted, records)
    store.close()
    line.close()


def test_something_that_listens_and_never_answers_is_not_waited_for_for_ever(figure: Figure) -> None:
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Neo4jStore(f"neo4j://127.0.0.1:{silent.getsockname()[1]}", "x")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            ingest(store, Synthetic(10))
        took = time.monotonic() - began
        store.close()

    figure(
        "a silent server is given up after", f"{took:.1f} s, threads left {threading.active_count() - before}"
    )
    assert "\n" not in str(caught.value) and "127.0.0.1" in str(caught.value)
    assert took < 20
    assert threading.active_count() <= before


def test_a_file_that_another_process_holds_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    monkeypatch.setattr(sqlite_store, "_BUSY_SECONDS", 1.0)
    store = SqliteStore(tmp_path / "k.db")
    store.migrate()
    before = store.digest()
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    began = time.monotonic()
    with pytest.raises(StoreBusy, match=str(store.path)):
        ingest(store, Synthetic(10))
    took = time.monotonic() - began
    assert store.digest() == before
    other.execute("ROLLBACK")

    figure("another writer is given", f"{took:.1f} s of 1 s")
    assert 0.9 < took < 10
    assert ingest(store, Synthetic(10)).error is None
    other.close()
    store.close()


def migrated(here: Address) -> GraphStore:
    store = here.open()
    store.migrate()
    return store


def reach(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it was never reached"
        time.sleep(0.01)
