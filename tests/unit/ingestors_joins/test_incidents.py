"""An incident and the alerts that it was made of: one thing, or a whole and its parts; told in any order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

import pytest

from graph_schema.claims import Claim, Links, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, KeyedClaim, Source, Touch
from graph_schema.values import NOW, Edge
from ingestors.alerts import REACH, alert_under, by_fingerprint, by_group, incident_lists, incident_under
from ingestors.deployments import blamed, deployed
from ingestors.joins.incidents import alert_changed, incident_changed, rule
from tests.contract.conftest import Fresh
from tests.contract.harness import edges_from, ids_of, write
from tests.unit.ingestors_joins.claims_at_hand import ClaimsAtHand, claim

K, E = NodeKind, EdgeKind
ALERTS = Source("alerts", "alertmanager")
DUTY = Source("duty", "pagerduty")
RELEASES = Source("releases", "events")

BENTO = "bentoml.bento@serving=churn:7"


class Alert(NamedTuple):
    """A firing of an alert, under the groups that it was told in."""

    mark: str
    since: int
    until: int | None = None
    groups: tuple[str, ...] = ("k",)

    @property
    def id(self) -> str:
        return identifier("alertmanager.alert", f"{self.mark}@{self.since}")


class Incident(NamedTuple):
    """An incident, under groups and the marks of the alerts that it lists."""

    name: str
    opened: int
    until: int | None = None
    groups: tuple[str, ...] = ("k",)
    lists: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return identifier("pagerduty.incident", self.name)

    @property
    def keys(self) -> list[str]:
        return [*map(by_group, self.groups), *map(by_fingerprint, self.lists)]


Thing = Alert | Incident


def implied(alert: Alert) -> list[Claim]:
    """What an alert says it comes from: a bento that it names, and what stood in a place."""
    return [
        Links(E.IMPLICATED_IN, "bentoml.bento=churn:7", alert.id, alert.since),
        *blamed(alert.id, name="churn", environment="prod", at=alert.since),
    ]


def records(thing: Thing) -> list[tuple[Source, Record]]:
    """Records as the sources make them: while it is open and, where it ends, once more."""
    found: list[tuple[Source, Record]] = []
    for version, until in enumerate([None] if thing.until is None else [None, thing.until]):
        if isinstance(thing, Alert):
            implies = implied(thing)
            claims = [
                Names(K.INCIDENT, (thing.id,)),
                *implies,
                *alert_under(by_fingerprint(thing.mark), thing.id, thing.since, until, implies),
            ]
            found.append((ALERTS, Record(thing.id, "alert", version, tuple(claims))))
            for group in thing.groups:
                claims = alert_under(by_group(group), thing.id, thing.since, until)
                found.append((ALERTS, Record(f"{thing.id} in {group}", "group", version, tuple(claims))))
        else:
            for key in thing.keys:
                claims = incident_under(key, thing.id, thing.opened, until)
                found.append((DUTY, Record(f"{thing.id} under {key}", "alert", version, tuple(claims))))
    return found


def tell(store: GraphStore, told: Sequence[tuple[Source, Record]]) -> GraphStore:
    for source, record in told:
        write(store, source, record)
    return store


def told_of(things: Sequence[Thing]) -> list[tuple[Source, Record]]:
    return [each for thing in things for each in records(thing)]


def edges(store: GraphStore, *kinds: EdgeKind) -> list[Edge]:
    handles = [n.handle for kind in NodeKind for n in store.find(kind, first=500).items]
    return [e for e in edges_from(store, handles, NOW) if e.kind in kinds]


def pairs(store: GraphStore, kind: EdgeKind) -> set[tuple[str, str]]:
    return {(e.src, e.dst) for e in edges(store, kind)}


def expected(things: Sequence[Thing]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(one and the same, whole and part) by the words of the documentation."""
    alerts = [t for t in things if isinstance(t, Alert)]
    incidents = [t for t in things if isinstance(t, Incident)]

    def end(alert: Alert, until: int) -> float:
        """When it ended at the latest, as far as is known at a time: when the same labels fired anew."""
        anew = [a.since for a in alerts if a.mark == alert.mark and alert.since < a.since <= until]
        return min([float("inf") if alert.until is None else alert.until, *anew])

    met = set()
    for alert in alerts:
        for incident in incidents:
            for key in incident.keys:
                if key not in (*map(by_group, alert.groups), by_fingerprint(alert.mark)):
                    continue
                closed = float("inf") if incident.until is None else incident.until
                near = abs(alert.since - incident.opened) <= REACH
                if near and alert.since < closed and incident.opened < end(alert, incident.opened):
                    met.add((incident.id, alert.id))
    same = {(i, a) for i, a in met if sum(x == i for x, _ in met) == 1 and sum(y == a for _, y in met) == 1}
    return same, met - same


CASES: list[tuple[str, Sequence[Thing]]] = [
    ("one to one", [Alert("a", 10, 50), Incident("Q1", 12, 55)]),
    ("two alerts", [Alert("a", 10, 50), Alert("b", 20), Incident("Q1", 12)]),
    ("listed, in another group", [Alert("a", 10, 50, ()), Incident("Q1", 12, 55, (), ("a",))]),
    ("resolved by hand and opened again", [Alert("a", 10, 50), Incident("Q1", 12, 20), Incident("Q2", 30)]),
    ("one after the other", [Alert("a", 10, 20), Incident("Q1", 12, 25), Alert("a", 30), Incident("Q2", 31)]),
    ("nobody said that it was resolved", [Alert("a", 10), Incident("Q1", 12, 25), Alert("a", 30)]),
    ("opened before it fired, by other clocks", [Alert("a", 10, 40), Incident("Q1", 9, 45)]),
    ("too late", [Alert("a", 10, 20), Incident("Q1", 20, 30)]),
    ("too early", [Alert("a", 30), Incident("Q1", 20, 30)]),
    ("a week away", [Alert("a", 10), Incident("Q1", 11 + REACH)]),
    ("shared with another incident", [
        Alert("a", 10, None, ("k", "l")), Alert("b", 11, None, ("l",)),
        Incident("Q1", 12, None, ("k",)), Incident("Q2", 13, None, ("l",)),
    ]),
]  # fmt: skip


@pytest.mark.parametrize("things", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_what_is_one_and_what_is_a_part_in_every_order(
    fresh: Fresh, engine: str, things: Sequence[Thing]
) -> None:
    told = told_of(things)
    chance = random.Random(3)
    orders = (
        list(permutations(told)) if len(told) <= 5 else [chance.sample(told, len(told)) for _ in range(40)]
    )
    if engine == "neo4j":
        orders = orders[:: max(1, len(orders) // 2)]
    digests = set()
    for order in orders:
        store = tell(fresh(), order)
        digests.add(store.digest())
        same, has = expected(things)
        assert pairs(store, E.SAME_AS) == same
        assert pairs(store, E.HAS) == has

    assert len(digests) == 1


def test_any_story_is_what_it_is_however_it_is_told(fresh: Fresh, engine: str) -> None:
    chance = random.Random(19)
    for _ in range(2 if engine == "neo4j" else 50):
        things = _story(chance)
        told = told_of(things)
        digests = set()
        for _ in range(2):
            shuffled = [*told, *chance.sample(told, len(told) // 3)]
            chance.shuffle(shuffled)
            store = tell(fresh(), shuffled)
            digests.add(store.digest())
            assert (pairs(store, E.SAME_AS), pairs(store, E.HAS)) == expected(things), things

        assert len(digests) == 1, things


def _story(chance: random.Random) -> list[Thing]:
    def span() -> tuple[int, int | None]:
        since = chance.randrange(0, 40)
        return since, chance.choice([None, since + chance.randrange(1, 20)])

    things: dict[str, Thing] = {}
    for _ in range(chance.randrange(1, 5)):
        since, until = span()
        groups = tuple(sorted(chance.sample("kl", chance.randrange(0, 3))))
        alert = Alert(chance.choice("ab"), since, until, groups)
        things[alert.id] = alert
    for number in range(chance.randrange(1, 4)):
        since, until = span()
        groups = tuple(sorted(chance.sample("kl", chance.randrange(0, 2))))
        lists = tuple(sorted(chance.sample("ab", chance.randrange(0, 2))))
        incident = Incident(f"Q{number}", since, until, groups, lists)
        things[incident.id] = incident
    return list(things.values())


def test_a_whole_inherits_what_its_parts_come_from(fresh: Fresh, engine: str) -> None:
    deployment = identifier("deployment", "prod/churn@1", "cd")
    things: list[Thing] = [Alert("a", 10), Alert("b", 20), Incident("Q1", 12)]
    released = deployed(deployment, environment="prod", name="churn", scope="cd", at=5)
    told = [
        *told_of(things),
        (RELEASES, Record("release", "event", 1, tuple(released))),
        (RELEASES, Record("bento", "bento", 1, (Names(K.ARTIFACT, (BENTO,)),))),
    ]
    chance = random.Random(5)
    digests = set()
    for _ in range(3 if engine == "neo4j" else 30):
        store = tell(fresh(), chance.sample(told, len(told)))
        digests.add(store.digest())

        causes = {e.src for e in edges(store, E.IMPLICATED_IN) if e.dst == "pagerduty.incident=Q1"}

        assert causes == {deployment, BENTO}
    assert len(digests) == 1


def test_what_it_lists_counts_until_the_alert_itself_is_known(fresh: Fresh) -> None:
    old, new = (identifier("deployment", f"prod/churn@{n}", "cd") for n in (1, 2))
    place = {"environment": "prod", "name": "churn", "scope": "cd"}
    releases = [*deployed(old, at=5, **place), *deployed(new, at=15, **place)]  # type: ignore[arg-type]
    incident, alert = Incident("Q1", 20, None, (), ("a",)), Alert("a", 10, None, ())
    lists = incident_lists(incident.id, 20, blamed(incident.id, name="churn", environment="prod", at=20))
    world = [
        (RELEASES, Record("releases", "event", 1, tuple(releases))),
        (DUTY, Record("listed", "alert", 1, tuple(lists))),
        *records(incident),
    ]
    store = tell(fresh(), world)
    assert pairs(store, E.IMPLICATED_IN) == {(new, incident.id)}

    tell(store, records(alert))

    assert pairs(store, E.IMPLICATED_IN) == {(old, alert.id)}
    assert pairs(store, E.SAME_AS) == {(incident.id, alert.id)}
    digest = store.digest()
    assert tell(fresh(), [*records(alert), *reversed(world)]).digest() == digest


def test_what_is_one_inherits_nothing_twice(store: GraphStore) -> None:
    tell(store, told_of([Alert("a", 10, 50), Incident("Q1", 12, 55)]))
    write(store, RELEASES, Record("bento", "bento", 1, (Names(K.ARTIFACT, (BENTO,)),)))

    assert pairs(store, E.IMPLICATED_IN) == {(BENTO, Alert("a", 10).id)}
    (edge,) = edges(store, E.SAME_AS)
    assert edge.evidence is not None
    assert "it was made of this alert's group (k): opened at" in edge.evidence


def test_a_second_alert_makes_parts_of_what_was_one(store: GraphStore) -> None:
    tell(store, told_of([Alert("a", 10), Incident("Q1", 12)]))
    assert len(edges(store, E.SAME_AS)) == 1

    tell(store, told_of([Alert("b", 20)]))

    assert edges(store, E.SAME_AS) == []
    assert pairs(store, E.HAS) == {
        ("pagerduty.incident=Q1", a) for a in (Alert("a", 10).id, Alert("b", 20).id)
    }


def test_an_incident_that_moves_away_leaves_nothing(store: GraphStore) -> None:
    tell(store, told_of([Alert("a", 10), Alert("b", 11), Incident("Q1", 12)]))
    key = by_group("k")
    assert len(pairs(store, E.HAS)) == 2

    moved = incident_under(key, "pagerduty.incident=Q2", 12, None)
    write(store, DUTY, Record(f"pagerduty.incident=Q1 under {key}", "alert", 9, tuple(moved)))

    assert {src for src, _ in pairs(store, E.HAS)} == {"pagerduty.incident=Q2"}
    assert {dst for _, dst in pairs(store, E.IMPLICATED_IN)}.isdisjoint({"pagerduty.incident=Q1"})


def test_both_ids_lead_to_one_story(store: GraphStore) -> None:
    alert, incident = Alert("a", 10, 50), Incident("Q1", 12, 55)
    tell(store, told_of([alert, incident]))

    assert ids_of(store, alert.id) == [alert.id]
    assert ids_of(store, incident.id) == [incident.id]
    assert pairs(store, E.SAME_AS) == {(incident.id, alert.id)}


def test_a_group_with_a_long_past_is_not_read_as_a_whole() -> None:
    """An alert that fires every hour of a year, and an incident each time: a week of it is looked at."""
    hour, held = 3_600_000_000, ClaimsAtHand()
    mark, group = by_fingerprint("a"), by_group("k")
    for number in range(24 * 365):
        alert, name = Alert("a", number * hour).id, Incident(f"Q{number}", 0).id
        since, until = number * hour, number * hour + hour // 2
        held.put("alert_in", group, claim(f"a{number}", "alert", alert, since, until=until))
        held.put("incident_in", group, claim(f"i{number}", "incident", name, since + 1, until=until + 1))
        held.put("alert_in", mark, claim(f"m{number}", "alert", alert, since, until=until))
        held.put("alert_keys", alert, claim("x", "under", alert, data={"key": mark}))
        held.put("alert_keys", alert, claim("y", "under", alert, data={"key": group}))
        held.put("incident", name, claim("z", "under", name, since + 1, until=until + 1, data={"key": group}))
    last = (24 * 365 - 1) * hour
    read = 0
    plain = held.keyed

    def counted(*words: Any, **options: Any) -> list[KeyedClaim]:
        nonlocal read
        found = plain(*words, **options)
        read += len(found)
        return found

    held.keyed = counted  # type: ignore[method-assign]
    tx: Any = held

    outcome = alert_changed(tx, group, [Touch("alert_in", group, last, "a")])
    ended = incident_changed(tx, group, [Touch("incident_in", group, last + 1, "i")])
    found = [rule(tx, touch.key, [touch]).found[""] for touch in outcome.also]

    assert outcome.also == ended.also
    assert [touch.key for touch in outcome.also] == [Incident(f"Q{24 * 365 - 1}", 0).id]
    assert [edge.edge.kind for edge in found[0]] == [E.SAME_AS]
    assert read < 8 * 2 * 24 * 7
