"""``Query.impact``: one answer, told in full."""

from __future__ import annotations

import pytest

from app.container import Container
from graph_schema.claims import Links, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from ingestors.deployments import deployed
from tests.api.conftest import COMMIT, DATA, DAY, JANUARY, VERSION, Query, run, write

PROD, STAGING = "deployment@releases=prod/churn@3", "deployment@releases=staging/churn@3"
FULL = """query($ids: [ID!]!, $hops: Int, $asOf: DateTime, $first: Int) {
  impact(ids: $ids, maxHops: $hops, asOf: $asOf, first: $first) {
    score summary total rest complete truncatedBecause counts { kind count } owners { role owner { name } }
    targets { contribution hops because node { id kind } path { from kind to } }
  }
}"""


@pytest.fixture(autouse=True)
def released(container: Container) -> None:
    """Churn 3 stands in production and in staging; somebody owns what stands in production."""
    claims = [
        *deployed(
            PROD,
            environment="prod",
            name="churn",
            scope="releases",
            at=JANUARY + 2 * DAY,
            of=[(NodeKind.MODEL_VERSION, VERSION)],
        ),
        *deployed(
            STAGING,
            environment="staging",
            name="churn",
            scope="releases",
            at=JANUARY + 2 * DAY,
            of=[(NodeKind.MODEL_VERSION, VERSION)],
        ),
        Links(EdgeKind.OWNED_BY, PROD, "team=serving"),
        Names(NodeKind.TEAM, ("team=serving",)),
    ]
    write(container.store, [Record("release", "release", 1, tuple(claims))])


def test_what_is_deployed_from_data_is_at_risk_production_first(query: Query) -> None:
    found = query(FULL, ids=[DATA])["impact"]

    assert [t["node"]["id"] for t in found["targets"][:3]] == [PROD, STAGING, VERSION]
    assert [e["kind"] for e in found["targets"][0]["path"]] == ["INPUT_TO", "PRODUCED", "DEPLOYED_AS"]
    assert found["targets"][0]["path"][0]["from"] == DATA
    assert found["targets"][0]["because"] == "stands in prod, all of the traffic, 3 hops away"
    assert found["summary"].startswith(
        "At risk: 1 production deployment, 1 other deployment, 1 model version and 5 runs. Ask serving"
    )
    assert {c["kind"]: c["count"] for c in found["counts"]} == {"RUN": 5, "MODEL_VERSION": 1, "DEPLOYMENT": 2}
    assert found["complete"] and found["rest"] == 0 and found["total"] == 8
    assert sum(t["contribution"] for t in found["targets"]) == pytest.approx(found["score"])


def test_only_what_stands_then_counts(query: Query) -> None:
    before = query(FULL, ids=[DATA], asOf="2026-01-02T12:00:00Z")["impact"]

    assert "deployment" not in before["summary"]
    assert "DEPLOYMENT" not in {c["kind"] for c in before["counts"]}


def test_what_is_not_told_is_said(query: Query) -> None:
    few = query(FULL, ids=[DATA, COMMIT], hops=2, first=1)["impact"]

    assert len(few["targets"]) == 1 and few["total"] == 7
    assert few["rest"] + few["targets"][0]["contribution"] == pytest.approx(few["score"])
    assert not few["complete"]
    assert "1 of 7 things at risk are told one by one: raise first" in few["truncatedBecause"]
    assert "stopped at 2 hops: 2 more nodes lie one hop further: raise maxHops" in few["truncatedBecause"]


def test_a_deployment_is_itself_at_risk_and_a_leaf_is_not(query: Query) -> None:
    itself = query(FULL, ids=[PROD])["impact"]
    leaf = query(FULL, ids=[run(3)])["impact"]

    assert [t["path"] for t in itself["targets"]] == [[]]
    assert itself["targets"][0]["because"] == "stands in prod, all of the traffic, is what was asked about"
    assert (leaf["score"], leaf["targets"]) == (0, [])
    assert leaf["summary"] == "Nothing downstream is at risk."


def test_bad_questions_are_told_what_is_allowed(query: Query) -> None:
    none = query(FULL, fails=True, ids=[])
    many = query(FULL, fails=True, ids=[DATA], first=5_000)
    unknown = query(FULL, fails=True, ids=["git.sha=" + 40 * "0"])

    assert none["extensions"]["code"] == many["extensions"]["code"] == "BAD_INPUT"
    assert "1 to 200" in none["message"] and "1 to 2,000" in many["message"]
    assert unknown["extensions"]["code"] == "NOT_FOUND"
