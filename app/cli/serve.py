"""``kinlore serve``."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import options, print_json


@click.command()
@click.option("--host", help="The address to listen on; beyond 127.0.0.1 a token is needed.")
@click.option("--port", type=int, help="The port to listen on.")
@click.option("--no-jobs", is_flag=True, help="Only answer: pull no source, apply nothing pushed.")
@options
def command(host: str | None, port: int | None, no_jobs: bool, config: str | None, as_json: bool) -> int:
    """Serve GraphQL and the pages, and pull the sources when they are due, until Ctrl-C."""
    from app import settings
    from app.api.access import check_openness
    from app.api.app import create_app
    from app.api.server import listen, serve, url
    from app.cli.outcome import log_to_stderr
    from app.cli.stopping import running, stoppable
    from app.container import Container
    from app.jobs.afterwards import Afterwards
    from app.jobs.consumer import Consumer
    from app.jobs.scheduler import Scheduler
    from app.settings import seconds

    loaded = settings.load(config, flags={"server.host": host, "server.port": port})
    server = loaded.settings.server
    openness = check_openness(server)
    with Container(loaded) as container, stoppable():
        container.migrated().prepare()
        listening, port = listen(server.host, server.port)
        address = server.public_url or url(server.host, port)
        jobs = consumer = afterwards = None
        embedding = container.embedding()
        if not no_jobs:
            sources = [configured.source for configured in container.sources if configured.source]
            how = loaded.settings.jobs
            lease = seconds(how.lease)
            jobs = Scheduler(container.store, sources, lease=lease, share=how.share)
            consumer = Consumer(container, lease=lease)
            afterwards = Afterwards(container.store, lease=lease)
        if as_json:
            print_json({"address": address, "openness": openness})
        else:
            click.echo(f"Kinlore serves {address} ({openness}); Ctrl-C ends it")
            if jobs is not None and jobs.planned:
                click.echo(f"It pulls {', '.join(_spoken(each) for each in jobs.planned.values())}")
        log_to_stderr()
        with running(jobs), running(consumer), running(afterwards), running(embedding):
            serve(create_app(container, jobs), listening)
    return 0


def _spoken(planned: Any) -> str:
    every = planned.every
    return f"{planned.name} ({every.text if every.seconds is None else 'every ' + every.text})"
