"""Row 19: a source from which runs vanish. A few are gone; very many at once are not believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from ingestors.loop import ingest
from tests.faults.conftest import Figure
from tests.unit.ingestors.scripted import Scripted, listing, numbered

ALL = numbered(100)


def shows(*keys: str) -> Scripted:
    """A source that shows these runs, and that knows of no other when it is asked."""
    return Scripted(listing(*keys), frozenset(keys))


def gone(store: GraphStore) -> set[str]:
    return {node.name for node in store.find(NodeKind.RUN, first=500).items if node.gone_at is not None}


def test_five_percent_that_vanish_are_retired(store: GraphStore, figure: Figure) -> None:
    ingest(store, shows(*ALL))
    digest = store.digest()

    report = ingest(store, shows(*ALL[5:]))

    figure("5 % deleted: retired", f"{report.retired} of 5, wrongful {len(gone(store) - set(ALL[:5]))}")
    assert (report.error, report.retired, report.warnings) == (None, 5, [])
    assert gone(store) == set(ALL[:5])
    assert store.digest() == digest, "what is gone keeps its edges and properties"


def test_five_percent_that_a_listing_misses_and_the_source_still_has_stay(
    store: GraphStore, figure: Figure
) -> None:
    ingest(store, shows(*ALL))

    report = ingest(store, Scripted(listing(*ALL[5:]), frozenset(ALL)))

    figure("5 % not listed, and there when asked for: wrongful", len(gone(store)))
    assert (report.retired, gone(store)) == (0, set())


def test_of_a_source_that_cannot_be_asked_they_must_miss_twice(store: GraphStore) -> None:
    ingest(store, Scripted(listing(*ALL)))

    first = ingest(store, Scripted(listing(*ALL[5:])))
    second = ingest(store, Scripted(listing(*ALL[5:])))

    assert (first.retired, second.retired) == (0, 5)
    assert gone(store) == set(ALL[:5])


@pytest.mark.parametrize("left", [10, 0], ids=["90 %", "everything"])
def test_very_many_at_once_are_guarded_until_somebody_accepts(
    store: GraphStore, left: int, figure: Figure
) -> None:
    remaining = ALL[:left]
    ingest(store, shows(*ALL))
    wrongful = 0

    for _ in range(3):
        guarded = ingest(store, shows(*remaining))
        wrongful += guarded.retired + len(gone(store))
        assert len(guarded.warnings) == 1
        assert f"{100 - left} of 100 run" in guarded.warnings[0]
        assert "--accept-retirement" in guarded.warnings[0] and "\n" not in guarded.warnings[0]
    accepted = ingest(store, shows(*remaining), accept_retirement=True)

    figure("guarded three times: wrongful", f"{wrongful}; accepted: retired {accepted.retired}")
    assert wrongful == 0
    assert accepted.retired == 100 - left
    assert gone(store) == set(ALL[left:])


def test_what_comes_back_is_there_again(store: GraphStore) -> None:
    ingest(store, shows(*ALL))
    ingest(store, shows(), accept_retirement=True)

    report = ingest(store, shows(*ALL))

    assert report.returned == 100
    assert gone(store) == set()


def test_a_pull_that_breaks_before_its_end_retires_nothing(store: GraphStore) -> None:
    ingest(store, shows(*ALL))
    whole: Callable[..., object] = listing(*ALL[:3])

    def broken(cursor: object, now: int) -> object:
        yield from whole(cursor, now)  # type: ignore[misc]
        raise ValueError("in the middle of it")

    source = Scripted(broken, frozenset(ALL))  # type: ignore[arg-type]

    report = ingest(store, source)

    assert report.error is not None
    assert (report.retired, gone(store)) == (0, set())
