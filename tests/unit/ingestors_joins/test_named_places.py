"""Incidents that name one revision of several in a place, and those of which only a service is known."""

from __future__ import annotations

import random

import pytest

from graph_schema.claims import Claim, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW
from ingestors import alerts
from ingestors.deployments import blamed, deployed
from tests.contract.conftest import Fresh
from tests.contract.harness import TRACKING, edges_from, record, write

K, E = NodeKind, EdgeKind
MINUTE = 60_000_000
INCIDENT = "pagerduty.incident=Q1"


def released(
    revision: str,
    at: int,
    share: float | None = None,
    environment: str = "prod",
    pods: str | None = None,
) -> Record:
    """A deployment of churn from then on, in minutes."""
    me = identifier("deployment", f"{environment}/churn@{revision}", "cluster")
    place = {"environment": environment, "name": "churn", "scope": "cluster"}
    return record(me, *deployed(me, **place, at=at * MINUTE, share=share, pods=pods))


def opened(*claims: Claim, part: str = "incident") -> Record:
    return record(part, Names(K.INCIDENT, (INCIDENT,)), *claims)


def labelled(at: int = 30, **labels: str) -> list[Claim]:
    return list(alerts.implicated(INCIDENT, labels, alerts.LABELS, at * MINUTE))


def implicated(store: GraphStore) -> dict[str, float]:
    """Share of the traffic by deployment."""
    handles = [each.handle for each in store.find(K.DEPLOYMENT, first=50).items]
    edges = edges_from(store, handles, NOW, (E.IMPLICATED_IN,))
    return {e.src.partition("=")[2]: e.properties["share"] for e in edges if e.kind is E.IMPLICATED_IN}


def in_each_order(fresh: Fresh, wanted: dict[str, float], *records: Record) -> None:
    for seed in range(4):
        order = random.Random(seed).sample(records, len(records))
        store = fresh()
        for each in order:
            write(store, TRACKING, each)
        assert implicated(store) == wanted, [each.key for each in order]


# --- revisions -------------------------------------------------------------------------------------------

CANARY = (released("1", 10), released("2", 20, 0.1))
BOTH = {"prod/churn@1": 0.9, "prod/churn@2": 0.1}


def test_the_revision_that_an_alert_names_is_implicated_alone(fresh: Fresh) -> None:
    alert = opened(*labelled(service="churn", env="prod", revision_name="2"))

    in_each_order(fresh, {"prod/churn@2": 0.1}, *CANARY, alert)


def test_a_version_without_a_model_is_a_revision(fresh: Fresh) -> None:
    in_each_order(fresh, {"prod/churn@1": 0.9}, *CANARY, opened(*labelled(service="churn", version="1")))


def test_a_version_that_is_no_revision_does_not_hide_one(fresh: Fresh) -> None:
    alert = opened(*labelled(service="churn", version="2.3.1", revision="2"))

    in_each_order(fresh, {"prod/churn@2": 0.1}, *CANARY, alert)


def test_a_revision_that_did_not_stand_there_says_nothing(fresh: Fresh) -> None:
    alert = opened(*labelled(service="churn", env="prod", revision="7f5d8c"))
    early = opened(*labelled(15, service="churn", env="prod", revision="2"))

    in_each_order(fresh, BOTH, *CANARY, alert)
    in_each_order(fresh, {"prod/churn@1": 1.0}, *CANARY, early)


def test_a_revision_tells_which_environment_is_meant(fresh: Fresh) -> None:
    staging = released("3", 5, environment="staging")

    in_each_order(
        fresh, {"staging/churn@3": 1.0}, *CANARY, staging, opened(*labelled(service="churn", revision="3"))
    )
    in_each_order(fresh, {}, *CANARY, staging, opened(*labelled(service="churn", revision="9")))


def test_the_edge_says_that_the_revision_was_named(store: GraphStore) -> None:
    write(store, TRACKING, *CANARY, opened(*labelled(service="churn", revision="2")))

    (canary,) = store.resolve("deployment=prod/churn@2")
    (edge,) = edges_from(store, [canary], NOW, (E.IMPLICATED_IN,))
    assert edge.evidence == (
        "stood in prod/churn since 1970-01-01T00:20:00Z with 10 % of the traffic; "
        "the incident began at 1970-01-01T00:30:00Z, and names this revision"
    )


ROLLOUT = (released("7", 10, pods="6bb5cd7f9"), released("8", 20, 0.1, pods="7f5d8c9b4"))
NEW, OLD = {"prod/churn@8": 0.1}, {"prod/churn@7": 0.9}


@pytest.mark.parametrize(
    ("pod", "service", "wanted"),
    [
        ("churn-7f5d8c9b4-x2x9z", None, NEW),
        ("churn-6bb5cd7f9-kd8hq", None, OLD),
        ("churn-canary-7f5d8c9b4-x2x9z", "churn", NEW),
        ("churn-predictor-7f5d8c9b4-x2x9z", None, NEW),
        ("churn-predictor-00008-deployment-7f5d8c9b4-x2x9z", None, NEW | OLD),
        ("churn-5d4b9c6f8-x2x9z", None, NEW | OLD),
        ("churn-7f5d8c9b4-x2x9z", "gateway", NEW),
        ("kube-state-metrics-7f5d8c9b4-x2x9z", None, {}),
        ("churn-0", None, {}),
    ],
)
def test_the_name_of_a_pod_says_what_it_is_of(
    store: GraphStore, pod: str, service: str | None, wanted: dict[str, float]
) -> None:
    labels = {"namespace": "prod", "pod": pod} | ({"service": service} if service else {})
    write(store, TRACKING, *ROLLOUT, opened(*labelled(**labels)))

    assert implicated(store) == wanted


def test_a_revision_of_knative_is_named_by_its_pods(store: GraphStore) -> None:
    pod = "churn-predictor-00008-deployment-7f5d8c9b4-x2x9z"
    rollout = (released("churn-predictor-00007", 10), released("churn-predictor-00008", 20, 0.1))
    write(store, TRACKING, *rollout, opened(*labelled(namespace="prod", pod=pod)))

    assert implicated(store) == {"prod/churn@churn-predictor-00008": 0.1}


def test_an_environment_may_be_called_otherwise_by_labels(store: GraphStore) -> None:
    labels, names = {"namespace": "serving", "service": "churn"}, {"serving": "prod"}
    alert = alerts.implicated(INCIDENT, labels, alerts.LABELS, 30 * MINUTE, names)
    write(store, TRACKING, *CANARY, opened(*alert))

    assert implicated(store) == BOTH


# --- what a service stands for -----------------------------------------------------------------------------


def served() -> Record:
    """The incident was opened for a service that stands for churn in prod."""
    place = blamed(INCIDENT, name="churn", environment="prod", at=30 * MINUTE)
    return opened(*alerts.incident_serves(INCIDENT, 30 * MINUTE, place))


def under(key: str) -> Record:
    """The incident can be met under the key of a group."""
    return opened(*alerts.incident_under(alerts.by_group(key), INCIDENT, 30 * MINUTE, None), part="status")


def firing(number: int, key: str, **labels: str) -> Record:
    """An alert of a group, implicated with what its labels name."""
    me, at = f"alertmanager.alert=9c{number}@1970-01-01T00:30:00Z", 30 * MINUTE
    implies = alerts.implicated(me, labels, alerts.LABELS, at)
    mark = alerts.alert_under(alerts.by_fingerprint(f"9c{number}"), me, at, None, implies)
    group = alerts.alert_under(alerts.by_group(key), me, at, None)
    return record(me, Names(K.INCIDENT, (me,)), *implies, *mark, *group)


def test_what_a_service_stands_for_counts_where_no_alert_says_more(fresh: Fresh) -> None:
    in_each_order(fresh, BOTH, *CANARY, served())


def test_what_an_alert_of_the_incident_names_goes_before_its_service(fresh: Fresh) -> None:
    detail = labelled(service="churn", revision="2")
    alert = opened(*detail, alerts.incident_names(INCIDENT, 30 * MINUTE), part="alert")

    in_each_order(fresh, {"prod/churn@2": 0.1}, *CANARY, served(), alert)


def test_what_it_lists_goes_before_its_service(fresh: Fresh) -> None:
    detail = labelled(service="churn", revision="2")
    listing = opened(*alerts.incident_lists(INCIDENT, 30 * MINUTE, detail), part="alert")

    in_each_order(fresh, {"prod/churn@2": 0.1}, *CANARY, served(), listing)


def test_alerts_that_name_nothing_leave_the_service(fresh: Fresh) -> None:
    one = (under("k"), firing(1, "k", severity="page"))

    in_each_order(fresh, BOTH, *CANARY, served(), *one)
    in_each_order(fresh, BOTH, *CANARY, served(), *one, firing(2, "k", severity="page"))


def test_alerts_that_name_something_go_before_the_service(fresh: Fresh) -> None:
    one = (under("k"), firing(1, "k", service="churn", revision="2"))

    in_each_order(fresh, {"prod/churn@2": 0.1}, *CANARY, served(), *one)
    in_each_order(fresh, {"prod/churn@2": 0.1}, *CANARY, served(), *one, firing(2, "k", severity="page"))
