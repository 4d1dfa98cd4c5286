"""Seven weeks of the churn project for the demo: what was tried, what failed, what went out.

28 Sep  first extract, v1          2 Nov  extract with tenure in days, v3 (looks fine offline)
12 Oct  second extract, v2         5 Nov  checked and repaired extract, v4: the champion
22 Oct  six months of calls       10 Nov  extract with missing prices: two nightly runs fail, then a fix
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.workspace.data import write_regions
from tests.workspace.project import BOTH_TAGS, FEATURES, MODEL, RAW, REGIONS
from tests.workspace.tools import Tools
from tests.workspace.workspace import Project

SWEEPS, SINGLES, NIGHTLY = "churn-sweeps", "churn-experiments", "churn-nightly"
Spec = dict[str, Any]
DANA, RAFI = "Dana Ivory", "Rafi Okoro"
WRONG_COLUMN = {"columns": ["tenure", "monthly", "contract_length"]}
SINGULAR = {"columns": ["tenure", "monthly", "promo"], "solver": "newton"}
TOO_BOLD = {"lr": 4000.0}
TOO_WIDE = {"interactions": 16}


def at(month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def job_run(name: str) -> str:
    """The OpenLineage run that started this training: the same id in its events and in MLflow's tag."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://pipelines.example.com/retrain_churn/{name}"))


def one(name: str, when: datetime, minutes: float, params: Spec | None = None, **more: Any) -> Spec:
    """A run of the past. Reads the features with both tags unless told otherwise."""
    spec: Spec = {"name": name, "inputs": [{"path": FEATURES, "tags": BOTH_TAGS}]}
    spec["params"] = {"lr": 0.5, "epochs": 4, **(params or {})}
    spec |= {"start_time": milliseconds(when), "end_time": milliseconds(when + timedelta(minutes=minutes))}
    return spec | more


def best(name: str, when: datetime, params: Spec, requirements: list[str]) -> Spec:
    """The run of a sweep whose model is registered."""
    model = {"log_model": True, "register": MODEL, "requirements": requirements}
    return one(name, when, 11, params, **model)


def sweep(name: str, when: datetime, children: list[Spec]) -> Spec:
    """A parent started by the pipeline, which ends when its last child does."""
    parent = one(name, when, 5, inputs=[{"path": RAW, "tags": BOTH_TAGS}], children=children)
    parent["end_time"] = max(child["end_time"] for child in children) + 20_000
    parent["run_tags"] = {"openlineage.run_id": job_run(name), "team": "retention"}
    del parent["params"]
    return parent


def grid(prefix: str, when: datetime, rates: list[float], **more: Any) -> list[Spec]:
    """Children that differ in their learning rate, twelve minutes apart; half of them tag the path only."""
    specs = []
    for number, rate in enumerate(rates):
        start = when + timedelta(minutes=1 + 12 * number)
        spec = one(f"{prefix}-{number}", start, 10 + number / 2, {"lr": rate}, **more)
        if number % 2:
            spec["inputs"] = [{"path": FEATURES, "tags": ["dvc.path"]}]
        specs.append(spec)
    return specs


def build_demo(folder: Path, tools: Tools, mlflow_url: str) -> Project:
    """Make the demo's project in the empty `folder`, with its runs on the tracking server."""
    project = Project(folder.resolve(), tools, mlflow_url)
    project.begin(at(9, 28))
    _september(project)
    _october(project)
    _november(project)
    project.alias(MODEL, "champion", "4")
    project.alias(MODEL, "challenger", "2")
    return project


def _september(project: Project) -> None:
    project.add_extract("first")
    project.commit("data-1", "Add the first extract", at(9, 28, 15), author=RAFI)
    project.reproduce()
    start = at(9, 29, 10)
    children = [
        *grid("first", start, [0.1, 0.3, 1.0]),
        best("first-best", start + timedelta(minutes=38), {"lr": 2.0}, ["numpy==2.3.5", "pandas==2.3.3"]),
        one("first-contract-length", start + timedelta(minutes=50), 1, WRONG_COLUMN),
    ]
    project.train({"experiment": SWEEPS, "runs": [sweep("first-sweep", start, children)]})
    project.commit("lock-1", "Lock the features of the first extract", at(9, 29, 17))
    project.git("tag", "--annotate", "v1", "--message", "churn 1", when=at(9, 30))
    project.git("checkout", "--quiet", "-b", "regions")
    write_regions(project.folder / REGIONS)
    project.dvc("add", "--quiet", REGIONS)
    project.commit("regions", "Add the table of regions", at(10, 1), author=RAFI)
    project.git("checkout", "--quiet", "main")
    # As `dvc checkout` would: here nothing ignores it, and git must not get it.
    (project.folder / REGIONS).unlink()
    project.edit("README.md", "# churn\n", "# churn\n\nOwned by the retention team.\n")
    project.commit("docs", "Say who owns this", at(10, 1, 14))
    merge = "Merge the table of regions"
    project.git("merge", "--quiet", "--no-ff", "--message", merge, "regions", when=at(10, 2))
    project.remember("merge")
    write_regions(project.folder / REGIONS)


def _october(project: Project) -> None:
    project.add_extract("second")
    message = "Second extract: calls of the last 2,000 customers corrected"
    project.commit("data-2", message, at(10, 12), author=RAFI)
    project.reproduce()
    start = at(10, 13, 9, 30)
    children = [
        *grid("october", start, [0.3, 1.0, 2.0]),
        best("october-best", start + timedelta(minutes=38), {"lr": 3.0}, ["numpy==2.4.6", "pandas==2.3.3"]),
        one("october-bold", start + timedelta(minutes=50), 1, TOO_BOLD),
        one("october-newton", start + timedelta(minutes=52), 1, SINGULAR, error_in="artifact"),
    ]
    project.train({"experiment": SWEEPS, "runs": [sweep("october-sweep", start, children)]})
    project.commit("lock-2", "Lock the features of the second extract", at(10, 13, 16))
    regions = {"path": REGIONS, "context": "lookup"}
    features = {"path": FEATURES, "tags": BOTH_TAGS}
    missing = [{"path": "data/regions_2025.csv", "tags": ["dvc.path"]}, features]
    evaluated = {
        "models": [project.models["october-best"]],
        "metrics": {"auc_holdout": 0.71, "latency_ms": 4.2},
    }
    singles = [
        one("evaluate-v2", at(10, 14, 11), 6, {"lr": 3.0}, **evaluated),
        one("with-regions", at(10, 15, 13), 9, inputs=[regions, features]),
        one("interactions", at(10, 16, 10), 2, TOO_WIDE),
        one("regions-of-2025", at(10, 19, 15), 1, inputs=missing),
        one("newton-on-tenure", at(10, 20, 9), 4, {"columns": ["tenure"], "solver": "newton"}),
        one("newton-with-promo", at(10, 20, 14), 1, SINGULAR),
        one("tenure-only", at(10, 21, 9), 5, {"columns": ["tenure"]}, inputs=[{"path": FEATURES}]),
    ]
    project.train({"experiment": SINGLES, "runs": singles})
    project.edit("params.yaml", "window: 3", "window: 6")
    project.commit("six-months", "Look back six months instead of three", at(10, 22))
    project.reproduce()
    start = at(10, 22, 10)
    children = [*grid("six-months", start, [0.3, 1.0, 2.0, 3.0])]
    children.append(one("six-months-bold", start + timedelta(minutes=52), 1, {"lr": 9000.0}))
    project.train({"experiment": SWEEPS, "runs": [sweep("six-months-sweep", start, children)]})
    project.commit("lock-3", "Lock the six-month features", at(10, 22, 17))
    project.edit("params.yaml", "window: 6", "window: 9")
    slow = one("nine-months", at(10, 26, 18), 0, {"epochs": 1000, "pause": 60})
    slow["inputs"] = [{"path": RAW, "tags": BOTH_TAGS}, {"path": FEATURES, "tags": ["dvc.path"]}]
    project.train_and_kill({"experiment": SINGLES, "runs": [slow]}, SINGLES, "nine-months")
    project.git("checkout", "--quiet", "--", "params.yaml")


def _november(project: Project) -> None:
    project.add_extract("days")
    project.commit("data-3", "Extract of 2 November", at(11, 2, 7), author=RAFI)
    project.reproduce()
    start = at(11, 2, 9)
    model = best(
        "november-best", start + timedelta(minutes=38), {"lr": 3.0}, ["numpy==2.4.6", "pandas==2.3.3"]
    )
    children = [*grid("november", start, [0.3, 1.0, 2.0]), model]
    project.train({"experiment": SWEEPS, "runs": [sweep("november-sweep", start, children)]})
    project.commit("lock-4", "Lock the features of 2 November", at(11, 2, 16))

    check = 'if not int(row["tenure"]) <= 72:\n                raise SystemExit("tenure is not in months")\n'
    old = '        writer.writerows(row for row in rows if row["contract"])\n'
    new = f'        for row in rows:\n            {check}            if row["contract"]:\n'
    project.edit("src/prepare.py", old, new + "                writer.writerow(row)\n")
    project.add_extract("third")
    message = "Refuse a tenure that is not in months\n\nThe export of 2 November had changed its unit."
    project.commit("data-4", message, at(11, 5, 8))
    project.reproduce()
    start = at(11, 5, 9)
    model = best("repair-best", start + timedelta(minutes=38), {"lr": 3.0}, ["numpy==2.4.6", "pandas==3.0.0"])
    children = [*grid("repair", start, [0.3, 1.0, 2.0]), model]
    project.train({"experiment": SWEEPS, "runs": [sweep("repair-sweep", start, children)]})
    project.commit("lock-5", "Lock the features of the repaired extract", at(11, 5, 15))

    project.add_extract("gaps")
    project.commit("data-5", "Extract of 10 November", at(11, 10, 2), author=RAFI)
    project.reproduce()
    nights = [one(f"nightly-11-{day}", at(11, day, 3), 2, {"lr": 3.0}) for day in (10, 11)]
    project.train({"experiment": NIGHTLY, "runs": nights})
    project.commit("lock-6", "Lock the features of 10 November", at(11, 11, 4))
    project.edit("src/prepare.py", 'if row["contract"]:', 'if row["contract"] and row["monthly"]:')
    project.commit("fill", "Leave out customers without a price", at(11, 11, 10))
    project.reproduce()
    project.train({"experiment": NIGHTLY, "runs": [one("nightly-11-12", at(11, 12, 3), 8, {"lr": 3.0})]})
    project.commit("lock-7", "Lock the features without gaps", at(11, 12, 9))
