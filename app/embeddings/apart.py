"""A model in a process of its own.

Loading torch holds Python's lock for seconds; in the server's own process no webhook would be acknowledged
meanwhile. The process reads requests from its input and ends with it, so that it never outlives its parent.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO, Any, cast

import msgspec
import numpy as np

from app.embeddings.model import Floats, load
from app.errors import ConfigError

_LENGTH = struct.Struct("<Q")
#: Seconds that the process gets to end by itself.
_PATIENCE = 2.0
#: Seconds between two looks whether the parent is there.
_LOOK = 0.5


class Apart:
    """An encoder whose work another process does. Raises ConfigError where the model cannot be loaded; a
    process that was killed is started again by the next call."""

    def __init__(self, model: str, threads: int = 1) -> None:
        self._model = model
        self._threads = threads
        self._lock = threading.Lock()
        self._closed = False
        self._start()

    def _start(self) -> None:
        # -P: what lies in the working directory is not imported.
        words = [sys.executable, "-P", "-m", "app.embeddings.apart", self._model, str(self._threads)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        try:
            said = _receive(self._answers)
        except EOFError:
            said = {"problem": f"the process of the model ended with {self._process.wait()}"}
        if "problem" in said:
            self._end()
            raise ConfigError(said["problem"])
        self.name: str = said["name"]
        self.dimension: int = said["dimension"]

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, shape (texts, dimension)."""
        with self._lock:
            try:
                found = self._asked(texts)
            except (OSError, EOFError, ValueError):
                if self._closed:
                    raise
                self._end()
                self._start()
                found = self._asked(texts)
        return np.frombuffer(found, dtype=np.float32).reshape(len(texts), self.dimension).copy()

    def _asked(self, texts: Sequence[str]) -> bytes:
        _send(self._requests, list(texts))
        answer: bytes = _receive(self._answers)
        return answer

    def close(self) -> None:
        """End the process, for good."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        for pipe in (self._requests, self._answers):
            try:
                pipe.close()
            except OSError:
                continue  # what was still to be sent to a process that is gone
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _send(pipe: IO[bytes], value: Any) -> None:
    # A text may hold half of a character, which no UTF-8 has.
    clean = [text.encode("utf-8", "replace").decode() for text in value] if isinstance(value, list) else value
    body = msgspec.msgpack.encode(clean)
    pipe.write(_LENGTH.pack(len(body)) + body)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    (length,) = _LENGTH.unpack(_read(pipe, _LENGTH.size))
    return msgspec.msgpack.decode(_read(pipe, length))


def _read(pipe: IO[bytes], length: int) -> bytes:
    body = pipe.read(length)
    if len(body) < length:
        raise EOFError
    return body


def _watch(parent: int) -> None:
    """Ends this process soon after its parent, also while the model is being loaded."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(0)


def main() -> int:
    """Load the model that the first argument names and encode what is asked for, until nothing is."""
    # Ctrl-C goes to the parent too, which closes the input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints is no answer.
    os.dup2(2, 1)
    try:
        encoder = load(sys.argv[1], threads=int(sys.argv[2]))
    except Exception as failed:
        # Whatever a library of this size raises is told to the parent.
        said = " ".join(str(failed).split())[:300] or type(failed).__name__
        _send(answers, {"problem": said})
        return 1
    _send(answers, {"name": encoder.name, "dimension": encoder.dimension})
    while True:
        try:
            texts = _receive(sys.stdin.buffer)
        except EOFError:
            return 0
        _send(answers, encoder.encode(texts).tobytes())


if __name__ == "__main__":
    sys.exit(main())
