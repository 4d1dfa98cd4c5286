"""Confirmed causes of failures that read alike."""

from __future__ import annotations

from app.answers.cause_similar import roles_of_similar
from graph_schema.kinds import NodeKind
from graph_schema.values import Node

DATA, CODE = "DatasetVersion INPUT_TO Run", "Commit CODE_FOR Run"


def incident(handle: int, name: str, summary: str = "") -> Node:
    return Node(
        handle=handle,
        id=f"kinlore={handle}",
        kind=NodeKind.INCIDENT,
        name=name,
        identifiers=[f"kinlore={handle}"],
        properties={"summary": summary, "labels": {"deployment": "churn-api", "severity": "warning"}},
    )


EARLIER = [
    incident(1, "PredictionDrift", "share of null tenure in churn-api features above 0.2"),
    incident(2, "CrashLooping", "worker exits with signal 9 on start"),
    incident(3, "QualityLow", "conversion of recommendations below its floor"),
    incident(4, "LatencyHigh", "p99 of ranking-api above 800 ms"),
]
ROLES = {1: [DATA], 2: [CODE], 3: [CODE], 4: [CODE]}


def test_the_cause_of_one_that_reads_alike_counts_by_how_alike_it_is() -> None:
    close = incident(9, "Other", "share of null tenure in churn-api features above 0.3")
    loose = incident(9, "Other", "share of null tenure in features jumped")

    assert roles_of_similar(close, EARLIER, ROLES)[DATA] > roles_of_similar(loose, EARLIER, ROLES)[DATA] > 0
    assert CODE not in roles_of_similar(close, EARLIER, ROLES)


def test_names_and_labels_are_not_what_is_said() -> None:
    assert roles_of_similar(incident(9, "PredictionDrift"), EARLIER, ROLES) == {}


def test_what_is_like_nothing_before_and_what_nobody_confirmed_says_nothing() -> None:
    asked = incident(9, "DiskFull", "volume of labels-store has no space above the limit")

    assert roles_of_similar(asked, EARLIER, ROLES) == {}
    assert roles_of_similar(EARLIER[0], EARLIER, {}) == {}
