"""Help comes at once: nothing heavy is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from app.cli import cli
from tests.cli.conftest import Kinlore

HEAVY = {
    "fastapi", "graphql", "httpx", "mlflow", "neo4j", "networkx", "numpy", "pydantic", "rich", "sqlite3",
    "starlette", "strawberry", "torch", "uvicorn", "app.settings", "app.store", "ingestors",
}  # fmt: skip

LOOK = """
import json, sys
from app.cli import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["--help"], ["lineage", "--help"], ["demo", "-h"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LOOK, *words], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(json.loads(done.stderr.splitlines()[-1]))


def test_help_shows_the_six_first_and_groups_the_rest(kinlore: Kinlore) -> None:
    help = kinlore("--help").out

    first, _, rest = help.partition("Commands to start with:")[2].partition("\n\n")
    assert [line.split()[0] for line in first.strip().splitlines()] == [
        "init", "demo", "ingest", "serve", "search", "lineage",
    ]  # fmt: skip
    assert "Ask what happened:" in rest and "Look after:" in rest


def command_lines() -> list[str]:
    """Every command; for a group, each of its commands."""
    context = click.Context(cli)
    found = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        inner = command.list_commands(context) if isinstance(command, click.Group) else [""]
        found += [f"{name} {each}".strip() for each in inner]
    return found


@pytest.mark.parametrize("line", command_lines())
def test_every_command_has_help_json_and_config(kinlore: Kinlore, line: str) -> None:
    outcome = kinlore(*line.split(), "--help")

    assert outcome.code == 0
    assert "--json" in outcome.out and "--config" in outcome.out


def test_a_slip_of_the_pen(kinlore: Kinlore) -> None:
    outcome = kinlore("lineag", "x")

    assert outcome.code == 2 and "did you mean lineage?" in outcome.err and not outcome.out
