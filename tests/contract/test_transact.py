"""Transactions: all or nothing, one writer at a time, fenced, in a time that never runs backwards."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import pytest

from graph_schema.claims import Names, States
from graph_schema.errors import BadClaim, Fenced
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Transaction
from graph_schema.values import Fence
from ingestors import joins
from tests.contract.harness import EPOCH, SECOND, TRACKING, Clock, ids_of, node, record, say

RUN = NodeKind.RUN
FIRST, SECOND_RUN = "mlflow.run_id=1", "mlflow.run_id=2"


def names(text: str) -> Names:
    return Names(RUN, (text,))


def test_what_work_returns_is_returned(store: GraphStore) -> None:
    assert store.transact(lambda tx: ("x", tx.now > EPOCH)) == ("x", True)


def test_an_exception_leaves_nothing(store: GraphStore) -> None:
    say(store, names(FIRST))
    before = store.backup_digest()

    def work(tx: Transaction) -> None:
        joins.apply(tx, TRACKING, [record("other", names(SECOND_RUN))])
        tx.service_put("cursor", "tracking", {"page": 7})
        tx.retire(TRACKING, ["r"], EPOCH)
        raise ZeroDivisionError("in the middle")

    with pytest.raises(ZeroDivisionError, match="in the middle"):
        store.transact(work)

    assert store.backup_digest() == before
    assert store.resolve(SECOND_RUN) == []
    assert store.service("cursor") == []
    assert node(store, FIRST).gone_at is None


def test_a_bad_claim_leaves_nothing_and_the_store_works_on(store: GraphStore) -> None:
    before = store.backup_digest()

    with pytest.raises(BadClaim):
        say(store, names(FIRST), Names(RUN, ("tag=x",)))

    assert store.backup_digest() == before
    say(store, names(SECOND_RUN))
    assert ids_of(store, SECOND_RUN) == [SECOND_RUN]


def test_data_and_service_records_are_committed_together(store: GraphStore) -> None:
    def work(tx: Transaction) -> object:
        joins.apply(tx, TRACKING, [record("r", names(FIRST))])
        tx.service_put("cursor", "tracking", {"page": 7})
        return tx.service_get("cursor", "tracking")

    assert store.transact(work) == {"page": 7}, "a transaction sees what it wrote"
    assert store.service("cursor") == [("tracking", {"page": 7})]
    assert ids_of(store, FIRST) == [FIRST]


def test_a_transaction_that_writes_nothing_makes_no_revision(store: GraphStore) -> None:
    say(store, names(FIRST))
    revision = store.counts().revision

    store.transact(lambda tx: tx.service_put("cursor", "x", 1))
    store.transact(lambda tx: joins.apply(tx, TRACKING, []))

    assert store.counts().revision == revision


def test_revisions_count_up_and_time_goes_on(store: GraphStore) -> None:
    def work(text: str) -> Callable[[Transaction], tuple[int, int]]:
        def write(tx: Transaction) -> tuple[int, int]:
            joins.apply(tx, TRACKING, [record(text, names(text))])
            return tx.revision, tx.now

        return write

    made = [store.transact(work(f"mlflow.run_id={n}")) for n in range(3)]

    revisions, times = zip(*made, strict=True)
    assert list(revisions) == list(range(revisions[0], revisions[0] + 3))
    assert store.counts().revision == revisions[-1]
    assert list(times) == sorted(set(times))


def test_time_never_runs_backwards(store: GraphStore, clock: Clock) -> None:
    def user(name: str) -> int:
        def work(tx: Transaction) -> int:
            joins.apply(tx, TRACKING, [record("r", States(RUN, FIRST, {"user": name}))])
            return tx.now

        return store.transact(work)

    ada = user("ada")
    clock.now -= 3_600 * SECOND
    bob = user("bob")

    assert bob > ada
    assert node(store, FIRST, known_at=ada).properties == {"user": "ada"}
    assert node(store, FIRST, known_at=bob).properties == {"user": "bob"}


def test_time_does_not_run_backwards_for_service_records_either(store: GraphStore, clock: Clock) -> None:
    """A lease is granted and checked by this time, and often nothing else is written with it."""

    def work(tx: Transaction) -> int:
        tx.service_put("lease", "x", {"token": 1, "until": tx.now})
        return tx.now

    before = store.transact(work)
    clock.now -= 3_600 * SECOND

    assert store.transact(work) >= before


def test_a_clock_that_stands_still_keeps_revisions_apart(store: GraphStore, clock: Clock) -> None:
    clock.step = 0
    times = []
    for user in ("ada", "bob", "cyd"):

        def work(tx: Transaction, user: str = user) -> int:
            joins.apply(tx, TRACKING, [record("r", States(RUN, FIRST, {"user": user}))])
            return tx.now

        times.append(store.transact(work))

    seen = [node(store, FIRST, known_at=at).properties["user"] for at in times]
    assert seen == ["ada", "bob", "cyd"]


class TestFence:
    LEASE = "lease of the scheduler"

    def hold(self, store: GraphStore, token: int, until: int) -> None:
        store.transact(lambda tx: tx.service_put("lease", self.LEASE, {"token": token, "until": until}))

    def attempt(self, store: GraphStore, token: int) -> None:
        store.transact(
            lambda tx: joins.apply(tx, TRACKING, [record("r", names(FIRST))]), Fence(self.LEASE, token)
        )

    def test_a_lease_that_is_held_lets_the_write_through(self, store: GraphStore, clock: Clock) -> None:
        self.hold(store, 3, clock.now + 100 * SECOND)

        self.attempt(store, 3)

        assert ids_of(store, FIRST) == [FIRST]

    @pytest.mark.parametrize("token", [2, 4])
    def test_a_lease_that_has_passed_on_refuses_it(self, store: GraphStore, clock: Clock, token: int) -> None:
        self.hold(store, 3, clock.now + 100 * SECOND)

        with pytest.raises(Fenced, match="scheduler"):
            self.attempt(store, token)

        assert store.resolve(FIRST) == []

    def test_a_lease_that_has_run_out_by_the_stores_time_refuses_it(
        self, store: GraphStore, clock: Clock
    ) -> None:
        self.hold(store, 3, clock.now + 5 * SECOND)
        clock.now += 10 * SECOND

        with pytest.raises(Fenced, match="run out"):
            self.attempt(store, 3)

        assert store.resolve(FIRST) == []

    def test_a_lease_that_nobody_took_refuses_it(self, store: GraphStore) -> None:
        with pytest.raises(Fenced):
            self.attempt(store, 1)

    def test_the_store_goes_on_after_a_refusal(self, store: GraphStore) -> None:
        with pytest.raises(Fenced):
            self.attempt(store, 1)

        say(store, names(FIRST))

        assert ids_of(store, FIRST) == [FIRST]


def test_writers_from_several_threads_take_turns(store: GraphStore) -> None:
    failures: list[BaseException] = []

    def count_up() -> None:
        def work(tx: Transaction) -> None:
            tx.service_put("counter", "n", (tx.service_get("counter", "n") or 0) + 1)

        try:
            for _ in range(10):
                store.transact(work)
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=count_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert store.service("counter") == [("n", 30)]


def test_readers_see_one_state_while_a_writer_is_at_work(store: GraphStore) -> None:
    say(store, names(FIRST))
    seen: list[list[int]] = []

    def work(tx: Transaction) -> None:
        joins.apply(tx, TRACKING, [record("other", names(SECOND_RUN))])
        reader = Thread(target=lambda: seen.append(store.resolve(SECOND_RUN)))
        reader.start()
        reader.join(timeout=20)

    store.transact(work)

    assert seen == [[]], "the reader did not wait, and did not see what was not committed"
    assert ids_of(store, SECOND_RUN) == [SECOND_RUN]
