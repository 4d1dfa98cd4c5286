"""Leases: one holder at a time, whatever the clocks say and whoever dies, hangs or comes back late."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from app.jobs.leases import COLLECTION, Grant, Leases, here, is_dead
from graph_schema.errors import Fenced
from graph_schema.store import GraphStore, Transaction
from tests.contract.harness import Clock
from tests.unit.jobs.conftest import Process, Steady

KEY = "source/code"
HOUR = 3_600_000_000


def token(store: GraphStore) -> int:
    held = dict(store.service(COLLECTION))[KEY]
    return int(held["token"])


def write(tx: Transaction) -> None:
    tx.service_put("job", "x", 1)


def test_one_holds_it_and_the_other_does_not(process: Process, store: GraphStore) -> None:
    ada, bob = process("ada"), process("bob")

    mine = ada.acquire(KEY)

    assert mine is not None and bob.acquire(KEY) is None
    assert dict(store.service(COLLECTION))[KEY]["holder"] == "ada"
    grant, free = bob.look(KEY)
    assert grant is not None and grant.holder == "ada" and not free


def test_given_back_it_goes_to_the_next_with_a_greater_token(process: Process) -> None:
    ada, bob = process("ada"), process("bob")
    tokens = []

    for leases in (ada, bob, ada, ada):
        mine = leases.acquire(KEY)
        assert mine is not None
        tokens.append(mine.token)
        assert leases.release(mine)

    assert tokens == [1, 2, 3, 4]


def test_while_it_is_renewed_nobody_takes_it(process: Process, store: GraphStore, steady: Steady) -> None:
    ada, bob = process("ada"), process("bob")
    mine = ada.acquire(KEY)
    assert mine is not None

    for _ in range(10):
        steady.go(5)
        ada.renew()
        assert bob.acquire(KEY) is None

    assert not mine.lost
    store.transact(write, mine.fence)


def test_a_holder_that_falls_silent_loses_it(process: Process, store: GraphStore, steady: Steady) -> None:
    ada, bob = process("ada"), process("bob")
    mine = ada.acquire(KEY)
    assert mine is not None and bob.acquire(KEY) is None

    steady.go(14.9)
    assert bob.acquire(KEY) is None
    steady.go(0.2)
    other = bob.acquire(KEY)

    assert other is not None and other.token > mine.token
    assert mine.lost, "it knows without asking that it has been silent for too long"
    with pytest.raises(Fenced, match="somebody else"):
        store.transact(write, mine.fence)
    ada.renew()
    assert token(store) == other.token and not other.lost
    assert not ada.release(mine), "what is not ours is not given back"
    assert bob.acquire(KEY) is None


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_wall_clock_that_is_set_gives_it_to_nobody(
    process: Process, store: GraphStore, steady: Steady, clock: Clock, step: int
) -> None:
    ada, bob = process("ada"), process("bob")
    mine = ada.acquire(KEY)
    assert mine is not None and bob.acquire(KEY) is None
    before = token(store)

    clock.now += step
    steady.go(5)
    refused = bob.acquire(KEY)
    ada.renew()

    assert refused is None and token(store) == before
    store.transact(write, mine.fence)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_silent_holder_loses_it_in_its_time_although_the_wall_clock_was_set(
    process: Process, steady: Steady, clock: Clock, step: int
) -> None:
    ada, bob = process("ada"), process("bob")
    ada.acquire(KEY)
    bob.acquire(KEY)

    clock.now += step
    steady.go(15.1)

    assert bob.acquire(KEY) is not None


def test_a_holder_with_a_longer_lease_is_given_its_time(process: Process, steady: Steady) -> None:
    ada, bob = process("ada", duration=60), process("bob", duration=1)
    ada.acquire(KEY)
    bob.acquire(KEY)

    steady.go(30)
    assert bob.acquire(KEY) is None
    steady.go(31)
    assert bob.acquire(KEY) is not None


def test_a_condition_is_looked_at_under_the_lock(process: Process, store: GraphStore) -> None:
    ada = process("ada")

    assert ada.acquire(KEY, lambda tx, token: False) is None
    assert store.service(COLLECTION) == []


def test_leases_are_renewed_by_themselves(store: GraphStore, clock: Clock) -> None:
    clock.step = 1
    with_beats = Leases(store, duration=0.6, holder="ada", place="")
    mine = with_beats.acquire(KEY)
    assert mine is not None

    deadline = time.monotonic() + 30
    before = dict(store.service(COLLECTION))[KEY]["until"]
    while dict(store.service(COLLECTION))[KEY]["until"] == before and time.monotonic() < deadline:
        time.sleep(0.05)

    assert dict(store.service(COLLECTION))[KEY]["until"] > before
    with_beats.close()
    assert dict(store.service(COLLECTION))[KEY]["until"] == 0, "closing gives it back"


def test_nobody_waits_for_a_process_that_has_ended(process: Process) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    space = here().rpartition("/")[0]
    dead, bob = process("dead", place=f"{space}/{ended.pid}"), process("bob")
    dead.acquire(KEY)

    assert bob.acquire(KEY) is not None


def test_who_is_alive_or_elsewhere_is_not_called_dead() -> None:
    space = here().rpartition("/")[0]

    assert not is_dead(here())
    assert not is_dead(f"{space}/1")
    assert not is_dead(f"another boot/pid:[1]/{os.getpid()}")
    assert not is_dead("")


def test_a_grant_lives_until_its_time_has_run_out_or_its_process_has_ended() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = f"{here().rpartition('/')[0]}/{ended.pid}"

    def grant(place: str) -> Grant:
        return Grant(holder="ada", place=place, token=1, until=1_000)

    assert grant(here()).lives(999) and grant("").lives(999)
    assert not grant(here()).lives(1_000)
    assert not grant(gone).lives(999)
