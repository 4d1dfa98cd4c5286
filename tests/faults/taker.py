"""A service that takes deliveries, in a process of its own, and somebody who sends them at a steady rate."""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import pytest
import uvicorn

from app.api.app import create_app
from app.api.server import answer_promptly, listen
from app.container import Container
from app.jobs.consumer import Consumer
from app.jobs.runs import SHORT_LOCK
from app.settings import load
from graph_schema.store import Transaction
from graph_schema.values import Fence
from ingestors.loop import Policy, ingest
from tests.bell import hang_up, rings
from tests.faults.synthetic import Synthetic
from tests.faults.victim import _CONTEXT, Address, start

T = TypeVar("T")

#: Connections of whoever sends, and the seconds for which one is kept without being used.
_LINES, _IDLE = 400, 2.0
BELL = '[[sources]]\ntype = "bell"\nname = "bell"\n'


class Held(NamedTuple):
    """How long the writer lock was held, in seconds, until when (``time.monotonic``), and by which thread."""

    seconds: float
    until: float
    thread: str


class Timed:
    """A store that notes how long its writer lock is held: from where the work of a transaction begins until
    the lock is free, and whenever it is held for something else."""

    def __init__(self, store: Any) -> None:
        self._store = store
        # Half a million of them in ten minutes: as objects, they would keep the garbage collector busy.
        self._held: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._began = threading.local()
        turns, acquire, release = store._lock, store._lock.acquire, store._lock.release

        def acquired(timeout: float = -1) -> bool:
            came: bool = acquire(timeout)
            self._began.at = time.monotonic()
            return came

        def released() -> None:
            now = time.monotonic()
            self._held[threading.current_thread().name].extend((now - self._began.at, now))
            release()

        turns.acquire, turns.release = acquired, released

    def transact(self, work: Callable[[Transaction], T], fence: Fence | None = None) -> T:
        def timed(tx: Transaction) -> T:
            self._began.at = time.monotonic()
            return work(tx)

        result: T = self._store.transact(timed, fence)
        return result

    def held(self) -> list[Held]:
        """What was noted."""
        return [
            Held(seconds, until, thread)
            for thread, noted in self._held.items()
            for seconds, until in zip(noted[::2], noted[1::2], strict=True)
        ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def container_at(address: Address, folder: Path, text: str = BELL) -> Container:
    """A container over a store that is there already."""
    file = folder / "kinlore.toml"
    file.write_text(text)
    if address.password is None:
        environ = {"KINLORE_STORE__URL": f"sqlite:///{address.place}"}
    else:
        scheme, _, host = address.place.partition("://")
        environ = {
            "KINLORE_STORE__URL": f"{scheme}://neo4j@{host.rpartition('@')[2]}",
            "KINLORE_STORE__PASSWORD": address.password,
        }
    with pytest.MonkeyPatch.context() as patch:
        hang_up(patch)
        return Container(load(file, environ=environ))


def take(address: Address, folder: Path, telling: Connection, ingesting: bool, consuming: bool) -> None:
    """Serve until told to end; says the port first, and how long the lock was held last."""
    container = container_at(address, folder)
    store = container.migrated()
    store.prepare()
    timed: Any = Timed(store)
    container._store = timed
    over = threading.Event()
    ingester = threading.Thread(target=_ingest, args=(timed, over), name="ingestion", daemon=True)
    consumer = Consumer(container)
    listening, port = listen("127.0.0.1", 0)
    config = uvicorn.Config(create_app(container), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    answer_promptly()
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    serving.start()
    if consuming:
        consumer.start()
    if ingesting:
        ingester.start()
    telling.send(listening.getsockname()[1] or port)
    telling.recv()
    server.should_exit = True
    serving.join(30)
    over.set()
    if ingesting:
        ingester.join(30)
    consumer.stop()
    container.close()
    telling.send(timed.held())


def _ingest(store: Any, over: threading.Event) -> None:
    seed = 0
    while not over.is_set():
        seed += 1
        source = Synthetic(2_000, seed)
        ingest(store, source, full=True, should_stop=over.is_set, policy=Policy(lock=SHORT_LOCK))


class Taker(NamedTuple):
    """A service that is running."""

    process: BaseProcess
    told: Connection
    url: str

    def end(self) -> list[Held]:
        """Stop it, as SIGTERM would; how long its transactions held the lock."""
        self.told.send("end")
        held: list[Held] = self.told.recv()
        self.process.join(30)
        return held


@contextmanager
def taking(
    address: Address, folder: Path, *, ingesting: bool = False, consuming: bool = True
) -> Iterator[Taker]:
    """A service on a store, with or without an ingestion and a consumer beside it."""
    told, telling = _CONTEXT.Pipe()
    process = start(take, address, folder, telling, ingesting, consuming)
    try:
        yield Taker(process, told, f"http://127.0.0.1:{told.recv()}/hooks/bell")
    finally:
        if process.is_alive():
            process.kill()
            process.join()


class Sent(NamedTuple):
    """A delivery: its number, when it was sent, how long the answer took, and its status (0: none)."""

    number: int
    at: float
    seconds: float
    status: int


def send(url: str, count: int, rate: float, *, first: int = 0) -> list[Sent]:
    """Send so many deliveries, evenly spread, ``rate`` a second, whatever the answers take."""
    return asyncio.run(_send(url, count, rate, first))


async def _send(url: str, count: int, rate: float, first: int) -> list[Sent]:
    # Clients of HTTP take more of the machine than the service that is measured.
    host, port, path = (parts := urlsplit(url)).hostname, parts.port, parts.path
    idle: asyncio.LifoQueue[_Line] = asyncio.LifoQueue()
    for _ in range(_LINES):
        idle.put_nowait(_Line(str(host), int(port or 0)))
    bodies = [body_of(first + number) for number in range(count)]
    began = time.monotonic()

    async def one(number: int) -> Sent:
        at = time.monotonic()
        line = await idle.get()
        head = f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\nx-ring: {first + number}\r\n"
        status = await line.ask(head.encode(), bodies[number])
        idle.put_nowait(line)
        return Sent(first + number, at, time.monotonic() - at, status)

    tasks = []
    for number in range(count):
        pause = began + number / rate - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(one(number)))
    sent = list(await asyncio.gather(*tasks))
    while not idle.empty():
        idle.get_nowait().hang_up()
    return sent


class _Line:
    """A connection that is kept open between requests."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def ask(self, head: bytes, body: bytes) -> int:
        """The status of the answer; 0 where there is none."""
        if time.monotonic() - self._used > _IDLE:
            # The service hangs up too, and a request would cross its good-bye.
            self.hang_up()
        self._used = time.monotonic()
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._place)
            reader, writer = self._streams
            writer.write(b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body))
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            return int(answer[9:12])
        except (OSError, EOFError, ValueError):
            self.hang_up()
            return 0

    def hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


def body_of(number: int) -> bytes:
    """A delivery of some size, as an alert or an event of a run has it."""
    labels = {f"label_{each}": f"value {each} of {number % 50}" for each in range(12)}
    return rings(f"ring{number}", version=number + 1, status="FIRING", tags=labels)


def run_of(number: int) -> str:
    """The node that comes of a delivery."""
    return f"mlflow.run_id=ring{number}"


def share(values: list[float], part: float) -> float:
    """The value below which this part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
