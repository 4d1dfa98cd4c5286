"""``kinlore check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.console import clean, fitting, print_json, say
from graph_schema.wording import clipped, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.gate.changes import Changes
    from app.gate.ci import Surroundings
    from app.gate.report import Report, Thresholds

_RISKS, _CHANGES, _FAILURES, _OWNERS, _NOTES, _TRIED = 10, 12, 5, 8, 10, 5
_COLOURS = {"warn": "yellow", "fail": "red", "unknown": "yellow"}


class _Threshold(click.ParamType[float | None]):
    name = "score"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if value is None or str(value).strip().lower() == "off":
            return None
        try:
            number = float(str(value))
        except ValueError:
            number = -1.0
        if not 0 <= number <= 100:
            self.fail(f"{value!r} is no score; allowed are 0 to 100, or off", param, ctx)
        return number


@click.command()
@click.option(
    "--config",
    "planned",
    type=click.Path(path_type=Path),
    help="Say what was already tried of a planned configuration, and nothing else.",
    metavar="FILE",
)
@click.option("--base", help="Compare with where the history met this commit or branch.", metavar="REV")
@click.option("--head", default="HEAD", show_default=True, help="The change's last commit.", metavar="REV")
@click.option("--folder", default=".", help="The repository, if it is not this folder.", metavar="PATH")
@click.option(
    "--warn-above",
    type=_Threshold(),
    default="0",
    show_default=True,
    help="Warn above this score; off: never.",
)
@click.option(
    "--fail-above", type=_Threshold(), default="off", show_default=True,
    help="Exit code 3 above this score; off: never.",
)  # fmt: skip
@click.option(
    "--comment", type=click.Choice(["github", "gitlab"]), help="Keep one comment on the pull request."
)
@click.option("--markdown", is_flag=True, help="Print the comment instead of a text for the terminal.")
@click.option("--save", type=Path, help="Ask nobody: write what changed to a file.", metavar="FILE")
@click.option("--from", "saved", type=Path, help="Take what changed from such a file.", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context,
    planned: Path | None,
    base: str | None,
    head: str,
    folder: str,
    warn_above: float | None,
    fail_above: float | None,
    comment: str | None,
    markdown: bool,
    save: Path | None,
    saved: Path | None,
    as_json: bool,
) -> int:
    """Say what a change puts at risk, before it is merged. Exit code 3 above --fail-above."""
    from app import settings
    from app.cli.outcome import CHECK_FAILED, OK
    from app.gate import changes as touched
    from app.gate.ci import surroundings
    from app.gate.reading import read_changes
    from app.gate.report import Thresholds, Verdict

    if sum(each is not None for each in (planned, save, saved)) > 1:
        raise click.UsageError("give one of --config, --save and --from")
    if planned is not None:
        return _planned(context.find_root().params.get("config"), planned, as_json)
    environ = settings.environment()
    around = surroundings(environ)
    if saved is not None:
        changes = touched.load(saved)
    else:
        changes = read_changes(Path(folder), around, base, head)
    if save is not None:
        touched.save(changes, save)
        say(f"{save}: {counted(len(changes.changes), 'change')} that may count")
        return OK
    limits = Thresholds(warn_above, fail_above)
    report = _report(context.find_root().params.get("config"), changes, limits)
    _tell(report, as_json, markdown)
    _leave(report, around)
    if comment is not None:
        _comment(report, around, comment, environ)
    return CHECK_FAILED if report.verdict is Verdict.FAIL else OK


def _report(config: str | None, changes: Changes, limits: Thresholds) -> Report:
    from app.cli.client import connected
    from app.errors import ConfigError
    from app.gate.checking import blank, check, unknown
    from graph_schema.errors import KinloreError

    if not changes.changes:
        # Nobody has to be asked about a README.
        return blank(changes, limits)
    try:
        with connected(config) as client:
            return check(client.ask, changes, limits)
    except ConfigError:
        raise
    except (KinloreError, OSError) as problem:
        # Whether a change may be merged must not depend on whether Kinlore is up.
        return unknown(changes, limits, " ".join(str(problem).split()))


def _planned(config: str | None, file: Path, as_json: bool) -> int:
    """What was already tried of a configuration, before a machine is booked for it."""
    import msgspec

    from app.cli.client import connected
    from app.cli.outcome import OK
    from app.errors import ConfigError
    from app.gate.tried import trials
    from app.learnings.planned import read
    from graph_schema.errors import KinloreError

    settings = read(file)
    try:
        with connected(config) as client:
            found = trials(client.ask, settings, _TRIED)
    except ConfigError:
        raise
    except (KinloreError, OSError) as problem:
        say(click.style(f"kinlore check: nobody could be asked: {_plain(str(problem))}", fg="yellow"))
        return OK
    if as_json:
        print_json(msgspec.to_builtins(found))
        return OK
    click.echo(click.style(_plain(found.summary), bold=True, fg="yellow" if found.already else None))
    for each in found.alike:
        click.echo(fitting("  - ", _plain(f"{each.name}: {each.text}"), 4))
    return OK


# --- telling -----------------------------------------------------------------------------------------------


def _tell(report: Report, as_json: bool, as_markdown: bool) -> None:
    import msgspec

    from app.gate.markdown import markdown
    from app.gate.report import Verdict

    for note in report.notes[:_NOTES]:
        say(f"note: {_plain(note)}")
    if report.problem is not None:
        line = f"kinlore check: no verdict, and no failure for it: {_plain(report.problem)}"
        say(click.style(line, fg="yellow"))
    if as_json:
        print_json(msgspec.to_builtins(report))
    elif report.verdict is Verdict.QUIET:
        say(_quiet(report))
    elif as_markdown:
        click.echo(markdown(report), nl=False)
    elif report.verdict is not Verdict.UNKNOWN:
        _show(report)


def _quiet(report: Report) -> str:
    between = f"{counted(report.files, 'file')} changed since {report.base[:12]}"
    if report.score:
        return f"{between}; score {report.score:.0f}, not above the threshold"
    return f"{between}; nothing in the graph was made from what changed"


def _show(report: Report) -> None:
    heading = click.style(f"{report.verdict.upper()}  score {report.score:.0f} of 100", bold=True,
                          fg=_COLOURS.get(report.verdict))  # fmt: skip
    click.echo(heading)
    if report.summary:
        click.echo(fitting("  ", _plain(report.summary), 4))
    _at_risk(report)
    _section("what changes", [_change(change) for change in report.changes], _CHANGES)
    _section(
        "such changes have failed before",
        [
            f"{each.name}{f', {each.at[:10]}' if each.at else ''}: "
            f"{'confirmed' if each.confirmed else 'likely'} cause {each.cause_name}"
            f"{f', of {each.change}' if len(report.changes) > 1 else ''}"
            for each in report.failures
        ],
        _FAILURES,
    )
    _section("already tried", [f"{each.name}: {each.text}" for each in report.tried], _FAILURES)
    _section("ask", [each.name + (f" ({each.role})" if each.role else "") for each in report.owners], _OWNERS)


def _at_risk(report: Report) -> None:
    from app.cli.ids import spelled

    shown = [risk for risk in report.risks if risk.used][:_RISKS] or list(report.risks[:_RISKS])
    lines = [
        f"{spelled(each.kind)} {clipped(report.called(each), 50)}, {each.contribution:.1f}: "
        f"{each.why(report.several)}"
        for each in shown
    ]
    _section("at risk", lines, _RISKS)
    if report.total > len(shown):
        click.echo(f"  - … and {report.total - len(shown):,} more on the way there: --json shows all")


def _change(change: Any) -> str:
    told = ", ".join(part for part in (change.text, change.because) if part)
    return f"{change.kind} {change.path}" + (f": {told}" if told else "")


def _section(head: str, lines: list[str], most: int) -> None:
    if not lines:
        return
    click.echo(click.style(head, bold=True))
    for line in lines[:most]:
        click.echo(fitting("  - ", _plain(line), 4))
    if len(lines) > most:
        click.echo(f"  - … and {len(lines) - most:,} more: --json shows all")


def _plain(text: str) -> str:
    """On one line, and nothing that a build system takes for a command of its own."""
    return clean(text).replace("##[", "## [").replace("##vso[", "## vso[").replace("::", ": :")


# --- leaving something behind ------------------------------------------------------------------------------


def _leave(report: Report, around: Surroundings) -> None:
    """The summary and the outputs of a GitHub step, where there are such files."""
    from app.gate.markdown import markdown
    from app.gate.report import Verdict

    score = "" if report.score is None else f"{report.score:.1f}"
    written = {around.outputs: f"verdict={report.verdict.value}\nscore={score}\n"}
    if report.verdict is not Verdict.QUIET:
        written[around.summary] = markdown(report)
    for file, text in written.items():
        if file is None:
            continue
        try:
            with file.open("a", encoding="utf-8") as out:
                out.write(text)
        except OSError as problem:
            say(f"kinlore check: {file} cannot be written: {problem.strerror}")


def _comment(report: Report, around: Surroundings, forge: str, environ: Mapping[str, str]) -> None:
    """One comment, or none where there is nothing to say. What goes wrong here fails nothing."""
    from app.errors import Failed
    from app.gate.comments import forge_of, put
    from app.gate.markdown import markdown
    from app.gate.report import Verdict

    if report.verdict is Verdict.UNKNOWN:
        # What an earlier check found may still hold.
        return
    try:
        if around.pull is None or around.pull.forge != forge:
            raise Failed(
                f"this is no pull request of {'GitHub Actions' if forge == 'github' else 'GitLab CI'}"
            )
        text = None if report.verdict is Verdict.QUIET else markdown(report)
        done = put(forge_of(around.pull, environ), text)
        if done != "none":
            say(f"comment {done}")
    except Failed as problem:
        say(f"kinlore check: no comment: {_plain(str(problem))}")
