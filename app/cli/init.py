"""``kinlore init``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from app.cli.console import options, print_json, say

_HEAD = """# What Kinlore reads, and where it keeps its graph. Credentials are named by variable only.
[store]
url = "sqlite:///kinlore.db"            # or neo4j://user@host:7687, password from KINLORE_STORE__PASSWORD

[server]
host = "127.0.0.1"
port = 8420
"""


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("--force", is_flag=True, help="Write over a kinlore.toml that is there.")
@options
def command(folder: Path, force: bool, config: str | None, as_json: bool) -> int:
    """Find what is in this folder (git, DVC, MLflow, …), try every connection and write kinlore.toml."""
    from app.errors import ConfigError
    from app.settings import FILE_NAME

    file = Path(config) if config is not None else folder / FILE_NAME
    if file.exists() and not force:
        raise ConfigError(f"{file} is there already; --force writes over it")
    found = discover(folder.resolve())
    if not found:
        say(
            f"found nothing in {folder.resolve()}: no git repository, dvc.yaml, mlflow.db or mlruns here, "
            "and no MLFLOW_TRACKING_URI in the environment"
        )
        return 1
    tried = [{**each, **_try(each["config"], file.parent.resolve())} for each in found]
    file.write_text(settings_text([each["config"] for each in found]), encoding="utf-8")
    if as_json:
        print_json({"file": str(file), "sources": tried})
        return 0
    for each in tried:
        mark = click.style("ok", fg="green") if each["ok"] else click.style("not yet", fg="yellow")
        click.echo(f"{each['config']['name']} ({each['config']['type']}): {each['because']}")
        click.echo(f"  {mark}: {each['said']}")
    click.echo(f"\nWrote {file}. Next:")
    for line in (
        "kinlore ingest            bring it all in",
        "kinlore search WORDS      find something",
        "kinlore serve             look at it in a browser",
    ):
        click.echo(f"  {line}")
    if (folder / ".git").exists():
        say("kinlore.db will lie beside it: add kinlore.db* to .gitignore")
    return 0


def discover(folder: Path) -> list[dict[str, Any]]:
    """What every type of source finds here: config and why, each under a name of its own."""
    from app.settings import environment
    from graph_schema.errors import BadInput
    from ingestors import registry

    environ = environment()
    found: list[dict[str, Any]] = []
    names: set[str] = set()
    for type_name in registry.known_types():
        try:
            source = registry.source_class(type_name)
        except BadInput as problem:
            say(str(problem))
            continue
        for each in source.discover(folder, environ):
            config = {"type": type_name, **each.config}
            base = _name(str(config.get("name") or f"{folder.name}-{type_name}"))
            name, number = base, 2
            while name in names:
                name, number = f"{base}-{number}", number + 1
            names.add(name)
            config["name"] = name
            found.append({"config": config, "because": each.because})
    return found


def _name(text: str) -> str:
    """As names of sources may be spelled."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:100] or "source"


def _try(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Whether the connection works, and what is there or what is wrong."""
    from graph_schema.errors import BadInput
    from ingestors import registry
    from ingestors.source import SourceError

    try:
        source = registry.build(config, folder)
    except BadInput as problem:
        return {"ok": False, "said": str(problem)}
    try:
        return {"ok": True, "said": source.check()}
    except SourceError as problem:
        return {"ok": False, "said": str(problem)}
    finally:
        source.close()


def settings_text(sources: list[dict[str, Any]]) -> str:
    """The text of a settings file with these sources."""
    parts = [_HEAD]
    for config in sources:
        first = [key for key in ("type", "name") if key in config]
        keys = [*first, *(key for key in config if key not in first)]
        lines = [f"{key} = {_toml(config[key])}" for key in keys if config[key] is not None]
        parts.append("[[sources]]\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _toml(value: Any) -> str:
    """A value as TOML: texts, numbers, booleans and lists of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, int | float):
        return str(value)
    # JSON's escapes are TOML's, but for DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
