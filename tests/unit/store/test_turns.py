"""The lock of the writers: in order, and nobody is passed over."""

from __future__ import annotations

import threading
import time

from app.store.turns import Turns


def test_those_who_wait_have_it_in_the_order_in_which_they_came() -> None:
    turns, had = Turns(), list[int]()
    threads = []

    def have(number: int) -> None:
        with turns:
            had.append(number)

    with turns:
        for number in range(20):
            threads.append(threading.Thread(target=have, args=(number,)))
            threads[-1].start()
            while len(turns._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()

    assert had == list(range(20))
    assert turns.acquire(timeout=0)


def test_whoever_asks_again_at_once_waits_for_those_before() -> None:
    turns, over = Turns(), threading.Event()
    greedy = [0]

    def hold() -> None:
        while not over.is_set():
            with turns:
                greedy[0] += 1
                time.sleep(0.002)

    thread = threading.Thread(target=hold)
    thread.start()
    passed = []
    for _ in range(20):
        before = greedy[0]
        with turns:
            passed.append(greedy[0] - before)
    over.set()
    thread.join()

    assert max(passed) <= 2


def test_a_wait_may_end_before_the_turn_comes() -> None:
    turns = Turns()

    with turns:
        assert not turns.acquire(timeout=0.01)
        assert not turns._waiting

    assert turns.acquire(timeout=0)


def test_only_one_has_it_at_a_time() -> None:
    turns, inside, most = Turns(), [0], [0]

    def work() -> None:
        for _ in range(300):
            if turns.acquire(timeout=0.0005):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1
                turns.release()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1]
    assert turns.acquire(timeout=0)
