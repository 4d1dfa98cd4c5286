"""Kinds on the command line: ``ModelVersion``, ``model_version`` and ``MODEL_VERSION`` are one."""

from __future__ import annotations

from collections.abc import Sequence

import click

from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind


class _Kind(click.ParamType[str]):
    name = "kind"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if isinstance(value, NodeKind):
            return value.name
        wanted = str(value).replace("_", "").replace("-", "").lower()
        for kind in NodeKind:
            if kind.value.lower() in (wanted, wanted.removesuffix("s")):
                return kind.name
        from difflib import get_close_matches

        near = get_close_matches(str(value), list(NodeKind), n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        self.fail(f"{value!r} is no kind of node; {meant}allowed are {', '.join(NodeKind)}", param, ctx)


class _Edge(click.ParamType[str]):
    name = "edge kind"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        wanted = str(value).replace("-", "_").upper()
        if wanted in EdgeKind.__members__:
            return wanted
        from difflib import get_close_matches

        near = get_close_matches(wanted, list(EdgeKind), n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        self.fail(f"{value!r} is no kind of edge; {meant}allowed are {', '.join(EdgeKind)}", param, ctx)


KIND = _Kind()
EDGE = _Edge()


def kind_names(kinds: Sequence[str]) -> list[str] | None:
    """As GraphQL takes them: None for all."""
    return list(kinds) or None
