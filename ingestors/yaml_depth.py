"""YAML from strangers: how deep it nests, asked before it is loaded.

The loader in C puts values together by calling itself, and some ten thousand levels end the whole process.
"""

from __future__ import annotations

import yaml

from graph_schema.errors import BadInput

MAX_DEPTH = 200
#: Each level of nesting takes one of these at least.
_OPENERS = "[{-:?"
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def check_depth(text: str) -> None:
    """Raise BadInput for YAML that nests deeper than ``MAX_DEPTH``, yaml.YAMLError for what is no YAML."""
    if sum(text.count(opener) for opener in _OPENERS) <= MAX_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise BadInput(f"nests deeper than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
