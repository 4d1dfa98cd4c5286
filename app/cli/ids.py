"""From what people type to an id: a text without a scheme is tried as whatever it could be."""

from __future__ import annotations

import re
from typing import Any

from app.cli.client import Client
from app.cli.console import clean, say

#: Fields at the top that one query may have.
_AT_ONCE = 20
_LISTED = 10
_SHA = re.compile(r"[0-9a-f]{4,40}", re.IGNORECASE)


def meant(client: Client, text: str) -> str:
    """The id to ask for: the text itself where it is ``scheme=value`` or the beginning of a commit's id, else
    that of the one node which it names under any scheme, and it is said what it was taken for.

    Raises NotFound where there is none, and Ambiguous, with candidates, where there are several.
    """
    from graph_schema.errors import Ambiguous, NotFound
    from graph_schema.wording import counted

    if "=" in text:
        return text
    if _SHA.fullmatch(text) and _named(client, ["git.sha"], text):
        return text
    found = _named(client, _schemes(text), text)
    if not found:
        raise NotFound(
            f"nothing is named {text[:200]!r}; an id is spelled scheme=value, such as "
            "mlflow.model_version=churn/3 or git.sha=3faf1c7 (kinlore search finds words)"
        )
    if len(found) > 1:
        listed = tuple(f"{spelled(node['kind'])} {clean(node['id'])}" for node in found[:_LISTED])
        more = len(found) - len(listed)
        raise Ambiguous(
            f"{text[:200]!r} may be any of {counted(len(found), 'node')}; give one of their ids",
            (*listed, f"… and {more:,} more") if more else listed,
        )
    (node,) = found
    say(f"{text} is taken for {spelled(node['kind'])} {clean(node['id'])}")
    return str(node["id"])


def _schemes(text: str) -> list[str]:
    """The schemes under which this could be a value."""
    from graph_schema.errors import BadIdentifier
    from graph_schema.schemes import SCHEMES

    fitting = []
    for name, scheme in SCHEMES.items():
        try:
            scheme.normalise(text)
        except BadIdentifier:
            continue
        fitting.append(name)
    return fitting


def _named(client: Client, schemes: list[str], text: str) -> list[dict[str, Any]]:
    """Every node that has the text as its identifier of one of these schemes, each once."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(schemes), _AT_ONCE):
        fields = " ".join(
            f'r{number}: resolve(scheme: "{scheme}", value: $text) {{ id kind }}'
            for number, scheme in enumerate(schemes[start : start + _AT_ONCE])
        )
        for nodes in client.ask(f"query($text: String!) {{ {fields} }}", {"text": text}).values():
            found.update((node["id"], node) for node in nodes)
    return [found[id] for id in sorted(found)]


def spelled(kind: str) -> str:
    """``MODEL_VERSION`` as ``ModelVersion``."""
    return "".join(part.capitalize() for part in kind.split("_"))
