"""``kinlore migrate``."""

from __future__ import annotations

import click

from app.cli.console import options, print_json


@click.command()
@options
def command(config: str | None, as_json: bool) -> None:
    """Bring the store's schema to this version. `ingest` and `serve` do it by themselves."""
    from app import settings
    from app.container import Container

    with Container(settings.load(config)) as container:
        container.migrated()
        # A second time it changes nothing, and tells the version.
        done = container.store.migrate()
    if as_json:
        print_json({"version": done.after})
    else:
        click.echo(f"the store has schema {done.after}")
