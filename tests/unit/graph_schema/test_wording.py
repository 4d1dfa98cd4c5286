"""Numbers and long texts read well."""

from __future__ import annotations

import pytest

from graph_schema.kinds import NodeKind
from graph_schema.wording import a_or_an, clipped, counted


def test_one_is_singular() -> None:
    assert [counted(n, "edge") for n in (0, 1, 1_204)] == ["0 edges", "1 edge", "1,204 edges"]
    assert counted(2, "branch or tag", "branches and tags") == "2 branches and tags"


def test_every_kind_has_its_article() -> None:
    said = {a_or_an(kind) for kind in NodeKind}
    assert {"an Incident", "an Experiment", "an Artifact", "an Attempt", "a Run", "a DatasetVersion"} <= said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("short", "short"),
        ("exactly 13 ch", "exactly 13 ch"),
        ("cut at a word here", "cut at a…"),
        ("cutting at exactly", "cutting at…"),
        ("0123456789abcdef", "0123456789ab…"),
    ],
)
def test_long_texts_end_at_a_word(text: str, said: str) -> None:
    assert clipped(text, 13) == said
