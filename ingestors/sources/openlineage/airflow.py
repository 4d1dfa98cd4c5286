"""What Airflow's provider adds to OpenLineage: which DAG run and task an event is of, how tasks ended.

The events of a task name it in both ways: by OpenLineage's run id, a new one for every try, and by DAG, run
and task. The event of the DAG run names its tasks in the second way only. Both come to the same job run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graph_schema.claims import Claim, Links, Names, Properties, States
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind

Json = Mapping[str, Any]

#: States of a task instance; those that are not here are on their way. ``SKIPPED``: it never ran.
_STATUS = {
    "success": "COMPLETE",
    "failed": "FAILED",
    "upstream_failed": "SKIPPED",
    "skipped": "SKIPPED",
    "removed": "SKIPPED",
}


def shape(facets: Json) -> dict[str, Any] | None:
    """What is read of the facets ``airflow``, ``airflowDagRun`` and ``airflowState`` of a run."""
    task, whole = _object(facets, "airflow"), _object(facets, "airflowDagRun")
    run = _object(task or whole, "dagRun")
    dag_id, run_id = run.get("dag_id"), run.get("run_id")
    if not (isinstance(dag_id, str) and isinstance(run_id, str) and dag_id and run_id):
        return None
    found: dict[str, Any] = {"dagId": dag_id, "dagRunId": run_id, "runType": run.get("run_type")}
    if task:
        instance, declared = _object(task, "taskInstance"), _object(task, "task")
        mapped = instance.get("map_index")
        if mapped is None:
            mapped = _object(facets, "airflow_mappedTask").get("mapIndex")
        found |= {
            "taskId": declared.get("task_id"),
            "operator": declared.get("operator_class"),
            "try": instance.get("try_number"),
            "mapIndex": mapped if isinstance(mapped, int) and mapped >= 0 else None,
            "url": instance.get("log_url"),
        }
    state = _object(facets, "airflowState")
    states = _object(state, "tasksState")
    found["state"] = state.get("dagRunState")
    found["tasks"] = [{"taskId": task_id, "state": told} for task_id, told in sorted(states.items())]
    return {key: value for key, value in found.items() if value not in (None, [])}


def schedule(facets: Json) -> str | None:
    """When a DAG runs, as its own event tells it."""
    said = _object(_object(facets, "airflowDagRun"), "dag").get("timetable_summary")
    return said if isinstance(said, str) and said else None


def properties(airflow: Json) -> Properties:
    """What Airflow says of the job run itself."""
    names = ("operator", "runType", "mapIndex", "url")
    found = {name: airflow[name] for name in names if name in airflow}
    if not str(found.get("url", "http")).startswith("http"):
        del found["url"]
    return {**found, **({"taskState": airflow["state"]} if "state" in airflow else {})}


def claims(
    airflow: Json, me: str, namespace: str, parent: str | None, parent_job: str | None
) -> Iterator[Claim]:
    """Which DAG run or task instance ``me`` is, and how the others stand. ``namespace`` is the scope: that of
    the job, which is one installation of Airflow."""
    run = f"{airflow['dagId']}/{airflow['dagRunId']}"
    dag_run = identifier("airflow.dag_run", run, namespace)
    if "taskId" not in airflow:
        yield Names(NodeKind.JOB_RUN, (me, dag_run))
        yield from _tasks(airflow, me, run, namespace)
        return
    task = identifier("airflow.task_instance", f"{run}/{airflow['taskId']}", namespace)
    if parent is not None and parent_job == airflow["dagId"]:
        yield Names(NodeKind.JOB_RUN, (parent, dag_run))
    if "mapIndex" not in airflow:
        yield Names(NodeKind.JOB_RUN, (me, task))
        return
    one = identifier("airflow.task_instance", f"{run}/{airflow['taskId']}/{airflow['mapIndex']}", namespace)
    yield Names(NodeKind.JOB_RUN, (me, one))
    # The task as a whole is what the DAG's event speaks of.
    yield Links(EdgeKind.HAS, task, me)
    yield Links(EdgeKind.HAS, dag_run, task)


def _tasks(airflow: Json, me: str, run: str, namespace: str) -> Iterator[Claim]:
    for told in airflow.get("tasks", ()):
        task = identifier("airflow.task_instance", f"{run}/{told['taskId']}", namespace)
        name = f"{airflow['dagId']}.{told['taskId']}"
        status = _STATUS.get(told["state"] or "")
        said: Properties = {"name": name, "taskState": told["state"] or "none"}
        yield States(NodeKind.JOB_RUN, task, {**said, **({"status": status} if status else {})})
        if status == "SKIPPED":
            # It has no event of its own that would say where it belongs.
            yield Links(EdgeKind.HAS, me, task)
            yield Links(EdgeKind.HAS, identifier("openlineage.job", f"{namespace}/{name}"), task)


def _object(holder: Json, key: str) -> Json:
    found = holder.get(key)
    return found if isinstance(found, dict) else {}
