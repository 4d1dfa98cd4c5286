"""How often: ``30s``, ``5m``, ``1h``, ``1d``, or a cron line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from graph_schema.errors import BadInput
from graph_schema.times import Micros

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = 366 * 86_400
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ALLOWED = "allowed are 30s, 5m, 1h, 1d, or a cron line of five fields such as 0 3 * * 1-5 (in UTC)"


class Every(msgspec.Struct, frozen=True):
    """An interval in seconds, or a cron line. ``text`` is how it was written."""

    text: str
    seconds: float | None = None

    def after(self, moment: Micros) -> Micros | None:
        """When a cron line comes next after a moment (microseconds); None for an interval."""
        if self.seconds is not None:
            return None
        # Cron lines go by whole seconds; what is asked for is strictly later.
        start = datetime.fromtimestamp(moment // 1_000_000, UTC) + timedelta(seconds=1)
        found = _cron(self.text).get_next_fire_time(None, start)
        return None if found is None else round(found.timestamp()) * 1_000_000


def duration(text: str, least: float = 1) -> float:
    """Seconds of a duration such as ``30s``. Raises BadInput."""
    found = re.fullmatch(r"\s*(\d{1,9})\s*([smhd])\s*", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not found or not least <= seconds <= _LONGEST:
        raise BadInput(
            f"{text[:80]!r} is no duration; allowed are 30s, 5m, 1h, 1d and the like, {least:g}s to 366d"
        )
    return float(seconds)


def parse_every(text: str) -> Every:
    """An interval or a cron line. Raises BadInput with one line that says what is allowed."""
    text = " ".join(text.split())
    if len(text.split()) <= 1:
        try:
            return Every(text, duration(text))
        except BadInput:
            raise BadInput(f"{text[:80]!r} is no interval; {_ALLOWED}") from None
    try:
        trigger = _cron(text)
    except (ValueError, TypeError, IndexError) as problem:
        raise BadInput(f"{text[:80]!r} is no cron line: {problem}; {_ALLOWED}") from None
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise BadInput(f"{text[:80]!r} is a cron line that never comes; {_ALLOWED}")
    return Every(text)


def _cron(text: str) -> CronTrigger:
    # Not needed to ask a graph, so it is not imported for that.
    from apscheduler.triggers.cron import CronTrigger

    fields: list[Any] = text.split()
    if len(fields) != 5:
        raise ValueError(f"it has {len(fields)} fields and not 5")
    fields[4] = _week_days(fields[4].lower())
    # UTC, so that all servers mean the same moment and no day has 23 hours.
    return CronTrigger.from_crontab(" ".join(fields), timezone=UTC)


def _week_days(field: str) -> str:
    """Days of the week by name: APScheduler counts them from Monday, cron from Sunday."""
    if not any(sign.isdigit() for sign in field):
        return field
    named: list[str] = []
    for part in field.split(","):
        days, _, step = part.partition("/")
        first, _, last = days.partition("-")
        if days == "*":
            first, last = "0", "6"
        start = _week_day(first)
        end = start if not last and not step else _week_day(last or "6")
        every = int(step) if step else 1
        if end < start or every < 1:
            raise ValueError(f"days of the week are 0 (Sunday) to 6, and 7 (Sunday too); it has {part!r}")
        named += [_DAYS[day % 7] for day in range(start, end + 1, every)]
    return ",".join(dict.fromkeys(named))


def _week_day(text: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    if not text.isdigit() or int(text) > 7:
        raise ValueError(f"days of the week are 0 (Sunday) to 6, and 7 (Sunday too); it has {text!r}")
    return int(text)
