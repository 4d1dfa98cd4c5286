"""What a check examined, as its author says it: keys in the tool's own metadata. Pure.

| key | what it names |
| --- | --- |
| a scheme that Kinlore joins by (``dvc.md5``, ``sha256``, ``mlflow.run_id``, ``mlflow.model_version``, …) | that thing |
| ``dataset``, or ``openlineage.dataset.namespace`` and ``openlineage.dataset.name`` | what stood in the table when it was checked |
| ``git.sha`` and ``dvc.path`` | the data that a clean tree of the commit holds there |
| ``deployment``, with ``environment`` | what was deployed under that name when it was checked |
| ``kinlore.kind``, ``kinlore.segment``, ``kinlore.stream`` | how the check is called, where the tool does not say |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

from graph_schema.claims import Claim, Keyed, Links
from graph_schema.edges import EDGES, EdgeKind
from graph_schema.errors import BadIdentifier
from graph_schema.identifiers import identifier, kind_of, parse
from graph_schema.kinds import NodeKind
from graph_schema.schemes import SCHEMES
from graph_schema.times import Micros
from ingestors import tables
from ingestors.deployments import anywhere, place

_CHECKED = frozenset(a for a, _ in EDGES[EdgeKind.CHECKED_BY].pairs)

#: Schemes that name something that can be checked.
SUBJECT_SCHEMES = tuple(
    name for name, scheme in SCHEMES.items() if scheme.joins and _CHECKED.intersection(scheme.kinds)
)
_NAMESPACE, _NAME = "openlineage.dataset.namespace", "openlineage.dataset.name"
#: Keys that are read of a tool's metadata; everything else is left alone.
KEYS = frozenset(
    {
        *SUBJECT_SCHEMES, _NAMESPACE, _NAME, "dataset", "dvc.path", "git.sha", "environment",
        "kinlore.kind", "kinlore.segment", "kinlore.stream",
    }
)  # fmt: skip

Said = Mapping[str, str]


def said_in(*places: object) -> dict[str, str]:
    """What is written for Kinlore in these mappings, the later ones winning. Numbers count as text; a key
    may be written with its scope, ``mlflow.model_version@tracking``."""
    found: dict[str, str] = {}
    for each in places:
        for key, value in each.items() if isinstance(each, Mapping) else ():
            if isinstance(key, str) and key.partition("@")[0] in KEYS and isinstance(value, str | int):
                found[key] = str(value).strip()
    return {key: value for key, value in found.items() if value}


def configured(subjects: Mapping[str, str], *names: str) -> dict[str, str]:
    """What the configuration says of checks that go by these names (globs), as if the tool had said it."""
    found: dict[str, str] = {}
    for glob, text in subjects.items():
        if any(fnmatchcase(name, glob) for name in names):
            key, _, value = text.partition("=")
            found.setdefault(key, value)
    return found


def checked_subjects(given: Mapping[str, str]) -> Mapping[str, str]:
    """The table ``[sources.subjects]``. Raises ValueError for what names nothing."""
    for glob, text in given.items():
        key, equals, _ = text.partition("=")
        if not equals or key.partition("@")[0] not in KEYS:
            allowed = ", ".join(sorted(KEYS))
            raise ValueError(f"{glob!r} is given {text!r}; write one of {allowed}, then = and its value")
    return MappingProxyType(dict(given))


def checked_by(said: Said, check: str, at: Micros) -> list[Claim]:
    """``CHECKED_BY`` from all that is named to a check. What is spelled wrong names nothing."""
    claims: list[Claim] = []
    for key, value in sorted(said.items()):
        if (subject := _subject(key, value)) is not None:
            claims.append(Links(EdgeKind.CHECKED_BY, subject, check, at))
    try:
        claims += _by_name(said, check, at)
    except BadIdentifier:
        return claims
    return claims


def data_versions(said: Said) -> list[str]:
    """Identifiers of the states of data that are named exactly."""
    named = (_subject(key, value) for key, value in sorted(said.items()))
    return [each for each in named if each is not None and kind_of(each) is NodeKind.DATASET_VERSION]


def _subject(key: str, value: str) -> str | None:
    scheme = key.partition("@")[0]
    if scheme not in SUBJECT_SCHEMES or (scheme == "deployment" and "@" not in value):
        return None
    try:
        if scheme in ("md5", "sha256") and key == scheme:
            return identifier(scheme, value, kind=NodeKind.DATASET_VERSION)
        read = parse(f"{key}={value}")
        subject = identifier(read.scheme, read.value, read.scope)
    except BadIdentifier:
        return None
    kind = kind_of(subject)
    return subject if kind is None or kind in _CHECKED else None


def _by_name(said: Said, check: str, at: Micros) -> list[Claim]:
    """What stood there then: a table, a place for deployments, a path at a commit."""
    claims: list[Claim] = []
    table = said.get("dataset")
    if table is None and _NAMESPACE in said and _NAME in said:
        table = f"{said[_NAMESPACE]}/{said[_NAME]}"
    if table is not None:
        claims.append(tables.read(table, check, at, EdgeKind.CHECKED_BY))
    name, environment = said.get("deployment"), said.get("environment")
    if name is not None and "@" not in name:
        where = anywhere(name) if environment is None else place(environment, name)
        claims.append(
            Keyed("blame", where, "blames", check, None, at, data={"edge": EdgeKind.CHECKED_BY.value})
        )
    if "dvc.path" in said and "git.sha" in said and "dvc.md5" not in said:
        commit = identifier("git.sha", said["git.sha"]).partition("=")[2]
        data = {"path": said["dvc.path"], "edge": EdgeKind.CHECKED_BY.value}
        claims.append(Keyed("tree", commit, "reads", check, None, at, None, data))
    return claims
