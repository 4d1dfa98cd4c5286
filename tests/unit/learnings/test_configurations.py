"""Alike configurations, and what differs between them."""

from __future__ import annotations

import pytest

from app.learnings.configurations import Configurations, Run
from app.learnings.scalars import closeness, flat, same

BASE = {"lr": 0.1, "batch": 64, "optimizer.name": "adam", "amp": True}


def made(number: int, worked: bool | None = True, **settings: object) -> Run:
    return Run(
        id=number, settings=flat({**BASE, "seed": number * 7, **settings}), worked=worked, created=number
    )


@pytest.fixture
def index() -> Configurations:
    return Configurations(
        [
            *(made(n, lr=0.1 if n % 2 else 0.05) for n in range(1, 9)),
            made(20, False, lr=50.0),
            made(21, False, batch=4096),
            made(22, False, lr=80.0, batch=32),
        ]
    )


def test_settings_are_flat_and_read_as_what_they_are() -> None:
    found = flat({"a": {"b": "1e-3", "c": ["x", 1]}, "d": "True", "e": "none", "f": "nan", "g": "8.0"})

    assert found == {"a.b": 0.001, "a.c": '["x",1]', "d": True, "e": None, "f": "nan", "g": 8}


def test_values_agree_in_part() -> None:
    assert same(8, 8.0) and not same(1, True) and not same("1", 1)
    assert closeness(0.1, 0.1) == 1
    assert closeness(0.1, 0.2) > closeness(0.1, 0.8) > closeness(0.1, 100) == 0
    assert closeness(0.1, -0.1) == closeness("a", "b") == 0


def test_the_nearest_agree_on_what_is_rare_and_a_seed_says_nothing(index: Configurations) -> None:
    found = index.alike(flat({**BASE, "lr": 0.05, "seed": 7}), first=3)

    assert {each.run.id for each in found} <= {2, 4, 6, 8}
    assert index.steady("seed") == 0
    assert index.weight("batch", 32) > index.weight("batch", 64)


def test_what_is_asked_for_is_kept_to(index: Configurations) -> None:
    mine = index.get(20)
    assert mine is not None

    failed = index.alike(mine.settings, worked=False, without=20)
    assert {each.run.id for each in failed} == {21, 22}
    assert {e.run.id for e in index.alike(flat(BASE), before=3, allowed=frozenset({1, 2, 5}))} == {1, 2}
    assert index.alike({}) == []


def test_what_is_wrong_comes_first(index: Configurations) -> None:
    for number, path in ((20, "lr"), (21, "batch")):
        run = index.get(number)
        assert run is not None
        differing = index.suspects(run)
        assert differing[0].path == path
        assert next((d.weight for d in differing if d.path == "seed"), 0) == 0


def test_a_twin_left_what_works_in_the_same_way(index: Configurations) -> None:
    run = index.get(22)
    assert run is not None

    (best, shared), *rest = index.twins(run)

    assert best.run.id == 20
    assert shared == ["lr"]
    assert all(each.similarity < best.similarity for each, _ in rest)


def test_a_run_that_is_replaced_or_removed_is_as_if_it_had_never_been(index: Configurations) -> None:
    fresh = Configurations([made(1), made(2, lr=0.3)])
    index = Configurations([made(1, lr=9), made(3), made(2, lr=0.3)])
    index.add(made(1))
    index.remove(3)
    index.remove(99)

    asked = flat(BASE)
    assert [(e.run.id, e.similarity) for e in index.alike(asked)] == [
        (e.run.id, e.similarity) for e in fresh.alike(asked)
    ]
    assert len(index) == 2 and 3 not in index
