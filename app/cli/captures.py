"""From the spool to the graph: captures that wait go to the server, or into [store]."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from graph_schema.wording import counted
from ingestors import spool

if TYPE_CHECKING:
    from app.container import Container

SOURCE = "capture"
#: Seconds that a server may take to answer, and a store to take what is handed to it.
_PATIENCE = 5.0


class Sent(msgspec.Struct):
    """What became of the captures that waited. ``to``: where they went, or should have gone. ``because``: why
    some still wait."""

    to: str
    delivered: int = 0
    refused: int = 0
    waiting: int = 0
    because: str | None = None


def place() -> str:
    """The folder in which captures wait."""
    return spool.folder(os.environ)


def waiting() -> list[str]:
    """The captures that wait, the oldest first."""
    return spool.waiting(place())


def send(config: str | None, *, most: float = float("inf")) -> Sent:
    """Deliver what waits, the oldest first, for at most so many seconds. Raises ConfigError; whatever else
    goes wrong is in the answer, and what was not delivered still waits."""
    from app import settings

    files = waiting()
    until = time.monotonic() + most
    remote = settings.remote()
    if remote is not None:
        sent = Sent(remote.url)
        token = remote.token.get_secret_value() if remote.token is not None else None
        _send(sent, files, remote.url, token, until)
    else:
        loaded = settings.load(config)
        sent = Sent(loaded.settings.store.url)
        if loaded.file is None and "KINLORE_STORE__URL" not in os.environ:
            sent.because = "there is no kinlore.toml here and no KINLORE_URL"
        else:
            from app.container import Container

            try:
                with Container(loaded) as container:
                    sent = apply(container, files, until)
            except Exception as problem:
                sent.because = " ".join(str(problem).split())[:300]
    sent.waiting = len(waiting())
    return sent


def _send(sent: Sent, files: list[str], url: str, token: str | None, until: float) -> None:
    for file in files:
        if time.monotonic() > until:
            sent.because = "there are many"
            return
        try:
            spool.post(url, token, Path(file).read_bytes(), _PATIENCE)
            sent.delivered += 1
            spool.remove(file)
        except spool.NotDelivered as problem:
            if not problem.refused:
                sent.because = str(problem)
                return
            sent.refused += 1
            spool.set_aside(file)
        except OSError:
            # Somebody beside us has delivered it.
            continue


def apply(container: Container, files: list[str], until: float = float("inf")) -> Sent:
    """Take captures into the store of a container, as a server would. Raises StoreError."""
    from graph_schema.errors import BadInput
    from ingestors.pushed import Pushed
    from ingestors.source import Delivery

    sent = Sent(container.settings.store.url)
    source = container.source(SOURCE).source
    store = container.migrated()
    if source is None:
        return sent
    for file in files:
        if time.monotonic() > until:
            sent.because = "there are many"
            break
        try:
            delivery = Delivery({}, Path(file).read_bytes(), time.time_ns() // 1_000)
        except OSError:
            continue
        try:
            items, known_as = source.receive(delivery), source.delivery_id(delivery)
            container.inbox.put(SOURCE, items, delivery=known_as).result(_PATIENCE)
        except BadInput:
            sent.refused += 1
            spool.set_aside(file)
            continue
        # In the store, it is as good as in the graph.
        spool.remove(file)
        sent.delivered += 1
    pushed = Pushed(store, source)
    while pushed.apply():
        pass
    pushed.finish()
    return sent


def shown(folder: str) -> str:
    """A folder as people write it."""
    home = str(Path.home())
    return f"~{folder[len(home) :]}" if folder.startswith(home + "/") else folder


def waits(sent: Sent) -> str:
    """In words, what still waits, where and why."""
    return f"{counted(sent.waiting, 'capture waits', 'captures wait')} in {shown(place())}: {sent.because}"
