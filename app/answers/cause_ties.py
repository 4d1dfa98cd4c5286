"""Changes that nothing tells apart: what speaks for and against them is the same, their age aside. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.answers.cause_evidence import Signals
from app.answers.cause_score import weigh
from graph_schema.wording import counted

_DIGITS = 6
#: Names that are told.
_SHOWN = 4


def ties(signals: Sequence[Signals]) -> list[list[int]]:
    """The places of changes that nothing tells apart, where there are two or more of them. Age puts changes
    that came in together into an order, and says nothing of them."""
    alike: dict[tuple[tuple[str, float], ...], list[int]] = {}
    for place, each in enumerate(signals):
        weights = weigh(msgspec.structs.replace(each, age=0.0))
        told = sorted((weight.kind, round(weight.log_odds, _DIGITS)) for weight in weights)
        alike.setdefault(tuple(told), []).append(place)
    return [group for group in alike.values() if len(group) > 1]


def text_of(names: Sequence[str]) -> str:
    """That nothing tells these apart, and what would."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    listed = ", ".join(names[:_SHOWN]) + more
    return (
        f"nothing tells {counted(len(names), 'change')} apart: {listed}; a run or a check between them would"
    )
