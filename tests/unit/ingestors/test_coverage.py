"""Join coverage: shares, and the line that closes each gap."""

from __future__ import annotations

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import Source
from ingestors import joins
from ingestors.coverage import coverage

TOOL = Source("tool", "mlflow")
COMMIT = identifier("git.sha", "a" * 40)
DATA = identifier("dvc.md5", "b" * 32)


def run(number: int) -> str:
    return identifier("mlflow.run_id", f"run{number}")


def put(store: SqliteStore, *claims: Claim, key: str = "all") -> None:
    store.transact(lambda tx: joins.apply(tx, TOOL, [Record(key, "run", tx.now, claims)]))


def runs(count: int) -> list[Claim]:
    return [
        c
        for n in range(count)
        for c in (Names(NodeKind.RUN, (run(n),)), States(NodeKind.RUN, run(n), {"n": n}))
    ]


def test_an_empty_graph_has_nothing_to_say(store: SqliteStore) -> None:
    assert coverage(store) == []


def test_shares_and_remedies(store: SqliteStore) -> None:
    code = [Links(EdgeKind.CODE_FOR, COMMIT, run(n)) for n in range(199)]
    data = [Links(EdgeKind.INPUT_TO, DATA, run(0)), Links(EdgeKind.INPUT_TO, DATA, run(0), 5)]
    put(store, *runs(200), *code, *data)

    lines = coverage(store)

    # One that is missing is not none, and one that is there is not nothing.
    assert lines[0] == "200 runs: 99 % have a commit, 1 % have a data version"
    assert lines[1].startswith("  1 does not have a commit: run inside the git repository")
    assert lines[2].startswith("  199 do not have a data version: call mlflow.log_input with the tag dvc.md5")


def test_full_coverage_needs_no_advice(store: SqliteStore) -> None:
    put(store, *runs(1), Links(EdgeKind.CODE_FOR, COMMIT, run(0)), Links(EdgeKind.INPUT_TO, DATA, run(0)))

    assert coverage(store) == ["1 run: 100 % have a commit, 100 % have a data version"]


def test_what_one_of_a_class_has_all_have(store: SqliteStore) -> None:
    experiment = identifier("dvc.experiment", "c" * 40)
    put(
        store,
        *runs(1),
        Names(NodeKind.RUN, (experiment,)),
        States(NodeKind.RUN, experiment, {"n": 1}),
        Links(EdgeKind.SAME_AS, run(0), experiment, evidence="told"),
        Links(EdgeKind.CODE_FOR, COMMIT, experiment),
    )

    assert coverage(store)[0] == "2 runs: 100 % have a commit, 0 % have a data version"


def test_a_registered_version_has_the_run_of_its_logged_model(store: SqliteStore) -> None:
    logged = identifier("mlflow.logged_model", "m-1")
    version = identifier("mlflow.model_version", "churn/1", "tool")
    put(
        store,
        *runs(1),
        States(NodeKind.MODEL_VERSION, logged, {}),
        States(NodeKind.MODEL_VERSION, version, {}),
        Links(EdgeKind.PRODUCED, run(0), logged),
        Links(EdgeKind.REGISTERED_AS, logged, version),
    )

    assert "2 model versions: 100 % have the run that made them" in coverage(store)


def test_stubs_and_gone_runs_do_not_count(store: SqliteStore) -> None:
    put(store, *runs(2), Links(EdgeKind.CODE_FOR, COMMIT, run(7)))
    put(store, States(NodeKind.RUN, run(9), {"n": 9}), key="gone")
    store.transact(lambda tx: tx.retire(TOOL, ["gone"], tx.now))

    assert coverage(store)[0].startswith("2 runs: 0 % have a commit")


def test_a_count_that_was_cut_says_so(store: SqliteStore) -> None:
    put(store, *runs(1_500))

    assert coverage(store, limit=1_000)[0].startswith("the first 1,000 runs: 0 %")
