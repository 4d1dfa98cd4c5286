"""Failures that come again, in graphs of a few: by their alert, their error or their pipeline."""

from __future__ import annotations

import pytest

from app.learnings.similar import similar
from graph_schema.claims import Links, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from tests.contract.harness import EPOCH, say
from tests.contract.test_similar import DAY, TENURE, failed, handle, ids, kinds, run, told

K, E = NodeKind, EdgeKind


def test_an_error_in_the_text_of_an_incident_is_found(store: GraphStore) -> None:
    issue = "github.issue=acme/churn#9"
    text = "Since this morning:\n```\n  File \"serve.py\", line 2, in predict\nKeyError: 'plan'\n```\n"
    told_of = {"name": "#9 Half of the predictions fail", "text": text, "createdAt": EPOCH + DAY}
    say(store, States(K.INCIDENT, issue, told_of), key="i")

    by_error = similar(store, text="KeyError: 'plan' in the nightly scoring")
    by_title = similar(store, text="Half of the predictions fail, says the dashboard")

    assert ids(store, by_error) == ids(store, by_title) == [issue]
    assert told(by_error.matches[0]).startswith("both raise KeyError 'plan'")
    assert "signature" in kinds(by_title.matches[0])
    assert similar(store, text="KeyError: 'age' in the nightly scoring").no_precedent
    assert similar(store, text="AttributeError: 'NoneType' in the nightly scoring").no_precedent


def test_a_job_that_fails_again_in_the_same_words_is_known_however_common_they_are(store: GraphStore) -> None:
    def ran(number: int, job: str, said: str) -> int:
        me = f"openlineage.run_id=0190b6a1-0000-7000-8000-{number:012}"
        told_of = {"name": job, "status": "FAILED", "error": said, "createdAt": EPOCH + number * DAY}
        parts = [States(K.JOB_RUN, me, told_of), Links(E.HAS, f"openlineage.job=airflow/{job}", me)]
        say(store, *parts, States(K.JOB, f"openlineage.job=airflow/{job}", {"name": job}), key=me)
        return handle(store, me)

    common = "Bash command failed. The command returned a non-zero exit code {}."
    first, other = ran(1, "transform", common.format(1)), ran(2, "load", common.format(1))
    again, unlike = ran(3, "transform", common.format(2)), ran(4, "transform", "Killed")

    (match,) = similar(store, handle=again).matches
    assert match.handle == first and match.probability == pytest.approx(0.35)
    shared = {each.text for each in match.shared}
    assert {"same pipeline transform", f"the same words: {common.format(2)}"} <= shared
    assert similar(store, handle=other).no_precedent and similar(store, handle=unlike).no_precedent


def test_an_alert_that_fires_again_is_known(store: GraphStore) -> None:
    def fired(mark: str, day: int, name: str, seconds: float, service: str) -> str:
        me = f"alertmanager.alert={mark}@2026-01-0{day}T00:00:00Z"
        labels = {"alertname": name, "service": service}
        said = {
            "name": name,
            "summary": f"p99 is {seconds} s",
            "labels": labels,
            "createdAt": EPOCH + day * DAY,
        }
        say(store, States(K.INCIDENT, me, said), key=me)
        return me

    first = fired("aa", 1, "LatencyHigh", 2.3, "churn")
    again = fired("aa", 2, "LatencyHigh", 3.7, "churn")
    moved = fired("bb", 3, "LatencyHigh", 3.9, "churn")
    elsewhere = fired("cc", 4, "LatencyHigh", 1.1, "fraud")
    other = fired("dd", 5, "DiskFull", 0.5, "fraud")

    def found(alert: str) -> list[tuple[str, float, str]]:
        answer = similar(store, handle=handle(store, alert))
        why = [told(match).splitlines()[0] for match in answer.matches]
        sure = [round(match.probability, 2) for match in answer.matches]
        return list(zip(ids(store, answer), sure, why, strict=True))

    assert found(first) == [] and found(other) == []
    assert found(again) == [(first, 0.6, "the same alert: LatencyHigh, of the same labels")]
    assert found(moved) == [(each, 0.6, "the same alert: LatencyHigh") for each in (again, first)]
    assert found(elsewhere) == [(each, 0.35, "the same alert: LatencyHigh") for each in (moved, again, first)]


def test_packages_that_differ_are_told_however_their_tool_lists_them(store: GraphStore) -> None:
    listed = {"packages": ["numpy==1.26.4", "pandas==2.2.0", "scipy"]}
    installed = {"packages": {"numpy": "2.0.0", "pandas": "2.2.0", "scipy": "1.14.0"}}
    for number, held in ((1, listed), (2, installed)):
        runtime = f"runtime={number:064x}"
        ran = [States(K.RUNTIME, runtime, held), Links(E.RUNTIME_OF, runtime, run(number))]
        say(store, *failed(number, TENURE, day=number), *ran, key=str(number))

    (match,) = similar(store, handle=handle(store, run(2))).matches

    differing = {each.path: (each.left, each.right) for each in match.differs if "packages" in each.path}
    assert differing == {"packages.numpy": ("2.0.0", "1.26.4")}
