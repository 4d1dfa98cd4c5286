"""What MLflow's searches do with the objects of a recording: view, filter, order, page. Pure functions."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import Any

Object = dict[str, Any]
Test = Callable[[Object], bool]

_CLAUSE = re.compile(
    r"""\s*(?:attributes?\.)?[`"]?(\w+)[`"]?\s*(!=|>=|<=|=|>|<)\s*('[^']*'|"[^"]*"|[\w.]+)\s*(AND\b|$)""",
    re.IGNORECASE,
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
}


class Refused(Exception):
    """An answer other than 200, as MLflow words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def viewed(each: Object, view: str | None) -> bool:
    """Is this run or experiment in the view `ACTIVE_ONLY` (the default), `DELETED_ONLY` or `ALL`?"""
    wanted = {"ALL": ("active", "deleted"), "DELETED_ONLY": ("deleted",)}.get(view or "", ("active",))
    return each["lifecycle_stage"] in wanted


def matching(text: str) -> Test:
    """A filter over attributes joined by AND: `attributes.start_time > 5 AND status = 'RUNNING'`.

    What an object does not have matches nothing. Tags, parameters and metrics are refused.
    """
    tests: list[tuple[str, Callable[[Any, Any], bool], str | float]] = []
    at = 0
    while at < len(text.rstrip()):
        found = _CLAUSE.match(text, at)
        if found is None:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"Invalid filter {text!r}: not in this recording")
        name, operator, value, _ = found.groups()
        tests.append((name, _OPERATORS[operator], value[1:-1] if value[0] in "'\"" else float(value)))
        at = found.end()

    def keep(each: Object) -> bool:
        held = [(attribute(each, name), compare, wanted) for name, compare, wanted in tests]
        return all(has is not None and compare(has, wanted) for has, compare, wanted in held)

    return keep


def attribute(each: Object, name: str) -> Any:
    """A field of an object or of its `info`; logged models spell their times with `_ms`."""
    fields = each.get("info", each)
    value = fields.get(name, fields.get(f"{name}_ms"))
    # Versions are numbers in strings.
    return int(value) if name == "version" and value is not None else value


def ordered(objects: Iterable[Object], orders: Iterable[str | Object]) -> list[Object]:
    """Sorted by `field [ASC|DESC]` or `{"field_name", "ascending"}`, missing values last."""
    found = list(objects)
    for wanted in reversed(list(orders)):
        if isinstance(wanted, str):
            name, _, direction = wanted.strip().partition(" ")
            descending = direction.strip().upper() == "DESC"
        else:
            name, descending = wanted["field_name"], not wanted.get("ascending", True)
        name = name.removeprefix("attributes.").removeprefix("attribute.").strip("`")
        some = [each for each in found if attribute(each, name) is not None]
        none = [each for each in found if attribute(each, name) is None]
        # Sorting is stable, also in reverse, so that what counts less stays in its order.
        found = sorted(some, key=lambda each: attribute(each, name), reverse=descending) + none
    return found


def token(start: int) -> str:
    """The page token for this offset."""
    return base64.b64encode(str(start).encode()).decode()


def offset(page_token: str | None) -> int:
    """Where the page of this token begins."""
    try:
        return int(base64.b64decode(page_token, validate=True)) if page_token else 0
    except (binascii.Error, ValueError):
        raise Refused(400, "INVALID_PARAMETER_VALUE", "Invalid page token, could not base64-decode") from None


def stored(artifact_uri: str) -> str:
    """The path of an artifact within the server's store: `mlflow-artifacts:/1/…` without its scheme."""
    return artifact_uri.removeprefix("mlflow-artifacts:/")
