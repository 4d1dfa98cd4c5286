"""Root causes of an orchestrator's run are those of its part that failed."""

from __future__ import annotations

import random

import pytest

from app.answers.judging import confirm_cause
from app.learnings.similar import similar
from graph_schema.claims import Claim, Links
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import format_time
from graph_schema.values import Filter, Node
from tests.contract.harness import EPOCH
from tests.contract.test_causes import HOUR, ask, data, run, sha, tell, thing
from tests.sources.openlineage_chain import recorded
from tests.sources.openlineage_records import events_as_records, transactions, write

E, K = EdgeKind, NodeKind


def failed(store: GraphStore, name: str) -> Node:
    """The first job run of this name that failed."""
    found = store.find(K.JOB_RUN, [Filter("status", value="FAILED")], first=100).items
    return min((n for n in found if n.name == name), key=lambda n: (n.created_at or 0, n.id))


@pytest.mark.parametrize("name", ["nightly", "nightly.transform", "dbt-run-churn"])
def test_of_a_night_of_airflow_and_dbt_the_table_that_changed_is_named(store: GraphStore, name: str) -> None:
    for together in transactions(events_as_records(recorded("events")), random.Random(0), most=8):
        write(store, together)
    asked, model = failed(store, name), failed(store, "warehouse.main.churn.stg_customers")

    answer = ask(store, asked.id)

    assert answer.subject.id == model.id
    assert answer.missing[0] == f"{name} is told by its parts: this is about the first of them that failed"
    best = answer.candidates[0]
    assert best.node.name.endswith("warehouse.raw.customers") and best.path[-1].dst == model.id

    confirm_cause(store, asked, best.node)
    assert ask(store, asked.id).candidates[0].confirmed


def tracked(*claims: Claim) -> list[Claim]:
    """A tracked run that failed, and one that it had started and that failed before."""
    told = [*claims]
    for number, name in ((1, "sweep"), (2, "trial")):
        at = EPOCH + number * HOUR
        told += thing(K.RUN, run(number), at, name=name, status="FAILED", startedAt=format_time(at))
    told += thing(K.DATASET_VERSION, data(1), EPOCH, name="raw.csv")
    told += thing(K.COMMIT, sha(1), EPOCH, name="Tune")
    return [*told, Links(E.HAS, run(1), run(2)), Links(E.INPUT_TO, data(1), run(2), EPOCH)]


def test_a_tracked_run_is_told_by_its_parts_where_nothing_flows_into_it(store: GraphStore) -> None:
    tell(store, tracked())

    assert ask(store, run(1)).subject.id == run(2)

    tell(store, [Links(E.CODE_FOR, sha(1), run(1), EPOCH)], "code")
    assert ask(store, run(1)).subject.id == run(1)


def test_what_two_tools_know_of_by_one_name_is_said_once(store: GraphStore) -> None:
    for together in transactions(events_as_records(recorded("events")), random.Random(0), most=8):
        write(store, together)
    first = failed(store, "dbt-run-churn")
    again = max(
        (n for n in store.find(K.JOB_RUN, first=100).items if n.name == first.name and n.id != first.id),
        key=lambda n: n.created_at or 0,
    )

    (match,) = similar(store, handle=again.handle).matches

    texts = [each.text for each in match.shared]
    assert match.handle == first.handle and "same pipeline dbt-run-churn" in texts
    assert len(texts) == len(set(texts))
