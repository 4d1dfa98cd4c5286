"""Rows 20 and 22, and the pace: a service in a process of its own, bombed, without its store, and at work."""

from __future__ import annotations

import gzip
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.jobs.consumer import Consumer
from ingestors.inbox import waiting
from tests.contract.harness import clean_neo4j
from tests.faults.conftest import Figure
from tests.faults.taker import Sent, Taker, container_at, run_of, send, share, taking
from tests.faults.test_poison import runs
from tests.faults.test_replayed import Line
from tests.faults.victim import Address

#: Bytes of memory that all attempts together may cost.
_MORE_MEMORY = 150_000_000


def lost(address: Address, folder: Path, acknowledged: list[int]) -> tuple[list[int], float]:
    """Deliveries that were acknowledged and are not in the graph once all that waits is applied, and how many
    seconds that took."""
    container = container_at(address, folder)
    with container:
        began = time.monotonic()
        (source,) = (each for each in container.receivers if each.type == "bell")
        Consumer(container).drain(source)
        seconds = time.monotonic() - began
        there = runs(container.store)
        assert waiting(container.store, "bell") == 0
    return [number for number in acknowledged if run_of(number) not in there], seconds


def migrated(address: Address) -> Address:
    store = address.open()
    store.migrate()
    store.close()
    return address


# row 20 ------------------------------------------------------------------------------------------------


def memory(taker: Taker) -> int:
    """The most that the service has had in memory, in bytes."""
    status = Path(f"/proc/{taker.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def status_while_sending(url: str, head: str, parts: Iterator[bytes]) -> int:
    """The status of the answer, which may come before everything is sent."""
    place = urlsplit(url)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=20) as line:
        line.sendall(f"POST {place.path} HTTP/1.1\r\nhost: {place.netloc}\r\n{head}\r\n".encode())

        def push() -> None:
            try:
                for part in parts:
                    line.sendall(part)
            except OSError:
                return

        thread = threading.Thread(target=push, daemon=True)
        thread.start()
        answer = line.recv(12)
    thread.join(10)
    return int(answer[9:12])


def test_bombs_are_refused_at_once(tmp_path: Path, figure: Figure) -> None:
    address = migrated(Address(str(tmp_path / "k.db")))
    zeros = bytes(1_000_000)
    bomb = gzip.compress(bytes(100_000_000))
    deep = b'{"rings": [' + b'{"a":' * 100_000
    packed = {"content-encoding": "gzip"}
    chunk = b"f4240\r\n" + zeros + b"\r\n"
    with taking(address, tmp_path) as taker:

        def post(body: bytes, **headers: str) -> int:
            return httpx.post(taker.url, content=body, headers=headers, timeout=20).status_code

        assert post(b'{"rings": []}') == 202
        before = memory(taker)
        attempts: dict[str, tuple[Callable[[], int], int]] = {
            "100 MB with its length": (
                lambda: status_while_sending(taker.url, "content-length: 100000000\r\n", iter([zeros] * 100)),
                413,
            ),
            "100 MB in chunks": (
                lambda: status_while_sending(
                    taker.url, "transfer-encoding: chunked\r\n", iter([chunk] * 100)
                ),
                413,
            ),
            "zip bomb of 100 MB": (lambda: post(bomb, **packed), 413),
            "zip bomb in a zip bomb": (lambda: post(gzip.compress(bomb), **packed), 400),
            "JSON 100,000 deep": (lambda: post(deep), 400),
            "JSON 100,000 deep, packed": (lambda: post(gzip.compress(deep), **packed), 400),
            "JSON of brackets": (lambda: post(b"[" * 9_999_999), 400),
        }
        said = {}
        for name, (attempt, wanted) in attempts.items():
            began = time.monotonic()
            status = attempt()
            said[name] = (status, wanted)
            figure(name, f"{status} after {(time.monotonic() - began) * 1000:.0f} ms")
        more = memory(taker) - before
        assert post(b'{"rings": [{"key": "after"}]}') == 202
        taker.end()

    figure("memory more than before:", f"{more / 1e6:.0f} MB")
    assert {name: status for name, (status, _) in said.items()} == {
        name: wanted for name, (_, wanted) in said.items()
    }
    assert more < _MORE_MEMORY


# row 22 ------------------------------------------------------------------------------------------------


@contextmanager
def interrupted(engine: str, tmp_path: Path, request: Any) -> Iterator[tuple[Address, Address, Any, Any]]:
    """A store: as the service reaches it, as it is, how it goes away and how it comes back."""
    if engine == "sqlite":
        address = migrated(Address(str(tmp_path / "k.db")))
        other = sqlite3.connect(address.place, isolation_level=None, check_same_thread=False, timeout=60)
        yield address, address, lambda: other.execute("BEGIN EXCLUSIVE"), lambda: other.execute("COMMIT")
        other.close()
        return
    server = request.getfixturevalue("neo4j_server")
    clean_neo4j(server)
    address = migrated(Address(server.url, server.password))
    line = Line(server)
    yield Address(f"bolt://127.0.0.1:{line.port}", server.password), address, line.down, line.up
    line.close()


@pytest.mark.parametrize(
    ("count", "away"),
    [(500, 1.0), pytest.param(10_000, 30.0, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
def test_what_is_acknowledged_while_the_store_comes_and_goes_is_not_lost(
    engine: str, count: int, away: float, tmp_path: Path, request: pytest.FixtureRequest, figure: Figure
) -> None:
    with interrupted(engine, tmp_path, request) as (seen, real, down, up), taking(seen, tmp_path) as taker:
        downs = [threading.Timer(0.3, down), threading.Timer(0.3 + away, up)]
        for timer in downs:
            timer.start()
        sent = send(taker.url, count, 200)
        for timer in downs:
            timer.join()
        acknowledged = {each.number for each in sent if each.status == 202}
        first_time, statuses = len(acknowledged), {each.status for each in sent}
        deadline = time.monotonic() + 120
        for number in range(count):
            # Senders try again until they are told that it was taken.
            while number not in acknowledged and time.monotonic() < deadline:
                (again,) = send(taker.url, 1, 200, first=number)
                if again.status == 202:
                    acknowledged.add(number)
                else:
                    time.sleep(0.2)
        taker.end()

    gone, seconds = lost(real, tmp_path, sorted(acknowledged))
    figure(
        f"store away for {away:.0f} s while {count:,} webhooks arrive: acknowledged and lost",
        f"{len(gone)}; {first_time:,} taken the first time, drained in {seconds:.1f} s",
    )
    assert gone == []
    assert len(acknowledged) == count
    assert statuses <= {202, 503}


# the pace ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seconds", [60, pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(1_500)])]
)
def test_two_hundred_a_second_while_a_source_is_ingested(
    engine: str, address: Callable[[], Address], seconds: int, tmp_path: Path, figure: Figure
) -> None:
    here = migrated(address())
    with taking(here, tmp_path, ingesting=True) as taker:
        warm_up(taker)
        began = time.monotonic()
        sent = send(taker.url, 200 * seconds, 200)
        over = time.monotonic()
        held = [each for each in taker.end() if began < each.until < over]

    gone, drained = lost(here, tmp_path, [each.number for each in sent if each.status == 202])
    ingestion = [each.seconds for each in held if each.thread == "ingestion"]
    others = [each.seconds for each in held if each.thread != "ingestion"]
    long = sum(each.seconds > 0.05 for each in held)
    taken = [each for each in sent if each.status == 202]
    figure(f"{len(taken):,} of {len(sent):,} deliveries at 200 a second, acknowledged after", pace(taken))
    figure(
        "the writer lock was held by the ingestion, and by what takes and applies deliveries,",
        f"{spread(ingestion)} and {spread(others)}; {long:,} of {len(held):,} times for more than 50 ms; "
        f"left over: drained in {drained:.1f} s",
    )
    # On a machine that has much else to do, some are told to come again.
    assert {each.status for each in sent} <= {202, 503}
    assert gone == [] and ingestion and any(each.status == 202 for each in sent)


def warm_up(taker: Taker) -> None:
    """A server that has just been started is asked everything for the first time."""
    deadline, first = time.monotonic() + 60, 100_000_000
    while time.monotonic() < deadline:
        first += 20
        sent = send(taker.url, 20, 40, first=first)
        if all(each.status == 202 and each.seconds < 0.5 for each in sent):
            return


def pace(sent: list[Sent]) -> str:
    """How long answers took."""
    return spread([each.seconds for each in sent])


def spread(seconds: list[float]) -> str:
    """Median, 99th percentile and maximum, in words."""
    middle, most = share(seconds, 0.5), share(seconds, 0.99)
    return f"p50 {middle * 1000:.1f}, p99 {most * 1000:.1f}, max {max(seconds) * 1000:.1f} ms"
