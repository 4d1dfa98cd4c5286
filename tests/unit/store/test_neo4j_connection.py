"""What goes wrong on the way to Neo4j is told in one line, soon, and without the password."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from app.store.neo4j import Neo4jStore
from graph_schema.errors import BadInput, Fenced, StoreBusy, StoreUnavailable
from graph_schema.store import Transaction
from graph_schema.values import Fence
from tests.neo4j_server import Neo4jServer
from tests.tool_venvs import free_port

SECRET = "not-the-right-one"


@pytest.fixture
def store(neo4j_server: Neo4jServer) -> Iterator[Neo4jStore]:
    opened = Neo4jStore(neo4j_server.url, neo4j_server.password, seconds=4)
    opened.migrate()
    yield opened
    opened.transact(lambda tx: tx.service_delete("unread", "k"))
    opened.close()


def failure(store: Neo4jStore) -> str:
    """What the store says when it is used, which is one line."""
    with pytest.raises(StoreUnavailable) as caught:
        store.counts()
    store.close()
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_wrong_password_names_the_variable_and_the_user(neo4j_server: Neo4jServer) -> None:
    said = failure(Neo4jStore(neo4j_server.url, SECRET))

    assert "refuses the password of user neo4j" in said
    assert "KINLORE_STORE__PASSWORD" in said


def test_no_password_says_the_same(neo4j_server: Neo4jServer) -> None:
    said = failure(Neo4jStore(neo4j_server.url, None))

    assert "KINLORE_STORE__PASSWORD" in said


@pytest.mark.parametrize("scheme", ["neo4j", "bolt"])
def test_a_server_that_is_not_there_is_not_waited_for(scheme: str) -> None:
    began = time.monotonic()

    said = failure(Neo4jStore(f"{scheme}://127.0.0.1:{free_port()}", SECRET))

    assert "does not answer" in said
    assert time.monotonic() - began < 10


def test_something_else_that_listens_there_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                peer.close()

        threading.Thread(target=answer, daemon=True).start()

        said = failure(Neo4jStore(f"bolt://127.0.0.1:{port}", SECRET))

    assert f"bolt://127.0.0.1:{port}" in said


def test_a_database_that_is_not_there_is_named(neo4j_server: Neo4jServer) -> None:
    said = failure(Neo4jStore(neo4j_server.url, neo4j_server.password, database="lineage"))

    assert "no database named 'lineage'" in said


def test_a_closed_store_says_so(neo4j_server: Neo4jServer) -> None:
    store = Neo4jStore(neo4j_server.url, neo4j_server.password)
    store.close()

    assert "has been closed" in failure(store)


def test_a_writer_that_waits_too_long_is_told_that_the_store_is_busy(
    store: Neo4jStore, neo4j_server: Neo4jServer
) -> None:
    runs: list[int] = []
    with neo4j_server.driver() as driver, driver.session() as session, session.begin_transaction() as other:
        other.run("MATCH (l:Lock) SET l.writes = l.writes").consume()

        with pytest.raises(StoreBusy, match="another writer has held"):
            store.transact(lambda tx: runs.append(1))

    assert runs == []
    store.transact(lambda tx: runs.append(1))
    assert runs == [1]


def test_readers_do_not_wait_for_a_writer(store: Neo4jStore, neo4j_server: Neo4jServer) -> None:
    other = Neo4jStore(neo4j_server.url, neo4j_server.password, seconds=4)

    def work(tx: Transaction) -> list[tuple[str, object]]:
        tx.service_put("unread", "k", 1)
        return other.service("unread")

    assert store.transact(work) == []
    assert other.service("unread") == [("k", 1)]
    other.close()


def test_an_error_in_the_work_comes_through_and_leaves_nothing(store: Neo4jStore) -> None:
    def work(tx: Transaction) -> None:
        tx.service_put("broken", "k", 1)
        raise LookupError("of the caller's own")

    with pytest.raises(LookupError, match="of the caller's own"):
        store.transact(work)

    assert store.service("broken") == []


def test_what_cannot_be_packed_is_refused_by_name(store: Neo4jStore) -> None:
    with pytest.raises(BadInput, match="Neo4j cannot hold"):
        store.get([2**63])


def test_a_fence_that_has_passed_on_stops_the_write(store: Neo4jStore) -> None:
    runs: list[int] = []

    with pytest.raises(Fenced):
        store.transact(lambda tx: runs.append(1), Fence("nobody's", 1))

    assert runs == []
