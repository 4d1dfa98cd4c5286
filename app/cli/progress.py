"""Progress of long work on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol

from app.cli.console import say

#: Seconds between lines where there is no terminal.
_EVERY = 5.0


class Watcher(Protocol):
    """What :class:`ingestors.report.Progress` asks for, as a context."""

    def update(self, source: str, done: int, total: int | None, text: str) -> None:
        """``done`` of ``total`` items of a source are written."""

    def __enter__(self) -> Watcher: ...

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def watching(quiet: bool = False) -> Watcher:
    """Somebody to report progress to. ``quiet``: nobody looks."""
    if quiet:
        return _Lines(every=float("inf"))
    return _Bars() if sys.stderr.isatty() else _Lines(_EVERY)


class _Lines:
    def __init__(self, every: float) -> None:
        self._every = every
        self._last = time.monotonic()

    def update(self, source: str, done: int, total: int | None, text: str) -> None:
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            say(f"{source}: {text}" + (f" of {total:,}" if total else ""))

    def __enter__(self) -> _Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Bars:
    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, Any] = {}

    def update(self, source: str, done: int, total: int | None, text: str) -> None:
        if source not in self._tasks:
            self._tasks[source] = self._bars.add_task(source, total=total, text=text)
        self._bars.update(self._tasks[source], completed=done, total=total, text=text)

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
