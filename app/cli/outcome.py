"""From what happened to one line and an exit code. Nobody gets a traceback who did not ask for it.

0 ok · 1 failure · 2 usage, settings · 3 a check failed · 4 not found · 5 store or server unreachable
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Sequence

import click

OK, FAILURE, USAGE, CHECK_FAILED, NOT_FOUND, UNREACHABLE = range(6)

_CODES = {
    "BAD_INPUT": USAGE,
    "AMBIGUOUS": USAGE,
    "NOT_FOUND": NOT_FOUND,
    "STORE_UNAVAILABLE": UNREACHABLE,
    "BUSY": UNREACHABLE,
}


def log_to_stderr() -> None:
    """For what serves: whatever fails then is masked in the answer, and told by the log."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    debug = "--debug" in arguments
    # Without a handler Python itself would print what is logged, tracebacks and all.
    if debug:
        logging.basicConfig(level=logging.INFO)
    else:
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        outcome = command.main(list(arguments), prog_name="kinlore", standalone_mode=False)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else OK
    except click.ClickException as problem:
        problem.show()
        return USAGE if isinstance(problem, click.UsageError) else FAILURE
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except SystemExit:
        # So click ends where whoever read the output has gone: they have seen enough.
        return OK
    except BrokenPipeError:
        # Whoever read the output has seen enough; what is buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as problem:
        if debug:
            raise
        code, message = _read(problem)
        click.echo(f"kinlore: {message}", err=True)
        return code


def _read(problem: Exception) -> tuple[int, str]:
    from graph_schema.errors import KinloreError
    from ingestors.source import SourceError

    said = " ".join(str(problem).split())
    if isinstance(problem, KinloreError):
        candidates = getattr(problem, "candidates", ())
        listed = "".join(f"\n  {candidate}" for candidate in candidates)
        return _CODES.get(problem.code, FAILURE), said + listed
    if isinstance(problem, SourceError):
        return FAILURE, said
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return UNREACHABLE, "the disk is full; nothing more was written"
    if isinstance(problem, OSError):
        return FAILURE, said
    return FAILURE, f"unexpected {type(problem).__name__}: {said} (kinlore --debug … shows where)"
