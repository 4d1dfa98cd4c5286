"""Root causes on both engines: what is named, why, what is missing, and what people say of it."""

from __future__ import annotations

from typing import Any

import pytest

from app.answers.causes import CausesAnswer, root_causes
from app.answers.judging import confirm_cause
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.times import format_time
from graph_schema.values import Node
from ingestors import corrections, joins, judgements
from ingestors.deployments import blamed, deployed
from tests.contract.harness import EPOCH, Clock

E, K = EdgeKind, NodeKind
HOUR = 3_600_000_000
TOOLS = Source("tools", "events")
INCIDENT = "alertmanager.alert=9c1a5b2f@2026-01-31T10:00:00.000Z"


def sha(number: int) -> str:
    return f"git.sha={number:040x}"


def data(number: int) -> str:
    return f"dvc.md5={number:032x}"


def run(number: int) -> str:
    return f"mlflow.run_id=run{number}"


def version(number: int) -> str:
    return identifier("mlflow.model_version", f"churn/{number}", "tracking")


def deployment(number: int) -> str:
    return identifier("deployment", f"prod/churn@{number}", "tools")


def thing(kind: NodeKind, id: str, at: int, **properties: Any) -> list[Claim]:
    return [Names(kind, (id,)), States(kind, id, {"createdAt": at, **properties}, at)]


def release(number: int, code: int, extract: int, at: int, **parameters: Any) -> list[Claim]:
    """A version of the model, from its data and code to its deployment."""
    trained = at - HOUR
    return [
        *thing(K.RUN, run(number), trained, name=f"train-{number}", params=parameters, status="FINISHED"),
        *thing(K.MODEL_VERSION, version(number), trained, name=f"churn v{number}"),
        Links(E.CODE_FOR, sha(code), run(number), trained),
        Links(E.INPUT_TO, data(extract), run(number), trained),
        Links(E.PRODUCED, run(number), version(number), trained),
        *deployed(
            deployment(number), environment="prod", name="churn", scope="tools", at=at,
            of=[(K.MODEL_VERSION, version(number))],
        ),
    ]  # fmt: skip


def history(code: int = 1, **parameters: Any) -> list[Claim]:
    """Two releases on two extracts, a failed check on the second, and an incident."""
    claims: list[Claim] = []
    for number in (1, 2):
        at = EPOCH + number * 100 * HOUR
        claims += thing(K.COMMIT, sha(number), at - 9 * HOUR, name=f"commit {number}", message="Tune")
        claims += thing(K.DATASET_VERSION, data(number), at - 8 * HOUR, name=f"raw v{number}", size=1000)
        claims.append(Links(E.INTRODUCED, sha(10 + number), data(number), at - 8 * HOUR))
        claims += thing(K.COMMIT, sha(10 + number), at - 8 * HOUR, name=f"extract {number}")
    claims += release(1, 1, 1, EPOCH + 100 * HOUR, lr=0.1)
    claims += release(2, code, 2, EPOCH + 200 * HOUR, **{"lr": 0.1, **parameters})
    check = identifier("check", "raw/2", "tools")
    claims += thing(K.CHECK, check, EPOCH + 193 * HOUR, name="ranges", status="FAILED")
    claims.append(Links(E.CHECKED_BY, data(2), check, EPOCH + 193 * HOUR))
    return claims + alert(INCIDENT, EPOCH + 203 * HOUR)


def alert(id: str, at: int, name: str = "QualityLow") -> list[Claim]:
    return [
        *thing(K.INCIDENT, id, at, name=name, startedAt=format_time(at)),
        *blamed(id, name="churn", environment="prod", at=at),
    ]


def tell(store: GraphStore, claims: list[Claim], key: str = "all") -> None:
    # Each thing is a record of its own, as with any tool.
    records = [Record(f"{key}/{n}", "thing", EPOCH, (claim,)) for n, claim in enumerate(claims)]
    store.transact(lambda tx: joins.apply(tx, TOOLS, records))


def node(store: GraphStore, id: str) -> Node:
    (handle,) = store.resolve(id)
    found = store.get([handle])[0]
    assert found is not None
    return found


def ask(store: GraphStore, id: str = INCIDENT, **more: Any) -> CausesAnswer:
    return root_causes(store, node(store, id).handle, **more)


def test_the_data_is_named_with_the_path_from_its_commit(store: GraphStore) -> None:
    tell(store, history())

    answer = ask(store)

    first = answer.candidates[0]
    assert first.node.id == data(2)
    assert [edge.kind for edge in first.path] == [
        E.INTRODUCED, E.INPUT_TO, E.PRODUCED, E.DEPLOYED_AS, E.IMPLICATED_IN,
    ]  # fmt: skip
    assert first.path[0].src == sha(12)
    assert "failed check of it: ranges" in {each.text for each in first.evidence}
    assert sum(e.weight for e in first.evidence if e.weight > 0) == pytest.approx(first.score)


def test_the_last_good_state_is_told_and_why(store: GraphStore) -> None:
    tell(store, history())

    answer = ask(store)

    assert answer.last_good is not None and answer.last_good.id == deployment(1)
    assert "without an incident" in answer.last_good_because


def test_what_the_last_good_state_had_too_comes_after_what_changed(store: GraphStore) -> None:
    tell(store, history())

    found = ask(store, first=50).candidates

    ids = [cause.node.id for cause in found]
    assert ids.index(data(2)) < ids.index(sha(1))
    assert data(1) not in ids, "it does not lead to the incident"


def test_everything_named_was_there_before(store: GraphStore) -> None:
    tell(store, history())
    late = EPOCH + 204 * HOUR
    tell(store, [*thing(K.DATASET_VERSION, data(3), late), Links(E.INPUT_TO, data(3), run(2), late)], "late")

    answer = ask(store, first=50)

    assert data(3) not in [cause.node.id for cause in answer.candidates]
    for cause in answer.candidates:
        assert cause.at <= EPOCH + 203 * HOUR
        assert all((edge.valid_from or 0) <= EPOCH + 203 * HOUR for edge in cause.path)


def test_changed_parameters_are_told(store: GraphStore) -> None:
    tell(store, history(lr=10))

    causes = {cause.node.id: cause for cause in ask(store, first=50).candidates}

    assert "lr: 0.1 → 10" in {each.text for each in causes[run(2)].evidence}


def test_a_range_of_commits_is_looked_at_with_the_way_through_it(store: GraphStore) -> None:
    tell(store, history(code=3))
    made = EPOCH + 195 * HOUR
    order = [Links(E.HAS, "git.remote=github.com/acme/churn", sha(n), made) for n in (1, 2, 3)]
    order += [Links(E.PRECEDES, sha(1), sha(2), made), Links(E.PRECEDES, sha(2), sha(3), made)]
    tell(store, [*order, *thing(K.COMMIT, sha(3), made, name="commit 3", message="Rework")], "order")

    causes = {cause.node.id: cause for cause in ask(store, first=50).candidates}

    assert [edge.kind for edge in causes[sha(2)].path][:2] == [E.PRECEDES, E.CODE_FOR]
    unchanged = {each.text for each in causes[sha(1)].evidence}
    assert "the last good state had it too" in unchanged
    assert list(causes).index(sha(1)) > max(list(causes).index(sha(n)) for n in (2, 3))


def test_what_a_commit_touched_is_held_against_what_ran(store: GraphStore) -> None:
    tell(store, history(code=5))
    made = EPOCH + 195 * HOUR
    claims: list[Claim] = [Links(E.PRECEDES, sha(n), sha(n + 1), made + n) for n in (1, 2, 3, 4)]
    touched = {2: ["docs/a.md"], 3: ["fraud/train.py"], 4: ["churn/model.py"], 5: ["common/io.py"]}
    for number in (1, 2, 3, 4, 5):
        claims.append(Links(E.HAS, "git.remote=github.com/acme/models", sha(number), made))
        if number > 1:
            claims += thing(K.COMMIT, sha(number), made + number, name="Tune", files=touched[number])
    claims += [States(K.RUN, run(n), {"script": "/ci/models/churn/train.py"}, made) for n in (1, 2)]
    claims += thing(K.RUN, run(7), made, name="train-7", script="fraud/train.py", status="FINISHED")
    claims.append(Links(E.CODE_FOR, sha(3), run(7), made + 4))
    tell(store, claims, "code")

    causes = {cause.node.id: cause for cause in ask(store, first=50).candidates}

    order = [id for id in causes if id in {sha(n) for n in (2, 3, 4, 5)}]
    assert order == [sha(4), sha(5), sha(2), sha(3)]
    assert "it touched only what others start from" in {e.text for e in causes[sha(3)].evidence}


def test_what_similar_failures_were_caused_by_counts(store: GraphStore) -> None:
    tell(store, history())
    earlier = "alertmanager.alert=77777777@2026-01-30T10:00:00.000Z"
    said = "share of null tenure in churn features above 0.2"
    old = alert(earlier, EPOCH + 150 * HOUR, "Nulls")
    tell(store, [*old, States(K.INCIDENT, earlier, {"summary": said}, EPOCH)], "earlier")
    tell(store, [States(K.INCIDENT, INCIDENT, {"summary": said.replace("0.2", "0.4")}, EPOCH)], "now")
    confirm_cause(store, node(store, earlier), node(store, data(1)))

    found = {cause.node.id: cause for cause in ask(store, first=50).candidates}

    kinds = {id: {each.kind for each in cause.evidence} for id, cause in found.items()}
    assert "similar" in kinds[data(2)] and "similar" not in kinds[run(2)]


def test_without_anything_implicated_it_says_so(store: GraphStore) -> None:
    tell(store, thing(K.INCIDENT, INCIDENT, EPOCH, name="odd", startedAt=format_time(EPOCH)))

    answer = ask(store)

    assert answer.candidates == []
    assert "nothing is implicated in odd" in answer.missing[0]


def test_without_a_last_good_state_it_says_so(store: GraphStore) -> None:
    at = EPOCH + 200 * HOUR
    tell(store, [*release(2, 1, 2, at), *alert(INCIDENT, at + HOUR)])

    answer = ask(store)

    assert answer.last_good is None
    assert any("no last good state" in line for line in answer.missing)
    assert any("nobody says when" in line for line in answer.missing) or answer.candidates


def test_a_failed_run_is_compared_with_the_last_that_ended_well(store: GraphStore) -> None:
    experiment = identifier("mlflow.experiment_id", "7", "tracking")
    claims: list[Claim] = [Names(K.EXPERIMENT, (experiment,))]
    for number, status in ((1, "FINISHED"), (2, "FINISHED"), (3, "FAILED")):
        at = EPOCH + number * HOUR
        claims += thing(K.RUN, run(number), at, name=f"train-{number}", status=status)
        claims += thing(K.DATASET_VERSION, data(number), at - HOUR // 2, name=f"raw v{number}")
        claims += [
            Links(E.HAS, experiment, run(number), at),
            Links(E.INPUT_TO, data(number), run(number), at),
        ]
    tell(store, claims)

    answer = ask(store, run(3))

    assert answer.last_good is not None and answer.last_good.id == run(2)
    assert answer.candidates[0].node.id == data(3)


def test_a_run_that_did_worse_is_not_the_last_good_one(store: GraphStore) -> None:
    experiment = identifier("mlflow.experiment_id", "7", "tracking")
    claims: list[Claim] = [Names(K.EXPERIMENT, (experiment,))]
    for number, auc in enumerate((0.80, 0.81, 0.80, 0.805, 0.66, 0.65), 1):
        at = EPOCH + number * HOUR
        metrics = {"auc": auc}
        claims += thing(K.RUN, run(number), at, name=f"train-{number}", status="FINISHED", metrics=metrics)
        claims += thing(K.DATASET_VERSION, data(number), at - HOUR // 2, name=f"raw v{number}")
        claims += [
            Links(E.HAS, experiment, run(number), at),
            Links(E.INPUT_TO, data(number), run(number), at),
        ]
    tell(store, claims)

    answer = ask(store, run(6))

    assert answer.last_good is not None and answer.last_good.id == run(4)
    assert answer.last_good_because.endswith("what ran since did worse by its metrics")


def test_people_confirm_and_reject_and_take_it_back(store: GraphStore) -> None:
    tell(store, history())
    incident, commit, bad = (node(store, id) for id in (INCIDENT, sha(1), data(2)))

    said = confirm_cause(store, incident, commit, why="we reverted it", by="ada")
    confirm_cause(store, incident, bad, rejected=True)
    found = ask(store, first=50).candidates

    assert (found[0].node.id, found[0].confirmed) == (sha(1), True)
    assert (found[-1].node.id, found[-1].confirmed) == (data(2), False)
    corrections.withdraw(store, said.id)
    assert {cause.confirmed for cause in ask(store, first=50).candidates} == {None, False}


def test_what_was_said_of_an_incident_holds_for_the_alerts_it_groups(store: GraphStore) -> None:
    whole = "pagerduty.incident=P1"
    tell(store, history())
    tell(store, [*alert(whole, EPOCH + 203 * HOUR), Links(E.HAS, whole, INCIDENT)], "whole")

    confirm_cause(store, node(store, whole), node(store, sha(1)))
    of_alert, of_whole = (ask(store, id, first=50).candidates[0] for id in (INCIDENT, whole))

    assert (of_alert.node.id, of_alert.confirmed) == (sha(1), True)
    assert (of_whole.node.id, of_whole.confirmed) == (sha(1), True)


def test_data_that_was_committed_after_a_run_had_failed_on_it_is_a_candidate(store: GraphStore) -> None:
    failed_at, committed_at = EPOCH + 300 * HOUR, EPOCH + 301 * HOUR
    claims = thing(
        K.RUN, run(9), failed_at, name="train-9", status="FAILED", startedAt=format_time(failed_at)
    )
    claims += thing(K.COMMIT, sha(9), committed_at, name="extract 9")
    claims += thing(K.DATASET_VERSION, data(9), committed_at, name="raw v9")
    claims.append(Links(E.INTRODUCED, sha(9), data(9), committed_at))
    claims.append(Links(E.INPUT_TO, data(9), run(9), failed_at))
    tell(store, claims)

    answer = ask(store, run(9))

    assert [cause.node.id for cause in answer.candidates if cause.path] == [data(9)]
    assert answer.candidates[0].at == failed_at


def test_what_was_confirmed_counts_for_later_failures(store: GraphStore) -> None:
    tell(store, history())
    before = {c.node.id: c.score for c in ask(store, first=50).candidates}
    earlier = "alertmanager.alert=9c1a5b2f@2026-01-30T10:00:00.000Z"
    tell(store, alert(earlier, EPOCH + 150 * HOUR, "QualityLow"), "earlier")
    confirm_cause(store, node(store, earlier), node(store, data(1)))

    after = ask(store, first=50).candidates

    kinds = {each.kind for cause in after for each in cause.evidence}
    assert "earlier" in kinds
    assert {c.node.id for c in after} == before.keys()


def test_an_incident_by_people_is_joined_to_what_stood_there(store: GraphStore, clock: Clock) -> None:
    tell(store, history())
    clock.now = EPOCH + 300 * HOUR

    opened = judgements.open_incident(
        store, "Too many leave", place=("prod", "churn"), started_at=EPOCH + 205 * HOUR, by="ada"
    )

    answer = ask(store, opened.a)
    assert answer.subject.kind is K.INCIDENT
    assert answer.subject.properties["status"] == "OPEN"
    assert deployment(2) in {edge.src for cause in answer.candidates for edge in cause.path}


def test_an_incident_advances_and_does_not_go_back(store: GraphStore) -> None:
    tell(store, history())

    judgements.advance_incident(store, node(store, INCIDENT), "acknowledged", by="ada")
    done = judgements.advance_incident(store, node(store, INCIDENT), "resolved", note="rolled back")

    found = node(store, INCIDENT).properties
    assert (found["status"], found["acknowledgedBy"]) == ("RESOLVED", "ada")
    assert found["endedAt"] == found["resolvedAt"]
    with pytest.raises(BadInput, match="does not go back"):
        judgements.advance_incident(store, node(store, INCIDENT), "mitigated")
    corrections.withdraw(store, done.id)
    assert node(store, INCIDENT).properties["status"] == "ACKNOWLEDGED"


@pytest.mark.parametrize(
    ("title", "more", "said"),
    [
        (" ", {}, "needs a title"),
        ("x", {"severity": "bad"}, "no severity"),
        ("x", {"started_at": 9_000_000_000_000_000}, "still to come"),
    ],
)
def test_what_is_no_incident_is_refused(
    store: GraphStore, title: str, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        judgements.open_incident(store, title, **more)


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (deployment(2), f": its last incident is {INCIDENT}"),
        (version(2), f": it was made by {run(2)}"),
        (data(2), ""),
    ],
)
def test_causes_are_asked_of_failures_only_and_it_is_said_of_which(
    store: GraphStore, asked: str, hint: str
) -> None:
    tell(store, history())

    with pytest.raises(BadInput) as refused:
        ask(store, asked)

    assert str(refused.value).endswith(f"causes are asked for of Incident, Run, JobRun{hint}")


def test_how_many_are_asked_for_has_its_bounds(store: GraphStore) -> None:
    tell(store, history())

    with pytest.raises(BadInput, match="first is 0; allowed are 1 to 50"):
        ask(store, first=0)
