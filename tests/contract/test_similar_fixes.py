"""What ended an earlier failure counts for later ones that name it, on both engines."""

from __future__ import annotations

from app.learnings.similar import SimilarAnswer, similar
from graph_schema.claims import Links, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from tests.contract.harness import say
from tests.contract.test_similar import TENURE, failed, handle, ids, kinds, run

E, K = EdgeKind, NodeKind
FIX = "kinlore=0190f2a4-6b1c-7def-8123-000000000001"
ATTEMPT = "kinlore=0190f2a4-6b1c-7def-8123-000000000002"


def test_what_ended_an_earlier_failure_counts_as_soon_as_it_is_known(store: GraphStore) -> None:
    for number in (1, 2):
        say(store, *failed(number, TENURE, day=1), key=str(number))
    say(store, *failed(3, TENURE, day=3), key="3")
    before = similar(store, handle=handle(store, run(3)))
    first, other = (1, 2) if ids(store, before)[0] == run(1) else (2, 1)

    def tried(outcome: str) -> SimilarAnswer:
        how = {"name": "Drop N/A", "how": "in\nload_tenure_months.py"}
        attempt = States(K.ATTEMPT, ATTEMPT, {"outcome": outcome})
        links = [Links(E.TRIED, run(other), ATTEMPT), Links(E.OF, ATTEMPT, FIX)]
        say(store, States(K.REMEDIATION, FIX, how), attempt, *links, key="fix")
        return similar(store, handle=handle(store, run(3)))

    known, failed_after_all = tried("worked"), tried("failed")

    (said,) = (each for each in known.matches[0].shared if each.kind == "fix")
    assert ids(store, known) == [run(other), run(first)]
    assert "tenure" in said.text
    assert said.weight > 0 and said.node is not None and said.node.id == FIX
    assert all("fix" not in kinds(match) for match in failed_after_all.matches)


def test_the_files_that_a_fixing_pull_request_touched_say_what_ended_it(store: GraphStore) -> None:
    for number in (1, 2):
        say(store, *failed(number, TENURE, day=1), key=str(number))
    say(store, *failed(3, TENURE, day=3), key="3")
    request, commit = "github.pull_request=acme/churn#4", f"git.sha={99:040x}"
    files = ["docs/index.md", "load_tenure_months.py"]
    links = [
        Links(E.TRIED, run(2), ATTEMPT), Links(E.OF, ATTEMPT, FIX), Links(E.CHANGED, ATTEMPT, request),
        Links(E.HAS, request, commit),
    ]  # fmt: skip
    told_of = [
        States(K.REMEDIATION, FIX, {"name": "Mend it"}),
        States(K.ATTEMPT, ATTEMPT, {"outcome": "worked"}),
        States(K.PULL_REQUEST, request, {"title": "Mend it"}),
        States(K.COMMIT, commit, {"name": "mend", "files": files}),
    ]
    say(store, *told_of, *links, key="fix")

    answer = similar(store, handle=handle(store, run(3)))

    (said,) = (each for each in answer.matches[0].shared if each.kind == "fix")
    assert ids(store, answer)[0] == run(2)
    assert "tenure" in said.text
    assert said.node is not None and said.node.id == commit
