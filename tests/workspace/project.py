"""A churn project in git, DVC and MLflow, with every trap that joining them has.

    begin ── data-1 ── lock-1 ─┬─ docs ──── merge ── data-2 ── lock-2 ── params ── lock-3
                               └─ regions ──┘

- The two extracts of `data/raw.csv` differ only after row 10,000: MLflow has one digest for both.
- Every sweep is tagged with the commit *before* the one that holds its new dvc.lock. At `data-2` the tree
  even holds a lock, but of the first extract; at `params` one whose parameters are no longer the tree's.
- `sweep-a` and `sweep-b` have a failed child each, one with its traceback in the tag `error`, one in the
  artifact `error.txt`. `killed` got SIGKILL on a dirty tree.
- `churn` has four versions; the last was registered from a bucket, without a logged model.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.workspace.data import write_regions
from tests.workspace.tools import Tools
from tests.workspace.workspace import Plan, Project

SWEEPS, SINGLES, MODEL = "churn-sweeps", "churn-singles", "churn"
RAW, FEATURES, SPLITS, REGIONS = "data/raw.csv", "data/features.csv", "data/splits", "data/regions.csv"
BOTH_TAGS = ["dvc.md5", "dvc.path"]


def day(number: float) -> datetime:
    """The project's own calendar: commits must have the same ids wherever and whenever it is made."""
    return datetime(2026, 3, 2, 9, tzinfo=UTC) + timedelta(days=number)


def sweep_a() -> Plan:
    children = [
        {
            "name": "a0",
            "inputs": [{"path": FEATURES, "tags": BOTH_TAGS}],
            "params": {"lr": 0.5, "epochs": 3},
            "log_model": True,
            "register": MODEL,
        },
        {
            "name": "a1",
            "inputs": [{"path": FEATURES, "tags": ["dvc.path"]}],
            "params": {"lr": 1.0, "epochs": 3},
        },
        {"name": "a2", "inputs": [{"path": FEATURES}], "params": {"lr": 2.0, "epochs": 3}},
        {
            "name": "a3-failed",
            "inputs": [{"path": FEATURES, "tags": BOTH_TAGS}],
            "params": {"lr": 1.0, "epochs": 3, "columns": ["tenure", "contract_length"]},
        },
    ]
    parent = {"name": "sweep-a", "inputs": [{"path": RAW, "tags": BOTH_TAGS}], "children": children}
    return {"experiment": SWEEPS, "runs": [parent]}


def sweep_b() -> Plan:
    holdout = {"path": FEATURES, "source": "https://data.example.com/holdout.csv", "context": "holdout"}
    children = [
        {
            "name": "b0",
            "inputs": [{"path": FEATURES, "tags": ["dvc.path"]}],
            "params": {"lr": 0.5, "epochs": 3},
            "log_model": True,
            "register": MODEL,
        },
        {
            "name": "b1",
            "inputs": [{"path": FEATURES, "tags": ["dvc.md5"]}, holdout],
            "params": {"lr": 1.0, "epochs": 3},
            "log_model": True,
        },
        {
            "name": "b2-failed",
            "inputs": [{"path": FEATURES, "tags": BOTH_TAGS}],
            "params": {"lr": 1.0, "epochs": 3, "columns": ["tenure", "promo"], "solver": "newton"},
            "error_in": "artifact",
        },
    ]
    parent = {"name": "sweep-b", "inputs": [{"path": RAW, "tags": ["dvc.path"]}], "children": children}
    return {"experiment": SWEEPS, "runs": [parent]}


def tuned() -> Plan:
    spec = {
        "name": "tuned",
        # The last data frame read is trained on, so the lookup goes first.
        "inputs": [{"path": REGIONS, "context": "lookup"}, {"path": FEATURES, "tags": ["dvc.path"]}],
        "params": {"lr": 0.7, "epochs": 3},
        "log_model": True,
        "register": MODEL,
    }
    return {"experiment": SINGLES, "runs": [spec]}


def killed() -> Plan:
    inputs = [{"path": RAW, "tags": BOTH_TAGS}, {"path": FEATURES, "tags": ["dvc.path"]}]
    params = {"lr": 0.7, "epochs": 1000, "pause": 60}
    return {"experiment": SINGLES, "runs": [{"name": "killed", "inputs": inputs, "params": params}]}


def build(folder: Path, tools: Tools, mlflow_url: str) -> Project:
    """Make the project in the empty `folder`, with its runs on the tracking server at `mlflow_url`."""
    project = Project(folder.resolve(), tools, mlflow_url.rstrip("/"))
    project.begin(day(0))

    project.add_extract("first")
    project.commit("data-1", "Add the first extract", day(1))
    project.reproduce()
    project.train(sweep_a())
    project.commit("lock-1", "Lock the features of the first extract", day(2))
    project.git("tag", "--annotate", "release-1", "--message", "First release", when=day(2))

    _merge_regions(project)

    project.add_extract("second")
    project.commit("data-2", "Second extract: calls of the last 2,000 customers corrected", day(7))
    project.reproduce()
    project.train(sweep_b())
    project.commit("lock-2", "Lock the features of the second extract", day(8))

    project.edit("params.yaml", "window: 3", "window: 6")
    project.commit("params", "Look back six months instead of three", day(9))
    project.reproduce()
    project.train(tuned())
    project.commit("lock-3", "Lock the six-month features", day(10))

    project.edit("params.yaml", "window: 6", "window: 9")
    project.train_and_kill(killed(), SINGLES, "killed")
    project.git("checkout", "--quiet", "--", "params.yaml")

    _fill_registry(project)
    return project


def _merge_regions(project: Project) -> None:
    """A branch that brings a data set, merged: the merge's tree holds it, but it did not introduce it."""
    project.git("checkout", "--quiet", "-b", "regions")
    write_regions(project.folder / REGIONS)
    project.dvc("add", "--quiet", REGIONS)
    project.commit("regions", "Add the table of regions", day(3), author="Rafi Okoro")
    project.git("checkout", "--quiet", "main")
    # As `dvc checkout` would: here nothing ignores it, and git must not get it.
    (project.folder / REGIONS).unlink()
    project.edit("README.md", "# churn\n", "# churn\n\nOwned by the retention team.\n")
    project.commit("docs", "Say who owns this", day(4))
    project.git(
        "merge", "--quiet", "--no-ff", "--message", "Merge the table of regions", "regions", when=day(5)
    )
    project.remember("merge")
    write_regions(project.folder / REGIONS)


def _fill_registry(project: Project) -> None:
    """A fourth version that has no logged model, and two aliases that have moved."""
    body = {"name": MODEL, "source": "s3://models.example.com/churn/imported", "run_id": project.runs["a1"]}
    project.mlflow("POST", "model-versions/create", body)
    for alias, version in [("champion", "1"), ("challenger", "2"), ("champion", "2"), ("challenger", "3")]:
        project.alias(MODEL, alias, version)
