"""Root causes by statistics of data on both engines: which data is out of line, and what does not count."""

from __future__ import annotations

from typing import Any

from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from tests.contract.harness import EPOCH
from tests.contract.test_causes import HOUR, INCIDENT, alert, ask, data, release, run, tell, thing

E, K = EdgeKind, NodeKind
RAW, MADE = "dataset=lake/raw", "dataset=lake/features"
BEGAN = EPOCH + 203 * HOUR


def measured(of: str, number: int, nulls: float, at: int, **more: Any) -> list[Claim]:
    """A profile of a data version, which passes no judgement."""
    check = identifier("check", f"{of}/{number}", "tools")
    columns = {"country": {"nullFraction": nulls, "mean": 7.0}}
    return [
        *thing(K.CHECK, check, at, name="profile", status="UNKNOWN", columnStatistics=columns, **more),
        Links(E.CHECKED_BY, of, check, at),
    ]


def extracts(last: list[Claim]) -> list[Claim]:
    """Nine extracts of one data set, the last of which a released model was trained on, and an incident."""
    claims: list[Claim] = [Names(K.DATASET, (RAW,))]
    for number in range(1, 10):
        at = EPOCH + number * 20 * HOUR
        claims += thing(K.DATASET_VERSION, data(number), at, name=f"raw v{number}", size=1000)
        claims.append(Links(E.HAS, RAW, data(number), at))
        if number < 9:
            claims += measured(data(number), 1, 0.02 + number / 1000, at + HOUR)
    claims += release(1, 1, 5, EPOCH + 110 * HOUR) + release(2, 1, 9, EPOCH + 200 * HOUR)
    return claims + last + alert(INCIDENT, BEGAN)


def evidence(store: GraphStore, id: str) -> list[str]:
    found = next(cause for cause in ask(store, first=50).candidates if cause.node.id == id)
    return [each.text for each in found.evidence if each.kind == "statistics"]


def test_data_whose_columns_are_out_of_line_is_named_with_what_it_is(store: GraphStore) -> None:
    tell(store, extracts(measured(data(9), 1, 0.41, EPOCH + 181 * HOUR)))

    assert ask(store).candidates[0].node.id == data(9)
    assert evidence(store, data(9)) == [
        "its statistics are out of line: country: nullFraction 0.41, usually 0.0245"
    ]


def test_data_that_is_as_usual_is_told_to_be(store: GraphStore) -> None:
    tell(store, extracts(measured(data(9), 1, 0.022, EPOCH + 181 * HOUR)))

    assert evidence(store, data(9)) == ["its statistics are as usual"]


def test_what_was_measured_after_the_failure_or_of_a_segment_does_not_count(store: GraphStore) -> None:
    late = measured(data(9), 1, 0.41, BEGAN + HOUR)
    segment = measured(data(9), 2, 0.41, EPOCH + 181 * HOUR, segment="country=DE")
    tell(store, extracts(late + segment))

    assert evidence(store, data(9)) == []


def test_a_column_that_a_job_no_longer_writes_speaks_for_what_it_was_made_from(store: GraphStore) -> None:
    claims: list[Claim] = [Names(K.DATASET, (MADE,))]
    for number in range(1, 10):
        at, made = EPOCH + (number * 20 + 2) * HOUR, data(100 + number)
        names = ["id", "country"] if number < 9 else ["id", "land"]
        columns = list(names)
        claims += thing(K.DATASET_VERSION, made, at, name=f"features v{number}", columns=columns, rows=1000)
        claims += [Links(E.HAS, MADE, made, at), Links(E.DERIVED_INTO, data(number), made, at)]
    claims.append(Links(E.INPUT_TO, data(109), run(2), EPOCH + 199 * HOUR))
    tell(store, extracts(claims))

    assert evidence(store, data(109)) == [
        "its statistics are out of line: column country is gone, land is new"
    ]
    assert evidence(store, data(9)) == [
        "statistics of what was made from it are out of line: features v9: column country is gone, "
        "land is new"
    ]
