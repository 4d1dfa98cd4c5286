"""Similar failures from a graph: who comes into question, in which order, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.learnings import similar as service
from app.learnings.corpus import corpus_of
from app.learnings.keeping import FailureVectors
from app.learnings.similar import Match, SimilarAnswer, similar
from graph_schema.claims import Claim, Links, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from tests.contract.harness import EPOCH, say
from tests.encoders import WordEncoder

K, E = NodeKind, EdgeKind
DAY = 86_400_000_000
TENURE = "ValueError: could not convert string to float: 'N/A' in column tenure_months"
PROMO = "KeyError: 'promo_code_2025'"
MEMORY = "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB"


def run(number: int) -> str:
    return f"mlflow.run_id={number:032x}"


def failed(
    number: int,
    error: str,
    *,
    day: float,
    project: str | None = "churn",
    data: str | None = None,
    status: str = "FAILED",
    **params: str,
) -> list[Claim]:
    """A failed run of a project, that read a version of a data set."""
    at = EPOCH + int(day * DAY)
    said = {"name": f"run {number}", "status": status, "error": error, "createdAt": at, "params": params}
    made: list[Claim] = [States(K.RUN, run(number), said)]
    if project is not None:
        commit = f"git.sha={number:040x}"
        made += [
            Links(E.CODE_FOR, commit, run(number)),
            Links(E.HAS, f"git.remote=example.com/{project}", commit),
        ]
    if data is not None:
        version = f"dvc.md5={data * 32}"
        made += [Links(E.INPUT_TO, version, run(number)), Links(E.HAS, "dataset=pg://db/customers", version)]
    return made


def handle(store: GraphStore, text: str) -> int:
    (found,) = store.resolve(text)
    return found


def ids(store: GraphStore, answer: SimilarAnswer) -> list[str]:
    assert answer.no_precedent is (not answer.matches)
    return [label.id for label in store.labels([match.handle for match in answer.matches])]


def kinds(match: Match) -> set[str]:
    return {each.kind for each in match.shared}


def told(match: Match) -> str:
    return "\n".join(each.text for each in match.shared)


# --- who comes into question -------------------------------------------------------------------------------


def test_the_twin_is_found_with_what_both_share_and_what_differs(store: GraphStore) -> None:
    say(store, *failed(1, TENURE, day=1, data="a", dtype="fp32", lr="0.1"), key="1")
    say(store, *failed(2, PROMO, day=2, data="a", dtype="fp32", lr="0.1"), key="2")
    say(store, *failed(3, TENURE, day=3, data="b", dtype="bf16", lr="0.1"), key="3")

    answer = similar(store, handle=handle(store, run(3)))

    assert ids(store, answer)[0] == run(1)
    match = answer.matches[0]
    assert match.same_project and match.probability >= 0.5 and not answer.semantic
    assert "signature" in kinds(match) and "tenure_months" in told(match)
    (dataset,) = (each for each in match.shared if each.node is not None and each.node.kind is K.DATASET)
    assert dataset.kind == "lineage" and "pg://db/customers" in dataset.text
    differing = {each.path: (each.left, each.right) for each in match.differs}
    assert differing["params.dtype"] == ("bf16", "fp32") and "params.lr" not in differing
    assert differing["data.pg://db/customers"] == (f"dvc.md5={'b' * 32}", f"dvc.md5={'a' * 32}")


def test_only_what_was_before_counts_and_never_itself(store: GraphStore) -> None:
    for number in range(1, 5):
        say(store, *failed(number, TENURE, day=number), key=str(number))

    assert set(ids(store, similar(store, handle=handle(store, run(3))))) == {run(1), run(2)}
    assert ids(store, similar(store, handle=handle(store, run(1)))) == []
    assert ids(store, similar(store, handle=handle(store, run(4)), at=EPOCH + 2 * DAY)) == [run(1)]


def test_the_own_project_comes_first_and_the_rest_is_marked(store: GraphStore) -> None:
    say(store, *failed(1, TENURE, day=1), key="1")
    say(store, *failed(2, TENURE, day=8, project="other"), key="2")
    say(store, *failed(3, TENURE, day=9), key="3")

    found = similar(store, handle=handle(store, run(3)))

    assert ids(store, found) == [run(1), run(2)]
    assert [match.same_project for match in found.matches] == [True, False]


def test_an_own_space_comes_before_the_rest(store: GraphStore) -> None:
    ours, theirs = Source("ours", "mlflow", "red"), Source("theirs", "mlflow", "blue")
    for source in (ours, theirs):
        status = {"name": source.name, "type": source.type, "space": source.space}
        store.transact(lambda tx, s=source, held=status: tx.service_put("source", s.name, held))
    say(store, *failed(1, TENURE, day=1, project="a"), source=ours, key="1")
    say(store, *failed(2, TENURE, day=8, project="b"), source=theirs, key="2")
    say(store, *failed(3, TENURE, day=9, project="c"), source=ours, key="3")

    assert ids(store, similar(store, handle=handle(store, run(3)))) == [run(1), run(2)]


def test_nothing_that_the_caller_may_not_see_is_shown_or_named(store: GraphStore) -> None:
    red, blue = Source("a", "mlflow", "red"), Source("b", "dvc", "blue")
    say(store, *failed(1, TENURE, day=1), source=red, key="1")
    say(store, *failed(2, TENURE, day=2), source=blue, key="2")
    say(store, *failed(3, TENURE, day=3), source=red, key="3")
    for number in (1, 3):
        version = f"dvc.md5={number:032x}"
        hidden = [Links(E.INPUT_TO, version, run(number)), Links(E.HAS, "dataset=pg://db/secret", version)]
        say(
            store,
            States(K.DATASET, "dataset=pg://db/secret", {"name": "secret"}),
            *hidden,
            source=blue,
            key=f"d{number}",
        )
    mine = handle(store, run(3))

    everything, visible = similar(store, handle=mine), similar(store, handle=mine, spaces=frozenset({"red"}))

    (whole,) = (match for match in everything.matches if match.handle == handle(store, run(1)))
    assert set(ids(store, everything)) == {run(1), run(2)} and "secret" in told(whole)
    assert ids(store, visible) == [run(1)] and "secret" not in told(visible.matches[0])
    with pytest.raises(NotFound):
        similar(store, handle=handle(store, run(2)), spaces=frozenset({"red"}))


def test_a_generic_signature_alone_is_no_likeness(store: GraphStore) -> None:
    say(store, *failed(1, MEMORY, day=1, project="a"), *failed(2, "Killed", day=2, project="b"), key="1")
    say(store, *failed(3, MEMORY, day=3, project="c"), *failed(4, "Killed", day=4, project="d"), key="2")
    assert [ids(store, similar(store, handle=handle(store, run(n)))) for n in (3, 4)] == [[], []]
    assert similar(store, text=MEMORY).no_precedent and similar(store, text="Killed").no_precedent

    say(store, *failed(5, MEMORY, day=5, project="a", data="a"), *failed(6, TENURE, day=5), key="3")
    say(store, *failed(7, MEMORY, day=6, project="a", data="a"), key="4")

    alike = similar(store, handle=handle(store, run(7)))
    assert ids(store, alike) == [run(5)] and "data" in kinds(alike.matches[0])


def test_an_unlike_failure_has_no_precedent(store: GraphStore) -> None:
    say(store, *failed(1, TENURE, day=1), *failed(2, PROMO, day=2), key="1")

    answer = similar(store, text="kubelet: ingress controller lost its certificate")

    assert (answer.matches, answer.no_precedent) == ([], True)


def test_the_same_exception_on_another_name_is_another_failure(store: GraphStore) -> None:
    say(store, *failed(1, "KeyError: 'region'", day=1), key="1")

    assert similar(store, text="KeyError: 'promo_code_2025'").no_precedent
    assert not similar(store, text="KeyError: 'region'").no_precedent


def test_incidents_and_job_runs_are_found_and_kinds_narrow(store: GraphStore) -> None:
    incident, job = "pagerduty.incident=P1", "openlineage.run_id=0190b6a1-0000-7000-8000-000000000001"
    at = {"createdAt": EPOCH + DAY}
    words = "Feature store lookup of tenure_months returned nulls for half of the customers"
    say(store, States(K.INCIDENT, incident, {"name": "Nulls", "summary": words, **at}), key="i")
    say(store, States(K.JOB_RUN, job, {"name": "load", "status": "FAILED", "error": words, **at}), key="j")
    say(store, States(K.JOB_RUN, job[:-1] + "2", {"name": "load", "status": "COMPLETE", **at}), key="c")

    assert set(ids(store, similar(store, text=words))) == {incident, job}
    assert ids(store, similar(store, text=words, kinds=[K.INCIDENT])) == [incident]


def test_a_run_that_ended_well_is_a_failure_once_a_check_says_so(store: GraphStore) -> None:
    say(store, *failed(1, "", day=1, status="FINISHED"), key="1")
    words = "check failed: mean of tenure_months left its bounds"
    assert similar(store, text=words).no_precedent

    check = States(
        K.CHECK, "check@c=7", {"name": "mean of tenure_months left its bounds", "status": "FAILED"}
    )
    say(store, check, Links(E.CHECKED_BY, run(1), "check@c=7"), key="c")

    assert ids(store, similar(store, text=words)) == [run(1)]


def test_what_was_stopped_by_hand_is_no_failure(store: GraphStore) -> None:
    said = {"status": "KILLED", "signal": "SIGINT", "error": f"ended by SIGINT\n{TENURE}", "createdAt": EPOCH}
    say(store, States(K.RUN, run(1), said), key="1")

    assert similar(store, text=TENURE).no_precedent


WRONG: list[Callable[[GraphStore], Any]] = [
    lambda store: similar(store),
    lambda store: similar(store, text="  "),
    lambda store: similar(store, text=TENURE, handle=1),
    lambda store: similar(store, text=TENURE, kinds=[K.DATASET]),
    lambda store: similar(store, handle=handle(store, "dataset=pg://db/customers")),
]


@pytest.mark.parametrize("ask", WRONG)
def test_a_question_that_makes_no_sense_is_refused(
    store: GraphStore, ask: Callable[[GraphStore], Any]
) -> None:
    say(store, *failed(1, TENURE, day=1, data="a"))

    with pytest.raises(BadInput):
        ask(store)


# --- kept up ------------------------------------------------------------------------------------------------


def test_what_happens_after_the_first_question_counts_for_the_next(store: GraphStore) -> None:
    say(store, *failed(1, TENURE, day=1, status="RUNNING"), key="1")
    assert similar(store, text=TENURE).no_precedent

    say(store, *failed(1, TENURE, day=1), key="1")
    assert ids(store, similar(store, text=TENURE)) == [run(1)]
    say(store, *failed(1, PROMO, day=1), key="1")
    assert (similar(store, text=TENURE).no_precedent, ids(store, similar(store, text=PROMO))) == (
        True,
        [run(1)],
    )
    say(store, key="1")
    assert similar(store, text=PROMO).no_precedent


def test_the_project_follows_the_graph(store: GraphStore) -> None:
    say(store, *failed(1, TENURE, day=1, project=None), key="1")
    say(store, *failed(2, TENURE, day=2), key="2")
    mine = handle(store, run(2))
    assert [match.same_project for match in similar(store, handle=mine).matches] == [False]

    commit = f"git.sha={1:040x}"
    say(store, Links(E.CODE_FOR, commit, run(1)), key="code")
    say(store, Links(E.HAS, "git.remote=example.com/churn", commit), key="tree")

    assert [match.same_project for match in similar(store, handle=mine).matches] == [True]


def test_much_at_once_is_read_anew(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    say(store, *failed(1, TENURE, day=1), key="1")
    assert ids(store, similar(store, text=TENURE)) == [run(1)]
    monkeypatch.setattr("app.store.changed.MOST", 2)
    monkeypatch.setattr("app.store.batch.MOST", 2)

    say(store, *failed(2, TENURE, day=2), *failed(3, TENURE, day=3), key="2")

    assert set(ids(store, similar(store, text=TENURE))) == {run(1), run(2), run(3)}


def test_candidates_of_full_text_search_give_the_same_best(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 12):
        say(store, *failed(number, TENURE if number % 3 else PROMO, day=number, data="a"), key=str(number))
    say(store, *failed(20, PROMO, day=20, data="a"), key="20")
    monkeypatch.setattr(service, "FEW", 0)
    mine = handle(store, run(20))

    cold = similar(store, handle=mine, first=3)
    assert not corpus_of(store).ready
    monkeypatch.undo()
    warm = similar(store, handle=mine, first=3)

    assert ids(store, cold) == ids(store, warm) == [run(9), run(6), run(3)]


# --- meaning ------------------------------------------------------------------------------------------------


def test_meaning_counts_once_every_failure_has_its_vectors(store: GraphStore) -> None:
    for number, error in enumerate((TENURE, PROMO, MEMORY), 1):
        say(store, *failed(number, error, day=number), key=str(number))
    encoder, keeper = WordEncoder(), FailureVectors(store)
    keeper.prepare()
    assert not similar(store, text=TENURE, encoder=encoder).semantic

    while keeper.step(encoder):
        pass
    answer = similar(store, text=TENURE, encoder=encoder)

    assert answer.semantic and ids(store, answer)[0] == run(1)
    assert {"meaning", "text"} & kinds(answer.matches[0])


def test_vectors_are_read_back_and_only_what_changed_is_encoded_again(store: GraphStore) -> None:
    say(store, *failed(1, TENURE, day=1), key="1")
    say(store, *failed(2, PROMO, day=2), key="2")
    first = FailureVectors(store)
    first.prepare()
    encoder = WordEncoder()
    while first.step(encoder):
        pass
    say(store, *failed(2, MEMORY, day=2), key="2")

    corpus_of(store).build(store)
    again, second = WordEncoder(), FailureVectors(store)
    second.prepare()
    while second.step(again):
        pass

    assert len(encoder.seen) == 4
    assert [text.partition("\n")[0] for text in again.seen] == [MEMORY, MEMORY]


def test_another_model_goes_without_meaning_until_it_has_seen_all(store: GraphStore) -> None:
    for number in range(1, 13):
        say(store, *failed(number, f"{TENURE} {number}", day=number), key=str(number))
    keeper, old, new = FailureVectors(store), WordEncoder("old"), WordEncoder("new")
    keeper.prepare()
    while keeper.step(old):
        pass
    assert similar(store, text=TENURE, encoder=old).semantic

    assert keeper.step(new)
    during = similar(store, text=TENURE, encoder=new)
    while keeper.step(new):
        pass

    assert not during.semantic
    assert similar(store, text=TENURE, encoder=new).semantic


def test_without_a_keeper_the_best_are_compared_at_once_and_kept(store: GraphStore) -> None:
    say(store, *failed(1, TENURE, day=1), *failed(2, PROMO, day=2), key="1")
    encoder, again = WordEncoder(), WordEncoder()

    first = similar(store, text=TENURE, encoder=encoder)
    second = similar(store, text=TENURE, encoder=again)

    assert first.semantic and ids(store, first) == ids(store, second) == [run(1)]
    assert len(encoder.seen) > len(again.seen) == 2
