"""Rows 16, 17 and 18: a tracking server that is busy, broken, or turns in circles."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from graph_schema.store import GraphStore
from ingestors.loop import Policy, ingest
from ingestors.report import CURSOR, DEAD_LETTERS, Report
from tests.faults.conftest import Figure
from tests.faults.tracking import Answer, Asked, Source, Tracking, as_json


class Time:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def tracking(time: Time) -> Iterator[Tracking]:
    server = Tracking(runs=45, clock=time)
    yield server
    server.close()


def pull(store: GraphStore, tracking: Tracking, time: Time, attempts: int = 5) -> Report:
    source = Source(tracking.url, time.sleep)
    try:
        return ingest(store, source, policy=Policy(sleep=time.sleep, attempts=attempts))
    finally:
        source.close()


def cursor(store: GraphStore) -> Any:
    return dict(store.service(CURSOR)).get("tracking")


PAGE = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"
BROKEN: dict[str, Callable[[Answer], Answer]] = {
    "500": lambda right: Answer(500, b'{"message": "Internal Server Error"}'),
    "502 as HTML": lambda right: Answer(
        502, b"<html><h1>Bad\nGateway</h1></html>", {"Content-Type": "text/html"}
    ),
    "HTML": lambda right: Answer(200, PAGE, {"Content-Type": "text/html"}),
    "HTML said to be JSON": lambda right: Answer(200, PAGE),
    "truncated JSON": lambda right: Answer(200, right.body[: len(right.body) // 2]),
    "a body that ends early": lambda right: Answer(200, right.body, cut=len(right.body) // 2),
    "nothing": lambda right: Answer(200, b""),
    "a list": lambda right: Answer(200, b"[]"),
    "null": lambda right: Answer(200, b"null"),
    "a wrong shape": lambda right: as_json(dict.fromkeys(json.loads(right.body), "what?")),
    "nested without end": lambda right: Answer(200, b"[" * 100_000),
    "bytes": lambda right: Answer(200, bytes(range(256))),
    "401": lambda right: Answer(401, b"no"),
    "a redirect": lambda right: Answer(302, b"", {"Location": "/login"}),
    "400": lambda right: as_json(
        {"error_code": "INVALID_PARAMETER_VALUE", "message": "no\nsuch\nfilter"}, 400
    ),
}


def test_a_broken_answer_moves_nothing(
    store: GraphStore, engine: str, tracking: Tracking, time: Time, figure: Figure
) -> None:
    assert pull(store, tracking, time).error is None
    digest, before = store.digest(), cursor(store)
    paths = ["experiments/search", "runs/search", "logged-models/search", "registered-models/search"]
    # What the answer does to the source is the same whatever the store; three sorts show what it does there.
    kinds = list(BROKEN) if engine == "sqlite" else ["500", "HTML", "truncated JSON"]
    drift = 0

    for kind, path in itertools.product(kinds, paths):
        asked = len(tracking.asked)
        tracking.wrong = partial(only_there, path, BROKEN[kind])
        report = pull(store, tracking, time, attempts=2)
        drift += (store.digest(), cursor(store)["pulled"]) != (digest, before["pulled"])
        said = report.error
        assert said is not None and report.new == 0, (kind, path)
        assert "\n" not in said and (tracking.url in said or path in said), (kind, said)
        assert len(tracking.asked) - asked < 100, (kind, path)
    tracking.wrong = lambda n, each, right: None
    healed = pull(store, tracking, time)

    figure(f"{len(kinds)} sorts of broken answers at {len(paths)} places: drift", drift)
    assert drift == 0
    assert store.service(DEAD_LETTERS) == []
    assert (healed.error, healed.changes, store.digest()) == (None, 0, digest)


def only_there(
    path: str, spoil: Callable[[Answer], Answer], number: int, asked: Asked, right: Answer
) -> Answer | None:
    return spoil(right) if asked.path == path else None


def test_a_source_that_breaks_on_a_later_page_keeps_what_came_before(
    store: GraphStore, tracking: Tracking, time: Time, figure: Figure
) -> None:
    third: Callable[[Asked], bool] = lambda each: each.body.get("page_token") == "20"  # noqa: E731
    tracking.wrong = lambda n, each, right: BROKEN["truncated JSON"](right) if third(each) else None

    broken = pull(store, tracking, time)
    tracking.wrong = lambda n, each, right: None
    healed = pull(store, tracking, time)

    figure(
        "runs before the break and after it:",
        f"{store.counts().nodes['Run']} of 45, in {broken.new} + {healed.new}",
    )
    assert broken.error is not None and "broken JSON" in broken.error
    assert healed.error is None
    assert store.counts().nodes["Run"] == 45


@pytest.mark.parametrize("seconds", [7, 120])
def test_a_busy_source_is_left_alone_for_as_long_as_it_asks(
    store: GraphStore, tracking: Tracking, time: Time, seconds: int, figure: Figure
) -> None:
    refused: list[float] = []

    def busy(number: int, asked: Asked, right: Answer) -> Answer | None:
        if asked.path == "runs/search" and len(refused) < 3:
            refused.append(asked.at)
            return Answer(429, b"{}", {"Retry-After": str(seconds)})
        return None

    tracking.wrong = busy
    report = pull(store, tracking, time)

    early = sum(
        any(at < asked.at < at + seconds for at in refused) or refused.count(asked.at) > 1
        for asked in tracking.asked
    )
    figure(f"429 with Retry-After {seconds}: early requests", f"{early}, waited {time.now:.1f} s for 3")
    assert (report.error, early, len(refused)) == (None, 0, 3)
    assert 3 * seconds <= time.now < 3 * (seconds + 2)


def test_a_source_that_wants_a_day_is_left_for_the_next_time(
    store: GraphStore, tracking: Tracking, time: Time
) -> None:
    tracking.wrong = lambda n, each, right: Answer(429, b"{}", {"Retry-After": "86400"})

    report = pull(store, tracking, time)

    assert report.error is not None and "429" in report.error
    assert (len(tracking.asked), time.now) == (1, 0)
    assert cursor(store) is None


@pytest.mark.parametrize("first", ["10", "20"], ids=["at once", "later"])
def test_a_page_token_that_comes_again_ends_the_pull(
    store: GraphStore, tracking: Tracking, time: Time, first: str, figure: Figure
) -> None:
    def circle(number: int, asked: Asked, right: Answer) -> Answer | None:
        if asked.path != "runs/search" or asked.body.get("page_token") != first:
            return None
        return as_json({**json.loads(right.body), "next_page_token": "10"})

    tracking.wrong = circle
    report = pull(store, tracking, time)

    pages = [asked.body.get("page_token") for asked in tracking.asked if asked.path == "runs/search"]
    extra = len(pages) - len(set(pages))
    figure("a repeated page token: extra pages", extra)
    assert report.error is not None and "again and again" in report.error and "\n" not in report.error
    assert extra == 0
    assert "pulled" not in (cursor(store) or {}) or cursor(store)["pulled"] is None


def test_the_same_page_under_new_tokens_ends_the_pull(
    store: GraphStore, tracking: Tracking, time: Time, figure: Figure
) -> None:
    def stuck(number: int, asked: Asked, right: Answer) -> Answer | None:
        if asked.path != "runs/search":
            return None
        page = json.loads(right.body)["runs"] or tracking.runs[:10]
        return as_json({"runs": page[:10], "next_page_token": str(1_000 + number)})

    tracking.wrong = stuck
    report = pull(store, tracking, time)

    pages = sum(asked.path == "runs/search" for asked in tracking.asked)
    figure("one page under ever new tokens: extra pages", pages - 1)
    assert report.error is not None and "\n" not in report.error
    assert pages < 20


def test_a_page_shorter_than_asked_for_is_not_the_last(
    store: GraphStore, tracking: Tracking, time: Time, figure: Figure
) -> None:
    tracking.size = 3

    report = pull(store, tracking, time)

    pages = sum(asked.path == "runs/search" for asked in tracking.asked)
    figure("partial pages: extra pages", pages - 15)
    assert (report.error, store.counts().nodes["Run"], pages) == (None, 45, 15)
