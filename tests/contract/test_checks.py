"""Which things were made of data that had failed a check, and when it failed."""

from __future__ import annotations

from typing import Any

import pytest

from app.answers.checks import ChecksAnswer, Timing, checks
from graph_schema.claims import Claim, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import Moment
from ingestors.checks import Assertion, Examination, claims_of
from tests.contract.harness import TRACKING, node, record, write
from tests.counting import Counting

DAY = 86_400_000_000
START = 1_767_225_600_000_000  # 2026-01-01
QUALITY = Source("quality", "great_expectations")
RAW, FEATURES = (f"dvc.md5={letter * 32}" for letter in "ab")
EXPORT = "openlineage.dataset_version=pg/features@7"


def version(number: int) -> str:
    return f"mlflow.model_version@tracking=churn/{number}"


def story() -> list[Claim]:
    """Raw data becomes features; a run on day 3 and one on day 9 read them and made a version each. A third
    read the export, which is the same as the features."""
    k, e = NodeKind, EdgeKind
    claims: list[Claim] = [Names(k.DATASET_VERSION, (each,)) for each in (RAW, FEATURES, EXPORT)]
    claims += [Links(e.DERIVED_INTO, RAW, FEATURES, START + DAY), Links(e.SAME_AS, FEATURES, EXPORT)]
    for number, day, data in ((1, 3, FEATURES), (2, 9, FEATURES), (3, 10, EXPORT)):
        run = f"mlflow.run_id=run{number}"
        at = START + day * DAY
        claims += [
            Names(k.RUN, (run,)),
            States(k.MODEL_VERSION, version(number), {"name": f"churn v{number}", "createdAt": at + DAY}),
            Links(e.INPUT_TO, data, run, at),
            Links(e.PRODUCED, run, version(number), at + DAY),
        ]
    return claims


def result(name: str, day: int, status: str, *, of: str = RAW, kind: str = "data_quality",
           segment: str | None = None) -> tuple[str, list[Claim]]:  # fmt: skip
    found = Examination(
        name=name, stream=name, at=START + day * DAY, kind=kind, said={"dvc.md5": of.partition("=")[2]},
        assertions=[Assertion(name="not_null", kind=kind, status=status, segment=segment, column="amount")],
    )  # fmt: skip
    return f"{name}.json", claims_of(found, f"{name}.json", "great_expectations", "quality")


def fill(store: GraphStore, *results: tuple[str, list[Claim]]) -> None:
    write(store, TRACKING, record("story", *story()))
    write(store, QUALITY, *(record(key, *claims) for key, claims in results))


def rows(store: GraphStore, found: ChecksAnswer) -> set[tuple[str, str, Timing, int]]:
    return {
        (store.labels([row.node])[0].name, row.check.name, row.timing, row.hops) for row in found.affected
    }


def test_the_answer_tells_what_could_have_been_known_from_what_came_later(store: GraphStore) -> None:
    fill(
        store,
        result("raw", 2, "FAILED"),
        result("late", 5, "FAILED", of=FEATURES),
        result("fine", 1, "PASSED"),
    )

    found = checks(store, status="FAILED", downstream=NodeKind.MODEL_VERSION)

    before, after = Timing.BEFORE, Timing.AFTER
    assert rows(store, found) == {
        ("churn v1", "raw", before, 3), ("churn v2", "raw", before, 3), ("churn v3", "raw", before, 3),
        ("churn v1", "late", after, 2), ("churn v2", "late", before, 2), ("churn v3", "late", before, 2),
    }  # fmt: skip
    assert found.complete
    (row,) = [r for r in found.affected if r.timing is after]
    assert row.because == (
        "late failed at 2026-01-06T00:00:00Z, only after the data was read at 2026-01-04T00:00:00Z"
    )
    assert [edge.kind for edge in row.path] == [EdgeKind.INPUT_TO, EdgeKind.PRODUCED]


def test_a_time_that_is_missing_is_no_guess(store: GraphStore) -> None:
    run = "mlflow.run_id=timeless"
    write(
        store,
        TRACKING,
        record("r", Links(EdgeKind.INPUT_TO, RAW, run), Links(EdgeKind.PRODUCED, run, version(7))),
    )
    write(store, QUALITY, record("raw", *result("raw", 2, "FAILED")[1]))

    (row,) = checks(store, status="FAILED", downstream=NodeKind.MODEL_VERSION).affected

    assert row.timing is Timing.UNKNOWN
    assert row.because == "raw failed; when the data was read is not known"


def test_results_are_found_by_what_they_are_and_of_what(store: GraphStore) -> None:
    two = Examination(
        name="both", stream="both", at=START, kind="data_quality",
        said={"dvc.md5": FEATURES.partition("=")[2]},
        assertions=[Assertion(name="a", kind="schema", status="PASSED"),
                    Assertion(name="b", kind="data_drift", status="FAILED", segment="region=eu")],
    )  # fmt: skip
    fill(
        store, result("raw", 2, "FAILED"), ("both.json", claims_of(two, "both.json", "evidently", "quality"))
    )

    def names(**asked: Any) -> list[str]:
        return [each.check.name for each in checks(store, **asked).results]

    assert names() == ["raw", "both"]
    assert names(kind="schema") == ["both"] and names(kind="data_drift", status="FAILED") == ["both"]
    assert names(segment="region=eu") == ["both (data_drift, region=eu)"]
    assert names(stream="raw") == ["raw"]
    # What is the same as the features was checked, too.
    assert names(of=node(store, EXPORT).handle) == ["both"]
    assert names(of=node(store, FEATURES).handle, status="PASSED") == []
    assert names(first=1) == ["raw"]
    cut = checks(store, first=1)
    assert not cut.complete and cut.truncated_because == "the latest 1 of more checks: raise first"


def test_limits_are_said(store: GraphStore) -> None:
    fill(store, result("raw", 2, "FAILED"))

    near = checks(store, downstream=NodeKind.MODEL_VERSION, max_hops=2)

    assert near.affected == [] and not near.complete
    assert near.truncated_because == "stopped at 2 hops: more lies further: raise maxHops"
    for wrong in ({"status": "failed"}, {"first": 0}, {"max_hops": -1}):
        with pytest.raises(BadInput):
            checks(store, **wrong)


def test_what_had_not_been_read_then_is_not_affected_as_of_then(store: GraphStore) -> None:
    fill(store, result("raw", 2, "FAILED"))

    then = Moment(as_of=START + 5 * DAY)
    found = checks(store, status="FAILED", downstream=NodeKind.MODEL_VERSION, moment=then)

    assert {name for name, *_ in rows(store, found)} == {"churn v1"}


def test_calls_do_not_grow_with_the_checks(store: GraphStore) -> None:
    fill(store, result("raw", 2, "FAILED"))
    few, many = Counting(store), Counting(store)
    checks(few, status="FAILED", downstream=NodeKind.MODEL_VERSION)  # type: ignore[arg-type]
    write(store, QUALITY, *(
        record(f"more{n}", *result(f"more{n}", n % 9, "FAILED", of=FEATURES)[1]) for n in range(40)
    ))  # fmt: skip

    found = checks(many, status="FAILED", downstream=NodeKind.MODEL_VERSION)  # type: ignore[arg-type]

    assert len(found.affected) == 3 * 41
    assert many.calls == few.calls
