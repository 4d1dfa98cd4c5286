"""Running a command so that nobody can tell that something stands between: bytes, signals, exit code.

The command stays in our process group and keeps our standard input, so that Ctrl-C, Ctrl-Z, ``fg`` and a
signal to the group reach it as ever. Its output passes through a pseudo terminal where ours is a terminal,
through pipes otherwise, byte for byte; what is kept is the end of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

_CHUNK = 65_536
#: Bytes kept of the end of each stream.
KEPT = 256 * 1024
#: Seconds to wait for the rest of the output once the command is gone: what it left in the background may
#: hold the pipes open for ever.
_REST = 0.5
_FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
_WATCHED = {*_FORWARDED, signal.SIGCHLD, signal.SIGWINCH}
_OF_THE_TERMINAL = {signal.SIGINT, signal.SIGQUIT}
_FROM_KERNEL = 0x80
_DIE_WITH_PARENT = 1


class NotStarted(Exception):
    """The command cannot be started. ``code`` is what a shell would answer: 127 not found, 126 otherwise."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Ended(msgspec.Struct, frozen=True):
    """``code`` is the exit code, 128 + n after signal n; ``signal`` its number; ``output`` the end of what
    it printed, standard error last."""

    code: int
    signal: int | None
    output: bytes


def run(
    command: Sequence[str], environ: Mapping[str, str], started: Callable[[], None] | None = None
) -> Ended:
    """Run a command to its end. ``started`` is called once it runs.

    Raises NotStarted. To be called from the main thread: signals are taken by it meanwhile.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    streams = _streams()
    try:
        child = _start(command, environ, streams, before)
        for stream in streams:
            stream.begin()
        if started is not None:
            started()
        status = _wait(child, streams)
        for stream in streams:
            stream.finish()
    finally:
        for stream in streams:
            stream.close()
        _drop()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    output = b"".join(stream.kept() for stream in streams)
    if status < 0:
        return Ended(128 - status, -status, output)
    return Ended(status, None, output)


def _start(
    command: Sequence[str], environ: Mapping[str, str], streams: Sequence[_Stream], mask: Iterable[int]
) -> subprocess.Popen[bytes]:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    parent = os.getpid()

    def prepare() -> None:
        # Killed without a word, we must not leave the command behind, as nobody would look for it.
        if prctl is not None:
            prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    ends = {number: stream.theirs for stream in streams for number in stream.numbers}
    try:
        return subprocess.Popen(
            command, env=dict(environ), stdout=ends[1], stderr=ends[2], preexec_fn=prepare, close_fds=True
        )
    except FileNotFoundError:
        raise NotStarted(f"{command[0]}: command not found", 127) from None
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise NotStarted(f"{command[0]}: {reason}", 126) from None
    finally:
        for stream in streams:
            os.close(stream.theirs)


def _wait(child: subprocess.Popen[bytes], streams: Sequence[_Stream]) -> int:
    while (status := child.poll()) is None:
        number, sent_to_us_only = _next_signal()
        if number == signal.SIGWINCH:
            for stream in streams:
                stream.resize()
        if number == signal.SIGWINCH or (number in _FORWARDED and sent_to_us_only):
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)
    return status


def _next_signal() -> tuple[int, bool]:
    """A signal, and whether the command has not got it already: what a terminal sends, it sends to all."""
    if not hasattr(signal, "sigwaitinfo"):
        # macOS does not say who sent it.
        number = int(signal.sigwait(_WATCHED))
        return number, not (number in _OF_THE_TERMINAL and os.isatty(0))
    told = signal.sigwaitinfo(_WATCHED)
    return told.si_signo, told.si_code != _FROM_KERNEL


def _drop() -> None:
    """Forget signals that came too late to matter: they were for the command."""
    while late := signal.sigpending() & _WATCHED:
        signal.sigwait(late)


def _streams() -> list[_Stream]:
    """One for both outputs where they are one, so that their order is kept; else one each."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    out, err = _identity(1), _identity(2)
    if out == err:
        return [_Stream(1, (1, 2))]
    return [_Stream(1, (1,)), _Stream(2, (2,))]


def _identity(number: int) -> tuple[int, int]:
    try:
        info = os.fstat(number)
    except OSError:
        # Closed by whoever called us; the command may write, and nobody listens.
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        info = os.fstat(number)
    return info.st_dev, info.st_ino


class _Stream:
    """One output of the command on its way to ours."""

    def __init__(self, ours: int, numbers: tuple[int, ...]) -> None:
        self.numbers = numbers
        self._ours = ours
        self._held: deque[bytes] = deque()
        self._passing_on = False
        self._closed = False
        self._terminal = False
        if os.isatty(ours):
            # A machine may be out of pseudo terminals; the command shall run nevertheless.
            with contextlib.suppress(OSError):
                self._source, self.theirs = pty.openpty()
                self._terminal = True
        if self._terminal:
            # The real terminal turns line feeds into what it needs; doing it twice would show.
            settings = termios.tcgetattr(self.theirs)
            settings[1] &= ~termios.OPOST
            termios.tcsetattr(self.theirs, termios.TCSANOW, settings)
            self.resize()
        else:
            self._source, self.theirs = os.pipe()
        self._thread = threading.Thread(target=self._pump, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def resize(self) -> None:
        """Tell the command how large the terminal is."""
        if self._terminal:
            with contextlib.suppress(OSError):
                size = fcntl.ioctl(self._ours, termios.TIOCGWINSZ, bytes(8))
                fcntl.ioctl(self._source, termios.TIOCSWINSZ, size)

    def finish(self) -> None:
        """Wait for the rest, as long as some comes, and as long as it takes others to read it."""
        while self._thread.is_alive():
            self._thread.join(0.01)
            if self._passing_on or self._closed:
                continue
            if not select.select([self._source], [], [], _REST)[0] and not self._passing_on:
                return

    def close(self) -> None:
        if not self._closed and not self._thread.is_alive():
            os.close(self._source)

    def kept(self) -> bytes:
        return b"".join(self._held)[-KEPT:]

    def _pump(self) -> None:
        held = 0
        while True:
            try:
                chunk = os.read(self._source, _CHUNK)
            except OSError:
                # A pseudo terminal ends so.
                return
            if not chunk:
                return
            self._passing_on = True
            if not self._pass_on(chunk):
                # Whoever read our output has seen enough; the command shall hear of it as it would have.
                self._closed = True
                os.close(self._source)
                return
            self._passing_on = False
            self._held.append(chunk)
            held += len(chunk)
            while held - len(self._held[0]) > KEPT:
                held -= len(self._held.popleft())

    def _pass_on(self, chunk: bytes) -> bool:
        rest = memoryview(chunk)
        while rest:
            try:
                rest = rest[os.write(self._ours, rest) :]
            except BlockingIOError:
                os.set_blocking(self._ours, True)
            except OSError:
                return False
        return True
