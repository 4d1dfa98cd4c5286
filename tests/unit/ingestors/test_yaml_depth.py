"""YAML from strangers must not end the process, however deep it nests."""

from __future__ import annotations

import pytest
import yaml

from graph_schema.errors import BadInput
from ingestors.sources.dvc import files
from ingestors.yaml_depth import MAX_DEPTH, check_depth

DEEP = 100_000
NESTS = {
    "lists in brackets": "[" * DEEP + "]" * DEEP,
    "mappings in braces": "{a: " * DEEP + "b" + "}" * DEEP,
    "lists in one line": "- " * DEEP + "x",
    "keys that are lists": "? [" * DEEP,
    "blocks": "\n".join(" " * n + "a:" for n in range(400)),
}


@pytest.mark.parametrize("text", NESTS.values(), ids=list(NESTS))
def test_what_nests_too_deep_is_refused(text: str) -> None:
    with pytest.raises((BadInput, yaml.YAMLError)):
        check_depth(text)


@pytest.mark.parametrize("text", NESTS.values(), ids=list(NESTS))
def test_a_hostile_repository_does_not_end_the_process(text: str) -> None:
    with pytest.raises(files.BadFile):
        files.load(text.encode())


def test_what_is_long_and_flat_passes() -> None:
    check_depth("".join(f"key-{n}: [1, {{a: b}}]\n" for n in range(10_000)))
    check_depth("[" * MAX_DEPTH + "]" * MAX_DEPTH)
