"""A deployment has a life: what stood where, from when to when, with what share; told in any order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from graph_schema.claims import Claim, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import NOW, Edge, Moment
from ingestors import joins
from ingestors.deployments import anywhere, blamed, deployed, ended, place
from tests.contract.conftest import Fresh
from tests.contract.harness import edges_from, node, write

K, E = NodeKind, EdgeKind
RELEASES = Source("releases", "events")

ALERT = "alertmanager.alert=9c1a@2026-11-21T10:00:00Z"

Told = Sequence[Sequence[Claim]]


def deployment(revision: str | int, where: str = "prod") -> str:
    return identifier("deployment", f"{where}/churn@{revision}", "cd")


def version(number: int, scope: str | None = "tracking") -> str:
    return identifier("mlflow.model_version", f"churn/{number}", scope)


def up(
    revision: str | int,
    at: int,
    share: float | None = None,
    mode: str | None = None,
    of: int | None = None,
    where: str = "prod",
) -> list[Claim]:
    """A deployment of a version, by default of the one with the revision's number."""
    number = of if of is not None else revision
    released = [(K.MODEL_VERSION, version(number))] if isinstance(number, int) and number else []
    return deployed(
        deployment(revision, where),
        environment=where,
        name="churn",
        scope="cd",
        at=at,
        of=released,
        share=share,
        mode=mode,
    )


def shift(revision: str | int, at: int, share: float | None, mode: str | None = None) -> list[Claim]:
    return up(revision, at, share, mode, of=0)


def down(revision: str | int, at: int, where: str = "prod") -> list[Claim]:
    return ended(deployment(revision, where), environment=where, name="churn", at=at)


def alert(at: int, environment: str | None = "prod") -> list[Claim]:
    return blamed(ALERT, name="churn", environment=environment, at=at)


def tell(store: GraphStore, told: Told, order: Sequence[int] | None = None) -> GraphStore:
    """Each in a record and a transaction of its own."""
    for number in order if order is not None else range(len(told)):
        write(store, RELEASES, Record(f"event {number}", "event", 1, tuple(told[number])))
    return store


def edges(store: GraphStore, *kinds: EdgeKind, moment: Moment = NOW) -> list[Edge]:
    handles = [n.handle for kind in NodeKind for n in store.find(kind, first=500).items]
    return [e for e in edges_from(store, handles, moment) if e.kind in kinds]


def stood(store: GraphStore) -> set[tuple[str, int | None, int | None, float, str | None]]:
    """Revision, from, until, share and mode of everything that was deployed."""
    return {
        (e.dst.rpartition("@")[2], e.valid_from, e.valid_to, e.properties["share"], e.properties.get("mode"))
        for e in edges(store, E.DEPLOYED_AS)
    }


def blames(store: GraphStore) -> dict[str, float]:
    """The share of every deployment that the incident is blamed on."""
    return {
        e.src.rpartition("@")[2]: e.properties["share"]
        for e in edges(store, E.IMPLICATED_IN)
        if e.dst == ALERT
    }


def follows(store: GraphStore) -> set[tuple[str, str]]:
    return {(e.src.rpartition("@")[2], e.dst.rpartition("@")[2]) for e in edges(store, E.PRECEDES)}


Stood = set[tuple[str, int | None, int | None, float, str | None]]

CASES: list[tuple[str, Told, Stood, dict[str, float], set[tuple[str, str]]]] = [
    ("one after the other",
     [up(1, 10), up(2, 20), alert(25)],
     {("1", 10, 20, 1.0, None), ("2", 20, None, 1.0, None)},
     {"2": 1.0}, {("1", "2")}),
    ("canary 10, 50, 100",
     [up(1, 10), up(2, 20, 0.1, "canary"), shift(2, 30, 0.5, "canary"), shift(2, 40, 1.0), alert(25)],
     {("1", 10, 20, 1.0, None), ("1", 20, 30, 0.9, None), ("1", 30, 40, 0.5, None),
      ("2", 20, 30, 0.1, "canary"), ("2", 30, 40, 0.5, "canary"), ("2", 40, None, 1.0, None)},
     {"1": 0.9, "2": 0.1}, {("1", "2")}),
    ("a canary that is taken back",
     [up(1, 10), up(2, 20, 0.1, "canary"), down(2, 30), alert(35)],
     {("1", 10, 20, 1.0, None), ("1", 20, 30, 0.9, None), ("1", 30, None, 1.0, None),
      ("2", 20, 30, 0.1, "canary")},
     {"1": 1.0}, {("1", "2")}),
    ("blue stands by while green serves",
     [up("blue", 10, of=1), up("green", 20, 0.0, "blue-green", of=2), shift("green", 30, None, "blue-green"),
      shift("blue", 30, 0.0, "blue-green"), alert(35)],
     {("blue", 10, 30, 1.0, None), ("blue", 30, None, 0.0, "blue-green"),
      ("green", 20, 30, 0.0, "blue-green"), ("green", 30, None, 1.0, "blue-green")},
     {"green": 1.0}, {("blue", "green")}),
    ("a shadow takes nothing",
     [up(1, 10), up(2, 20, None, "shadow"), alert(25)],
     {("1", 10, None, 1.0, None), ("2", 20, None, 0.0, "shadow")},
     {"1": 1.0, "2": 0.0}, {("1", "2")}),
    ("two halves",
     [up(1, 10, 0.5, "a/b"), up(2, 10, 0.5, "a/b"), alert(15)],
     {("1", 10, None, 0.5, "a/b"), ("2", 10, None, 0.5, "a/b")},
     {"1": 0.5, "2": 0.5}, set()),
    ("the earlier one says itself what it keeps",
     [up(1, 10), up(2, 20, 0.1, "canary"), shift(1, 20, 0.7), alert(20)],
     {("1", 10, 20, 1.0, None), ("1", 20, None, 0.7, None), ("2", 20, None, 0.1, "canary")},
     {"1": 0.7, "2": 0.1}, {("1", "2")}),
    ("a rollback is a deployment of its own",
     [up(1, 10), up(2, 20), up(3, 30, of=1), alert(25)],
     {("1", 10, 20, 1.0, None), ("2", 20, 30, 1.0, None), ("3", 30, None, 1.0, None)},
     {"2": 1.0}, {("1", "2"), ("2", "3")}),
    ("before anything stood there",
     [up(1, 10), alert(9)],
     {("1", 10, None, 1.0, None)}, {}, set()),
    ("at the very time of the takeover",
     [up(1, 10), up(2, 20), alert(20)],
     {("1", 10, 20, 1.0, None), ("2", 20, None, 1.0, None)}, {"2": 1.0}, {("1", "2")}),
    ("removed, and another later",
     [up(1, 10), down(1, 20), up(2, 30), alert(25)],
     {("1", 10, 20, 1.0, None), ("2", 30, None, 1.0, None)}, {}, {("1", "2")}),
    ("ended without having begun",
     [down(1, 20), up(2, 30), alert(35)],
     {("2", 30, None, 1.0, None)}, {"2": 1.0}, set()),
    ("an end that comes after the takeover means nothing",
     [up(1, 10), up(2, 20), down(1, 30), alert(35)],
     {("1", 10, 20, 1.0, None), ("2", 20, None, 1.0, None)}, {"2": 1.0}, {("1", "2")}),
    ("two takeovers at one time",
     [up(1, 10), up(2, 20), up(3, 20), alert(25)],
     {("1", 10, 20, 1.0, None), ("3", 20, None, 1.0, None)}, {"3": 1.0}, {("1", "3")}),
    ("told twice",
     [up(1, 10), up(2, 20, 0.1, "canary"), up(2, 20, 0.1, "canary"), shift(2, 25, 0.1, "canary"), alert(27)],
     {("1", 10, 20, 1.0, None), ("1", 20, None, 0.9, None), ("2", 20, None, 0.1, "canary")},
     {"1": 0.9, "2": 0.1}, {("1", "2")}),
    ("a name without its environment, in the one that has it",
     [up(1, 10), up(2, 20), alert(25, None)],
     {("1", 10, 20, 1.0, None), ("2", 20, None, 1.0, None)}, {"2": 1.0}, {("1", "2")}),
    ("a name without its environment, in two that have it",
     [up(1, 10), up(1, 20, where="staging"), alert(25, None)],
     {("1", 10, None, 1.0, None), ("1", 20, None, 1.0, None)}, {}, set()),
    ("a name without its environment, when only one had it",
     [up(1, 10), up(1, 30, where="staging"), alert(25, None)],
     {("1", 10, None, 1.0, None), ("1", 30, None, 1.0, None)}, {"1": 1.0}, set()),
    ("another environment is not meant",
     [up(1, 10), up(2, 20, where="staging"), alert(25)],
     {("1", 10, None, 1.0, None), ("2", 20, None, 1.0, None)}, {"1": 1.0}, set()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "stands", "guilty", "order"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_what_stood_where_in_every_order(
    fresh: Fresh,
    engine: str,
    told: Told,
    stands: Stood,
    guilty: dict[str, float],
    order: set[tuple[str, str]],
) -> None:
    orders = list(permutations(range(len(told))))
    if engine == "neo4j":
        # Emptying its graph costs more than all else; every order is tried on SQLite.
        orders = orders[-1:]
    digests = set()
    for number, each in enumerate(orders):
        store = tell(fresh(), told, each)
        digests.add(store.digest())
        if number in (0, len(orders) - 1):
            assert stood(store) == stands
            assert blames(store) == guilty
            assert follows(store) == order

    assert len(digests) == 1


def test_shuffled_doubled_and_in_batches_it_is_one_story(fresh: Fresh, engine: str) -> None:
    told: Told = [
        up(1, 10), up(2, 20, 0.1, "canary"), shift(2, 30, 0.5, "canary"), down(2, 35), alert(22),
        up(3, 40, None, "shadow"), up("3b", 50, of=3), up(4, 60, 0.5, "a/b"), down(4, 70), up("3c", 80, of=3),
        up(5, 20, where="staging"), down(5, 65, where="staging"),
    ]  # fmt: skip
    expected = tell(fresh(), told).digest()
    chance = random.Random(11)

    for _ in range(1 if engine == "neo4j" else 150):
        order = [*range(len(told)), *range(len(told))]
        chance.shuffle(order)
        store = fresh()
        while order:
            batch, order = order[:4], order[4:]
            records = [Record(f"event {n}", "event", 1, tuple(told[n])) for n in batch]
            write(store, RELEASES, *records)
        assert store.digest() == expected


def test_what_is_withdrawn_was_never_there(fresh: Fresh, engine: str) -> None:
    told: Told = [up(1, 10), up(2, 20, 0.1, "canary"), up(3, 30), alert(25), down(3, 40), up(4, 50)]
    for gone in range(len(told))[:: 4 if engine == "neo4j" else 1]:
        store = tell(fresh(), told)
        write(store, RELEASES, Record(f"event {gone}", "event", 2, ()))
        seen = (stood(store), blames(store), follows(store))

        store = tell(fresh(), told, [n for n in range(len(told)) if n != gone])

        assert seen == (stood(store), blames(store), follows(store))


# references --------------------------------------------------------------------------------------------


def open_release(revision: int, at: int) -> list[Claim]:
    return deployed(
        deployment(revision),
        environment="prod",
        name="churn",
        scope="cd",
        at=at,
        of=[(K.MODEL_VERSION, version(revision, None))],
    )


def test_a_version_named_without_its_server_joins_when_it_is_known(fresh: Fresh, engine: str) -> None:
    told: Told = [
        open_release(1, 10),
        open_release(2, 20),
        [Names(K.MODEL_VERSION, (version(1),))],
        [Names(K.MODEL_VERSION, (version(2),))],
    ]
    orders = list(permutations(range(4)))
    for order in orders[:: 12 if engine == "neo4j" else 1]:
        store = tell(fresh(), told, order)

        assert stood(store) == {("1", 10, 20, 1.0, None), ("2", 20, None, 1.0, None)}


def test_a_version_that_two_servers_have_joins_neither(store: GraphStore) -> None:
    tell(store, [open_release(1, 10), [Names(K.MODEL_VERSION, (version(1),))]])
    (edge,) = edges(store, E.DEPLOYED_AS)
    assert edge.evidence is not None
    assert "the only match for mlflow.model_version=churn/1" in edge.evidence

    other = Record("other", "event", 1, (Names(K.MODEL_VERSION, (version(1, "staging"),)),))
    write(store, RELEASES, other)

    assert edges(store, E.DEPLOYED_AS) == []
    assert len(edges(store, E.HAS)) == 1, "it stood there all the same"


def test_a_version_that_waits_is_told(store: GraphStore) -> None:
    waiting = [f"{version(1, None)} DEPLOYED_AS {deployment(1)}"]
    tell(store, [open_release(1, 10)])
    assert store.open_references() == waiting, "unknown"

    write(store, RELEASES, Record("one", "event", 1, (Names(K.MODEL_VERSION, (version(1),)),)))
    assert store.open_references() == []

    write(store, RELEASES, Record("two", "event", 1, (Names(K.MODEL_VERSION, (version(1, "b"),)),)))
    assert store.open_references() == waiting, "ambiguous"


# time --------------------------------------------------------------------------------------------------


def test_the_incident_keeps_its_cause_and_the_windows_filter(store: GraphStore) -> None:
    tell(store, [up(1, 10), up(2, 20), alert(25), up(3, 30, of=1)])

    assert blames(store) == {"2": 1.0}
    then = {e.dst.rpartition("@")[2] for e in edges(store, E.DEPLOYED_AS, moment=Moment(as_of=25))}
    later = {e.dst.rpartition("@")[2] for e in edges(store, E.DEPLOYED_AS, moment=Moment(as_of=35))}
    assert (then, later) == ({"2"}, {"3"})
    assert [e.src for e in edges(store, E.IMPLICATED_IN, moment=Moment(as_of=35))] == [deployment(2)]
    assert edges(store, E.IMPLICATED_IN, moment=Moment(as_of=24)) == []


def test_an_environment_has_what_stood_in_it_while_it_did(store: GraphStore) -> None:
    tell(store, [up(1, 10), up(2, 20, 0.1, "canary"), shift(2, 30, 0.5, "canary"), down(2, 40), down(1, 50)])

    windows = {(e.src, e.dst.rpartition("@")[2], e.valid_from, e.valid_to) for e in edges(store, E.HAS)}

    assert windows == {("environment@cd=prod", "1", 10, 50), ("environment@cd=prod", "2", 20, 40)}


def test_the_words_of_the_evidence(store: GraphStore) -> None:
    tell(store, [up(1, 0), up(2, 60_000_000, 0.1, "canary"), alert(120_000_000)])

    said = {e.src.rpartition("@")[2]: e.evidence for e in edges(store, E.IMPLICATED_IN)}

    assert said["2"] == (
        "stood in prod/churn since 1970-01-01T00:01:00Z with 10 % of the traffic (canary); "
        "the incident began at 1970-01-01T00:02:00Z"
    )
    assert said["1"] is not None
    assert "with 90 % of the traffic; " in said["1"]


def test_the_node_says_what_it_is(store: GraphStore) -> None:
    tell(store, [up(7, 60_000_000, 0.1, "canary"), shift(7, 90_000_000, 0.5), down(7, 120_000_000)])

    found = node(store, deployment(7))

    assert (found.name, found.created_at, found.stub) == ("prod/churn@7", 60_000_000, False)
    assert found.properties | {"environment": "prod", "service": "churn", "revision": "7"} == found.properties
    assert found.properties["status"] == "ENDED"
    assert found.properties["startedAt"] == "1970-01-01T00:01:00Z"
    assert found.properties["endedAt"] == "1970-01-01T00:02:00Z"


# what is refused, and what it costs --------------------------------------------------------------------


def test_places_are_told_apart_whatever_they_are_called() -> None:
    assert place("prod/eu", "churn") != place("prod", "eu/churn")
    assert place("*", "churn") != "*/churn"
    assert place(" prod ", "churn") == place("prod", "churn")


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), float("inf")])
def test_a_share_that_there_is_not_is_refused(share: float) -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        up(1, 10, share, "shadow")


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(BadInput, match="canary, shadow, blue-green, a/b"):
        up(1, 10, 0.5, "rolling")
    with pytest.raises(BadInput, match="Artifact, ModelVersion, not Commit"):
        deployed(
            deployment(1),
            environment="prod",
            name="churn",
            scope="cd",
            at=1,
            of=[(K.COMMIT, f"git.sha={'a' * 40}")],
        )
    with pytest.raises(BadIdentifier):
        place("", "churn")


def test_a_place_with_a_long_history_costs_no_more_than_its_last_reigns(store: GraphStore) -> None:
    many = 200
    history = [
        Record(f"event {n}", "event", 1, tuple(up(n % 7 + 1, 10 * n) + alert(10 * n + 5, None)))
        for n in range(many)
    ]
    write(store, RELEASES, *history)
    read = []

    def late(tx: Any) -> None:
        asked = tx.keyed

        def counted(*args: Any, **kwargs: Any) -> Any:
            found = asked(*args, **kwargs)
            read.append(len(found))
            return found

        tx.keyed = counted
        record = Record("late", "event", 1, tuple(up("late", 10 * (many // 2) + 3, of=9)))
        joins.apply(tx, RELEASES, [record])

    store.transact(late)

    listed = store.transact(lambda tx: tx.keyed("stands", anywhere("churn")))
    assert len({claim.at for claim in listed}) == len(listed), "equal times would have to be sorted each time"
    assert 0 < sum(read) < many, f"{sum(read)} claims read of {3 * many}"
