"""Root causes by what the failure says, on both engines: what it names goes before what it does not."""

from __future__ import annotations

from typing import Any

from app.answers.causes import Cause
from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import format_time
from tests.contract.harness import EPOCH
from tests.contract.test_causes import HOUR, INCIDENT, alert, ask, data, run, sha, tell, thing

E, K = EdgeKind, NodeKind
REPOSITORY = "git.remote=git.example.com/acme/churn"
GROUP, EXPERIMENT = "dataset=lake/orders", identifier("mlflow.experiment_id", "7", "tools")
RUNTIMES = ("runtime=" + "a" * 64, "runtime=" + "b" * 64)
FAILED = EPOCH + 100 * HOUR
TRACE = """Traceback (most recent call last):
  File "/builds/churn/churn/train.py", line 10, in <module>
    table = features.build(orders)
  File "/builds/churn/churn/features.py", line 31, in build
    orders["tenure"] = orders["tenure_days"] / 30
"""


def failing(error: str, *, before: str = "country", after: str = "country", **more: Any) -> list[Claim]:
    """A run that went well and one that failed, with three commits, an extract and a runtime between them.
    ``before`` and ``after``: the column beside ``id`` in each extract."""
    claims: list[Claim] = [Names(K.DATASET, (GROUP,)), Names(K.EXPERIMENT, (EXPERIMENT,))]
    files = (["churn/train.py"], ["churn/features.py"], ["churn/model.py"], ["churn/loading.py"])
    for number, touched in enumerate(files):
        at = EPOCH + (number + 1) * 20 * HOUR
        claims += thing(
            K.COMMIT, sha(number), at, name=f"commit {number}", message=more.get(f"message{number}", "Tune"),
            files=touched, fileCount=1,
        )  # fmt: skip
        claims.append(Links(E.HAS, REPOSITORY, sha(number), at))
        claims += [Links(E.PRECEDES, sha(number - 1), sha(number), at)] if number else []
    for number, column in enumerate((before, after)):
        at = EPOCH + (10 + number * 80) * HOUR
        columns = ["id", column]
        claims += thing(K.DATASET_VERSION, data(number), at, name=f"orders v{number}", columns=columns)
        claims.append(Links(E.HAS, GROUP, data(number), at))
        packages = {"numpy": f"{number + 1}.0.0", "pandas": "2.1.0"}
        claims += thing(K.RUNTIME, RUNTIMES[number], at, name=f"lock {number}", packages=packages)
        ended, status = EPOCH + (30 + 70 * number) * HOUR, ("FINISHED", "FAILED")[number]
        claims += thing(
            K.RUN, run(number), ended - HOUR, name="train-churn", status=status, startedAt=format_time(ended),
            params={"batch_size": 64 * (number + 1)}, **({"error": error} if number else {}),
        )  # fmt: skip
        claims += [
            Links(E.HAS, EXPERIMENT, run(number), ended),
            Links(E.CODE_FOR, sha(number * 3), run(number), ended),
            Links(E.INPUT_TO, data(number), run(number), ended),
            Links(E.RUNTIME_OF, RUNTIMES[number], run(number), ended),
        ]
    return claims


def ranked(store: GraphStore, id: str = run(1)) -> dict[str, Cause]:
    return {cause.node.id: cause for cause in ask(store, id, first=50).candidates}


def words(cause: Cause) -> list[str]:
    return [each.text for each in cause.evidence if each.kind == "words"]


def test_the_commit_that_touched_where_it_broke_is_named_first(store: GraphStore) -> None:
    tell(store, failing(TRACE + "ZeroDivisionError: division by zero"))

    causes = ranked(store)

    assert next(iter(causes)) == sha(1)
    assert words(causes[sha(1)]) == ["it touched churn/features.py, where the failure came from"]
    assert words(causes[sha(2)]) == ["it touched no file that the failure names"]
    assert causes[sha(1)].score > 2 * causes[sha(2)].score


def test_without_words_nothing_is_said_of_them(store: GraphStore) -> None:
    tell(store, failing("killed"))

    assert not any(words(cause) for cause in ranked(store).values())


def test_what_all_commits_touched_tells_none_from_another(store: GraphStore) -> None:
    claims = failing(TRACE + "ZeroDivisionError: division by zero")
    for number in (1, 2, 3):
        at = EPOCH + (number + 1) * 20 * HOUR
        claims += thing(K.COMMIT, sha(number), at + 1, files=["churn/features.py"], message="Tune")
    tell(store, claims)

    causes = ranked(store)
    assert all(words(causes[sha(number)]) for number in (1, 2, 3))
    for number in (1, 2, 3):
        weights = {each.kind: each.weight for each in causes[sha(number)].evidence}
        assert weights["words"] < weights["files"]


def test_data_that_lost_the_column_is_named_though_it_has_one_version_before(store: GraphStore) -> None:
    tell(store, failing(TRACE + "KeyError: 'tenure_days'", before="tenure_days", after="tenure_months"))

    causes = ranked(store)

    assert next(iter(causes)) == data(1)
    assert words(causes[data(1)]) == ["the failure names its column tenure_days, which changed"]


def test_a_commit_that_speaks_of_what_is_named(store: GraphStore) -> None:
    error = 'Binder Error: Referenced column "tenure" not found in FROM clause!'
    tell(store, failing(error, message2="Call tenure months"))

    causes = ranked(store)

    assert next(iter(causes)) == sha(2)
    assert words(causes[sha(2)]) == ["its message speaks of tenure, which the failure names"]


def test_a_package_that_is_named_and_of_another_version(store: GraphStore) -> None:
    tell(store, failing("AttributeError: module 'numpy' has no attribute 'float'"))

    causes = ranked(store)

    assert next(iter(causes)) == RUNTIMES[1]
    assert words(causes[RUNTIMES[1]]) == ["the failure names numpy, which is another version"]


def test_a_package_that_is_as_before_says_nothing(store: GraphStore) -> None:
    tell(store, failing("ImportError: cannot import name 'x' from module 'pandas'"))

    assert words(ranked(store)[RUNTIMES[1]]) == []


def test_a_setting_that_is_named_and_changed(store: GraphStore) -> None:
    tell(store, failing("ValueError: batch_size is larger than the data"))

    assert words(ranked(store)[run(1)]) == ["the failure names batch_size, which changed"]


def test_a_feature_in_an_alert_and_a_trace_in_the_failed_run_that_it_is_about(store: GraphStore) -> None:
    claims = failing(TRACE + "ZeroDivisionError: division by zero", before="country", after="land")
    at = FAILED + HOUR
    claims += alert(INCIDENT, at, name="FeatureDrift")
    claims += thing(K.INCIDENT, INCIDENT, at, labels={"feature": "country", "severity": "warning"})
    claims.append(Links(E.IMPLICATED_IN, run(1), INCIDENT, at))
    tell(store, claims)

    causes = ranked(store, INCIDENT)

    assert words(causes[data(1)]) == ["the failure names its column country, which changed"]
    assert words(causes[sha(1)]) == ["it touched churn/features.py, where the failure came from"]
