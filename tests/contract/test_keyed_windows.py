"""Keyed claims by time: whatever an engine reads ahead and keeps, each window holds what it holds alone."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from graph_schema.claims import Keyed, Record
from graph_schema.store import GraphStore, KeyedClaim, Transaction
from tests.contract.harness import CODE, record

RULE = "tree_state"
ROLES = ("file", "folder")
Told = tuple[int | None, str | None]


def claim(key: str, number: int, dice: random.Random) -> Keyed:
    """A claim at one of few times, so that many share one, or at none."""
    at = None if dice.random() < 0.05 else dice.randrange(60)
    return Keyed(RULE, key, dice.choice(ROLES), f"md5@dataset_version={number:032x}", at=at)


def oracle(claims: Iterable[Keyed], role: str, window: dict[str, Any]) -> list[Told]:
    """What a window holds, worked out from all claims."""
    since, until = window["since"], window["until"]
    chosen = [
        (c.at, c.ref)
        for c in claims
        if c.role == role
        and (since is None or (c.at is not None and c.at >= since))
        and (until is None or (c.at is not None and c.at < until))
    ]
    chosen.sort(key=lambda one: (one[0] is not None, one[0] or 0, one[1] or ""), reverse=window["descending"])
    return chosen[: window["limit"]]


def windows(dice: random.Random, times: Sequence[int]) -> Iterable[dict[str, Any]]:
    """Windows like those that rules ask for: around what was touched, from an end, or anywhere."""
    for _ in range(40):
        at = dice.choice(times) if dice.random() < 0.7 else dice.randrange(-2, 63)
        yield {
            "since": dice.choice((None, at, at + 1)),
            "until": dice.choice((None, at + 1, at + dice.randrange(1, 12))),
            "descending": dice.random() < 0.5,
            "limit": dice.choice((None, 1, 4, 16)),
        }


def told(found: Iterable[KeyedClaim]) -> list[Told]:
    return [(one.at, one.ref) for one in found]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [20, 300])
def test_a_window_holds_what_it_holds_whatever_was_read_before(
    store: GraphStore, seed: int, count: int
) -> None:
    """``count``: claims of a key, few enough to be kept whole, and too many for it."""
    dice = random.Random(seed)
    keys = ("one", "two")
    held = {key: [claim(key, number, dice) for number in range(count)] for key in keys}
    records = [record(f"{key}/{n}", c) for key, claims in held.items() for n, c in enumerate(claims)]
    store.transact(lambda tx: tx.write(CODE, records))
    changed = {key: dice.sample(range(count), 3) for key in keys}

    def work(tx: Transaction) -> None:
        arriving: list[Record] = []
        for key, numbers in changed.items():
            for number in numbers:
                held[key][number] = claim(key, number, dice)
                arriving.append(record(f"{key}/{number}", held[key][number]))
        tx.write(CODE, arriving)
        tx.ahead([(RULE, key) for key in keys])
        times = [c.at for key in keys for c in (held[key][n] for n in changed[key]) if c.at is not None]
        for window in windows(dice, times or [0]):
            key, role = dice.choice(keys), dice.choice(ROLES)
            found = tx.keyed(RULE, key, role=role, **window)
            assert told(found) == oracle(held[key], role, window), window

    store.transact(work)
