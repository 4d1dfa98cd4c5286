"""Times on the command line: refused where they are typed, in words for people."""

from __future__ import annotations

import click


class _Time(click.ParamType[str]):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from graph_schema.errors import BadInput
        from graph_schema.times import parse_time

        text = str(value)
        try:
            parse_time(text)
        except BadInput as problem:
            self.fail(f"{problem}, in UTC", param, ctx)
        return text


TIME = _Time()
