"""What is asked of the graph for a change, and what is made of the answers; a graph of few names answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from app.errors import RemoteError
from app.gate.asking import Found, runs_it
from app.gate.changes import Change, Changes, Plan
from app.gate.checking import check
from app.gate.report import Thresholds, Verdict
from app.gate.risks import MAX_STARTS, impact, past_failures

SHA = "a" * 40
OLD, NEW = "1" * 32, "2" * 32
DATA = Change(
    kind="data",
    path="data/raw.csv",
    datasets=("data/raw.csv",),
    versions=(OLD, NEW),
    replaced=1,
    commits=(SHA,),
)
CODE = Change(kind="code", path="train.py", scripts=("train.py",), commits=(SHA,))


class Graph:
    """Answers as GraphQL does. ``leads`` says what each thing leads to: (id, kind, aliases)."""

    def __init__(self, **held: Any) -> None:
        self.leads: dict[str, list[tuple[str, str, bool]]] = held.get("leads", {})
        self.known: dict[str, str] = held.get("known", {})
        self.members: dict[str, list[tuple[str, str]]] = held.get("members", {})
        self.incidents: dict[str, list[tuple[str, str]]] = held.get("incidents", {})
        self.causes: dict[str, list[tuple[str, bool | None]]] = held.get("causes", {})
        self.wholes: dict[str, str] = held.get("wholes", {})
        self.tried: list[dict[str, Any]] = held.get("tried", [])
        self.lacks: tuple[str, ...] = held.get("lacks", ())
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((query, variables))
        for field in self.lacks:
            if field in query:
                raise RemoteError(f"Cannot query field '{field}' on type 'Query'.", "BAD_INPUT")
        if "nodes(ids" in query:
            return {"nodes": [self._node(id) for id in variables["ids"]]}
        if "impact(" in query:
            return {"impact": self._impact(variables["ids"])}
        if "experiments(" in query:
            return {"experiments": {"alreadyTried": True, "summary": "", "alike": self.tried}}
        answers = {}
        for name, number in re.findall(r"(\w+): (?:lineage|rootCauses)\(id: \$i(\d+)", query):
            id = variables[f"i{number}"]
            if "rootCauses" in query:
                answers[name] = self._causes(id)
            elif "UPSTREAM" in query:
                above = [id, *([self.wholes[id]] if id in self.wholes else [])]
                answers[name] = {"nodes": [{"node": {"id": each}} for each in above]}
            else:
                answers[name] = self._walk(id, "INCIDENT" in query)
        return answers

    def _node(self, id: str) -> dict[str, str] | None:
        return {"id": self.known[id]} if id in self.known else None

    def _walk(self, id: str, incidents: bool) -> dict[str, Any]:
        found = (self.incidents if incidents else self.members).get(id, [])
        nodes = [{"hops": 1, "node": {"id": other, "createdAt": at}} for other, at in found]
        return {
            "nodes": [{"hops": 0, "node": {"id": id, "createdAt": None}}, *nodes],
            "totalNodes": len(nodes) + 1,
        }

    def _causes(self, id: str) -> dict[str, Any]:
        listed = [
            {"confirmed": said, "because": "it began then", "node": {"id": other, "name": other}}
            for other, said in self.causes.get(id, [])
        ]
        return {"subject": {"id": id, "name": id, "createdAt": "2026-03-01T10:00:00Z"}, "candidates": listed}

    def _impact(self, ids: list[str]) -> dict[str, Any]:
        targets = [
            {
                "contribution": 10.0,
                "because": "1 hop away",
                "node": {"id": other, "kind": kind, "name": other, "aliases": [{"current": current}]},
                "path": [{"from": id}],
            }
            for id in ids
            for other, kind, current in self.leads.get(id, [])
        ]
        return {
            "score": 10.0 * len(targets),
            "summary": "At risk.",
            "total": len(targets),
            "complete": True,
            "truncatedBecause": None,
            "targets": targets,
            "owners": [{"role": "owner", "owner": {"id": "team=ml", "name": "ml"}}],
        }


def changes(*listed: Change, **more: Any) -> Changes:
    return Changes(
        repository="git.example.com/acme/churn",
        base=SHA,
        head=SHA,
        against="main",
        total=1,
        changes=listed,
        **more,
    )


def test_the_state_at_the_base_counts_and_the_new_one_does_not() -> None:
    graph = Graph(
        known={f"dvc.md5={OLD}": "old", f"dvc.md5={NEW}": "new"},
        leads={"old": [("model", "MODEL_VERSION", False)], "new": [("try", "MODEL_VERSION", False)]},
    )

    report = check(graph, changes(DATA), Thresholds())

    assert report.verdict is Verdict.WARN
    assert [(risk.id, risk.change) for risk in report.risks] == [("model", "data/raw.csv")]
    assert [(owner.name, owner.role) for owner in report.owners] == [("ml", "owner")]


def test_an_earlier_state_counts_if_what_it_led_to_is_in_use() -> None:
    graph = Graph(
        known={f"dvc.md5={OLD}": "old", "dataset=git.example.com/acme/churn/data/raw.csv": "set"},
        members={
            "set": [("old", "2026-03"), ("served", "2026-02"), ("named", "2026-01"), ("forgotten", "2025-12")]
        },
        leads={
            "served": [("release", "DEPLOYMENT", False)],
            "named": [("champion", "MODEL_VERSION", True)],
            "forgotten": [("model", "MODEL_VERSION", False)],
        },
    )

    report = check(graph, changes(DATA), Thresholds())

    assert {risk.id for risk in report.risks} == {"release", "champion"}
    assert report.risks[0].id == "release"


def test_where_only_data_and_runs_lie_downstream_there_is_no_warning() -> None:
    graph = Graph(
        known={f"dvc.md5={OLD}": "old"},
        leads={"old": [("clean", "DATASET_VERSION", False), ("run", "RUN", False)]},
    )

    report = check(graph, changes(DATA), Thresholds(0, 0))

    assert (report.verdict, report.score) == (Verdict.QUIET, 20.0)


def test_what_the_graph_does_not_know_is_at_no_risk() -> None:
    report = check(Graph(), changes(DATA), Thresholds(0, 0))

    assert (report.verdict, report.score, report.changes) == (Verdict.QUIET, 0.0, ())


def found(change: Change, *ids: str, earlier: tuple[str, ...] = ()) -> Found:
    return Found(change, ids, earlier)


def test_no_change_crowds_out_another_and_what_is_left_out_is_said() -> None:
    many = found(DATA, *(f"a{number}" for number in range(MAX_STARTS + 50)))
    graph = Graph(leads={"b": [("release", "DEPLOYMENT", False)]})

    answer = impact(graph, [many, found(CODE, "b")])

    assert [risk.change for risk in answer.risks] == ["train.py"]
    assert answer.notes == ("impact was asked of 200 of 251 states, the last ones of each change",)
    assert len(graph.asked[-1][1]["ids"]) == MAX_STARTS


def test_an_incident_counts_if_an_earlier_change_is_a_likely_cause() -> None:
    graph = Graph(
        incidents={
            "old": [("one", "2026-01"), ("two", "2026-02"), ("three", "2026-03"), ("four", "2026-04")]
        },
        causes={
            "one": [("something", None), ("old", None)],
            "two": [("old", False), ("something", None)],
            "three": [("something", True), (f"git.sha={SHA}", None)],
            "four": [("something", None)],
        },
    )

    failures = past_failures(graph, [found(DATA, "old")])

    # The last first; what people rejected and what nobody thinks likely is none.
    assert [(each.id, each.cause, each.confirmed) for each in failures] == [
        ("three", f"git.sha={SHA}", False),
        ("one", "old", False),
    ]


def test_an_alert_of_an_incident_that_is_told_is_not_told_again() -> None:
    graph = Graph(
        incidents={"old": [("alert", "2026-01"), ("whole", "2026-02"), ("part", "2026-03")]},
        causes={each: [("old", None)] for each in ("alert", "whole", "part")},
        wholes={"alert": "whole", "part": "elsewhere"},
    )

    failures = past_failures(graph, [found(DATA, "old")])

    assert [each.id for each in failures] == ["part", "whole"]


def test_of_code_only_commits_are_causes() -> None:
    graph = Graph(incidents={"run": [("one", "2026-01"), ("two", "2026-02")]},
                  causes={"one": [("run", None)], "two": [(f"git.sha={SHA}", True)]})  # fmt: skip

    (failure,) = past_failures(graph, [found(CODE, "run")])

    assert (failure.id, failure.change, failure.confirmed) == ("two", "train.py", True)


def test_of_a_configuration_that_changes_the_runs_that_had_it_are_told() -> None:
    def run(name: str, same: bool) -> dict[str, Any]:
        node = {"id": name, "name": name, "createdAt": "2026-03-01T10:00:00Z"}
        differs = [] if same else [{"path": "lr", "left": 1, "right": None}]
        return {"node": node, "similarity": 1.0, "outcome": "failed", "same": same, "differs": differs}

    graph = Graph(
        known={f"dvc.md5={OLD}": "old"},
        leads={"old": [("release", "DEPLOYMENT", False)]},
        tried=[run("twin", True), run("cousin", False)],
    )

    report = check(graph, changes(DATA, plans=(Plan("params.yaml", {"lr": 1}),)), Thresholds())

    assert [(each.name, each.text) for each in report.tried] == [
        ("twin", "failed on 2026-03-01 with this very configuration")
    ]


@pytest.mark.parametrize("field", ["rootCauses", "experiments"])
def test_a_server_that_lacks_a_question_still_gives_a_verdict(field: str) -> None:
    graph = Graph(
        known={f"dvc.md5={OLD}": "old"},
        leads={"old": [("release", "DEPLOYMENT", False)]},
        incidents={"old": [("one", "2026-01")]},
        lacks=(field,),
    )

    report = check(graph, changes(DATA, plans=(Plan("params.yaml", {"lr": 1}),)) if field == "experiments"
                   else changes(DATA), Thresholds())  # fmt: skip

    assert report.verdict is Verdict.WARN
    assert any(field in note for note in report.notes)


@pytest.mark.parametrize(
    ("properties", "runs"),
    [
        ({"script": "src/train.py"}, True),
        ({"script": "train.py"}, True),
        ({"script": "/home/ada/churn/src/train.py"}, True),
        ({"script": "./src/train.py"}, True),
        ({"script": "other/train.py"}, False),
        ({"script": "pretrain.py"}, False),
        ({"command": "python src/train.py --lr 0.1"}, True),
        ({"command": "python run.py --script=src/train.py"}, True),
        ({"command": "python 'unbalanced src/train.py"}, True),
        ({"command": "python -c 'import train'"}, False),
        ({"script": 7}, False),
        ({}, False),
    ],
)
def test_a_run_names_a_file_as_it_was_typed(properties: dict[str, Any], runs: bool) -> None:
    assert runs_it(properties, "src/train.py") is runs
