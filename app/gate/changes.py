"""What a change to a repository touches, in words and as names to look up. Plain values: one workflow saves
them and another, which trusts none of it, reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind

_MAX_FILE = 5_000_000
MAX_CHANGES = 500
MAX_NAMES = 200
MAX_COMMITS = 500
MAX_HISTORY = 1_000
MAX_PLANS = 5
MAX_SETTINGS = 500
MAX_TEXT = 2_000

_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
_Texts = Annotated[tuple[_Text, ...], msgspec.Meta(max_length=MAX_NAMES)]
_Sha = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
_Md5 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}(\.dir)?$")]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that changed and that something else may have been made from.

    ``path`` is what changed, ``text`` how, ``because`` why it counts. ``datasets`` are paths of data whose
    next state will differ, ``versions`` md5s of states, the first ``replaced`` of them those at the base,
    ``scripts`` files whose recorded runs count, ``commits`` the last ones that changed the same.
    ``follows``: it differs because something else here does."""

    kind: Literal["data", "stage", "parameters", "code", "workflow"]
    path: _Text
    text: _Text = ""
    because: _Text = ""
    datasets: _Texts = ()
    versions: Annotated[tuple[_Md5, ...], msgspec.Meta(max_length=MAX_NAMES)] = ()
    replaced: Annotated[int, msgspec.Meta(ge=0)] = 0
    follows: bool = False
    scripts: _Texts = ()
    commits: Annotated[tuple[_Sha, ...], msgspec.Meta(max_length=MAX_COMMITS)] = ()


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configuration as a change leaves it: the file, and its settings by name."""

    path: _Text
    settings: Annotated[dict[str, Any], msgspec.Meta(min_length=1, max_length=MAX_SETTINGS)]


class Changes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it, between two commits of a repository (the value of its ``git.remote``). ``total`` counts the
    files that differ, ``plans`` are configurations among them, ``history`` the last commits of all branches;
    ``notes`` say what could not be read or was left out."""

    format: Literal[1] = 1
    repository: _Text
    base: _Sha
    head: _Sha
    against: _Text
    total: int
    changes: Annotated[tuple[Change, ...], msgspec.Meta(max_length=MAX_CHANGES)] = ()
    plans: Annotated[tuple[Plan, ...], msgspec.Meta(max_length=MAX_PLANS)] = ()
    history: Annotated[tuple[_Sha, ...], msgspec.Meta(max_length=MAX_HISTORY)] = ()
    notes: _Texts = ()


def dataset_id(repository: str, path: str) -> str:
    """The id under which the dvc source knows the data at a path. Raises BadInput."""
    return identifier("dataset", f"{repository}/{path}")


def version_id(md5: str) -> str:
    """The id of a state of data."""
    return identifier("dvc.md5", md5)


def job_id(repository: str, path: str) -> str | None:
    """The job that a workflow file of GitHub, or GitLab's, describes; None on other forges."""
    host, _, project = repository.partition("/")
    try:
        if path.startswith(".github/workflows/"):
            return identifier("github.workflow", f"{project}/{path}")
        if host.startswith("gitlab."):
            return identifier("gitlab.job_name", f"{project}@{path}")
    except BadInput:
        pass
    return None


#: Kinds that data, code and jobs are named by.
KINDS = (NodeKind.DATASET, NodeKind.DATASET_VERSION, NodeKind.JOB)


def save(changes: Changes, file: Path) -> None:
    """Write them for another workflow. Raises OSError."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(changes), indent=1))


def load(file: Path) -> Changes:
    """Read what another workflow saved. Raises BadInput: whoever wrote it may be anybody."""
    try:
        if file.stat().st_size > _MAX_FILE:
            raise BadInput(f"{file} has more than {_MAX_FILE:,} bytes")
        return msgspec.json.decode(file.read_bytes(), type=Changes)
    except OSError as problem:
        raise BadInput(f"{file} cannot be read: {problem.strerror}") from None
    except (msgspec.DecodeError, RecursionError) as problem:
        raise BadInput(f"{file} is not what `kinlore check --save` writes: {problem}") from None
