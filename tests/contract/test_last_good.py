"""The last run that was good: whatever else was recorded of the same group or name, and when."""

from __future__ import annotations

import pytest

from app.answers.causes import CausesAnswer
from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import format_time
from tests.contract.harness import EPOCH
from tests.contract.test_causes import HOUR, INCIDENT, ask, run, sha, tell, thing
from tests.contract.test_causes_words import EXPERIMENT, FAILED, REPOSITORY, TRACE, failing

E, K = EdgeKind, NodeKind


@pytest.mark.parametrize("dated", [True, False])
def test_of_a_large_group_those_before_it_are_looked_at(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch, dated: bool
) -> None:
    monkeypatch.setattr("app.answers.last_good._SIBLINGS", 3)
    job = "openlineage.job=etl/orders"
    claims: list[Claim] = [Names(K.JOB, (job,))]
    for number in (*range(3, 9), *range(9, 40)):
        at, id = EPOCH + number * HOUR, f"openlineage.run_id=00000000-0000-4000-8000-{number:012}"
        status = "FAILED" if number in (9, 39) else "COMPLETE"
        claims += thing(K.JOB_RUN, id, at, name="orders", status=status, startedAt=format_time(at))
        claims.append(Links(E.HAS, job, id, at if dated else None))
    tell(store, claims)

    for failed in (9, 39):
        good = ask(store, f"openlineage.run_id=00000000-0000-4000-8000-{failed:012}").last_good

        assert good is not None and good.id.endswith(f"{failed - 1:012}")


def test_after_a_hundred_that_failed_the_one_before_them_is_the_last_good(store: GraphStore) -> None:
    job = "openlineage.job=etl/orders"
    claims: list[Claim] = [Names(K.JOB, (job,))]
    ids = [f"openlineage.run_id=00000000-0000-4000-8000-{number:012}" for number in range(102)]
    for number, id in enumerate(ids):
        at = EPOCH + number * HOUR
        status = "FAILED" if number > 1 else "COMPLETE"
        claims += thing(K.JOB_RUN, id, at, name="orders", status=status, startedAt=format_time(at))
        claims.append(Links(E.HAS, job, id, at))
    tell(store, claims)

    answer = ask(store, ids[-1])

    assert answer.last_good is not None and answer.last_good.id == ids[1]
    assert answer.last_good_because.endswith("ended as COMPLETE")


def test_a_run_of_no_experiment_is_held_against_those_of_its_name_and_repository(store: GraphStore) -> None:
    claims = failing(TRACE + "ZeroDivisionError: division by zero")
    claims = [c for c in claims if not (isinstance(c, Links) and c.src == EXPERIMENT)]
    # Of the same name, later and well, but of another repository; and one of which no code is known.
    other, ended = sha(77), EPOCH + 90 * HOUR
    claims += thing(K.COMMIT, other, ended, name="elsewhere")
    claims.append(Links(E.HAS, "git.remote=git.example.com/acme/other", other, ended))
    for number in (7, 8):
        claims += thing(
            K.RUN, run(number), ended, name="train-churn", status="FINISHED", startedAt=format_time(ended)
        )
    claims.append(Links(E.CODE_FOR, other, run(7), ended))
    tell(store, claims)

    answer = ask(store, run(1), first=50)

    assert answer.last_good is not None and answer.last_good.id == run(0)
    assert answer.candidates[0].node.id == sha(1)
    assert ask(store, run(8)).last_good is None, "of code that is not known there is nothing to compare"


def test_of_many_runs_of_a_name_those_recorded_next_to_it_are_looked_at(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.answers.good_runs._NAMESAKES", 3)
    claims = failing(TRACE + "ZeroDivisionError: division by zero")
    claims = [c for c in claims if not (isinstance(c, Links) and c.src == EXPERIMENT)]
    tell(store, claims)
    later: list[Claim] = []
    for number in range(10, 30):
        ended = FAILED + number * HOUR
        # Ids in no order: what is next to it is told by when it was recorded.
        later += thing(
            K.RUN, f"mlflow.run_id=a{number}", ended, name="train-churn", startedAt=format_time(ended)
        )
        later.append(Links(E.CODE_FOR, sha(3), f"mlflow.run_id=a{number}", ended))
    tell(store, later, "later")

    good = ask(store, run(1)).last_good

    assert good is not None and good.id == run(0)


@pytest.mark.parametrize("name", ["x" * 5_000, "train\n2"])
def test_a_run_with_a_name_that_cannot_be_looked_up(store: GraphStore, name: str) -> None:
    claims = thing(K.RUN, run(5), FAILED, name=name, status="FAILED", startedAt=format_time(FAILED))
    tell(store, claims)

    assert ask(store, run(5)).last_good is None


# runs that failed the same way -------------------------------------------------------------------------


def nightly(store: GraphStore, *errors: str | None) -> list[str]:
    """A job that runs every night, an hour after a commit; with these errors, None where it went well."""
    job = "openlineage.job=etl/orders"
    claims: list[Claim] = [Names(K.JOB, (job,))]
    ids = [f"openlineage.run_id=00000000-0000-4000-8000-{number:012}" for number in range(len(errors))]
    for number, (id, error) in enumerate(zip(ids, errors, strict=True)):
        at = EPOCH + number * 24 * HOUR
        claims += thing(
            K.COMMIT, sha(number), at - HOUR, name=f"commit {number}", message="Tune",
            files=["churn/orders.py"], fileCount=1,
        )  # fmt: skip
        claims.append(Links(E.HAS, REPOSITORY, sha(number), at - HOUR))
        claims += [Links(E.PRECEDES, sha(number - 1), sha(number), at - HOUR)] if number else []
        status = "COMPLETE" if error is None else "FAILED"
        more = {} if error is None else {"errorMessage": error}
        claims += thing(K.JOB_RUN, id, at, name="orders", status=status, startedAt=format_time(at), **more)
        claims += [Links(E.HAS, job, id, at), Links(E.CODE_FOR, sha(number), id, at)]
    tell(store, claims)
    return ids


def evidence(answer: CausesAnswer) -> dict[str, list[str]]:
    return {cause.node.id: [each.text for each in cause.evidence] for cause in answer.candidates}


def test_what_came_after_it_first_failed_the_same_way_is_not_at_fault(store: GraphStore) -> None:
    broken = "KeyError: 'tenure'"
    ids = nightly(store, None, None, broken, "OOMKilled", broken, broken)

    answer = ask(store, ids[5], first=20)

    assert answer.last_good is not None and answer.last_good.id == ids[1]
    assert answer.candidates[0].node.id == sha(2)
    found = evidence(answer)
    first = f"orders of {format_time(EPOCH + 2 * 24 * HOUR)} failed the same way without it"
    assert all(first in found[sha(number)] for number in (3, 4, 5)) and first not in found[sha(2)]
    assert "2 of 2 runs with it failed the same way" in found[sha(2)], "what was killed says nothing"


def test_who_failed_otherwise_says_nothing_of_when_it_began(store: GraphStore) -> None:
    ids = nightly(store, None, "KeyError: 'age'", "KeyError: 'age'", "KeyError: 'tenure'")

    answer = ask(store, ids[3], first=20)

    texts = [text for each in evidence(answer).values() for text in each]
    assert not any("failed the same way without it" in text for text in texts)
    # An incident about the run is asked about in its stead.
    claims = thing(K.INCIDENT, INCIDENT, EPOCH + 80 * HOUR, name="Nightly failed")
    claims.append(Links(E.IMPLICATED_IN, ids[2], INCIDENT, EPOCH + 48 * HOUR))
    tell(store, claims, "incident")
    assert ask(store, INCIDENT).candidates[0].node.id == sha(1)


# runs that did not fail --------------------------------------------------------------------------------


def sweep(store: GraphStore) -> None:
    """A sweep and its three runs, each better than the one before, and then one that is worse."""
    experiment, whole = EXPERIMENT, run(50)
    claims: list[Claim] = [Names(K.EXPERIMENT, (experiment,))]
    claims += thing(K.RUN, whole, EPOCH, name="sweep", status="FINISHED", startedAt=format_time(EPOCH))
    claims.append(Links(E.HAS, experiment, whole, EPOCH))
    for number, auc in enumerate((0.80, 0.805, 0.81, 0.815, 0.6)):
        at = EPOCH + (number + 1) * HOUR
        claims += thing(
            K.RUN, run(number), at, name=f"trial-{number}", status="FINISHED", startedAt=format_time(at),
            metrics={"auc": auc},
        )  # fmt: skip
        claims += [Links(E.HAS, experiment, run(number), at), Links(E.HAS, whole, run(number), at)]
    tell(store, claims)


def test_what_a_run_is_a_part_of_is_not_what_it_is_held_against(store: GraphStore) -> None:
    sweep(store)

    assert ask(store, run(0)).last_good is None
    good = ask(store, run(1)).last_good
    assert good is not None and good.id == run(0)


def test_of_a_run_that_went_well_it_is_said_so(store: GraphStore) -> None:
    sweep(store)
    well = "trial-3 ended as FINISHED, and nothing says that it did worse than before"

    assert ask(store, run(3)).missing[0] == well
    assert not any("did worse than before" in line for line in ask(store, run(4)).missing)

    check = "check@quality=auc/1"
    claims = thing(K.CHECK, check, EPOCH + 5 * HOUR, name="auc", status="FAILED")
    claims.append(Links(E.CHECKED_BY, run(3), check, EPOCH + 4 * HOUR))
    tell(store, claims, "check")
    assert well not in ask(store, run(3)).missing
