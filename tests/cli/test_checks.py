"""``kinlore checks``, ``kinlore lineage --column``, and bounds in the settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.container import Container
from app.errors import ConfigError
from app.settings import load
from graph_schema.claims import Links, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import Source
from graph_schema.values import Filter
from ingestors import joins, series
from ingestors.checks import Assertion, Examination, claims_of
from tests.cli.conftest import Kinlore
from tests.contract.harness import record

DATA, OTHER = f"dvc.md5={'a' * 32}", f"dvc.md5={'b' * 32}"
MODEL = "mlflow.model@tracking=churn"
DAY = 86_400_000_000
HASHED = {"from": "age", "to": "score", "how": "DIRECT/TRANSFORMATION", "masked": True}
START = 1_767_225_600_000_000  # 2026-01-01

BOUNDS = """
[[bounds]]
model = "churn"
metric = "auc"
min = 0.7
incident = true
"""


def fill(container: Container) -> None:
    """Data whose check failed on the second day; versions trained on it on the first and on the third."""
    said = [
        States(NodeKind.DATASET_VERSION, DATA, {"name": "features.csv", "columns": ["age", "mail"]}),
        States(NodeKind.DATASET_VERSION, OTHER, {"name": "scores.csv"}),
        Links(EdgeKind.DERIVED_INTO, DATA, OTHER, START, properties={
            "columns": [["age", "score"]],
            "transformations": [HASHED],
        }),
        States(NodeKind.MODEL, MODEL, {"name": "churn"}),
        *series.called(MODEL, series.MODEL, "churn"),
    ]  # fmt: skip
    for number, day, auc in ((1, 0, 0.8), (2, 2, 0.6)):
        run, version = f"mlflow.run_id=r{number}", f"mlflow.model_version@tracking=churn/{number}"
        at = START + day * DAY
        said += [
            States(NodeKind.RUN, run, {"name": f"train {number}"}),
            States(NodeKind.MODEL_VERSION, version, {"name": f"churn v{number}", "createdAt": at}),
            Links(EdgeKind.INPUT_TO, DATA, run, at),
            Links(EdgeKind.PRODUCED, run, version, at),
            *series.member(MODEL, version, at, metrics={"auc": auc}, data={"name": f"v{number}"}),
        ]
    found = Examination(
        name="features", stream="features", at=START + DAY, kind="data_quality", said={"dvc.md5": "a" * 32},
        assertions=[Assertion(name="not_null", kind="data_quality", status="FAILED", column="age")],
    )  # fmt: skip
    checked = claims_of(found, "features.json", "great_expectations", "quality")
    store = container.migrated()
    for source, key, claims in (("tracking", "t", said), ("quality", "q", checked)):
        store.transact(lambda tx, s=source, k=key, c=claims: joins.apply(tx, Source(s, s), [record(k, *c)]))  # type: ignore[misc]


@pytest.fixture
def filled(folder: Path) -> Path:
    (folder / "kinlore.toml").write_text(BOUNDS)
    with Container(load(environ={})) as container:
        fill(container)
    return folder


def test_what_was_checked_is_listed_with_what_failed(kinlore: Kinlore, filled: Path) -> None:
    shown = kinlore("checks")

    assert shown.code == 0 and "3 checks: complete" in shown.err
    assert shown.out.splitlines()[0].split() == [
        "FAILED", "2026-01-03", "00:00", "churn", "auc:", "v2", "model_quality"
    ]  # fmt: skip
    assert "        of ModelVersion churn v2\n        0.6 is not at least 0.7\n" in shown.out
    assert "        of DatasetVersion features.csv\n        not_null(age)\n" in shown.out
    assert "PASSED" not in kinlore("checks", "--failed").out
    assert "features" not in kinlore("checks", "--stream", "churn auc").out
    (one,) = json.loads(kinlore("checks", "--of", DATA, "--json").out)["results"]
    assert one["check"]["id"] == "check@quality=features.json" and one["subjects"][0]["id"] == DATA


def test_a_kind_spelled_wrong_is_answered_with_those_there_are(kinlore: Kinlore, filled: Path) -> None:
    shown = kinlore("checks", "--kind", "data_qualty")

    assert shown.code == 0 and "kinds of checks are schema, data_quality, data_drift" in shown.err
    assert "kinds" not in kinlore("checks", "--kind", "bias").err


def test_models_made_of_data_that_failed_say_when(kinlore: Kinlore, filled: Path) -> None:
    shown = kinlore("checks", "--failed", "--kind", "data_quality", "--downstream", "ModelVersion")

    assert shown.out == (
        "ModelVersion churn v2  mlflow.model_version@tracking=churn/2\n"
        "   before  features failed at 2026-01-02T00:00:00Z, before the data was read at"
        " 2026-01-03T00:00:00Z\n"
        "           data features.csv, 2 hops away: not_null(age)\n"
        "ModelVersion churn v1  mlflow.model_version@tracking=churn/1\n"
        "   after   features failed at 2026-01-02T00:00:00Z, only after the data was read at\n"
        "           2026-01-01T00:00:00Z\n"
        "           data features.csv, 2 hops away: not_null(age)\n"
        "\n"
        "        checks  of\n"
        "before  1       1 ModelVersion\n"
        "after   1       1 ModelVersion\n"
    )
    told = kinlore("checks", "--downstream", "ModelVersion", "--failed", "--json").out
    rows = json.loads(told)["affected"]
    assert {(row["node"]["name"], row["timing"]) for row in rows} == {
        ("churn v1", "AFTER"),
        ("churn v2", "BEFORE"),
    }


def test_a_check_shows_in_lineage_with_its_status(kinlore: Kinlore, filled: Path) -> None:
    shown = kinlore("lineage", DATA, "--down", "--hops", "1")

    assert "Check features  FAILED, " in shown.out


def test_a_column_is_followed(kinlore: Kinlore, filled: Path) -> None:
    shown = kinlore("lineage", DATA, "--column", "AGE")

    assert shown.out.splitlines()[:3] == [
        "features.csv.age",
        "went into",
        "  +1  features.csv.age → scores.csv.score  [DIRECT/TRANSFORMATION, masked]",
    ]
    assert "read by, whichever columns they take" in shown.out and "train 1" in shown.out
    assert "2 columns, 1 step: complete" in shown.err
    assert json.loads(kinlore("lineage", DATA, "--column", "age", "--json").out)["edges"][0]["masked"] is True
    assert kinlore("lineage", DATA, "--column", "mail").err.startswith("no derivation names this column")
    wrong = kinlore("lineage", DATA, "--column", "salary")
    assert wrong.code == 2 and "has no column 'salary'; it has age, mail" in wrong.err
    assert kinlore("lineage", DATA, "--column", "age", "--kind", "Run").code == 2


def test_bounds_of_the_settings_hold_as_soon_as_they_are_there_and_go_again(folder: Path) -> None:
    def incidents() -> list[str]:
        with Container(load(environ={})) as container:
            found = container.migrated().find(NodeKind.INCIDENT, [Filter("bound", value="churn auc")])
            return [node.name for node in found.items]

    (folder / "kinlore.toml").write_text("")
    with Container(load(environ={})) as container:
        fill(container)
    assert incidents() == []

    (folder / "kinlore.toml").write_text(BOUNDS)
    assert incidents() == ["churn auc: v2 failed"]

    (folder / "kinlore.toml").write_text("")
    assert incidents() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('metric = "auc"\nmin = 1', "one of model, experiment and check"),
        ('model = "m"\ncheck = "c"\nmetric = "auc"\nmin = 1', "one of model, experiment and check"),
        ('model = "m"\nmin = 1', "a bound needs a metric"),
        ('model = "m"\nmetric = "auc"', "needs min, max or tolerance"),
        ('check = "c"', "needs incident = true"),
        ('model = "m"\nmetric = "auc"\nmin = 2\nmax = 1', "nothing lies in between"),
        (
            'check = "c"\nmetric = "m"\nmin = 1\nagainst = "champion"',
            "is for a bound on a model, with a tolerance",
        ),
        ('model = "m"\nmetric = "auc"\nminimum = 1', "minimum is no setting; did you mean min?"),
    ],
)
def test_a_bound_that_makes_no_sense_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "kinlore.toml"
    file.write_text(f"[[bounds]]\n{text}\n")

    with pytest.raises(ConfigError, match=r"^kinlore.toml: bounds\.0") as refused:
        load(file, environ={})

    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_two_bounds_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "kinlore.toml"
    file.write_text(BOUNDS + BOUNDS)

    with pytest.raises(ConfigError, match="two bounds are called 'churn auc'"):
        load(file, environ={})
