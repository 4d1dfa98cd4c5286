"""Root causes where lineage is told after the failure: what made a thing lies before its first use."""

from __future__ import annotations

from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import format_time
from tests.contract.harness import EPOCH
from tests.contract.test_causes import HOUR, ask, data, run, sha, tell, thing

E, K = EdgeKind, NodeKind
LOCKED = EPOCH + 60 * HOUR
RAW, CLEAN, FEATURES, OTHER = data(1), data(2), data(3), data(4)


def locked_late() -> list[Claim]:
    """Raw data that is committed, a run that reads what was made of it and fails, and then dvc.lock."""
    experiment = identifier("mlflow.experiment_id", "7", "tools")
    claims: list[Claim] = [Names(K.EXPERIMENT, (experiment,))]
    claims += thing(K.COMMIT, sha(1), EPOCH, name="Extract", message="Extract of Monday")
    claims += thing(K.DATASET_VERSION, RAW, EPOCH, name="raw.csv", path="raw.csv")
    claims.append(Links(E.INTRODUCED, sha(1), RAW, EPOCH))
    for version, source in ((CLEAN, RAW), (FEATURES, CLEAN)):
        claims += thing(K.DATASET_VERSION, version, LOCKED, name="made.csv", path="made.csv")
        claims.append(Links(E.DERIVED_INTO, source, version, LOCKED))
    at = EPOCH + 48 * HOUR
    claims += thing(K.RUN, run(1), at, name="nightly", status="FAILED", startedAt=format_time(at))
    return [*claims, Links(E.HAS, experiment, run(1), at), Links(E.INPUT_TO, FEATURES, run(1), at)]


def named(store: GraphStore) -> list[str]:
    return [cause.node.id for cause in ask(store, run(1), first=50).candidates]


def test_what_was_read_was_made_before_also_where_that_was_committed_later(store: GraphStore) -> None:
    tell(store, locked_late())

    answer = ask(store, run(1), first=50)

    causes = {cause.node.id: cause for cause in answer.candidates}
    assert {RAW, CLEAN, FEATURES} <= causes.keys() and sha(1) not in causes
    assert [edge.dst for edge in causes[RAW].path][-3:] == [CLEAN, FEATURES, run(1)]
    assert causes[RAW].at == EPOCH
    assert causes[CLEAN].at == EPOCH + 48 * HOUR, "when it was read, which was before it was committed"


def test_what_made_the_same_data_once_more_has_no_part_in_it(store: GraphStore) -> None:
    claims = locked_late()
    claims += thing(K.DATASET_VERSION, OTHER, LOCKED + HOUR, name="other.csv", path="other.csv")
    claims.append(Links(E.DERIVED_INTO, OTHER, CLEAN, LOCKED + HOUR))
    tell(store, claims)

    assert RAW in named(store) and OTHER not in named(store)

    known = [
        *thing(K.DATASET_VERSION, data(9), EPOCH, name="raw.csv"),
        Links(E.DERIVED_INTO, data(9), CLEAN, EPOCH),
    ]
    tell(store, known, "known")
    assert data(9) in named(store) and RAW not in named(store), "it is known what it was made of"


def test_what_was_made_and_used_after_it_failed_has_no_part_in_it(store: GraphStore) -> None:
    claims = locked_late()
    claims += thing(K.DATASET_VERSION, OTHER, LOCKED, name="report.csv", path="report.csv")
    claims += [Links(E.DERIVED_INTO, RAW, OTHER, LOCKED), Links(E.DERIVED_INTO, OTHER, data(5), LOCKED)]
    claims += thing(K.DATASET_VERSION, data(5), LOCKED, name="page.csv", path="page.csv")
    tell(store, claims)

    assert not {OTHER, data(5)} & set(named(store))
