"""Sources by type: what is known, what is refused, in one line each."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from graph_schema.errors import BadInput
from ingestors import registry
from ingestors.registry import build, described, disabled_because, known_types, source_class
from ingestors.sources.git import GitSource
from tests.unit.ingestors.scripted import Scripted


def test_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    source = build({"type": "git", "name": "code", "path": "churn"}, tmp_path)

    assert source.config.path == tmp_path / "churn"
    assert described(source) == type(described(source))("code", "git", "default")


_KNOWN = ", ".join(sorted(registry.BUILT_IN))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": "x"}, f"needs a type; known are {_KNOWN}"),
        ({"type": "gti", "name": "x"}, f"source 'x': unknown source type 'gti'; known are {_KNOWN}"),
        (
            {"type": "git", "name": "x", "pth": "."},
            "source 'x': unknown key 'pth'; allowed are every, exclude,",
        ),
        ({"type": "git", "path": "."}, "a source of type 'git': the key 'name' is missing"),
        ({"type": "git", "nmae": "x", "path": "."}, "a source of type 'git': unknown key 'nmae'; allowed"),
        ({"type": "git", "name": "a b", "path": "."}, "name: letters, digits, '.', '_' and '-' are allowed"),
        ({"type": "git", "name": "x", "path": 3}, "path: a text is allowed, in quotes"),
        ({"type": "git", "name": "x"}, "source 'x': give path or url, one of them"),
        ({"type": "git", "name": "x", "url": "ext::sh -c id"}, "is not a git address"),
        ({"type": "git", "name": "x", "url": "--upload-pack=id"}, "is not a git address"),
        ({"type": "git", "name": "x", "path": ".", "since": "yesterday"}, "since: 'yesterday' is not a time"),
        (
            {"type": "git", "name": "x", "path": ".", "include": "main"},
            "include: a list is allowed, such as",
        ),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as problem:
        build(config, tmp_path)

    assert said in str(problem.value)
    assert "\n" not in str(problem.value)


def test_other_distributions_add_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("forge", "ingestors.sources.git:GitSource", registry.ENTRY_POINTS)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point] if group == registry.ENTRY_POINTS else []
    )

    assert "forge" in known_types()
    assert source_class("forge") is GitSource
    assert build({"type": "forge", "name": "x", "path": "."}, tmp_path).config.name == "x"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no.such.module:Thing", "cannot be loaded: No module named"),
        ("tests.unit.ingestors.scripted:Missing", "cannot be loaded: module"),
        ("tests.unit.ingestors.scripted:items", "is not a subclass"),
    ],
)
def test_a_broken_source_says_so(monkeypatch: pytest.MonkeyPatch, place: str, said: str) -> None:
    point = EntryPoint("broken", place, registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])

    with pytest.raises(BadInput, match=said):
        source_class("broken")


def test_a_missing_extra_disables_a_source_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "extra", ("heavy", "a_module_that_is_not_there"))
    point = EntryPoint("scripted", "tests.unit.ingestors.scripted:Scripted", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])

    assert "pip install 'kinlore[heavy]'" in (disabled_because("scripted") or "")
    with pytest.raises(BadInput, match="needs the extra 'heavy'"):
        build({"type": "scripted", "name": "x"}, tmp_path)


def test_built_in_sources_are_there_and_enabled() -> None:
    for type_name in registry.BUILT_IN:
        assert source_class(type_name).type == type_name
        assert disabled_because(type_name) is None


def test_asking_for_the_types_imports_no_source() -> None:
    code = (
        "import sys; from ingestors.registry import known_types; known_types(); "
        "print([m for m in sys.modules if m.startswith('ingestors.sources') or m in ('httpx', 'yaml')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
