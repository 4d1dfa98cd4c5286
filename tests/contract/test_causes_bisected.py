"""Several commits came in together: runs between them tell which one it was, or nothing does."""

from __future__ import annotations

from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from tests.contract.harness import EPOCH
from tests.contract.test_causes import HOUR, ask, history, run, sha, tell, thing

E, K = EdgeKind, NodeKind
MADE = EPOCH + 150 * HOUR


def four_commits() -> list[Claim]:
    """Two to five came in between the release that was good and the one that was not."""
    claims: list[Claim] = []
    for number in (1, 2, 3, 4, 5):
        at = MADE + number * HOUR
        claims.append(Links(E.HAS, "git.remote=github.com/acme/churn", sha(number), at))
        if number > 1:
            claims += thing(K.COMMIT, sha(number), at, name=f"commit {number}", message="Tune")
            claims.append(Links(E.PRECEDES, sha(number - 1), sha(number), at))
    return claims


def tried(bad_from: int) -> list[Claim]:
    """Each was tried out within the hour, and what came before them many times."""
    experiment = identifier("mlflow.experiment_id", "ci", "tracking")
    claims: list[Claim] = [Names(K.EXPERIMENT, (experiment,))]
    tries = [(1, MADE - n * HOUR) for n in range(9, 1, -1)]
    tries += [(code, MADE + code * HOUR + HOUR // 2) for code in (2, 3, 4, 5)]
    for number, (code, at) in enumerate(tries, 100):
        auc = (0.7 if code >= bad_from else 0.8) + number % 3 / 1000
        claims += thing(K.RUN, run(number), at, name="ci", status="FINISHED", metrics={"auc": auc})
        claims += [Links(E.HAS, experiment, run(number), at), Links(E.CODE_FOR, sha(code), run(number), at)]
    return claims


def test_the_commit_with_which_runs_became_worse_comes_before_the_others(store: GraphStore) -> None:
    tell(store, [*history(code=5), *four_commits(), *tried(bad_from=4)])

    answer = ask(store, first=50)

    causes = {cause.node.id: cause for cause in answer.candidates}
    order = [id for id in causes if id in {sha(n) for n in (2, 3, 4, 5)}]
    assert order[0] == sha(4)
    told = {each.text for each in causes[sha(4)].evidence if each.kind == "metrics"}
    assert told == {"2 of 2 runs with it failed or did worse than before, 1 of them after one that went well"}
    told = {each.text for each in causes[sha(5)].evidence if each.kind == "metrics"}
    assert told == {
        "1 of 1 run with it failed or did worse than before, none of them after one that went well"
    }
    assert not any("apart" in line for line in answer.missing)


def test_what_nothing_tells_apart_is_said(store: GraphStore) -> None:
    tell(store, [*history(code=5), *four_commits()])

    answer = ask(store, first=50)

    (line,) = [line for line in answer.missing if "apart" in line]
    assert line.startswith("nothing tells 4 changes apart: commit ")
    assert line.endswith("; a run or a check between them would")
    assert all(f"commit {n}" in line for n in (2, 3, 4, 5))
    causes = {cause.node.id: cause for cause in answer.candidates}
    assert causes[sha(3)].because.endswith("nothing tells it from 3 other changes")
    assert "nothing tells it" not in causes[sha(1)].because


def test_where_no_run_went_well_the_code_at_fault_comes_before_what_it_ran_on(store: GraphStore) -> None:
    """Runs fail from the first on, in the same way; the second commit, which is only named, came later."""
    remote, runtime = "git.remote=github.com/acme/churn", f"runtime={1:064x}"
    claims = thing(K.COMMIT, sha(1), MADE, name="commit 1", message="Begin", files=["train.py"])
    claims += [*thing(K.RUNTIME, runtime, MADE, name="Linux"), Links(E.HAS, remote, sha(1), MADE)]
    error = "Traceback\n  File \"train.py\", line 4, in features\nKeyError: 'plan'"
    for number in (1, 2):
        at = MADE + number * HOUR
        claims += thing(K.RUN, run(number), at, name="train.py", status="FAILED", error=error)
        claims += [
            Links(E.CODE_FOR, sha(number), run(number), at),
            Links(E.RUNTIME_OF, runtime, run(number), at),
        ]
    tell(store, claims)

    first, second = ask(store, run(1)), ask(store, run(2))

    causes = {cause.node.id: cause for cause in first.candidates}
    assert first.candidates[0].node.id == sha(1) and causes[runtime].score < 0.1
    assert "nothing tells whether it changed" in [each.text for each in causes[runtime].evidence]
    assert not any("no repository was read" in line for line in first.missing)
    assert any("no repository was read that tells of commit" in line for line in second.missing)
