"""The generated organisations: always the same, hard by construction, tuned on other seeds than scored."""

from __future__ import annotations

from pathlib import Path

from app.store.sqlite import SqliteStore
from tests.benchmarks.causes.organisation import failures, organisation, scored
from tests.benchmarks.causes.scoring import one, prepare
from tests.benchmarks.causes.targets import INCIDENTS, SCORED, TUNING


def test_a_seed_gives_one_organisation() -> None:
    first, again, other = organisation(1), organisation(1), organisation(2)

    assert first == again
    assert first.incidents != other.incidents
    assert len(scored(first)) == INCIDENTS
    assert all(fault.thing is not None and len(set(fault.carriers)) >= 3 for fault in failures(first))


def test_what_is_scored_was_not_tuned_on() -> None:
    assert not set(TUNING) & set(SCORED)
    assert len(SCORED) * INCIDENTS == 500


def test_every_cause_that_is_named_can_be_proven(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "organisation.db")
    store.migrate()
    made = organisation(TUNING[0])
    prepare(store, made)
    planted = {each.incident: each for each in made.incidents}

    outcomes = [one(store, planted[incident]) for incident in scored(made)[:8]]

    assert sum(each.unprovable for each in outcomes) == 0
    assert all(each.answer.candidates for each in outcomes)
    assert any(each.places["causes"] == 1 for each in outcomes)
    store.close()
