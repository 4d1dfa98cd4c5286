"""Remediations by GraphQL: recorded, suggested with their record, confirmed, taken back, judged."""

from __future__ import annotations

from typing import Any

from app.container import Container
from app.learnings.feedback import impressions
from tests.api.conftest import COMMIT, VERSION, Query, run

RECORD = """mutation($id: ID!, $remediation: String!, $outcome: String!, $at: DateTime, $changed: [ID!]) {
  recordAttempt(id: $id, remediation: $remediation, outcome: $outcome, at: $at, changed: $changed, by: "ada",
                verifiedBy: "ada") {
    said changed remediation { id name } attempt { id properties }
  }
}"""
ASK = """query($id: ID!) { remediations(id: $id) {
  noPrecedent related { id }
  suggestions { remediation { name } tried worked failed unknown suggested lowerBound here verified because
                preconditions score similarity on { id } attempts { id } }
} }"""


def record(query: Query, number: int, title: str, outcome: str, **more: Any) -> dict[str, Any]:
    asked = {"id": run(number), "remediation": title, "outcome": outcome, **more}
    made: dict[str, Any] = query(RECORD, **asked)["recordAttempt"]
    return made


def test_what_was_tried_comes_with_its_record(query: Query) -> None:
    record(query, 1, "Restart", "failed")
    record(query, 2, "restart ", "worked")
    record(query, 3, "Restart", "unknown")
    fixed = record(query, 1, "Lower the rate", "worked", changed=[COMMIT])
    query('mutation { recordRemediation(title: "lower the rate", preconditions: ["lr > 0.1"]) { said } }')

    found = query(ASK, id=run(1))["remediations"]

    best, other = found["suggestions"]
    assert best["remediation"]["name"] in ("Lower the rate", "lower the rate")
    assert (best["tried"], best["worked"], best["here"], best["verified"]) == (1, 1, "worked", True)
    assert best["preconditions"] == ["lr > 0.1"]
    assert best["attempts"] == [{"id": fixed["attempt"]["id"]}]
    assert best["because"] == "tried 1×, worked 1×, it worked here, as ada says"
    counts = [other[key] for key in ("tried", "worked", "failed", "unknown", "here", "verified")]
    assert counts == [3, 1, 1, 1, "failed", False]
    assert other["because"].startswith("tried 3×, worked 1×, failed 1×, 1 outcome not known")
    assert other["because"].endswith("it did not help here")
    assert found["noPrecedent"] is False


def test_nothing_known_is_said(query: Query, container: Container) -> None:
    assert query(ASK, id=run(4))["remediations"] == {"noPrecedent": True, "related": [], "suggestions": []}
    assert impressions(container.store) == []


def test_an_attempt_is_restated_judged_and_withdrawn(query: Query) -> None:
    first = record(query, 1, "Restart", "unknown", at="2026-01-02T00:00:00Z")
    again = record(query, 1, "Restart", "worked", at="2026-01-02T00:00:00Z")
    attempt = first["attempt"]["id"]

    assert again["attempt"]["id"] == attempt
    assert again["attempt"]["properties"]["outcome"] == "worked"

    said = query(
        f'mutation {{ confirmAttempt(id: "{attempt}", outcome: "worked", recurred: true, by: "bob") '
        "{ said attempt { properties } remediation { name } } }"
    )["confirmAttempt"]
    (only,) = query(ASK, id=run(1))["remediations"]["suggestions"]
    assert said["remediation"]["name"] == "Restart"
    assert (only["worked"], only["failed"], only["here"], only["verified"]) == (0, 1, "recurred", False)

    for each in (said["said"], again["said"]):
        assert query(f'mutation {{ withdraw(id: "{each}") {{ changed }} }}')["withdraw"]["changed"]
    assert query(ASK, id=run(1))["remediations"]["suggestions"] == []


def test_what_is_wrong_is_said(query: Query) -> None:
    for words, because in (
        (f'recordAttempt(id: "{VERSION}", remediation: "x")', "is a ModelVersion; something is tried on"),
        (f'recordAttempt(id: "{run(1)}", remediation: "x", outcome: "maybe")', "is no outcome; allowed are"),
        (f'recordAttempt(id: "{run(1)}", remediation: "x", changed: ["team=growth"])', "an attempt changes"),
        ('recordRemediation(title: " ")', "the title is empty"),
        (f'confirmAttempt(id: "{run(1)}")', "no attempt at a remediation"),
    ):
        error = query(f"mutation {{ {words} {{ said }} }}", fails=True)
        assert error["extensions"]["code"] == "BAD_INPUT"
        assert because in error["message"]
    assert query("{ find(kind: REMEDIATION) { nodes { id } } }")["find"]["nodes"] == []
    assert "either" in query("{ remediations { noPrecedent } }", fails=True)["message"]


def test_feedback_is_kept_apart_and_with_its_rank(query: Query) -> None:
    record(query, 1, "Restart", "failed")
    made = record(query, 1, "Lower the rate", "worked")
    thing = made["remediation"]["id"]
    query(ASK, id=run(1))

    give = f'giveFeedback(id: "{run(1)}", thing: "{thing}", by: "ada"'
    query(f"mutation {{ {give}, relevant: true) {{ rank }} }}")
    said = query(f"mutation {{ {give}, applied: true) {{ relevant applied worked rank }} }}")["giveFeedback"]

    assert said == {"relevant": True, "applied": True, "worked": None, "rank": 1}
    assert "at least one" in query(f"mutation {{ {give}) {{ rank }} }}", fails=True)["message"]
    refused = query(f"mutation {{ {give}, applied: false, worked: true) {{ rank }} }}", fails=True)
    assert "not applied" in refused["message"]
