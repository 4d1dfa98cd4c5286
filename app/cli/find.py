"""``kinlore find``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

from app.cli.console import moment, options, print_json, print_table, say
from app.cli.kinds import KIND
from app.cli.times import TIME
from graph_schema.wording import clipped

_QUERY = """query(
  $kind: NodeKind!, $where: [PropertyFilter!], $orderBy: NodeOrder, $first: Int, $after: String,
  $knownAt: DateTime
) {
  find(kind: $kind, where: $where, orderBy: $orderBy, first: $first, after: $after, knownAt: $knownAt) {
    nodes { id kind name url createdAt goneAt stub sources properties } pageInfo { hasNextPage endCursor }
  }
}"""

_OPS = {"=": "EQ", "==": "EQ", "!=": "NE", "<": "LT", "<=": "LTE", ">": "GT", ">=": "GTE", "~": "CONTAINS"}
#: Characters of a value in the table, and of a name.
_WIDEST, _NAME = 80, 60
#: What the table has of a kind where nothing was asked of it: how it stands.
_SHOWN = {
    "INCIDENT": ("status", "severity"),
    "RUN": ("status",),
    "JOB_RUN": ("status",),
    "CHECK": ("status",),
    "ATTEMPT": ("outcome", "state"),
}
_CONDITION = re.compile(r"\s*([^=!<>~]+?)\s*(==|!=|<=|>=|=|<|>|~)\s*(.*?)\s*", re.DOTALL)


def condition(text: str) -> dict[str, Any]:
    """``params.lr>=0.1``, ``status=FAILED``, ``name~churn``, or a key alone: it has a value."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        if not text.strip() or not text.strip("! "):
            raise click.BadParameter(f"{text!r}: write KEY=VALUE, or one of {' '.join(_OPS)}, or a key alone")
        missing = text.startswith("!")
        return {"key": text.lstrip("!").strip(), "op": "EXISTS", "value": not missing}
    key, sign, value = match.groups()
    return {"key": key, "op": _OPS[sign], "value": _value(value)}


def _value(text: str) -> Any:
    """A number, true, false or null where it is one; else the text, quotes taken off."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


@click.command()
@click.argument("kind", type=KIND)
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="params.lr>=0.1, status=FAILED, name~churn, goneAt (has one), !url (has none); may be repeated.",
)
@click.option("--order", type=click.Choice(["id", "name", "created_at"]), default="id", show_default=True)
@click.option("--descending", is_flag=True, help="The other way round: the newest first.")
@click.option("--first", default=50, show_default=True, help="How many, at most 500.")
@click.option("--after", help="Go on after this cursor.")
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@options
def command(
    kind: str,
    conditions: tuple[str, ...],
    order: str,
    descending: bool,
    first: int,
    after: str | None,
    known_at: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """List nodes of a kind: `find Run --where status=FAILED --order created_at --descending`."""
    from app.cli.client import connected

    asked = {
        "kind": kind,
        "where": [condition(text) for text in conditions] or None,
        "orderBy": {"by": order.upper(), "descending": descending},
        "first": first,
        "after": after,
        "knownAt": known_at,
    }
    with connected(config) as client:
        page = client.ask(_QUERY, asked)["find"]
    if as_json:
        print_json(page)
        return 0
    keys = [each["key"] for each in map(condition, conditions) if each["value"] is not False]
    keys = keys or [*_SHOWN.get(kind, ())]
    shown = [key for key in dict.fromkeys(keys) if key not in ("id", "name", "createdAt")]
    if page["nodes"]:
        print_table(("name", "created", *shown, "id"), [_row(node, shown) for node in page["nodes"]])
    else:
        say("nothing fulfils that")
    if page["pageInfo"]["hasNextPage"]:
        say(f"there is more: --after {page['pageInfo']['endCursor']}")
    return 0


def _row(node: dict[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    return (
        clipped(node["name"], _NAME),
        moment(node["createdAt"]),
        *(_shown(node, key) for key in keys),
        node["id"],
    )


def _shown(node: dict[str, Any], key: str) -> str:
    value = node.get(key, node["properties"])
    for part in key.split(".") if value is node["properties"] else ():
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, float):
        return f"{value:.6g}"
    said = "" if value is None else str(value).strip()
    # Of an error, the last line says what it was.
    return clipped(said.rpartition("\n")[2], _WIDEST)
