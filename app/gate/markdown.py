"""The report as the comment of a pull request, in the Markdown that GitHub and GitLab share.

Names come from outside: branches, files, commits, whatever a tool was told. Everything in them but letters
and digits is written as character references, which never make structure: no name can open a link, a table
cell, a heading or HTML. Forges look for ``@name``, ``#7`` and addresses in the finished text again, but not
within code, so names stand in ``<code>``; in sentences a space of no width parts the sign from what follows.
"""

from __future__ import annotations

import re

from app.gate.changes import Change
from app.gate.comments import MARK
from app.gate.report import PastFailure, Report, Verdict
from graph_schema.wording import clipped, counted

_RISKS, _CHANGES, _OWNERS, _FAILURES, _NOTES = 15, 20, 10, 5, 10
_NAME, _SENTENCE = 120, 300
#: GitHub takes 65,536 characters; a reference takes six for one.
MOST = 60_000

_HEADS = {
    Verdict.WARN: "Kinlore: look before you merge",
    Verdict.FAIL: "Kinlore: more at risk than is allowed",
    Verdict.UNKNOWN: "Kinlore could not be asked",
    Verdict.QUIET: "Kinlore: nothing known is at risk",
}


#: After these a forge may see a mention, a reference, a label, an address or an emoji.
_SIGNS = frozenset("@#!~%$&:/^*[")
_NO_WIDTH = "&#8203;"


def code(text: str, most: int = _NAME) -> str:
    """A name as code, inert whatever it holds."""
    return f"<code>{''.join(map(_reference, _line(text, most))) or _NO_WIDTH}</code>"


def sentence(text: str, most: int = _SENTENCE) -> str:
    """A sentence with names in it, inert whatever they are."""
    parted = re.sub(r"(?i)\bwww(?=\.)", "www\u200b", _line(text, most))
    return "".join(_reference(char) + (_NO_WIDTH if char in _SIGNS else "") for char in parted)


def _line(text: str, most: int) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return clipped(" ".join(shown.split()), most)


def _reference(char: str) -> str:
    # Letters, digits and spaces are the only ASCII that no renderer reads anything into.
    return f"&#{ord(char)};" if char.isascii() and not char.isalnum() and char != " " else char


def markdown(report: Report) -> str:
    """The comment, its mark in front; at most ``MOST`` characters."""
    parts = [MARK, f"### {_HEADS[report.verdict]}"]
    if report.problem is not None:
        parts.append(f"No verdict on this change: {sentence(report.problem)}")
    if report.score is not None:
        parts.append(_lead(report))
    parts += _risks(report)
    parts += _listed("What changes", [_change(each) for each in report.changes], _CHANGES)
    parts += _listed(
        "Ask",
        [code(each.name) + (f" ({code(each.role)})" if each.role else "") for each in report.owners],
        _OWNERS,
    )
    parts += _listed(
        "Such changes have failed before", [_failure(each) for each in report.failures], _FAILURES
    )
    parts += _listed(
        "Already tried", [f"{code(each.name)}: {sentence(each.text)}" for each in report.tried], _FAILURES
    )
    parts += _listed("Notes", [sentence(note) for note in report.notes], _NOTES)
    parts.append(f"<sub>{_foot(report)}</sub>")
    return _bounded(parts)


def _bounded(parts: list[str]) -> str:
    kept = list(parts)
    while len("\n\n".join(kept)) > MOST and len(kept) > 3:
        # From the end, but the last line stays.
        del kept[-2]
    return "\n\n".join(kept) + "\n"


def _lead(report: Report) -> str:
    said = f"{sentence(report.summary)}\n\n" if report.summary else ""
    limit = report.thresholds.fail_above
    allowed = "" if report.verdict is not Verdict.FAIL or limit is None else f"; {limit:g} are allowed"
    return f"{said}**Score {report.score:.0f} of 100**{allowed}"


def _risks(report: Report) -> list[str]:
    listed = list(report.risks)
    if not listed:
        return []
    rows = ["| at risk | why | share |", "| --- | --- | ---: |"]
    shown = [each for each in listed if each.used][:_RISKS] or listed[:_RISKS]
    rows += [
        f"| {_kind(each.kind)} {code(report.called(each))} | {sentence(each.why(report.several))} "
        f"| {each.contribution:.1f} |"
        for each in shown
    ]
    text = "\n".join(rows)
    more = report.total - len(shown)
    return [text, f"… and {counted(more, 'thing')} more on the way"] if more > 0 else [text]


def _kind(kind: str) -> str:
    """``MODEL_VERSION`` as ``model version``: one of ours, and of ours only."""
    return "".join(char for char in kind.replace("_", " ").lower() if char.isalpha() or char == " ")


def _change(change: Change) -> str:
    said = [f"{change.kind} {code(change.path)}"]
    if change.text:
        said.append(sentence(change.text))
    if change.because:
        said.append(sentence(change.because))
    return ": ".join(said[:2]) + (f" ({said[2]})" if len(said) > 2 else "")


def _failure(failure: PastFailure) -> str:
    when = f" {code(failure.at[:10])}" if failure.at else ""
    sure = "confirmed cause" if failure.confirmed else "likely cause"
    return (
        f"incident {code(failure.name)}{when}: {sure} {code(failure.cause_name)}, {sentence(failure.because)}"
    )


def _listed(head: str, entries: list[str], most: int) -> list[str]:
    if not entries:
        return []
    lines = [f"- {entry}" for entry in entries[:most]]
    if len(entries) > most:
        lines.append(f"- … and {len(entries) - most:,} more")
    return [f"**{head}**\n\n" + "\n".join(lines)]


def _foot(report: Report) -> str:
    return (
        f"{counted(report.files, 'file')} between {code(report.base[:12])} and {code(report.head[:12])}. "
        "The score only sorts; what it is made of: <code>kinlore impact</code>."
    )
