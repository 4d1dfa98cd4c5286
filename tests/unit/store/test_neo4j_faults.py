"""Lost connections and a killed server: a write happens once, or not at all and says so."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from app.store.neo4j import Neo4jStore
from graph_schema.claims import Record, States
from graph_schema.kinds import NodeKind
from graph_schema.store import Source, Transaction
from tests.neo4j_server import Neo4jServer

TRACKING = Source("tracking", "mlflow")
RECOVERY_SECONDS = 150.0
# How messages of the Bolt protocol begin: a structure, and which one.
BEGIN, RUN, COMMIT = b"\xb1\x11", b"\xb3\x10", b"\xb0\x12"


class Cutter:
    """A wire to the server that breaks once, at a message of the client: before it, or after the reply to
    it was made but before it arrives."""

    def __init__(self, server: Neo4jServer) -> None:
        self._server = (server.host, server.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._message: bytes | None = None
        self._delivered = True
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, message: bytes, *, delivered: bool) -> None:
        """Break at the next such message; ``delivered``: the server still gets it."""
        self._message, self._delivered = message, delivered

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            dead = threading.Event()
            threading.Thread(target=self._forward, args=(client, server, dead), daemon=True).start()
            threading.Thread(target=self._back, args=(server, client, dead), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, dead: threading.Event) -> None:
        try:
            while data := client.recv(65536):
                if self._message is not None and self._message in data:
                    self._message = None
                    self.cuts += 1
                    dead.set()
                    if self._delivered:
                        server.sendall(data)
                        # The server has done it when it answers; nobody hears the answer.
                        time.sleep(0.5)
                    break
                server.sendall(data)
        except OSError:
            pass
        finally:
            for end in (client, server):
                with suppress(OSError):
                    # Closing alone would wait for the other thread to stop listening.
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def _back(self, server: socket.socket, client: socket.socket, dead: threading.Event) -> None:
        try:
            while data := server.recv(65536):
                if not dead.is_set():
                    client.sendall(data)
        except OSError:
            pass


@pytest.fixture
def wire(neo4j_server: Neo4jServer) -> Iterator[Cutter]:
    with neo4j_server.driver() as driver, driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS").consume()
    cutter = Cutter(neo4j_server)
    yield cutter
    cutter.close()


@pytest.fixture
def store(wire: Cutter, neo4j_server: Neo4jServer) -> Iterator[Neo4jStore]:
    """A migrated, empty store behind the wire."""
    opened = Neo4jStore(f"bolt://127.0.0.1:{wire.port}", neo4j_server.password)
    opened.migrate()
    yield opened
    opened.close()


def adding(calls: list[int], key: str = "r") -> Callable[[Transaction], int]:
    """Work that adds a run and counts itself in a service record. Returns the revision."""

    def work(tx: Transaction) -> int:
        calls.append(tx.revision)
        claim = States(NodeKind.RUN, f"mlflow.run_id={key}", {"name": key})
        tx.write(TRACKING, [Record(key, "run", 1, (claim,))])
        tx.service_put("count", "done", (tx.service_get("count", "done") or 0) + 1)
        return tx.revision

    return work


def test_a_commit_whose_reply_is_lost_happens_once(store: Neo4jStore, wire: Cutter) -> None:
    calls: list[int] = []
    wire.cut(COMMIT, delivered=True)

    revision = store.transact(adding(calls))

    assert wire.cuts == 1
    assert calls == [1]
    assert revision == store.counts().revision == 1
    assert store.counts().nodes == {"Run": 1}
    assert store.service("count") == [("done", 1)]


def test_a_commit_that_never_arrived_is_made_again(store: Neo4jStore, wire: Cutter) -> None:
    calls: list[int] = []
    wire.cut(COMMIT, delivered=False)

    store.transact(adding(calls))

    assert wire.cuts == 1
    assert calls == [1, 1]
    assert store.counts().nodes == {"Run": 1}
    assert store.service("count") == [("done", 1)]


@pytest.mark.parametrize("delivered", [False, True])
def test_a_deposit_whose_reply_is_lost_is_there(store: Neo4jStore, wire: Cutter, delivered: bool) -> None:
    wire.cut(RUN, delivered=delivered)

    store.deposit([("inbox", "a", 1), ("inbox", "b", 2)])

    assert wire.cuts == 1
    assert store.service("inbox") == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("message", [BEGIN, RUN], ids=["BEGIN", "RUN"])
@pytest.mark.parametrize("delivered", [False, True])
def test_a_connection_that_breaks_in_between_is_taken_up_again(
    store: Neo4jStore, wire: Cutter, message: bytes, delivered: bool
) -> None:
    calls: list[int] = []
    wire.cut(message, delivered=delivered)

    store.transact(adding(calls))

    assert wire.cuts == 1
    assert store.counts().nodes == {"Run": 1}
    assert store.service("count") == [("done", 1)]


def test_lost_replies_one_after_the_other_double_nothing(store: Neo4jStore, wire: Cutter) -> None:
    calls: list[int] = []

    for number in range(4):
        wire.cut(COMMIT, delivered=number % 2 == 0)
        store.transact(adding(calls, f"r{number}"))

    assert wire.cuts == 4
    assert store.counts().nodes == {"Run": 4}
    assert store.service("count") == [("done", 4)]
    assert store.counts().revision == 4


def test_two_clients_lose_replies_and_neither_takes_the_others_for_its_own(
    store: Neo4jStore, wire: Cutter, neo4j_server: Neo4jServer
) -> None:
    calls: list[int] = []
    other = Neo4jStore(neo4j_server.url, neo4j_server.password)
    other.transact(adding([], "other"))
    wire.cut(COMMIT, delivered=False)

    store.transact(adding(calls, "mine"))

    assert len(calls) == 2
    assert store.counts().nodes == {"Run": 2}
    other.close()


@pytest.mark.slow
def test_a_server_that_is_killed_in_a_transaction_and_comes_back_is_written_to_once(
    own_neo4j_server: Neo4jServer,
) -> None:
    server = own_neo4j_server.start()
    # A machine that is busy with other tests starts a server slowly.
    store = Neo4jStore(server.url, server.password, retry_seconds=RECOVERY_SECONDS)
    store.migrate()
    store.transact(adding([], "before"))
    digest = store.digest()
    calls: list[int] = []
    back = threading.Event()

    def restart() -> None:
        server.start()
        back.set()

    def work(tx: Transaction) -> int:
        revision = adding(calls, "during")(tx)
        if len(calls) == 1:
            server.kill()
            threading.Thread(target=restart, daemon=True).start()
        return revision

    began = time.monotonic()
    store.transact(work)
    took = time.monotonic() - began

    assert back.wait(RECOVERY_SECONDS)
    assert len(calls) > 1
    assert store.counts().nodes == {"Run": 2}
    assert store.service("count") == [("done", 2)]
    assert store.digest() != digest
    assert took < RECOVERY_SECONDS, f"recovered in {took:.1f} s"
    store.close()
