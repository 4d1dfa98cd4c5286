"""A group whose commands are imported when they are called, with help in sections."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

Listed = Mapping[str, tuple[str, str]]


class Commands(click.Group):
    """``first`` are the commands one needs first, ``groups`` the rest under headings: name to (module,
    line for the help). The module's attribute ``command`` is the command."""

    def __init__(self, *args: Any, first: Listed, groups: Mapping[str, Listed], **more: Any) -> None:
        super().__init__(*args, **more)
        self.sections: dict[str, Listed] = {"Commands to start with": first, **groups}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return [name for listed in self.sections.values() for name in listed]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, its module imported now."""
        for listed in self.sections.values():
            if cmd_name in listed:
                command: click.Command = importlib.import_module(listed[cmd_name][0]).command
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a guess at what was meant."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.list_commands(ctx):
            from difflib import get_close_matches

            near = get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"did you mean {near[0]}?" if near else "see kinlore --help"
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Sections instead of one list; nothing is imported for it."""
        for heading, listed in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, line) for name, (_, line) in listed.items()])
