"""Leaderboards, recipes and what goes with failure, read from both stores."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from app.answers.correlations import correlate
from app.answers.leaderboard import Board, leaderboard
from app.answers.measured import measured
from app.answers.outcomes import outcomes
from app.answers.repro import recipe
from app.answers.repro_facts import known_of
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Filter
from ingestors import joins
from ingestors.deployments import deployed
from tests.contract.harness import EPOCH, SECOND, TRACKING

E, K = EdgeKind, NodeKind
EXPERIMENT, MODEL = "mlflow.experiment_id@tracking=1", "mlflow.model@tracking=churn"
COMMIT, REPOSITORY = "git.sha=" + "3" * 40, "git.remote=git.example.com/acme/churn"


def data(number: int) -> str:
    return f"dvc.md5={number:032x}"


def run(name: str) -> str:
    return f"mlflow.run_id={name}"


def version(number: int) -> str:
    return f"mlflow.model_version@tracking=churn/{number}"


def logged(number: int) -> str:
    return f"mlflow.logged_model=m-{number:032x}"


def ran(
    name: str, on: int | None, *, at: int = 0, context: str = "training", **properties: Any
) -> list[Claim]:
    begun = EPOCH + at * SECOND
    claims: list[Claim] = [
        States(K.RUN, run(name), {"name": name, "status": "FINISHED", "createdAt": begun, **properties}),
        Links(E.HAS, EXPERIMENT, run(name), begun),
        Links(E.CODE_FOR, COMMIT, run(name), begun, properties={"dirty": False}),
    ]
    if on is not None:
        about = {"context": context}
        claims.append(Links(E.INPUT_TO, data(on), run(name), begun, properties=about))
    return claims


def made(number: int, by: str) -> list[Claim]:
    return [
        Names(K.MODEL_VERSION, (logged(number),)),
        States(K.MODEL_VERSION, version(number), {"name": f"churn v{number}"}),
        Links(E.PRODUCED, run(by), logged(number)),
        Links(E.REGISTERED_AS, logged(number), version(number)),
        Links(E.HAS, MODEL, version(number)),
    ]


def write(store: GraphStore, *claims: Claim) -> None:
    common: list[Claim] = [
        States(K.EXPERIMENT, EXPERIMENT, {"name": "churn"}),
        States(K.COMMIT, COMMIT, {"name": "3333333 Tune", "createdAt": EPOCH}),
        States(K.REPOSITORY, REPOSITORY, {"name": "churn"}),
        Links(E.HAS, REPOSITORY, COMMIT),
    ]
    record = Record("all", "thing", 1, (*common, *claims))
    store.transact(lambda tx: joins.apply(tx, TRACKING, [record]))


def one(store: GraphStore, text: str) -> int:
    (handle,) = store.resolve(text)
    return handle


def board(store: GraphStore, *ids: str, metric: str | None = None) -> tuple[Board, list[tuple[Any, ...]]]:
    found = measured(store, [one(store, text) for text in ids])
    ranked = leaderboard(found.entries, metric=metric)
    names = {h: n.name for r in ranked.rows for h, n in zip(r.nodes, store.get(r.nodes), strict=True) if n}
    return ranked, [(row.rank, [names[h] for h in row.nodes], row.n, row.because) for row in ranked.rows]


# leaderboards ------------------------------------------------------------------------------------------


def test_versions_of_a_model_by_the_runs_that_made_them(store: GraphStore) -> None:
    write(
        store,
        *ran("a", 1, metrics={"auc": 0.7}), *ran("b", 1, metrics={"auc": 0.8}, at=1),
        *ran("c", 2, metrics={"auc": 0.9}, at=2),
        *made(1, "a"), *made(2, "b"), *made(3, "c"),
        States(K.MODEL_VERSION, version(4), {"name": "churn v4"}), Links(E.HAS, MODEL, version(4)),
    )  # fmt: skip

    ranked, rows = board(store, MODEL)

    assert rows == [
        (1, ["churn v2"], 1, None),
        (2, ["churn v1"], 1, None),
        (None, ["churn v3"], 1, "measured on other data"),
        (None, ["churn v4"], 0, "which run made it is unknown"),
    ]
    assert ranked.data == (one(store, data(1)),)


def test_seeds_of_the_same_experiment_give_an_interval(store: GraphStore) -> None:
    seeds = [
        claim
        for seed in range(4)
        for claim in ran(
            f"a{seed}", 1, params={"lr": 1, "seed": seed}, metrics={"auc": 0.7 + seed / 100}, at=seed
        )
    ]
    write(
        store, *seeds, *ran("b", 1, params={"lr": 2, "seed": 0}, metrics={"auc": 0.9}, at=9),
        *ran("c", 2, params={"lr": 1, "seed": 9}, metrics={"auc": 0.1}, at=10), *made(1, "a0"),
    )  # fmt: skip

    ranked, rows = board(store, version(1), run("b"))
    _, everything = board(store, EXPERIMENT)

    assert rows == [(1, ["b"], 1, None), (2, ["churn v1"], 4, None)]
    low, high = ranked.rows[1].low, ranked.rows[1].high
    assert low is not None and high is not None and low < 0.715 < high
    assert everything[:2] == [(1, ["b"], 1, None), (2, ["a0", "a1", "a2", "a3"], 4, None)]


def test_an_evaluation_on_the_same_data_makes_versions_comparable(store: GraphStore) -> None:
    judged = [
        claim
        for number in (1, 2)
        for claim in ran(
            f"judge{number}", 7, at=10 + number, context="test", metrics={"auc": 0.5 + number / 10},
            modelInputs=[f"m-{number:032x}"],
        )
    ]  # fmt: skip
    write(
        store, *ran("a", 1, metrics={"auc": 0.99}), *ran("b", 2, metrics={"auc": 0.98}),
        *made(1, "a"), *made(2, "b"), *judged,
    )  # fmt: skip

    ranked, rows = board(store, MODEL)

    assert rows == [(1, ["churn v2"], 1, None), (2, ["churn v1"], 1, None)]
    assert [row.value for row in ranked.rows] == [0.7, 0.6]
    assert ranked.data == (one(store, data(7)),)


def test_training_data_may_differ_where_the_test_data_is_the_same(store: GraphStore) -> None:
    test = [
        Links(E.INPUT_TO, data(7), run(name), EPOCH, properties={"context": "validation"}) for name in "ab"
    ]
    write(store, *ran("a", 1, metrics={"auc": 0.7}), *ran("b", 2, metrics={"auc": 0.8}), *test)

    _, rows = board(store, run("a"), run("b"))

    assert rows == [(1, ["b"], 1, None), (2, ["a"], 1, None)]


def test_a_digest_of_mlflow_is_no_knowledge_of_the_data(store: GraphStore) -> None:
    same = {"inputs": [{"name": "features", "digest": "e60a84b9"}]}
    write(store, *ran("a", None, metrics={"auc": 0.7}, **same), *ran("b", None, metrics={"auc": 0.8}, **same))

    _, rows = board(store, run("a"), run("b"))

    assert {row[3] for row in rows} == {"which data it was measured on is unknown"}


def test_what_a_leaderboard_takes(store: GraphStore) -> None:
    write(store)

    with pytest.raises(
        BadInput, match="is a Commit; a leaderboard takes Run, ModelVersion, Model, Experiment"
    ):
        measured(store, [one(store, COMMIT)])


# what goes with failure --------------------------------------------------------------------------------


def nights(number: int = 40) -> list[Claim]:
    """The features of the nights from 30 on were made from another extract; these nights fail."""
    claims: list[Claim] = [
        States(K.DATASET, "dataset=acme/raw.csv", {"name": "raw.csv"}),
        *(Links(E.HAS, "dataset=acme/raw.csv", data(raw)) for raw in (1, 2)),
        *(States(K.DATASET_VERSION, data(raw), {"name": f"raw.csv@{raw}"}) for raw in (1, 2)),
    ]
    for night in range(number):
        bad = night >= 30
        claims += [
            *ran(f"n{night:02}", 100 + night, at=night, params={"lr": night % 3},
                 status="FAILED" if bad and night != 35 else "FINISHED"),
            Links(E.DERIVED_INTO, data(2 if bad else 1), data(100 + night), EPOCH),
        ]  # fmt: skip
    return claims


def test_data_further_upstream_goes_with_failure(store: GraphStore) -> None:
    write(
        store, *nights(), *ran("still", 1, at=99, status="RUNNING"), *ran("killed", 1, at=98, status="KILLED")
    )

    ended = outcomes(store)
    found = correlate(ended.failed, ended.facts)

    assert (len(ended.subjects), sum(ended.failed), ended.left_out) == (40, 9, 2)
    (one_finding,) = found.findings
    assert one_finding.fact.text == "data raw.csv@2" and one_finding.fact.handle == one(store, data(2))
    assert (one_finding.failed, one_finding.total, one_finding.others_failed) == (9, 10, 0)
    assert [ended.subjects[place].name for place in one_finding.counterexamples] == ["n35"]


def test_only_those_asked_about(store: GraphStore) -> None:
    write(store, *nights())

    ended = outcomes(store, where=[Filter("name", value="n30")])

    assert [node.name for node in ended.subjects] == ["n30"] and ended.failed == [True]


def test_packages_of_a_runtime_and_jobs_are_facts(store: GraphStore) -> None:
    job = "openlineage.job=ns/train"
    claims: list[Claim] = [
        States(K.JOB, job, {"name": "train"}),
        *(
            States(K.RUNTIME, f"runtime={letter * 64}", {"packages": {"numpy": numpy}, "python": "3.11"})
            for letter, numpy in (("a", "1.26"), ("b", "2.0"), ("c", "2.0"))
        ),
    ]
    for number in range(30):
        me = f"openlineage.run_id={number:08d}-0000-4000-8000-000000000000"
        letter = "a" if number < 20 else "bc"[number % 2]
        status = "FAILED" if letter != "a" else "COMPLETE"
        claims += [
            States(K.JOB_RUN, me, {"status": status, "createdAt": EPOCH + number}),
            Links(E.HAS, job, me),
            Links(E.RUNTIME_OF, f"runtime={letter * 64}", me, EPOCH),
        ]
    write(store, *claims)

    ended = outcomes(store, K.JOB_RUN)
    found = correlate(ended.failed, ended.facts)

    assert len(ended.facts) > 3 and any(fact.text == "job train" for fact in ended.facts)
    assert found.findings[0].fact.text == "runtime numpy = 2.0"
    assert (found.findings[0].failed, found.findings[0].total) == (10, 10)


def test_deployments_fail_by_their_incidents(store: GraphStore) -> None:
    claims: list[Claim] = []
    for number in range(12):
        me = f"deployment@events=prod/s{number}@1"
        name = f"m{number}"
        bad = number < 6
        claims += ran(name, 1, params={"quantized": bad})
        claims += [
            Names(K.MODEL_VERSION, (logged(number),)),
            Links(E.PRODUCED, run(name), logged(number)),
            *deployed(me, environment="prod", name=f"s{number}", scope="events", at=EPOCH + SECOND,
                      of=[(K.MODEL_VERSION, logged(number))]),
        ]  # fmt: skip
        if bad:
            incident = f"alertmanager.alert={number:016x}@2026-01-01T00:00:00Z"
            claims += [
                Names(K.INCIDENT, (incident,)),
                Links(E.IMPLICATED_IN, me, incident, EPOCH + 2 * SECOND),
            ]
    write(store, *claims)

    ended = outcomes(store, K.DEPLOYMENT)

    assert Counter(ended.failed) == {True: 6, False: 6}
    assert any(fact.kind == "commit" and len(members) == 12 for fact, members in ended.facts.items())
    found = correlate(ended.failed, ended.facts).findings
    assert [each.fact.text for each in found] == ["quantized = true"]


def test_kinds_without_an_outcome(store: GraphStore) -> None:
    with pytest.raises(
        BadInput, match="a Commit has no outcome to go with; allowed are Run, JobRun, Check, Dep"
    ):
        outcomes(store, K.COMMIT)


# recipes -----------------------------------------------------------------------------------------------


def test_the_recipe_of_a_model_version_is_that_of_its_run(store: GraphStore) -> None:
    later = "git.sha=" + "4" * 40
    write(
        store, *ran("a", 1, script="train.py", params={"seed": 1}), *made(1, "a"),
        States(K.DATASET_VERSION, data(1), {"name": "raw.csv@1", "path": "data/raw.csv"}),
        States(K.COMMIT, later, {"name": "4444444 Lock", "createdAt": EPOCH + SECOND}),
        Links(E.HAS, REPOSITORY, later),
        Links(E.INTRODUCED, later, data(1), EPOCH + SECOND, None, {"path": "data/raw.csv"}),
        States(K.RUNTIME, "runtime=" + "a" * 64, {"python": "3.11.7", "packages": ["numpy==2.0.0"]}),
        Links(E.RUNTIME_OF, "runtime=" + "a" * 64, run("a"), EPOCH),
    )  # fmt: skip

    found = recipe(known_of(store, one(store, version(1))))

    assert found.node.id == run("a") and found.seeds == {"seed": 1}
    lines = found.script.splitlines()
    assert "git clone https://git.example.com/acme/churn churn" in lines
    assert f"git checkout --detach {'3' * 40}" in lines
    assert f"dvc get --force --rev {'4' * 40} --out data/raw.csv . data/raw.csv" in lines
    assert "pip install numpy==2.0.0" in lines and lines[-1] == "python train.py"
    assert [gap.what for gap in found.missing] == ["runtime", "command"]


def test_runs_within_one_command_share_its_code_and_its_command(store: GraphStore) -> None:
    command = "kinlore.run=7c9e6679-7425-40de-944b-e07fc1f90ae7"
    write(
        store,
        States(K.RUN, command, {"name": "sweep.py", "command": "python sweep.py --seed 3"}),
        Links(E.CODE_FOR, COMMIT, command, EPOCH, None, {"dirty": False, "folder": "jobs"}),
        States(K.RUN, run("child"), {"name": "child", "params": {"seed": 3}}),
        Links(E.HAS, command, run("child")),
    )

    found = recipe(known_of(store, one(store, run("child"))))

    assert found.script.endswith("cd jobs\npython sweep.py --seed 3\n")


def test_what_came_from_no_run_has_no_recipe(store: GraphStore) -> None:
    write(store, States(K.DATASET_VERSION, data(5), {"name": "x"}))

    with pytest.raises(BadInput, match="is no run, and none is known that it came from"):
        known_of(store, one(store, data(5)))
