"""``kinlore serve``."""

from __future__ import annotations

import logging

import click

from app.cli.console import options, print_json


@click.command()
@click.option("--host", help="The address to listen on; beyond 127.0.0.1 a token is needed.")
@click.option("--port", type=int, help="The port to listen on.")
@options
def command(host: str | None, port: int | None, config: str | None, as_json: bool) -> int:
    """Serve GraphQL and the pages until Ctrl-C."""
    from app import settings
    from app.api.access import check_openness
    from app.api.app import create_app
    from app.api.server import listen, serve, url
    from app.cli.stopping import stoppable
    from app.container import Container

    loaded = settings.load(config, flags={"server.host": host, "server.port": port})
    server = loaded.settings.server
    openness = check_openness(server)
    with Container(loaded) as container, stoppable():
        container.migrated()
        listening, port = listen(server.host, server.port)
        address = server.public_url or url(server.host, port)
        if as_json:
            print_json({"address": address, "openness": openness})
        else:
            click.echo(f"Kinlore serves {address} ({openness}); Ctrl-C ends it")
        # What fails while serving is masked in the answer; the log tells the rest.
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
        serve(create_app(container), listening)
    return 0
