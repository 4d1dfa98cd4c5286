"""Times as integers: microseconds since 1970-01-01 UTC. The graph keeps nothing finer and no zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from graph_schema.errors import BadInput

Micros = int

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN = -62_135_596_800_000_000  # year 1
_MAX = 253_402_300_799_999_999  # year 9999


def to_micros(moment: datetime) -> Micros:
    """A datetime as microseconds; a naive one is read as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: Micros) -> datetime:
    """Microseconds as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def from_millis(millis: float | str) -> Micros:
    """Milliseconds, as MLflow and many others send them. Raises BadInput outside the years 1 to 9999."""
    try:
        micros = int(millis) * 1000
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"{millis!r} is not a time in milliseconds") from None
    return checked(micros)


def checked(micros: int) -> Micros:
    """The same number, if it lies within the years 1 to 9999; else BadInput."""
    if not _MIN <= micros <= _MAX:
        raise BadInput(f"{micros} microseconds lies outside the years 1 to 9999")
    return micros


def parse_time(text: str) -> Micros:
    """An ISO 8601 date or time (``2026-01-31``, ``2026-01-31T10:00:00+01:00``, ``…Z``); naive means UTC."""
    cleaned = text.strip()
    if "." in cleaned:
        # Go tools send nanoseconds; datetime reads at most microseconds.
        head, _, tail = cleaned.partition(".")
        digits = len(tail) - len(tail.lstrip("0123456789"))
        cleaned = f"{head}.{tail[:digits][:6]}{tail[digits:]}"
    try:
        return checked(to_micros(datetime.fromisoformat(cleaned)))
    except (ValueError, OverflowError, BadInput):
        raise BadInput(f"{text!r} is not a time; write it as 2026-01-31 or 2026-01-31T10:00:00Z") from None


def format_time(micros: Micros) -> str:
    """ISO 8601 in UTC with ``Z``, without a fraction where there is none."""
    return from_micros(micros).isoformat().replace("+00:00", "Z")
