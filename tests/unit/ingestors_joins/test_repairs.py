"""A merged change that says it fixes an incident is an attempt, in whatever order the two are told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from graph_schema.claims import Claim, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import Direction, Node
from ingestors import joins
from ingestors.repairs import incident_known, repairs
from tests.contract.conftest import Fresh

FORGE, ALERTS = Source("forge", "github"), Source("alerts", "alertmanager")
INCIDENT, PULL = "github.issue=acme/churn#9", "github.pull_request=acme/churn#12"
HOUR = 3_600_000_000

Told = tuple[Source, str, list[Claim]]


def change(number: int = 12, merged: int | None = 5 * HOUR) -> Told:
    pull = f"github.pull_request=acme/churn#{number}"
    claims: list[Claim] = [
        Names(NodeKind.PULL_REQUEST, (pull,)),
        *repairs([INCIDENT], pull, merged, title="Scale the input", by="ada"),
    ]
    return FORGE, f"pull/{number}", claims


def incident(ended: int | None = 5 * HOUR, source: Source = FORGE) -> Told:
    claims: list[Claim] = [
        Names(NodeKind.INCIDENT, (INCIDENT,)),
        States(NodeKind.INCIDENT, INCIDENT, {"name": "Scores are off"}),
        incident_known(INCIDENT, HOUR, ended),
    ]
    return source, "issue/9", claims


def tell(store: GraphStore, told: Sequence[Told], version: int = 1) -> None:
    for source, key, claims in told:
        record = Record(key, key.partition("/")[0], version, tuple(claims))
        store.transact(lambda tx, s=source, r=record: joins.apply(tx, s, [r]))


def attempts(store: GraphStore) -> list[Node]:
    found = store.find(NodeKind.ATTEMPT).items
    return sorted(found, key=lambda node: node.id)


def test_every_order_gives_the_same(fresh: Fresh, engine: str) -> None:
    told = [change(), incident(source=ALERTS), change(13)]
    orders = list(permutations(told)) if engine == "sqlite" else [told, told[::-1]]
    digests = set()

    for order in orders:
        store = fresh()
        tell(store, order)
        digests.add(store.digest())

    assert len(digests) == 1
    one, other = attempts(store)
    assert one.properties["outcome"] == other.properties["outcome"] == "worked"
    assert one.properties["closedBy"] == "github" and "verifiedBy" not in one.properties
    (handle,) = store.resolve(INCIDENT)
    steps = store.expand([handle], Direction.DOWNSTREAM, [EdgeKind.TRIED]).steps
    assert {step.dst for step in steps} == {one.handle, other.handle}
    assert {label.name for label in store.labels([one.handle])} == {"Scale the input"}


def test_what_is_open_still_has_an_unknown_outcome(store: GraphStore) -> None:
    tell(store, [change(), incident(ended=None)])

    (attempt,) = attempts(store)
    assert attempt.properties["outcome"] == "unknown"
    assert "closedBy" not in attempt.properties

    tell(store, [incident(ended=6 * HOUR)], version=2)

    (attempt,) = attempts(store)
    assert attempt.properties["outcome"] == "worked"


def test_neither_an_issue_that_is_no_incident_nor_an_open_change_is_an_attempt(store: GraphStore) -> None:
    tell(store, [change(merged=None), incident()])
    assert attempts(store) == []

    tell(store, [change(), (FORGE, "issue/9", [])], version=2)

    assert attempts(store) == []
    assert store.resolve(INCIDENT) == []


def test_an_incident_that_ended_before_the_change_says_nothing_of_it(store: GraphStore) -> None:
    tell(store, [change(), incident(ended=2 * HOUR)])

    (attempt,) = attempts(store)
    assert attempt.properties["outcome"] == "unknown"
