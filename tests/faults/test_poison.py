"""Rows 10 and 11: what no program expects is stored literally or put aside; the rest lands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Node
from ingestors.loop import ingest
from ingestors.report import CURSOR, DEAD_LETTERS
from ingestors.sanitise import text
from ingestors.source import Item, Pulled
from tests.faults.conftest import Figure
from tests.faults.naughty import NAUGHTY
from tests.unit.ingestors.scripted import Scripted, items, listing, numbered


def runs(store: GraphStore) -> dict[str, Node]:
    """All runs by the number that their items have."""
    found: dict[str, Node] = {}
    after = None
    while True:
        page = store.find(NodeKind.RUN, first=500, after=after)
        found.update((node.id, node) for node in page.items)
        after = page.next
        if after is None:
            return found


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"x": [value]}
    return value


def one_page(delivered: list[Item]) -> Any:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(delivered, 1)

    return script


def test_naughty_texts_are_stored_as_they_are(store: GraphStore, figure: Figure) -> None:
    delivered = [
        Item(
            f"r{number}",
            "run",
            1,
            {
                "name": f"n{words}",
                "note": words,
                "params": {f"k{words}": words},
                "listed": [words, {"x": words}],
            },
        )
        for number, words in enumerate(NAUGHTY)
    ]

    report = ingest(store, Scripted(one_page(delivered)))

    assert (report.error, report.dead_letters) == (None, 0), store.service(DEAD_LETTERS)
    there = runs(store)
    mangled = []
    for number, words in enumerate(NAUGHTY):
        properties, kept = there[f"mlflow.run_id=r{number}"].properties, text(words)
        wanted = (kept, {f"k{kept}": kept}, [kept, {"x": kept}])
        if (properties["note"], properties["params"], properties["listed"]) != wanted:
            mangled.append((words, properties))
    literal = len(NAUGHTY) - len(mangled)
    figure("naughty texts stored literally:", f"{literal}/{len(NAUGHTY)}, crashes 0")
    assert mangled == []
    assert len(there) == len(NAUGHTY)


def test_naughty_keys_land_or_are_put_aside_and_take_nobody_along(store: GraphStore, figure: Figure) -> None:
    keys = list(dict.fromkeys(NAUGHTY))
    good = items(*numbered(600))
    naughty = [Item(key, "run", 1, {"name": "x"}) for key in keys]
    delivered = [*good[: len(good) // 2], *naughty, *good[len(good) // 2 :]]

    report = ingest(store, Scripted(one_page(delivered)))

    letters = dict(store.service(DEAD_LETTERS))
    assert report.error is None
    assert report.new + report.dead_letters == len(delivered)
    assert all(letter["reason"] for letter in letters.values())
    there = runs(store)
    assert all(f"mlflow.run_id={item.key}" in there for item in good)
    aside = len(keys) - (report.new - len(good))
    figure(
        "naughty keys:",
        f"{aside} put aside of {len(keys)}, {report.new / len(delivered):.1%} landed, crashes 0",
    )
    assert aside == report.dead_letters
    # Whoever asks with such a text gets an answer or is told what is wrong with it, never a crash.
    for key in keys:
        store.search_text(text(key))


POISON: list[tuple[str, Any]] = [
    ("2^63", 2**63),
    ("-2^63-1", -(2**63) - 1),
    ("a long integer", 10**400),
    ("longer than Python writes", 10**5_000),
    ("NaN", float("nan")),
    ("infinity", float("inf")),
    ("-infinity", float("-inf")),
    ("a tiny number", 5e-324),
    ("nested 2,000 deep", nested(1_000)),
    ("nested 100,000 deep", nested(50_000)),
    ("an object", object()),
    ("bytes", b"\xff\x00"),
    ("a set", {1, 2}),
    ("a list of a thousand lists", [[[]]] * 1_000),
    ("keys that are no texts", {1: 2, None: 3, (1, 2): 4}),
    ("a megabyte", "x" * 2**20),
    ("a hundred thousand keys", {f"k{number}": number for number in range(20_000)}),
]


def test_poison_is_put_aside_or_made_harmless_and_the_rest_lands(store: GraphStore, figure: Figure) -> None:
    bad = [Item(f"bad{n}", "run", 1, {"params": {"x": value}}) for n, (_, value) in enumerate(POISON)]
    bad += [Item("broken", "run", 1, {"broken": True}), Item("late", "run", 2**70, {})]
    good = items(*numbered(400))
    delivered = [item for n, item in enumerate(good) for item in (item, *bad[n : n + 1])]

    report = ingest(store, Scripted(one_page(delivered)))

    letters = store.service(DEAD_LETTERS)
    there = runs(store)
    landed = sum(f"mlflow.run_id={item.key}" in there for item in good)
    figure(
        f"{len(bad)} poisoned items among {len(delivered)}:",
        f"{landed / len(good):.0%} of the others landed, {len(letters)} put aside, crashes 0",
    )
    assert report.error is None
    assert landed == len(good)
    assert report.new + len(letters) == len(delivered)
    assert all(letter["reason"] and "\n" not in letter["reason"] for _, letter in letters)
    assert dict(store.service(CURSOR)) == {"tool": 1}


def test_a_page_of_which_a_fifth_is_invalid_halts_its_source_alone(store: GraphStore, figure: Figure) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items(*numbered(100)), 1)
        rotten = items(*numbered(100, 100))
        for number in range(0, 100, 5):
            rotten[number] = items(rotten[number].key, broken=True)[0]
        yield Pulled(rotten, 2)
        yield Pulled(items(*numbered(100, 200)), 3)

    halted = ingest(store, Scripted(script))
    other = ingest(store, Scripted(listing("a", "b"), name="other"))

    figure("rows before the halt:", halted.new)
    assert halted.error is not None and "20 of 200 items" in halted.error and "\n" not in halted.error
    assert halted.new == 100
    assert (other.error, other.new) == (None, 2)
    assert dict(store.service(CURSOR))["tool"] == 1
    assert len(store.service(DEAD_LETTERS, prefix="tool/")) == 20
