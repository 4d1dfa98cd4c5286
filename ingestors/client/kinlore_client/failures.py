"""Tracebacks of MLflow runs that fail, as tags, without secrets.

MLflow tells a store that a run failed and not why. Whoever ends a run (a ``with`` block, autologging,
Lightning) does it by ``MlflowClient.set_terminated`` while the exception is on its way, so that is where it
is read. A run that is still open when an exception reaches the top is ended there as failed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from kinlore_client.redaction import Redactor, secrets_in

_MAX_TAG = 4_900
_MAX_NESTED = 50
_FAILED = ("FAILED", "KILLED")

_watching = False
_lock = threading.Lock()
_current = threading.local()


def watch() -> None:
    """Notice failures from now on. Once is enough."""
    global _watching
    with _lock:
        if _watching:
            return
        from mlflow.tracking import MlflowClient

        _watching = True
        MlflowClient.set_terminated = _noticing(MlflowClient.set_terminated)
        sys.excepthook = _at_the_top(sys.excepthook)
        threading.excepthook = _in_a_thread(threading.excepthook)
        _in_notebooks()


def tags_of(error: BaseException) -> dict[str, str]:
    """``kinlore.error_type`` and ``kinlore.traceback`` of an exception."""
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    text = "".join(traceback.format_exception(kind, error, error.__traceback__)).rstrip()
    # The whole is redacted, then cut: half a secret looks like none. The key is nobody's, so that the marks
    # cannot be tried against guesses.
    text = Redactor(os.urandom(16), secrets_in(os.environ)).text(text)
    if len(text) > _MAX_TAG:
        text = "…\n" + text[-_MAX_TAG:].partition("\n")[2]
    return {"kinlore.error_type": f"{module}{kind.__qualname__}"[:250], "kinlore.traceback": text}


def _noticing(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def set_terminated(self: Any, run_id: str, status: Any = None, *more: Any, **named: Any) -> Any:
        error = getattr(_current, "error", None) or sys.exc_info()[1]
        if error is not None and _meant(error):
            with contextlib.suppress(Exception):
                if _name(status) in _FAILED:
                    _tag(self, run_id, error)
        return original(self, run_id, status, *more, **named)

    return set_terminated


def _meant(error: BaseException) -> bool:
    """``sys.exit()`` is no failure."""
    return not (
        isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and error.code in (None, 0))
    )


def _name(status: Any) -> str:
    if isinstance(status, int):
        from mlflow.entities import RunStatus

        return str(RunStatus.to_string(status))
    return str(status).upper()


def _tag(client: Any, run_id: str, error: BaseException) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags_of(error).items()])


def _at_the_top(before: Callable[..., Any]) -> Callable[..., Any]:
    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        _end_open_runs(error)

    return excepthook


def _in_a_thread(before: Callable[..., Any]) -> Callable[..., Any]:
    def excepthook(told: Any) -> None:
        before(told)
        if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
            _end_open_runs(told.exc_value)

    return excepthook


def _end_open_runs(error: BaseException) -> None:
    """MLflow would end them as finished when the interpreter goes."""
    _current.error = error
    try:
        with contextlib.suppress(Exception):
            import mlflow

            for _ in range(_MAX_NESTED):
                if mlflow.active_run() is None:
                    break
                mlflow.end_run("FAILED")
    finally:
        _current.error = None


def _in_notebooks() -> None:
    """A cell that fails ends no run: people mend it and go on. The run is told meanwhile."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return

    def after_cell(result: Any) -> None:
        error = getattr(result, "error_in_exec", None)
        if error is None:
            return
        with contextlib.suppress(Exception):
            import mlflow
            from mlflow.tracking import MlflowClient

            run = mlflow.active_run()
            if run is not None:
                _tag(MlflowClient(), run.info.run_id, error)

    shell.events.register("post_run_cell", after_cell)
