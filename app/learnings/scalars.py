"""Settings of a configuration as plain values: read, compared, told apart. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite, log2
from typing import Any

import msgspec

Scalar = str | int | float | bool | None
Settings = Mapping[str, Scalar]

#: A factor between two numbers at which they agree no more.
APART = 16.0
_LONGEST = 500
_MOST = 500
_APART_BY_NAME = re.compile(
    r"^(?:name|notes?)$|(?:^|[._\- ])(?:seed|random_?state|run_?(?:id|name)|uuid|guid|host(?:name)?|port|pid"
    r"|timestamp|date(?:time)?|path|dir|directory|folder|file|filename|url|uri|job_?id|trial_?(?:id|number))$",
    re.IGNORECASE,
)


def flat(config: Mapping[str, Any]) -> dict[str, Scalar]:
    """Settings of a configuration, dots for levels. Texts that are numbers are numbers: tools log them so.
    Lists are their JSON; at most 500 settings are read."""
    found: dict[str, Scalar] = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key in value:
                visit(f"{prefix}{key}.", value[key])
        elif len(found) < _MOST:
            found[prefix[:-1]] = _scalar(value)

    visit("", config)
    return found


def _scalar(value: Any) -> Scalar:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if isinstance(value, int) or isfinite(value) else str(value)
    if isinstance(value, str):
        return _read(value.strip())
    return msgspec.json.encode(value, order="deterministic").decode()[:_LONGEST]


def _read(text: str) -> Scalar:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() in ("none", "null", ""):
        return None
    try:
        number = float(text)
    except ValueError:
        return text[:_LONGEST]
    if not isfinite(number):
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def tells_apart(key: str) -> bool:
    """Whether a setting only tells one run from another, by its name: a seed, a path, a time."""
    return _APART_BY_NAME.search(key) is not None


def is_number(value: Scalar) -> bool:
    """Whether a value is compared by its size."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(a: Scalar, b: Scalar) -> bool:
    """Whether two values are one; 8 and 8.0 are, 1 and true are not."""
    if is_number(a) and is_number(b):
        return a == b
    return type(a) is type(b) and a == b


def closeness(a: Scalar, b: Scalar) -> float:
    """1 for the same value, falling with the factor between two numbers of one sign, 0 for anything else."""
    if same(a, b):
        return 1.0
    if is_number(a) and is_number(b):
        x, y = float(a), float(b)  # type: ignore[arg-type]
        if x * y > 0:
            return max(0.0, 1 - abs(log2(x / y)) / log2(APART)) * 0.9
    return 0.0


def as_key(value: Scalar) -> Any:
    """A value as a key: 8 and 8.0 are one, 1 and true are not."""
    return (bool, value) if isinstance(value, bool) else value
