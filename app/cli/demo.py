"""``kinlore demo``."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from app.cli.console import options, print_json, say


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Keep it in this folder, not in a temporary one."
)
@click.option(
    "--store", help="Put it into this store, for example neo4j://neo4j@127.0.0.1:7687.", metavar="URL"
)
@click.option("--port", type=int, help="The port to serve on; without it 8420, or the next that is free.")
@click.option("--no-serve", is_flag=True, help="Only ingest, print the questions and end; the folder stays.")
@options
def command(
    folder: Path | None,
    store: str | None,
    port: int | None,
    no_serve: bool,
    config: str | None,
    as_json: bool,
) -> int:
    """Ingest a recorded project (git, DVC, MLflow) into a fresh graph and serve it, to look around."""
    from app.cli.progress import watching
    from app.cli.reports import plain, show
    from app.cli.stopping import stoppable
    from app.container import Container
    from app.demo import run as demo

    if config is not None:
        raise click.UsageError("the demo brings its own settings; --store chooses another store")
    with (
        stoppable(),
        _place(folder, keep=no_serve) as place,
        Container(demo.unpack(place, store)) as container,
    ):
        if not as_json:
            say("Ingesting a recorded project: seven weeks of a churn model in git, DVC and MLflow")
        reports = []
        with watching(quiet=as_json) as progress:
            for report in demo.ingest_all(container, progress):
                reports.append(report)
                if not as_json:
                    show(report)
        if not as_json:
            for line in reports[-1].coverage:
                click.echo(line)
        questions = demo.questions(container.store)
        told: dict[str, Any] = {
            "folder": str(place),
            "reports": [plain(report) for report in reports],
            "questions": questions,
        }
        if no_serve:
            if as_json:
                print_json(told)
            else:
                _ask(questions, f"{_kinlore()} --config {shlex.quote(str(place / 'kinlore.toml'))}")
                _farewell()
                if folder is None:
                    say(f"The demo stays in {place}: delete the folder when you are done")
            return 0
        _serve(container, port, told, as_json)
    return 0


def _serve(container: Any, port: int | None, told: dict[str, Any], as_json: bool) -> None:
    from app.api.app import create_app
    from app.api.server import listen, serve, url
    from app.cli.outcome import log_to_stderr
    from app.cli.stopping import running
    from app.jobs.afterwards import Afterwards
    from app.jobs.consumer import Consumer

    server = container.settings.server
    listening, taken = listen(server.host, port or server.port, others=0 if port else 20)
    address = url(server.host, taken)
    if as_json:
        print_json({**told, "address": address})
    else:
        if taken != (port or server.port):
            say(f"port {server.port} is in use, so it is {taken}")
        click.echo(f"\nKinlore serves {address}, open to the users of this machine only")
        _ask(told["questions"], f"KINLORE_URL={address} {_kinlore()}", address)
        _farewell()
        say("Ctrl-C ends it")
    log_to_stderr()
    # Nothing is pulled, as the tracking server is a recording; all else is as `kinlore serve` has it.
    with running(Consumer(container)), running(Afterwards(container.store)), running(container.embedding()):
        serve(create_app(container), listening)


def _program() -> Path | None:
    """Where this command lies, if typing ``kinlore`` would not call it."""
    program = Path(sys.argv[0]).absolute()
    found = shutil.which("kinlore")
    if program.name != "kinlore" or not program.is_file() or (found and program.samefile(found)):
        return None
    return program


def _kinlore() -> str:
    """How to call this command from here."""
    program = _program()
    if program is None:
        return "kinlore"
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))


def _ask(questions: list[Any], kinlore: str, address: str | None = None) -> None:
    click.echo("\nTry:")
    for question in questions:
        click.echo(f"  {question.words}")
        click.echo(f"    {question.command.replace('kinlore', kinlore, 1)}")
    if address is not None and questions:
        import json

        body = shlex.quote(json.dumps({"query": questions[0].graphql}))
        click.echo("  The first of them in GraphQL")
        click.echo(f"    curl -s {address}/graphql -H 'content-type: application/json' -d {body}")


def _farewell() -> None:
    # From another folder only a whole path leads here.
    program = shlex.quote(str(_program() or "kinlore"))
    click.echo(f"\nNow yours: cd your-repo && {program} init")


@contextmanager
def _place(folder: Path | None, *, keep: bool = False) -> Iterator[Path]:
    """The folder asked for, or a temporary one: removed at the end, with ``keep`` only after a failure."""
    if folder is not None:
        yield folder.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="kinlore-demo-"))
    done = False
    try:
        yield made
        done = True
    finally:
        if not (keep and done):
            shutil.rmtree(made, ignore_errors=True)
