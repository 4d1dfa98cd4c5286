"""The generated organisations: always the same, hard by construction, tuned on other seeds than scored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from app.store.sqlite import SqliteStore
from graph_schema.kinds import NodeKind
from graph_schema.values import Filter, FilterOp
from tests.benchmarks.causes.organisation import (
    FOUND_AFTER,
    NIGHTLY,
    SMALL,
    WEEKLY,
    Scenario,
    failures,
    found,
    organisation,
    scored,
    scored_runs,
)
from tests.benchmarks.causes.profiles import Profiles
from tests.benchmarks.causes.scoring import one, prepare, score_as_found
from tests.benchmarks.causes.targets import (
    ALSO_TUNED,
    BROKEN,
    FRESH,
    INCIDENTS,
    NIGHTLY_SEEDS,
    SCORED,
    SMALL_SEEDS,
    TUNING,
    UNSEEN,
    UNTOUCHED,
)


def test_a_seed_gives_one_organisation() -> None:
    first, again, other = organisation(1), organisation(1), organisation(2)

    assert first == again
    assert first.incidents != other.incidents
    assert len(scored(first)) == INCIDENTS
    assert all(fault.thing is not None and len(set(fault.carriers)) >= 3 for fault in failures(first))


def test_what_is_scored_was_not_tuned_on() -> None:
    reported = [*SCORED, *FRESH, *UNSEEN, *UNTOUCHED, *BROKEN, *NIGHTLY_SEEDS, *SMALL_SEEDS]
    assert not {*TUNING, *ALSO_TUNED} & set(reported)
    assert len(reported) == len(set(reported))
    assert all(len(seeds) * INCIDENTS == 500 for seeds in (SCORED, FRESH, UNSEEN, UNTOUCHED, BROKEN))


def test_what_people_find_later_changes_nothing_else() -> None:
    made = organisation(1)
    before = len(made.confirmed)
    later = found(made)

    assert later == found(made) == sorted(later, key=lambda each: each.at)
    assert not any(each.history for each in later)
    assert made == organisation(1) and len(made.confirmed) == before
    of = [each for each in made.incidents if not each.history and each.cause is not None]
    assert 0.5 < len(later) / len(of) < 0.9


def test_commits_and_runs_say_where_code_lies_as_far_as_tools_do() -> None:
    made = organisation(1)
    commits = [each.properties for each in made.things if "message" in each.properties]
    code = [each for each in commits if "files" in each]
    runs = [each.properties for each in made.things if each.kind is NodeKind.RUN]
    told = sum("script" in each for each in runs) / len(runs)

    assert all(each["files"] and each["fileCount"] == len(each["files"]) for each in code)
    assert 0.5 < told < 0.99, "notebooks say nothing of where they lie"
    faults = [each for each in made.faults if each.files]
    assert any(each.service is None for each in faults) and any(each.service for each in faults)


def test_half_of_the_data_is_profiled_and_nothing_else_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = organisation(1)
    profiles = [each for each in made.things if "columnStatistics" in each.properties]
    names = {each.properties["name"] for each in profiles}
    versions = {each.id for each in made.things if each.kind is NodeKind.DATASET_VERSION}

    assert 0.3 < len(names) / (WEEKLY.services + 14) < 0.7
    assert all(each.inputs[0][1] in versions and not each.carries for each in profiles)

    monkeypatch.setattr(Profiles, "measure", lambda *given: None)
    without = organisation(1)
    assert without.incidents == made.incidents and without.faults == made.faults
    assert without.things == [each for each in made.things if "columnStatistics" not in each.properties]


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

    score_as_found(store, made, first=8)

    last = planted[scored(made)[7]].at
    known = {each.incident for each in found(made) if each.at + FOUND_AFTER <= last}
    known |= {incident for incident, _ in made.confirmed}
    page = store.find(NodeKind.INCIDENT, [Filter("causes", FilterOp.EXISTS, True)], first=500)
    assert {node.id for node in page.items} == known, "nothing that was found later is known"
    store.close()


def test_runs_fail_only_where_that_is_asked_for_and_say_why() -> None:
    made, again = organisation(1, crashing=True), organisation(1, crashing=True)
    assert made == again and organisation(1).failed == []

    runs = {each.id: each for each in made.things if each.kind in (NodeKind.RUN, NodeKind.JOB_RUN)}
    asked = [each for each in made.failed if each.incident in scored_runs(made)]
    assert len(asked) == INCIDENTS and not any(each.history for each in asked)
    for each in asked:
        said = runs[each.incident].properties
        assert said["status"] == "FAILED" and "metrics" not in said
        assert "Traceback" in (said.get("error") or said["errorTrace"])
        assert each.fault in runs[each.incident].carries
        assert each.cause == made.faults[each.fault or 0].thing


def test_organisations_differ_in_size_and_in_how_often_they_train() -> None:
    def trained(scenario: Scenario) -> dict[str, int]:
        """How often each service was."""
        made = organisation(1, scenario=scenario)
        names = [str(each.properties["name"]) for each in made.things if each.kind is NodeKind.RUN]
        return Counter(name for name in names if name.startswith("train-"))

    weekly, nightly, small = trained(WEEKLY), trained(NIGHTLY), trained(SMALL)

    assert (len(weekly), len(nightly), len(small)) == (24, 24, 8)
    assert max(weekly.values()) < 40 and max(small.values()) < 40 and min(nightly.values()) > 60
    assert organisation(1, scenario=WEEKLY) == organisation(1)
