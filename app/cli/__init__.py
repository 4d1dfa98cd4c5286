"""The command line, one module per group of commands; a module is imported when its command is called."""

from __future__ import annotations

import sys

import click

from app.cli.group import Commands


@click.group(
    cls=Commands,
    first={
        "init": ("app.cli.init", "Find what is in this folder and write kinlore.toml."),
        "demo": ("app.cli.demo", "Ingest a recorded project and serve it, to look around."),
        "ingest": ("app.cli.ingest", "Bring what is new at the sources into the graph."),
        "serve": ("app.cli.serve", "Serve GraphQL and the pages."),
        "search": ("app.cli.search", "Find nodes by words."),
        "lineage": ("app.cli.lineage", "Show what a thing came from and what it feeds."),
    },
    groups={
        "Record": {
            "run": ("app.cli.run", "Run a command and record what it ran on and what became of it."),
            "remedy": (
                "app.cli.remedy",
                "Record what was tried on a failure and how it went; ask what to try.",
            ),
        },
        "Ask what happened": {
            "causes": ("app.cli.causes", "Show what caused an incident or a failed run."),
            "similar": ("app.cli.similar", "Find earlier failures like one, and what fixed them."),
            "compare": ("app.cli.compare", "Show what differs between two things, or between two times."),
            "checks": ("app.cli.checks", "List what was checked, and what was made of data that failed."),
            "correlations": ("app.cli.correlations", "Show what goes with failure, and how surely."),
        },
        "Ask before you act": {
            "impact": ("app.cli.impact", "Show what is at risk if things are changed or lost."),
            "check": ("app.cli.check", "Say what a change puts at risk, before it is merged."),
            "experiments": ("app.cli.experiments", "Show what was already tried of a configuration."),
            "leaderboard": ("app.cli.leaderboard", "Rank versions or runs, measured on identical data."),
            "repro": ("app.cli.repro", "Print the recipe to repeat a run, and what is missing for it."),
        },
        "Look up": {
            "resolve": ("app.cli.resolve", "Find the node behind an identifier."),
            "find": ("app.cli.find", "List nodes of a kind, with conditions."),
            "paths": ("app.cli.paths", "Show the shortest ways from one thing to another."),
        },
        "Correct": {
            "incident": ("app.cli.incident", "Record an incident that no tool reported, and how far it is."),
            "identity": ("app.cli.identity", "See why two names are one thing, and correct it."),
        },
        "Look after": {
            "sources": ("app.cli.sources", "Show how the sources stand."),
            "doctor": ("app.cli.doctor", "Check settings, store and every connection."),
            "schema": ("app.cli.schema", "Print the GraphQL schema, or the kinds of nodes and edges."),
            "migrate": ("app.cli.migrate", "Bring the store's schema to this version."),
        },
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="kinlore", prog_name="kinlore")
@click.option("--config", help="The settings file, if it is not ./kinlore.toml.", metavar="FILE")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(config: str | None, debug: bool) -> None:
    """Kinlore: one graph of code, data, runs, models, releases and incidents.

    Where an ID is asked for, any identifier does: git.sha=3faf1c7, mlflow.model_version=churn/3.
    """


def main() -> None:
    """The console script. Ends the process with the exit code that the outcome has."""
    from app.cli.outcome import run

    sys.exit(run(cli, sys.argv[1:]))
