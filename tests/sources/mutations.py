"""Bodies with something wrong in them, somewhere."""

from __future__ import annotations

import copy
import random
from typing import Any

JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 2**80, 1e400, "", " ", "\0", "\ud800", "x" * 20_000, [], {}, [[]], {"": None},
    [None, 1, "a"], {"id": 7}, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "=@/%#",
)  # fmt: skip


def mutated(body: Any, chance: random.Random, times: int = 1) -> Any:
    """A copy in which some values, at whatever depth, are junk, doubled or gone."""
    made = copy.deepcopy(body)
    for _ in range(times):
        places = list(_places(made))
        if not places:
            return chance.choice(JUNK)
        holder, key = chance.choice(places)
        what = chance.randrange(4)
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(chance.choice(JUNK))
    return made


def _places(value: Any) -> Any:
    """Every place in a value: what holds it, and under which key."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
