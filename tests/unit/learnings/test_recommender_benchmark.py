"""The benchmark of similar failures: which questions count, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.recommender.figures import Answer, figures
from tests.benchmarks.recommender.folder import load


def answer(sureness: float, *relevant: str, related: bool = False, took: float = 1.0) -> Answer:
    found = [("twin", sureness), ("other", sureness / 2)]
    return Answer(frozenset(relevant), found, sureness, took, related)


def test_a_line_that_names_related_reports_alone_is_neither_matched_nor_unmatched(tmp_path: Path) -> None:
    docs = [{"id": str(day), "created": f"2024-01-{day:02}T00:00:00Z", "title": "t"} for day in range(1, 9)]
    lines = [
        {"query": "4", "relevant": ["1"], "related": []},
        {"query": "5", "relevant": ["1"], "related": ["2"]},
        {"query": "6", "relevant": [], "related": ["2"]},
        {"query": "7", "relevant": []},
    ]
    (tmp_path / "docs.jsonl").write_text("\n".join(map(json.dumps, docs)), encoding="utf-8")
    (tmp_path / "qrels.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")

    questions = load(tmp_path, None).questions

    assert {q.item.id for q in questions if q.relevant} == {"4", "5"}
    assert {q.item.id for q in questions if q.related} == {"6"}
    # The line that names nothing, and two sampled reports that no line names.
    assert {q.item.id for q in questions if not q.relevant and not q.related} == {"7", "3", "8"}


def test_answers_to_related_questions_are_told_apart() -> None:
    asked = [answer(0.9, "twin"), answer(0.6, "twin"), answer(0.7), answer(0.1)]
    beside = [answer(0.95, related=True), answer(0.8, related=True, took=500.0)]

    told, without = figures([*asked, *beside]), figures(asked)

    changed = {name for name in told if told[name] != without.get(name)}
    assert changed == {"related", "auroc_related", "p95_ms"}
    assert (told["n"], told["unmatched"], told["related"]) == (2, 2, 2)
    assert told["auroc"] == pytest.approx(0.75)
    assert told["auroc_related"] == pytest.approx(0.25)


def test_without_related_questions_nothing_is_said_of_them() -> None:
    told = figures([answer(0.9, "twin"), answer(0.1)])

    assert told["related"] == 0
    assert "auroc_related" not in told
