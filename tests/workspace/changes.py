"""What happens at the sources after the first ingestion. Each function is one change by the real tool.

`everything` makes them all; the graph must then equal `truth(project, url).after(the truth before)`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.workspace.project import MODEL, SINGLES, day
from tests.workspace.workspace import Project


def late_tag(project: Project) -> None:
    """A tag on a run that ended long ago: no time stamp of the run changes."""
    body = {"run_id": project.runs["a0"], "key": "reviewed_by", "value": "Rafi Okoro"}
    project.mlflow("POST", "runs/set-tag", body)


def late_metric(project: Project) -> None:
    """A metric on a run that ended long ago: no time stamp of the run changes."""
    body = {"run_id": project.runs["a1"], "key": "auc_late", "value": 0.61, "timestamp": _now(), "step": 0}
    project.mlflow("POST", "runs/log-metric", body)


def deleted_run(project: Project) -> None:
    """MLflow keeps it and answers only those who ask for deleted runs too."""
    project.mlflow("POST", "runs/delete", {"run_id": project.runs["a2"]})


def back_dated_run(project: Project) -> None:
    """A run imported today that began before every other and read the first extract."""
    started = int(datetime(2025, 12, 1, tzinfo=UTC).timestamp() * 1000)
    body = {
        "experiment_id": project.experiment(SINGLES),
        "run_name": "imported",
        "start_time": started,
        "tags": [{"key": "mlflow.source.git.commit", "value": project.commits["begin"]}],
    }
    run_id = project.mlflow("POST", "runs/create", body)["run"]["info"]["run_id"]
    first = project.git_output("show", f"{project.commits['data-1']}:data/raw.csv.dvc")
    md5 = first.split("md5: ", 1)[1].split()[0]
    dataset = {
        "name": "raw",
        "digest": "imported",
        "source_type": "local",
        "source": '{"uri": "data/raw.csv"}',
    }
    used = {"dataset": dataset, "tags": [{"key": "dvc.md5", "value": md5}]}
    project.mlflow("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [used]})
    body = {"run_id": run_id, "status": "FINISHED", "end_time": started + 60_000}
    project.mlflow("POST", "runs/update", body)
    project.runs["imported"] = run_id


def moved_aliases(project: Project) -> None:
    """The champion moves on, the challenger is taken away. No time stamp changes, and there is no history."""
    project.alias(MODEL, "champion", "3")
    project.mlflow("DELETE", "registered-models/alias", {"name": MODEL, "alias": "challenger"})


def force_pushed(project: Project) -> None:
    """The last commit is written anew; the old one is gone for good, but the run `killed` still cites it."""
    project.commits["lock-3-old"] = project.commits["lock-3"]
    project.git("commit", "--quiet", "--amend", "--message", "Lock the features of six months", when=day(11))
    project.remember("lock-3")
    project.git("reflog", "expire", "--expire=now", "--all")
    project.git("gc", "--quiet", "--prune=now")


def new_data(project: Project) -> None:
    """A third extract and what the stages make of it, committed as one."""
    project.add_extract("third")
    project.reproduce()
    project.commit("data-3", "Third extract", day(12))


def killed_run_ended(project: Project) -> None:
    """Somebody notices the run that never ended."""
    body = {"run_id": project.runs["killed"], "status": "KILLED", "end_time": _now()}
    project.mlflow("POST", "runs/update", body)


def everything(project: Project) -> None:
    """All of the above, in an order that makes sense: history is rewritten before it goes on."""
    late_tag(project)
    late_metric(project)
    deleted_run(project)
    back_dated_run(project)
    moved_aliases(project)
    force_pushed(project)
    new_data(project)
    killed_run_ended(project)


def _now() -> int:
    return int(time.time() * 1000)
