"""What a repository of a generated organisation holds, and which of its files a commit touches.

A folder (or, for jobs, a file) for each service, code that all of them share, documents, tests and lock
files. Most commits that break something touch code that runs, as most do that break nothing; some break it
from shared code or in a large refactoring, a few from a file that nobody would suspect.
"""

from __future__ import annotations

import random
from typing import NamedTuple

#: Where the code of a role lies, what each service has there, and what all share.
_OWN = {
    "training": ("train.py", "model.py", "features.py", "params.yaml"),
    "serving": ("handler.py", "transform.py"),
    "pipeline": (),
}
_SHARED = {
    "training": ("common/loading.py", "common/metrics.py", "common/losses.py", "common/layers.py"),
    "serving": ("server/app.py", "server/batching.py", "server/cache.py", "server/metrics.py"),
    "pipeline": ("lib/read.py", "lib/write.py", "lib/joins.py", "lib/dates.py", "lib/quality.py"),
}
_ASIDE = ("README.md", "docs/running.md", "docs/data.md", "CHANGELOG.md", ".github/workflows/ci.yml")
_TOOLING = ("pyproject.toml", "Makefile", "Dockerfile")
LOCKED = ("pyproject.toml", "uv.lock")

#: How often a commit is of each sort, in percent: one that breaks nothing, and one that breaks something.
_SORTS = ("documents", "tests", "tooling", "own", "shared", "both", "everything")
_HARMLESS = (14, 12, 6, 40, 17, 8, 3)
_HARMFUL = (1, 1, 6, 42, 32, 11, 7)
#: A subject that speaks of documents or spelling only, by what was touched.
_TRIVIAL_SUBJECT = {"documents": 0.9, "tests": 0.6}
_TRIVIAL_ELSE = 0.1


class Edit(NamedTuple):
    """The files of a commit; ``service``: the only one whose code it is, None where all share it;
    ``trivial``: whether its subject speaks of documents or spelling only."""

    files: list[str]
    service: str | None
    trivial: bool


def entry(role: str, service: str) -> str:
    """The file that a run or job of a service starts with."""
    return f"jobs/features_{service}.py" if role == "pipeline" else f"{service}/train.py"


def files_of(role: str, service: str) -> list[str]:
    """The files that run for a service."""
    return [*_own(role, service), *_SHARED[role]]


def edit(dice: random.Random, role: str, services: list[str], harmful: bool) -> Edit:
    """What one commit touches."""
    sort = dice.choices(_SORTS, _HARMFUL if harmful else _HARMLESS)[0]
    service = dice.choice(services)
    own = _own(role, service)
    files: set[str] = set()
    if sort in ("own", "both"):
        files |= _some(dice, own)
    if sort in ("shared", "both"):
        files |= _some(dice, _SHARED[role])
    if sort == "tooling":
        files |= _some(dice, _TOOLING)
    if sort == "everything":
        files |= {path for each in services for path in _own(role, each) if dice.random() < 0.7}
        files |= {path for path in _SHARED[role] if dice.random() < 0.7}
    if sort == "documents" or dice.random() < 0.1:
        files |= _some(dice, _ASIDE)
    if sort == "tests" or dice.random() < 0.35:
        files.add(f"tests/test_{dice.choice((service, 'common', 'io'))}.py")
    trivial = dice.random() < (0.08 if harmful else _TRIVIAL_SUBJECT.get(sort, _TRIVIAL_ELSE))
    return Edit(sorted(files), service if sort == "own" else None, trivial)


def _own(role: str, service: str) -> list[str]:
    if role == "pipeline":
        return [entry(role, service), f"jobs/sql/features_{service}.sql"]
    return [f"{service}/{name}" for name in _OWN[role]]


def _some(dice: random.Random, files: tuple[str, ...] | list[str]) -> set[str]:
    """One file, often, and sometimes several."""
    return set(dice.sample(list(files), min(len(files), dice.choices((1, 2, 3), (60, 28, 12))[0])))
