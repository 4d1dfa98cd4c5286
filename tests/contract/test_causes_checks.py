"""Root causes by failed checks of what failed, on both engines: what they name, and what an incident that is
such a check is about."""

from __future__ import annotations

from typing import Any

import pytest

from app.answers.causes import Cause
from graph_schema.claims import Claim, Links, Names, States, occupies, uses
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import format_time
from ingestors import series
from ingestors.bounds import Bound
from ingestors.released import alias_slot
from ingestors.settling import settle
from tests.contract.harness import EPOCH
from tests.contract.test_causes import (
    HOUR,
    INCIDENT,
    alert,
    ask,
    data,
    deployment,
    release,
    run,
    sha,
    tell,
    thing,
    version,
)

E, K = EdgeKind, NodeKind
EXPERIMENT = "mlflow.experiment_id@tracking=7"
USERS, ORDERS = "dataset=lake/users", "dataset=lake/orders"
MODEL = "mlflow.model@tracking=churn"
BEGAN = EPOCH + 203 * HOUR
AUC = Bound(name="good enough", of="model", which="churn*", metric="auc", least=0.7, incident=True)


def extracts() -> list[Claim]:
    """Two tables that each got another column between two releases, which read both, and an incident."""
    claims: list[Claim] = []
    for number in (1, 2):
        at = EPOCH + number * 100 * HOUR
        for table, extract, columns in (
            (USERS, data(number), ("country", "land")),
            (ORDERS, data(10 + number), ("amount", "total")),
        ):
            held = ["id", columns[number - 1]]
            made = at - 8 * HOUR
            claims += [*thing(K.DATASET_VERSION, extract, made, name=f"extract {number}", columns=held)]
            claims += [Names(K.DATASET, (table,)), Links(E.HAS, table, extract, made)]
        claims += thing(K.COMMIT, sha(number), at - 9 * HOUR, name=f"commit {number}", message="Tune")
        claims += release(number, number, number, at)
        claims.append(Links(E.INPUT_TO, data(10 + number), run(number), at - HOUR))
    return claims + alert(INCIDENT, BEGAN)


def watched(of: str, column: str, at: int = BEGAN - HOUR, status: str = "FAILED") -> list[Claim]:
    """A check of the drift of what a model is fed with, which judged each column."""
    check = identifier("check", f"drift/{of}/{column}", "monitor")
    results = [
        {"name": "drift", "kind": "data_drift", "status": "PASSED", "column": "id"},
        {"name": "drift", "kind": "data_drift", "status": status, "column": column},
    ]
    return [
        *thing(K.CHECK, check, at, name="drift", status=status, stream="drift", results=results),
        Links(E.CHECKED_BY, of, check, at),
    ]


def ranked(store: GraphStore) -> dict[str, Cause]:
    return {cause.node.id: cause for cause in ask(store, first=50).candidates}


def words(cause: Cause) -> list[str]:
    return [each.text for each in cause.evidence if each.kind == "words"]


def test_a_feature_that_a_monitor_found_drifted_speaks_for_the_data_that_changed_it(
    store: GraphStore,
) -> None:
    tell(store, [*extracts(), *watched(deployment(2), "Amount")])

    causes = ranked(store)

    assert next(iter(causes)) == data(12)
    assert words(causes[data(12)]) == ["the failure names its column amount, which changed"]
    assert words(causes[data(2)]) == ["the failure names other data"]


def test_so_does_a_check_of_the_model_that_failed(store: GraphStore) -> None:
    tell(store, [*extracts(), *watched(version(2), "land")])

    assert next(iter(ranked(store))) == data(2)


def test_checks_that_passed_came_later_or_are_of_what_stood_before_name_nothing(store: GraphStore) -> None:
    passed = watched(deployment(2), "amount", status="PASSED")
    late = watched(deployment(2), "total", at=BEGAN + HOUR)
    before = watched(deployment(1), "land")
    tell(store, [*extracts(), *passed, *late, *before, *watched(version(1), "country")])

    assert not any(words(cause) for cause in ranked(store).values())


def test_a_feature_leads_back_to_the_columns_that_it_was_made_from(store: GraphStore) -> None:
    made = [data(21), data(22)]
    claims = extracts()
    for number, features in enumerate(made, 1):
        at = EPOCH + number * 100 * HOUR - 7 * HOUR
        read = ("amount", "total")[number - 1]
        claims += thing(K.DATASET_VERSION, features, at, name=f"features {number}")
        claims += [
            Links(
                E.DERIVED_INTO, data(10 + number), features, at, properties={"columns": [[read, "spend_30d"]]}
            ),
            Links(E.INPUT_TO, features, run(number), at + 6 * HOUR),
        ]
    tell(store, [*claims, *watched(deployment(2), "spend_30d")])

    causes = ranked(store)

    assert next(iter(causes)) == data(12)
    assert words(causes[data(12)]) == [
        "the failure names spend_30d, made from its column total, which changed"
    ]


def trained(number: int, auc: float, **parameters: Any) -> list[Claim]:
    """A version of the model that nobody has deployed, and what it scored."""
    at = EPOCH + number * 20 * HOUR
    claims = thing(
        K.RUN,
        run(number),
        at - HOUR,
        name="train",
        params=parameters,
        metrics={"auc": auc},
        status="FINISHED",
    )
    for extract in (data(number), sha(number)):
        kind, edge = (K.DATASET_VERSION, E.INPUT_TO) if extract == data(number) else (K.COMMIT, E.CODE_FOR)
        claims += thing(kind, extract, at - 3 * HOUR, name=f"{kind} {number}")
        claims.append(Links(edge, extract, run(number), at - HOUR))
    return [
        *claims,
        *thing(K.MODEL_VERSION, version(number), at, name=f"churn v{number}"),
        Names(K.MODEL, (MODEL,)),
        Links(E.HAS, MODEL, version(number), at),
        Links(E.PRODUCED, run(number), version(number), at - HOUR),
        *series.called(MODEL, series.MODEL, "churn"),
        *series.measured(run(number), at - HOUR, {"auc": auc}),
        *series.member(MODEL, version(number), at, of=[run(number)], data={"name": f"v{number}"}),
    ]


def test_an_incident_of_a_bound_is_about_what_did_not_keep_it(store: GraphStore) -> None:
    settle(store, [AUC])
    scored = {1: 0.8, 2: 0.81, 3: 0.8, 4: 0.6, 5: 0.79, 6: 0.5, 7: 0.55}
    tell(store, [claim for number, auc in scored.items() for claim in trained(number, auc, lr=0.1)])
    first, second = sorted(
        store.find(K.INCIDENT, first=10).items, key=lambda each: str(each.properties["startedAt"])
    )

    answers = ask(store, first.id, first=50), ask(store, second.id, first=50)

    good = [answer.last_good.id for answer in answers if answer.last_good is not None]
    assert good == [version(3), version(5)], "what failed the bound itself is not good"
    assert answers[0].last_good_because.endswith("passed that check")
    assert {answers[1].candidates[0].node.id, answers[1].candidates[1].node.id} == {data(6), sha(6)}
    for answer in answers:
        kinds = {each.kind for cause in answer.candidates for each in cause.evidence}
        assert "change" in kinds
        assert "check" not in kinds, "that it failed is the question"


@pytest.mark.parametrize(
    ("digests", "said"),
    [
        ("aaaaab", ["inputs.orders (training): a → b"]),
        ("abcdef", ["its configuration is that of the last good one"]),
    ],
)
def test_data_that_was_only_logged_is_told_where_it_was_long_the_same(
    store: GraphStore, digests: str, said: list[str]
) -> None:
    claims = [Names(K.EXPERIMENT, (EXPERIMENT,))]
    for number, digest in enumerate(digests, 1):
        at = EPOCH + number * 20 * HOUR
        claims += thing(
            K.RUN, run(number), at, name="train", status="FINISHED", startedAt=format_time(at),
            params={"lr": 0.1}, metrics={"auc": 0.8 if number < len(digests) else 0.5},
            inputs=[{"name": "orders", "context": "training", "digest": digest}],
        )  # fmt: skip
        claims.append(Links(E.HAS, EXPERIMENT, run(number), at))
    tell(store, claims)

    (cause,) = ask(store, run(len(digests))).candidates

    assert [each.text for each in cause.evidence if each.kind == "configuration"] == said


def test_the_version_that_had_the_alias_before_is_the_last_good_one(store: GraphStore) -> None:
    claims = [claim for number in (1, 2, 3) for claim in trained(number, 0.8)]
    for number, seen in ((1, 25), (3, 65)):
        at = EPOCH + seen * HOUR
        stay = {"name": "champion", "seenAt": at}
        claims.append(States(K.MODEL_VERSION, version(number), {"aliasHistory": {f"champion@{at}": stay}}))
        claims.append(occupies(alias_slot("churn", "champion"), version(number), at))
    began = EPOCH + 70 * HOUR
    claims += thing(K.INCIDENT, INCIDENT, began, name="ConversionDrop", startedAt=format_time(began))
    claims.append(uses(alias_slot("churn", "champion"), INCIDENT, began, E.IMPLICATED_IN))
    tell(store, claims)

    answer = ask(store)

    assert answer.last_good is not None and answer.last_good.id == version(1), "version 2 never served"
    assert answer.last_good_because.endswith(
        f"has no incident; the alias champion was there from {format_time(EPOCH + 25 * HOUR)}"
    )
    assert {answer.candidates[0].node.id, answer.candidates[1].node.id} == {data(3), sha(3)}
    assert answer.candidates[0].path[-1].src == version(3)


def wrong_orders(*more: list[Claim]) -> tuple[str, list[Claim]]:
    """Extracts, and an incident that is a failed check of the last of the orders."""
    incident = INCIDENT.replace("9c1a", "7b2e")
    claims = extracts() + judged(data(12), "FAILED", BEGAN - HOUR)
    claims += thing(K.INCIDENT, incident, BEGAN, name="Orders are wrong", startedAt=format_time(BEGAN))
    claims.append(Links(E.IMPLICATED_IN, checked(data(12)), incident, BEGAN))
    return incident, [*claims, *(claim for each in more for claim in each)]


def checked(of: str, number: int = 1) -> str:
    return identifier("check", f"ranges/{of}/{number}", "monitor")


def judged(of: str, status: str, at: int, number: int = 1) -> list[Claim]:
    check = checked(of, number)
    return [
        *thing(K.CHECK, check, at, name="ranges", status=status, stream="ranges"),
        Links(E.CHECKED_BY, of, check, at),
    ]


def test_an_incident_on_checked_data_is_held_against_the_data_before(store: GraphStore) -> None:
    incident, claims = wrong_orders()
    tell(store, claims)

    answer = ask(store, incident)

    assert answer.last_good is not None and answer.last_good.id == data(11)
    assert answer.last_good_because.endswith("has no incident")
    assert answer.candidates[0].node.id == data(12)


def test_what_passed_the_check_by_then_is_good_before_what_nobody_checked(store: GraphStore) -> None:
    between = EPOCH + 150 * HOUR
    unchecked = [
        *thing(K.DATASET_VERSION, data(13), between, name="extract by hand"),
        Links(E.HAS, ORDERS, data(13), between),
    ]
    passed = judged(data(11), "PASSED", EPOCH + 93 * HOUR)
    incident, claims = wrong_orders(unchecked, passed, judged(data(11), "FAILED", BEGAN + HOUR, 2))
    tell(store, claims)

    answer = ask(store, incident)

    assert answer.last_good is not None and answer.last_good.id == data(11)
    assert answer.last_good_because.endswith("passed that check")
