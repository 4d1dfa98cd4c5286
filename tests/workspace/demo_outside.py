"""The rest of the demo's story, for the parts of Kinlore that come later: pipelines, releases, incidents.

Job runs become OpenLineage events by the real client. Releases are written after the published CDEvents
format and incidents in Kinlore's own words; the files say so.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Any

from tests.workspace.data import extract_md5
from tests.workspace.demo_story import at, job_run
from tests.workspace.project import MODEL, RAW
from tests.workspace.workspace import Project

WAREHOUSE = "postgres://warehouse.example.com:5432"
REPOSITORY = "git.example.com/acme/churn"
JOBS = "airflow-retention"


def named(text: str) -> str:
    """A UUID that is the same in every recording."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://kinlore.example.com/demo/{text}"))


def job_runs() -> list[dict[str, Any]]:
    """The nightly export of the raw table, once failed, and the trainings that the pipeline started."""
    tables = [(WAREHOUSE, "crm.public.customers"), (WAREHOUSE, "crm.public.calls")]
    raw = [(REPOSITORY, RAW)]
    runs = []
    for when in (at(9, 28, 14), at(10, 12, 8), at(11, 2, 6), at(11, 5, 7), at(11, 10, 1)):
        states = [("START", when), ("COMPLETE", when.replace(minute=17))]
        runs.append(_job_run("export_raw", named(f"export {when:%m-%d}"), states, tables, raw))
    when = at(11, 4, 6)
    failed = _job_run(
        "export_raw", named("export 11-04"), [("START", when), ("FAIL", when.replace(minute=2))], tables, raw
    )
    failed["error"] = 'psycopg.errors.UndefinedColumn: column "tenure_months" does not exist'
    runs.append(failed)
    trainings = {
        "first-sweep": (at(9, 29, 9, 58), at(9, 29, 11, 0)),
        "october-sweep": (at(10, 13, 9, 28), at(10, 13, 10, 25)),
        "six-months-sweep": (at(10, 22, 9, 58), at(10, 22, 10, 55)),
        "november-sweep": (at(11, 2, 8, 58), at(11, 2, 9, 51)),
        "repair-sweep": (at(11, 5, 8, 58), at(11, 5, 9, 51)),
    }
    for name, (begun, ended) in trainings.items():
        states = [("START", begun), ("COMPLETE", ended)]
        runs.append(_job_run("retrain_churn", job_run(name), states, raw, []))
    return sorted(runs, key=lambda each: each["states"][0][1])


def _job_run(
    job: str,
    run: str,
    states: list[tuple[str, datetime]],
    inputs: list[tuple[str, str]],
    outputs: list[tuple[str, str]],
) -> dict[str, Any]:
    spelled = [(state, when.isoformat()) for state, when in states]
    return {
        "namespace": JOBS,
        "job": job,
        "run": run,
        "states": spelled,
        "inputs": inputs,
        "outputs": outputs,
    }


def image(build: str) -> str:
    return "sha256:" + hashlib.sha256(f"churn-api {build}".encode()).hexdigest()


RELEASES = [
    # (revision, when, environment, event, model version, image build, by)
    ("12", at(9, 30, 12), "production", "deployed", "1", "12", "Dana Ivory"),
    ("13", at(10, 15, 10), "production", "upgraded", "2", "13", "Dana Ivory"),
    ("30", at(11, 2, 17), "staging", "deployed", "3", "14", "Rafi Okoro"),
    ("14", at(11, 3, 10), "production", "upgraded", "3", "14", "Rafi Okoro"),
    ("15", at(11, 3, 16, 5), "production", "rolledback", "2", "13", "Dana Ivory"),
    ("31", at(11, 5, 17), "staging", "upgraded", "4", "16", "Dana Ivory"),
    ("16", at(11, 6, 9, 30), "production", "upgraded", "4", "16", "Dana Ivory"),
    ("17", at(11, 6, 11, 5), "production", "upgraded", "4", "17", "Rafi Okoro"),
]


def releases(project: Project) -> list[dict[str, Any]]:
    """CDEvents 0.5.1 `service.*`, with what Kinlore reads from `customData`."""
    commit_of = {"1": "data-1", "2": "data-2", "3": "data-3", "4": "data-4"}
    events = []
    for revision, when, environment, event, version, build, by in RELEASES:
        digest = image(build).replace(":", "%3A")
        artifact = f"pkg:oci/churn-api@{digest}?repository_url=registry.example.com/churn-api&tag=latest"
        context = {
            "specversion": "0.5.1",
            "id": named(f"release {environment} {revision}"),
            "source": "https://deploy.example.com/churn-api",
            "type": f"dev.cdevents.service.{event}.0.3.0",
            "timestamp": when.isoformat(),
        }
        content = {"environment": {"id": environment}, "artifactId": artifact}
        custom = {"revision": revision, "model": f"{MODEL}/{version}", "deployed_by": by}
        custom["commit"] = project.commits[commit_of[version]]
        events.append(
            {"context": context, "subject": {"id": "churn-api", "content": content}, "customData": custom}
        )
    return events


def incidents(project: Project, alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Three incidents with what was tried and what fixed them; ids are `scheme=value` of the demo's graph."""

    def signals(number: int) -> list[str]:
        fired = [each for each in alerts if each["status"] == "firing"]
        begun = {f"{a['fingerprint']}@{a['startsAt']}" for each in fired for a in each["alerts"]}
        day = ("2026-11-03", "2026-11-06")[number]
        return sorted(f"alertmanager.alert={each}" for each in begun if f"@{day}" in each)

    drift = {
        "id": named("incident drift"),
        "title": "Too many customers are scored as leaving",
        "severity": "critical",
        "openedAt": at(11, 3, 14, 20).isoformat(),
        "resolvedAt": at(11, 3, 16, 31).isoformat(),
        "signals": signals(0),
        "implicated": ["deployment=production/churn-api@14", f"mlflow.model_version@tracking={MODEL}/3"],
        "confirmedCause": f"git.sha={project.commits['data-3']}",
        "cause": "The extract of 2 November counts tenure in days; version 3 was trained on it. Offline "
        "metrics could not show it, because the test rows came from the same extract.",
        "attempts": [
            _attempt("restart", "Restart the service", "failed", at(11, 3, 14, 45), "Rafi Okoro", []),
            _attempt(
                "rollback",
                "Roll the deployment back to the last good model version",
                "worked",
                at(11, 3, 16, 5),
                "Dana Ivory",
                ["deployment=production/churn-api@15"],
            ),
            _attempt(
                "range check",
                "Check the range of the input in prepare and train again on a repaired extract",
                "worked",
                at(11, 5, 8),
                "Dana Ivory",
                [f"git.sha={project.commits['data-4']}"],
            ),
        ],
    }
    errors = {
        "id": named("incident errors"),
        "title": "churn-api answers 500: No module named 'numpy._core'",
        "severity": "critical",
        "openedAt": at(11, 6, 9, 41).isoformat(),
        "resolvedAt": at(11, 6, 11, 20).isoformat(),
        "signals": signals(1),
        "implicated": ["deployment=production/churn-api@16", f"oci.digest={image('16')}"],
        "confirmedCause": f"oci.digest={image('16')}",
        "cause": "The image was built with numpy 1.26, the model of version 4 was pickled with numpy 2.4.",
        "attempts": [
            _attempt("restart", "Restart the service", "failed", at(11, 6, 9, 55), "Dana Ivory", []),
            _attempt(
                "pin numpy",
                "Build the image from the requirements that MLflow keeps with the model",
                "worked",
                at(11, 6, 11, 5),
                "Rafi Okoro",
                ["deployment=production/churn-api@17"],
            ),
        ],
    }
    nights = {
        "id": named("incident nights"),
        "title": "The nightly training has failed twice",
        "severity": "high",
        "openedAt": at(11, 11, 8, 30).isoformat(),
        "resolvedAt": at(11, 12, 3, 8).isoformat(),
        "signals": [],
        "implicated": [f"mlflow.run_id={project.runs['nightly-11-11']}"],
        "confirmedCause": f"dvc.md5={extract_md5('gaps')}",
        "cause": "The extract of 10 November lacks the monthly price of every fiftieth customer. Its check "
        "failed, and nobody was told.",
        "attempts": [_retry(), _gaps(project)],
    }
    return [drift, errors, nights]


def _retry() -> dict[str, Any]:
    return _attempt("retry", "Run it again", "failed", at(11, 11, 3), "Rafi Okoro", [])


def _gaps(project: Project) -> dict[str, Any]:
    return _attempt(
        "drop missing prices",
        "Leave out rows with missing values in prepare",
        "worked",
        at(11, 11, 10),
        "Dana Ivory",
        [f"git.sha={project.commits['fill']}"],
    )


def failures(project: Project) -> list[dict[str, Any]]:
    """Failed runs whose fix is known."""
    step = _attempt("smaller step", "Lower the learning rate", "worked", at(10, 22, 15), "Rafi Okoro", [])
    singular = _attempt(
        "drop constant column",
        "Leave out columns that never change",
        "worked",
        at(10, 20, 16),
        "Dana Ivory",
        [],
    )
    fixed = [
        ("nightly-11-10", _retry()),
        ("nightly-11-11", _gaps(project)),
        ("october-bold", step),
        ("six-months-bold", step),
        ("newton-with-promo", singular),
    ]
    return [{"run": f"mlflow.run_id={project.runs[name]}", "attempts": [attempt]} for name, attempt in fixed]


def _attempt(
    key: str, title: str, outcome: str, when: datetime, by: str, changed: list[str]
) -> dict[str, Any]:
    remediation = {"id": named(f"remediation {key}"), "title": title}
    attempt_id = named(f"attempt {key} {when.isoformat()}")
    return {
        "id": attempt_id,
        "remediation": remediation,
        "outcome": outcome,
        "at": when.isoformat(),
        "by": by,
        "changed": changed,
    }
