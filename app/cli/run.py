"""``kinlore run``."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.console import options, say

if TYPE_CHECKING:
    from ingestors.capture.recording import Recording
    from ingestors.capture.relay import Ended

#: Seconds that the captures of earlier commands may take, if they had to wait.
_CATCHING_UP = 2.0


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.option("--name", help="What to call the run; without it, the script's name.")
@click.option("--input", "inputs", multiple=True, metavar="PATH", help="A file or folder that it reads.")
@click.option("--output", "outputs", multiple=True, metavar="PATH", help="A file or folder that it writes.")
@click.option(
    "--wait",
    default=0.0,
    metavar="SECONDS",
    help="After a failure, without a server: how long to wait for the model that compares meanings.",
)
@click.option("--quiet", is_flag=True, help="Say nothing; the command's own output is not touched anyway.")
@options
@click.pass_context
def command(
    context: click.Context,
    command: tuple[str, ...],
    name: str | None,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    wait: float,
    quiet: bool,
    config: str | None,
    as_json: bool,
) -> int:
    """Run a command and record what it ran on, what became of it and why it failed.

    After a failure it shows the earlier one that is most alike, and what fixed that. Output, signals and
    exit code pass through untouched. What Kinlore has to say comes after the command's last word, on stderr,
    and nothing that fails in Kinlore changes the exit code.
    """
    from ingestors.capture import relay
    from ingestors.capture.launch import launch
    from ingestors.capture.recording import Recording, their_environment

    recording: Recording | None = None
    problem: Exception | None = None
    environ = their_environment(os.environ)
    try:
        recording = Recording(command, environ, launch(environ), name=name, inputs=inputs, outputs=outputs)
        environ = recording.environment()
    except Exception as failed:
        problem = failed
    reading = None if recording is None else threading.Thread(target=recording.read_inputs, daemon=True)
    try:
        ended = relay.run(command, environ, reading.start if reading is not None else None)
    except relay.NotStarted as refused:
        say(f"kinlore: {refused}")
        return refused.code
    try:
        if recording is None:
            raise problem or RuntimeError("nothing was recorded")
        if reading is not None:
            reading.join()
        lines = _deliver(recording, ended, config, wait=0.0 if quiet else wait, ask=not quiet)
    except Exception as failed:
        if context.find_root().params.get("debug"):
            raise
        lines = [f"not recorded: {type(failed).__name__}: {' '.join(str(failed).split())[:300]}"]
    if as_json:
        # Standard output is the command's.
        say(json.dumps({"run": None if recording is None else recording.launch.run, "said": lines}))
    elif not quiet:
        for line in lines:
            say(f"kinlore: {line}")
    return ended.code


def _deliver(recording: Recording, ended: Ended, config: str | None, *, wait: float, ask: bool) -> list[str]:
    """Keep the capture, then hand over all that wait; what there is to say about it. ``ask``: whether
    somebody wants to know of an earlier failure that is alike."""
    from app.cli import captures
    from app.errors import ConfigError
    from ingestors import spool

    told = recording.capture(ended)
    file = spool.put(captures.place(), told)
    error = told.get("error") or {}
    what = f"kinlore.run={recording.launch.run}"
    if ended.code:
        why = error.get("type") or told.get("signal") or f"exit code {ended.code}"
        what = f"{why}: {what}"
    try:
        sent = captures.send(config, most=_CATCHING_UP)
    except ConfigError as problem:
        sent = captures.Sent("", waiting=len(captures.waiting()), because=str(problem))
    lines = list(recording.notes)
    if Path(file).exists():
        lines.append(f"{what} is kept; {captures.waits(sent)}")
    else:
        lines.append(f"{what} is recorded in {sent.to}")
        if sent.waiting:
            lines.append(captures.waits(sent))
        if ended.code and ask and ended.signal != signal.SIGINT:
            from app.cli.twin import twin

            lines += twin(config, recording.launch.run, told, wait)
    if sent.refused:
        lines.append(
            f"{sent.refused} captures were refused; they lie in {captures.shown(captures.place())}/refused"
        )
    return lines
