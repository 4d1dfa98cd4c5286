"""What a failure says of itself: from a node's properties to a title and a body. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.learnings.signature import quoted, template
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, parse_time
from graph_schema.values import Node

#: Kinds whose nodes can be failures.
KINDS = (NodeKind.RUN, NodeKind.JOB_RUN, NodeKind.INCIDENT)
#: States in which a run did not do what it should.
FAILED = ("FAILED", "KILLED", "ABORTED")

MAX_BODY = 6_000
_MAX_TITLE = 300
_MAX_ERROR = 4_000
_MAX_LOG = 2_500
_MAX_TEXT = 4_000
#: How entities begin that name an alert, and all labels of one.
ALERT, LABELS = "alert:", "labels:"
#: Ended by somebody at the keyboard: nothing to learn from.
_BY_HAND = ("SIGINT",)
_ERRORS = ("error", "errorTrace", "statusMessage", "statusText")
_PROSE = ("summary", "description", "text", "body", "message")
#: An issue's name begins with its number, which no other has.
_NUMBER = re.compile(r"^#\d+ ")
#: Frames and headings of a traceback: they say where, not what.
_WHERE = re.compile(r"\s|Traceback|File \"|During handling|The above exception|at [\w.$]+\(|Caused by")
_GO_ON = re.compile(r"ended (?:by|with)\b")


def is_failure(node: Node, checks: Sequence[Node] = ()) -> bool:
    """Whether a node is a failure: an incident, a run that failed, or one with a failed check."""
    if node.kind not in KINDS or node.stub:
        return False
    if node.kind is NodeKind.INCIDENT:
        return True
    said = node.properties
    if said.get("status") not in FAILED:
        return bool(checks)
    if said.get("signal") in _BY_HAND:
        return False
    # Many runs are stopped because nobody needs them any more; those that say why have failed.
    return said.get("status") == "FAILED" or any(said.get(key) for key in _ERRORS)


def check_failed(node: Node) -> bool:
    """Whether a check's result is that something is wrong."""
    return node.kind is NodeKind.CHECK and str(node.properties.get("status", "")).upper() == "FAILED"


def happened(node: Node) -> Micros:
    """When it failed, or began; 0 where nobody says."""
    first = ("startedAt", "endedAt") if node.kind is NodeKind.INCIDENT else ("endedAt", "startedAt")
    for key in first:
        if (at := _time(node.properties.get(key))) is not None:
            return at
    return node.created_at or 0


def _time(said: Any) -> Micros | None:
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    if isinstance(said, str):
        try:
            return parse_time(said)
        except BadInput:
            return None
    return None


def title(node: Node, checks: Sequence[Node] = ()) -> str:
    """The failure in a line."""
    said = node.properties
    if node.kind is NodeKind.INCIDENT:
        summary = next((str(said[key]) for key in ("summary", "description") if said.get(key)), "")
        first = summary.strip().partition("\n")[0]
        name = _NUMBER.sub("", node.name)
        return (name if not first or first in name else f"{name}: {first}")[:_MAX_TITLE]
    if error := error_of(said):
        return error[:_MAX_TITLE]
    if checks:
        return f"check failed: {checks[0].name}"[:_MAX_TITLE]
    return f"{node.name} failed"[:_MAX_TITLE]


def alert_of(node: Node) -> tuple[str, ...]:
    """Which alert an incident is, as ``sort:value``: by what it is called, and by its labels, of which its
    fingerprint is made."""
    if node.kind is not NodeKind.INCIDENT:
        return ()
    told = (text.partition("=") for text in node.identifiers)
    marks = {value.partition("@")[0] for head, _, value in told if head == "alertmanager.alert"}
    return (f"{ALERT}{_NUMBER.sub('', node.name)}", *(f"{LABELS}{mark}" for mark in sorted(marks)))


def error_of(said: Mapping[str, Any]) -> str:
    """What went wrong, in a line, from a node's properties; empty where nothing says it."""
    kind, message = said.get("errorType"), str(said.get("errorMessage") or "")
    if kind:
        return f"{kind}: {message.partition(chr(10))[0]}".removesuffix(": ")
    return next((line_of(str(said[key])) for key in ("errorMessage", *_ERRORS) if said.get(key)), "")


def sort_of_error(said: Mapping[str, Any]) -> tuple[str, ...]:
    """What goes wrong alike is told alike by a node's properties: the error without what differs from case
    to case, then the names that it quotes. Nothing is told where all are empty."""
    error = error_of(said)
    return (template(error), *quoted(error)) if error else ()


def line_of(text: str) -> str:
    """The line of an error text that says what went wrong: the last that is not part of a traceback."""
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return ""
    if _GO_ON.match(lines[0]) and len(lines) > 1:
        # "ended with exit code 1", and the last line of the log behind it.
        return lines[-1].strip()
    if "Traceback" not in text and not any(line.startswith((" ", "\t")) for line in lines[1:]):
        return lines[0].strip()
    told = [line for line in lines if not _WHERE.match(line)]
    return (told[-1] if told else lines[-1]).strip()


def body(node: Node, checks: Sequence[Node] = ()) -> str:
    """All that it says of what went wrong, the most telling first, and its name; at most :data:`MAX_BODY`
    characters."""
    return "\n".join(part for part in (told(node, checks), node.name) if part)[:MAX_BODY]


def told(node: Node, checks: Sequence[Node] = ()) -> str:
    """All that it says of what went wrong, the most telling first."""
    said = node.properties
    parts: list[str] = []
    for key in _ERRORS:
        text = str(said.get(key) or "")
        if text and not any(text in part for part in parts):
            parts.append(
                text if len(text) <= _MAX_ERROR else f"{text[:1_000]}\n{text[-_MAX_ERROR + 1_000 :]}"
            )
    parts.extend(_checked(checks))
    if node.kind is NodeKind.INCIDENT:
        parts.extend(_prose(said))
    log = str(said.get("log") or "")
    # Where a source only links to a log, there is nothing to read in it.
    if log and not log.startswith(("http://", "https://")):
        parts.append(_news(log[-_MAX_LOG:], parts))
    return "\n".join(part for part in parts if part)


def _checked(checks: Sequence[Node]) -> Iterable[str]:
    for check in checks:
        details = [str(check.properties[key]) for key in (*_PROSE, "metric") if check.properties.get(key)]
        yield " ".join(["check failed:", check.name, *details])[:500]


def _prose(said: Mapping[str, Any]) -> Iterable[str]:
    for key in _PROSE:
        if said.get(key):
            yield str(said[key])[:_MAX_TEXT]
    labels = said.get("labels")
    if isinstance(labels, Mapping):
        yield " ".join(f"{key}={value}" for key, value in sorted(labels.items()) if isinstance(value, str))


def _news(log: str, told: Sequence[str]) -> str:
    """The lines of a log's end that were not told before."""
    before = {line.strip() for part in told for line in part.splitlines()}
    return "\n".join(line for line in log.splitlines() if line.strip() and line.strip() not in before)


def parameters(node: Node) -> dict[str, str]:
    """Its configuration as texts, by name."""
    found = node.properties.get("params")
    if not isinstance(found, Mapping):
        return {}
    return {str(key): str(value)[:200] for key, value in found.items() if not isinstance(value, dict | list)}


def text_parts(text: str) -> tuple[str, str]:
    """Title and body of a failure of which only a text is known."""
    return line_of(text)[:_MAX_TITLE], text[-MAX_BODY:]
