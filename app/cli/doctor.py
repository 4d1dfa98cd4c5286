"""``kinlore doctor``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.cli.console import clean, options, print_json
from graph_schema.wording import counted

_OK, _NEXT, _WARNING, _FAILED = "ok", "next", "warning", "failed"
_COLOURS = {_OK: "green", _NEXT: "cyan", _WARNING: "yellow", _FAILED: "red"}
_LISTED = 5


@click.command()
@options
def command(config: str | None, as_json: bool) -> int:
    """Check the settings, the store and every connection; exit code 3 where something is broken."""
    from app.cli.outcome import CHECK_FAILED, OK

    checks = []
    for state, what, said in _checks(config):
        checks.append({"check": what, "state": state, "said": said})
        if not as_json:
            click.echo(f"{click.style(state.ljust(8), fg=_COLOURS[state])} {what}: {clean(said)}")
    if as_json:
        print_json(checks)
    return CHECK_FAILED if any(check["state"] == _FAILED for check in checks) else OK


def _checks(config: str | None) -> Iterator[tuple[str, str, str]]:
    from app import settings
    from app.container import Container
    from app.errors import ConfigError

    try:
        remote = settings.remote()
        loaded = settings.load(config)
        container = Container(loaded)
    except ConfigError as problem:
        yield _FAILED, "settings", str(problem)
        return
    if remote is not None:
        yield _server(remote.url)
        if loaded.file is None:
            # What is here by default is not what the commands ask.
            return
    with container:
        where = str(loaded.file) if loaded.file is not None else "no kinlore.toml here, so the defaults"
        yield _OK, "settings", f"{where}; {counted(len(container.sources), 'source')}"
        yield from _store(container, "kinlore ingest" if loaded.file is not None else "kinlore init")
        for configured in container.sources:
            yield _source(configured)


def _server(url: str) -> tuple[str, str, str]:
    import httpx

    from app.cli.client import connected
    from graph_schema.errors import KinloreError

    try:
        answer = httpx.get(f"{url}/readyz", timeout=10.0)
    except httpx.HTTPError as problem:
        return _FAILED, "server", f"nothing answers at {url} (KINLORE_URL): {problem}"
    said = f"{url} (KINLORE_URL) answers {answer.status_code} {answer.text.strip()[:200]}"
    if answer.status_code != httpx.codes.OK:
        return _FAILED, "server", said
    try:
        # Whether it is up is told to everybody; a question needs the token.
        with connected(None) as client:
            client.ask("{ __typename }", {})
    except KinloreError as problem:
        return _FAILED, "server", str(problem)
    return _OK, "server", said


def _store(container: Any, first: str) -> Iterator[tuple[str, str, str]]:
    from app.errors import NoGraphYet
    from graph_schema.errors import StoreError

    try:
        store = container.store
        counts = store.counts()
    except NoGraphYet:
        yield _NEXT, "store", f"no graph yet at {container.settings.store.url}: {first}"
        return
    except StoreError as problem:
        yield _FAILED, "store", str(problem)
        return
    try:
        # An empty transaction: it needs the schema of this version, and a disk that can be written.
        store.transact(lambda tx: tx.now)
        yield _OK, "schema", "it is of this version, and the store can be written"
    except StoreError as problem:
        yield _FAILED, "schema", str(problem)
    nodes, edges = sum(counts.nodes.values()), sum(counts.edges.values())
    url = container.settings.store.url
    yield (
        _OK,
        "store",
        f"{url}: {counted(nodes, 'node')}, {counted(edges, 'edge')}, revision {counts.revision}",
    )
    for what, lines, fine in (
        ("identity", store.refusals(), "no claim is refused"),
        ("references", store.open_references(), "all are answered"),
    ):
        if lines:
            listed = "; ".join(lines[:_LISTED]) + (" …" if len(lines) > _LISTED else "")
            said = "refused" if what == "identity" else "unknown or ambiguous"
            yield _WARNING, what, f"{len(lines):,} {said}: {listed}"
        else:
            yield _OK, what, fine


def _source(configured: Any) -> tuple[str, str, str]:
    from app.settings import environment
    from ingestors.source import SourceError

    what = f"source {configured.name}"
    source = configured.source
    if source is None:
        return _WARNING, what, f"disabled: {configured.disabled}"
    secret = getattr(source.config, "secret_env", None) if source.accepts else None
    if secret is not None and not environment().get(secret, "").strip():
        said = f"the environment variable {secret} is not set (secret_env): what is pushed is refused"
        return _FAILED, what, said
    try:
        found = source.check()
    except SourceError as problem:
        return _FAILED, what, str(problem)
    if source.pulls:
        return _OK, what, found
    who = "from this machine only: it has no secret_env" if secret is None else f"by the secret in {secret}"
    return _OK, what, f"takes requests {who}"
