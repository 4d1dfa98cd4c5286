"""Bounds on metrics: checks of every member of a series, and incidents of failures in a row."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest

from graph_schema.claims import Claim, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, KeyedClaim, Transaction
from graph_schema.values import NOW, Filter, Node
from ingestors import joins, series
from ingestors.bounds import Bound
from ingestors.settling import settle
from ingestors.subjects import checked_by
from tests.contract.conftest import Fresh
from tests.contract.harness import TRACKING, edges_from, node, record, write

DAY = 86_400_000_000
START = 1_767_225_600_000_000  # 2026-01-01
MODEL = "mlflow.model@tracking=churn"
AUC = Bound(name="churn auc", of="model", which="churn*", metric="auc", least=0.7, incident=True)
LAST = Bound(name="no worse", of="model", which="churn", metric="auc", tolerance=0.02)


def version(number: int) -> str:
    return f"mlflow.model_version@tracking=churn/{number}"


def run(number: int) -> str:
    return f"mlflow.run_id=run{number}"


def model() -> Record:
    return record("model", Names(NodeKind.MODEL, (MODEL,)), *series.called(MODEL, series.MODEL, "churn"))


def trained(number: int, auc: float, metric: str = "auc") -> list[Record]:
    """A run that measured, and the version made of it a day times its number after the start."""
    at = START + number * DAY
    return [
        record(f"run{number}", Names(NodeKind.RUN, (run(number),)),
               *series.measured(run(number), at - 1, {"loss": 1.0, metric: auc})),
        record(f"v{number}", Names(NodeKind.MODEL_VERSION, (version(number),)),
               *series.member(MODEL, version(number), at, of=[run(number)], data={"name": f"v{number}"})),
    ]  # fmt: skip


def checks(store: GraphStore, name: str = "churn auc") -> dict[str, Node]:
    """The checks of a bound, by what they are about."""
    found = store.find(NodeKind.CHECK, [Filter("stream", value=name)], first=100).items
    return {each.name.rpartition(" ")[2]: each for each in found}


def statuses(store: GraphStore, name: str = "churn auc") -> dict[str, str]:
    return {about: check.properties["status"] for about, check in checks(store, name).items()}


def incidents(store: GraphStore) -> list[Node]:
    found = store.find(NodeKind.INCIDENT, first=100).items
    return sorted(found, key=lambda each: each.properties["startedAt"])


def ends(store: GraphStore, kind: EdgeKind) -> set[tuple[str, str]]:
    handles = [
        n.handle
        for each in (NodeKind.MODEL_VERSION, NodeKind.RUN, NodeKind.CHECK, NodeKind.DATASET_VERSION)
        for n in store.find(each, first=200).items
    ]
    return {(edge.src, edge.dst) for edge in edges_from(store, handles, NOW, (kind,)) if edge.kind is kind}


def fill(store: GraphStore, values: list[float]) -> None:
    write(store, TRACKING, model(), *(r for n, auc in enumerate(values, 1) for r in trained(n, auc)))


def test_every_version_gets_a_check_that_says_why(store: GraphStore) -> None:
    settle(store, [AUC])

    fill(store, [0.8, 0.65])

    found = checks(store)
    assert statuses(store) == {"v1": "PASSED", "v2": "FAILED"}
    assert found["v2"].properties["because"] == "0.65 is not at least 0.7"
    assert found["v2"].properties["metrics"] == {"auc": 0.65}
    assert found["v2"].properties["checkedAt"] == "2026-01-03T00:00:00Z"
    assert found["v2"].id == f"check@bounds=churn auc/auc/{version(2)}"
    assert (version(2), found["v2"].id) in ends(store, EdgeKind.CHECKED_BY)


def test_bounds_that_come_later_judge_what_is_there_and_go_with_what_they_said(store: GraphStore) -> None:
    fill(store, [0.8, 0.65])
    bare = store.digest()

    assert settle(store, [AUC])
    assert not settle(store, [AUC])
    assert statuses(store) == {"v1": "PASSED", "v2": "FAILED"}
    assert len(incidents(store)) == 1

    settle(store, [])
    assert not checks(store) and not incidents(store)
    assert store.digest() == bare


def test_failures_in_a_row_are_one_incident_that_ends_when_it_passes(store: GraphStore) -> None:
    settle(store, [AUC])
    fill(store, [0.8, 0.6, 0.5])

    (before,) = incidents(store)
    assert before.properties["status"] == "OPEN" and before.properties["failures"] == 2
    assert before.properties["startedAt"] == "2026-01-03T00:00:00Z"
    write(store, TRACKING, *trained(4, 0.9), *trained(5, 0.4))

    first, second = incidents(store)
    assert first.id == before.id
    assert first.properties["status"] == "RESOLVED"
    assert first.properties["endedAt"] == "2026-01-05T00:00:00Z"
    assert second.properties["status"] == "OPEN" and second.id != first.id
    blamed = {src for src, dst in ends(store, EdgeKind.IMPLICATED_IN) if dst == first.id}
    assert blamed == {checks(store)["v2"].id, checks(store)["v3"].id}


def test_a_value_is_compared_with_the_last_that_was_good(store: GraphStore) -> None:
    settle(store, [LAST])

    fill(store, [0.80, 0.70, 0.785, 0.77, 0.76])

    assert statuses(store, "no worse") == {
        "v1": "PASSED", "v2": "FAILED", "v3": "PASSED", "v4": "PASSED", "v5": "PASSED",
    }  # fmt: skip
    said = checks(store, "no worse")["v2"].properties
    assert said["reference"] == "v1" and said["threshold"] == "at least 0.78"
    assert said["because"] == "0.7 is 0.1 worse than the last good, v1 (0.8); 0.02 is tolerated"


def test_one_that_comes_late_changes_what_follows_it(store: GraphStore) -> None:
    settle(store, [LAST])
    write(store, TRACKING, model(), *trained(1, 0.7), *trained(3, 0.72))
    assert statuses(store, "no worse") == {"v1": "PASSED", "v3": "PASSED"}

    write(store, TRACKING, *trained(2, 0.9))

    assert statuses(store, "no worse") == {"v1": "PASSED", "v2": "PASSED", "v3": "FAILED"}


def test_the_champion_of_that_time_is_the_measure(store: GraphStore) -> None:
    settle(store, [Bound(name="champion", of="model", which="churn", metric="loss", tolerance=0.1,
                         against="champion", higher=False, aliases=("champion",))])  # fmt: skip
    write(store, TRACKING, model())
    for number, loss in ((1, 1.0), (2, 1.3), (3, 1.05), (4, 0.5), (5, 1.0)):
        write(store, TRACKING, *trained(number, loss, "loss"))

    stays = [(1, 1 * DAY, START + 3 * DAY + 1), (4, 4 * DAY + 1, None)]
    write(store, TRACKING, *(
        record(f"alias{n}", series.alias(MODEL, version(n), "champion", START + since, until))
        for n, since, until in stays
    ))  # fmt: skip

    # The champion itself was made before anybody held the alias; of the fourth nobody knows who held it.
    assert statuses(store, "champion") == {
        "v1": "UNKNOWN", "v2": "FAILED", "v3": "PASSED", "v4": "UNKNOWN", "v5": "FAILED",
    }  # fmt: skip


def test_metrics_of_segments_are_judged_each_by_itself(store: GraphStore) -> None:
    settle(
        store, [Bound(name="by region", of="model", which="churn", metric="auc_*", least=0.7, kind="bias")]
    )
    at = START + DAY
    own = series.member(MODEL, version(1), at, metrics={"auc_eu": 0.8, "auc_us": 0.6, "auc": 0.1})

    write(store, TRACKING, model(), record("v1", Names(NodeKind.MODEL_VERSION, (version(1),)), *own))

    found = store.find(NodeKind.CHECK, first=10).items
    assert {(n.properties["segment"], n.properties["status"], n.properties["kind"]) for n in found} == {
        ("eu", "PASSED", "bias"),
        ("us", "FAILED", "bias"),
    }


def results(count: int) -> list[Record]:
    """Results of a check, the second and third of which failed; measured on data versions of their own."""
    found = []
    for number in range(1, count + 1):
        me, at = f"check@quality=users/{number}.json", START + number * DAY
        subjects = checked_by({"dvc.md5": f"{number:032x}"}, me, at)
        claims: list[Claim] = [Names(NodeKind.CHECK, (me,)), *subjects]
        status, values = "FAILED" if number in (2, 3) else "PASSED", {"amount.nullFraction": number / 10}
        claims += series.of_check(
            me, scope="quality", name=f"users {number}", stream="users", at=at, status=status,
            kind="data_quality", segment=None, metrics=values, subjects=subjects,
        )  # fmt: skip
        found.append(record(f"users/{number}.json", *claims))
    return found


def test_results_of_tools_open_incidents_and_their_values_can_be_bounded(store: GraphStore) -> None:
    settle(store, [
        Bound(name="users fail", of="check", which="users", incident=True),
        Bound(name="nulls", of="check", which="user*", metric="*.nullFraction", most=0.25),
    ])  # fmt: skip

    write(store, TRACKING, *results(4))

    (incident,) = incidents(store)
    assert incident.properties["status"] == "RESOLVED" and incident.properties["failures"] == 2
    bounded = store.find(NodeKind.CHECK, [Filter("stream", value="nulls")], first=10).items
    made = {n.properties["metrics"]["amount.nullFraction"]: n for n in bounded}
    assert {value: n.properties["status"] for value, n in made.items()} == {
        0.1: "PASSED", 0.2: "PASSED", 0.3: "FAILED", 0.4: "FAILED",
    }  # fmt: skip
    # What the tool examined is what the bound is about.
    assert (f"dvc.md5={3:032x}", made[0.3].id) in ends(store, EdgeKind.CHECKED_BY)


@pytest.mark.parametrize("orders", [6])
def test_any_order_gives_the_same_graph(fresh: Fresh, engine: str, orders: int) -> None:
    values = [0.8, 0.6, 0.79, 0.75, 0.81, 0.5]
    made = [model(), *(r for n, auc in enumerate(values, 1) for r in trained(n, auc)), *results(4)]
    made.append(record("alias", series.alias(MODEL, version(1), "champion", START, None)))
    bounds = [AUC, LAST, Bound(name="users fail", of="check", which="users", incident=True),
              Bound(name="c", of="model", which="*", metric="auc", tolerance=0.01, against="champion",
                    aliases=("champion",))]  # fmt: skip
    digests = set()
    for order in range(orders if engine == "sqlite" else 2):
        chance = random.Random(order)
        store, mixed = fresh(), [*made, *chance.sample(made, 5)]
        chance.shuffle(mixed)
        steps: list[Any] = [[each] for each in mixed] if order % 2 else [mixed[:9], mixed[9:]]
        steps.insert(chance.randrange(len(steps) + 1), None)
        for step in steps:
            if step is None:
                settle(store, bounds)
            else:
                write(store, TRACKING, *step)
        digests.add(store.digest())
        assert len(incidents(store)) == 3 and len(statuses(store)) == 6

    assert len(digests) == 1


class Noted:
    """A transaction that notes which series are read from end to end."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.whole: list[str] = []

    def keyed(self, rule: str, key: str, **window: Any) -> list[KeyedClaim]:
        if rule == series.SERIES and window == {"role": "member"}:
            self.whole.append(key)
        return self._tx.keyed(rule, key, **window)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


def test_a_series_is_read_once_for_what_is_written_at_once(store: GraphStore) -> None:
    settle(store, [AUC, LAST])
    fill(store, [0.8] * 40)

    def work(tx: Transaction) -> list[str]:
        noted = Noted(tx)
        joins.apply(cast(Transaction, noted), TRACKING, [*trained(2, 0.6), *trained(41, 0.6)])
        return noted.whole

    whole = store.transact(work)

    assert whole == [MODEL]
    assert statuses(store)["v41"] == "FAILED"


def test_written_again_nothing_changes(store: GraphStore) -> None:
    settle(store, [AUC, LAST])
    made = [model(), *trained(1, 0.8), *trained(2, 0.6)]
    write(store, TRACKING, *made)

    again = write(store, TRACKING, *made)

    assert again.changes == 0
    assert node(store, version(2)).kind is NodeKind.MODEL_VERSION
