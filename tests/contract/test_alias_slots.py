"""Aliases of registered models as slots, on both engines: which version had one when something named it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from graph_schema.claims import Names, Record, occupies, uses
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW
from ingestors.deployments import deployed
from ingestors.released import alias_slot, contents, image_slot
from tests.contract.conftest import Fresh
from tests.contract.harness import TRACKING, edges_from, node, record, write

K, E = NodeKind, EdgeKind
CHAMPION = alias_slot("churn", "champion")
MINUTE = 60_000_000


def version(number: int, server: str = "tracking") -> str:
    return identifier("mlflow.model_version", f"churn/{number}", server)


def stay(number: int, since: int, until: int | None = None, server: str = "tracking") -> Record:
    """The alias stood at a version of the model on a server, in minutes."""
    me, ended = version(number, server), None if until is None else until * MINUTE
    held = occupies(CHAMPION, me, since * MINUTE, ended)
    return record(f"alias/{server}/{number}/{since}", Names(K.MODEL_VERSION, (me,)), held)


def taken_away(at: int) -> Record:
    model = identifier("mlflow.model", "churn", "tracking")
    return record(f"away/{at}", Names(K.MODEL, (model,)), occupies(CHAMPION, model, at * MINUTE))


def incident(at: int) -> str:
    return f"alertmanager.alert=9c1a5b2f@{at}"


def alert(at: int) -> Record:
    """An incident that names the alias began then."""
    me = incident(at)
    return record(me, Names(K.INCIDENT, (me,)), uses(CHAMPION, me, at * MINUTE, E.IMPLICATED_IN))


def served(at: int, share: float | None = None, **what: Sequence[str]) -> Record:
    """A deployment that loads the model by its alias, or consists of ``what``, was released then."""
    me = identifier("deployment", f"prod/churn@{at}", "cluster")
    _, claims = contents(me, at * MINUTE, **(what or {"models": ["models:/churn@champion"]}))
    place: dict[str, Any] = {"environment": "prod", "name": "churn", "scope": "cluster"}
    return record(me, *deployed(me, **place, at=at * MINUTE, share=share), *claims)


def blamed(store: GraphStore) -> dict[str, set[str]]:
    """Versions, by the incident that each is implicated in or the deployment that it was released as."""
    found: dict[str, set[str]] = {}
    for each in store.find(K.MODEL_VERSION, first=50).items:
        for edge in edges_from(store, [each.handle], NOW, (E.IMPLICATED_IN, E.DEPLOYED_AS)):
            if edge.src in each.identifiers:
                found.setdefault(edge.dst, set()).add(edge.src)
    return found


def test_what_names_an_alias_gets_the_version_that_had_it_then(store: GraphStore) -> None:
    write(store, TRACKING, stay(1, 10, 19), stay(2, 25), alert(5), alert(15), alert(22), alert(30))
    write(store, TRACKING, served(12), served(26))

    assert blamed(store) == {
        incident(15): {version(1)},
        incident(30): {version(2)},
        "deployment@cluster=prod/churn@12": {version(1)},
        "deployment@cluster=prod/churn@26": {version(2)},
    }, "before it was seen, and between two sightings, nobody knows"


def test_what_a_tag_stood_for_was_deployed_as_long_as_the_deployment_stood(store: GraphStore) -> None:
    old, new = (identifier("oci.digest", f"sha256:{number:064x}") for number in (1, 2))
    slot = image_slot("docker.io/acme/churn", "latest")
    tags = [
        record(each, Names(K.ARTIFACT, (each,)), occupies(slot, each, since * MINUTE))
        for each, since in ((old, 5), (new, 15))
    ]
    write(store, TRACKING, *(served(at, images=["acme/churn"]) for at in (10, 30)))
    write(store, TRACKING, served(20, 0.1, images=["acme/churn"]), *tags)

    found = {
        (edge.dst.rpartition("@")[2], edge.src, edge.valid_from, edge.valid_to, edge.properties["share"])
        for each in (old, new)
        for edge in edges_from(store, [node(store, each).handle], NOW, (E.DEPLOYED_AS,))
        if edge.kind is E.DEPLOYED_AS
    }
    assert found == {
        ("10", old, 10 * MINUTE, 20 * MINUTE, 1.0),
        ("10", old, 20 * MINUTE, 30 * MINUTE, 0.9),
        ("20", new, 20 * MINUTE, 30 * MINUTE, 0.1),
        ("30", new, 30 * MINUTE, None, 1.0),
    }


def test_where_two_servers_have_the_alias_nothing_is_joined(store: GraphStore) -> None:
    write(store, TRACKING, stay(1, 10), alert(15), alert(30), alert(50))
    assert set(blamed(store)) == {incident(15), incident(30), incident(50)}

    write(store, TRACKING, stay(7, 20, 40, server="staging"))

    assert blamed(store) == {incident(15): {version(1)}, incident(50): {version(1)}}


def test_an_alias_that_was_taken_away_stands_for_nothing(store: GraphStore) -> None:
    write(store, TRACKING, stay(1, 10), taken_away(20), alert(15), alert(25))

    assert blamed(store) == {incident(15): {version(1)}}
    assert node(store, incident(25)).kind is K.INCIDENT


def test_in_any_order_the_same_comes_of_it(fresh: Fresh) -> None:
    told: list[Record] = [
        stay(1, 10, 19), stay(2, 25), stay(3, 28, 33, server="staging"), taken_away(40), stay(2, 45),
        *(served(at) for at in (12, 27, 46)), *(alert(at) for at in (5, 15, 22, 26, 30, 35, 42, 50)),
    ]  # fmt: skip
    digests, found = set(), []
    for seed in range(12):
        random.Random(seed).shuffle(told)
        store = fresh()
        for each in told:
            write(store, TRACKING, each)
        digests.add(store.digest())
        found.append(blamed(store))

    assert len(digests) == 1
    assert found[0] == {
        incident(15): {version(1)},
        incident(26): {version(2)},
        incident(35): {version(2)},
        incident(50): {version(2)},
        "deployment@cluster=prod/churn@12": {version(1)},
        "deployment@cluster=prod/churn@27": {version(2)},
        "deployment@cluster=prod/churn@46": {version(2)},
    }
