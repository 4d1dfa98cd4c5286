"""Values that differ, weighed by what they usually mean for the outcome: pure over what was read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from graph_schema.kinds import OBSERVED_PROPERTIES
from graph_schema.values import Edge, Node

#: What a difference usually means for the outcome, from 0 to 1.
PARAMETER = DATA = 1.0
MODEL = CODE = 0.9
METRIC = ALIAS = 0.8
RUNTIME = 0.7
OUTCOME = 0.6
FOLLOWS = 0.5
OTHER = STRUCTURE = 0.4
UNKNOWN_CONTENT = 0.3
LABEL = 0.2
#: Parameters that only say where something lies, when it was, or which one it is.
PLACE = 0.1
#: Names, times, ids and places of the two things themselves: below this nothing is worth a look.
NOISE = 0.05

_GROUPS = {
    "params": PARAMETER,
    "metrics": METRIC,
    "aliases": ALIAS,
    "tags": LABEL,
    "configuration": PARAMETER,
}
_KEYS = {
    **dict.fromkeys(("status", "error", "errorType", "exitCode", "signal"), OUTCOME),
    **dict.fromkeys(("command", "script", "branch"), OTHER),
    **dict.fromkeys(("user", "host", "description", "size", "nfiles"), PLACE),
    **dict.fromkeys(
        ("name", "url", "version", "revision", "runId", "source", "path", "duration", "log", "rank", "id",
         "digest", "commit", "uid", "errorMessage", "statusMessage", "errorArtifact", "replicaSet",
         "generation", "externalId", "kubernetes"), NOISE,
    ),
}  # fmt: skip
#: What is told from elsewhere: data, code and runtime by what lies upstream, aliases by their history.
_TOLD = OBSERVED_PROPERTIES | {
    "aliases", "aliasMoves", "data", "inputs", "outputs", "modelInputs", "packages", "dirty", "diff",
    "frames", "createdAt",
}  # fmt: skip
#: What stands before the names of logged data, and what names it exactly: then its versions are compared.
LOGGED = "inputs."
_EXACTLY = ("dvcMd5", "dvcPath", "dataset")
_PLACE = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://|[/~]|[A-Za-z]:\\|\.{1,2}/).*"  # an address or a path
    r"|[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|[0-9a-f]{16,128}|m-[0-9a-f]{32}"  # a UUID, a digest
    r"|\d{4}-\d\d-\d\d(?:[T _]\d\d[:\-]?\d\d.*)?|\d{8}[T_-]?\d{4,6}",  # a time
    re.IGNORECASE | re.DOTALL,
)


class Difference(msgspec.Struct, frozen=True):
    """A value on both sides (None: not there). ``weight``, 0 to 1, orders: what matters comes first.
    ``text`` says it in a sentence where the values alone do not; where the values are names of nodes, these
    are ``left_nodes`` and ``right_nodes``."""

    path: str
    left: Any
    right: Any
    weight: float
    text: str | None = None
    left_nodes: tuple[Node, ...] = ()
    right_nodes: tuple[Node, ...] = ()


def ordered(differences: Sequence[Difference]) -> list[Difference]:
    """What matters first; each path once, the first that was found."""
    once: dict[str, Difference] = {}
    for each in differences:
        once.setdefault(each.path, each)
    return sorted(once.values(), key=lambda d: (-d.weight, d.path))


def of_properties(
    left: Mapping[str, Any], right: Mapping[str, Any], prefix: str = ""
) -> Iterator[Difference]:
    """Properties that differ. ``prefix`` stands before those that are no parameters or metrics."""
    a, b = dict(_flat("", left)), dict(_flat("", right))
    for path in sorted(a.keys() | b.keys()):
        if not _equal(a.get(path), b.get(path)):
            group = path.partition(".")[0]
            shown = path if group in ("params", "metrics") else f"{prefix}{path}"
            yield Difference(shown, a.get(path), b.get(path), _weight(path, a.get(path), b.get(path)))
    yield from of_values(logged(left), logged(right), LOGGED, DATA)


def logged(properties: Mapping[str, Any]) -> dict[str, str]:
    """Data that a run logged by a digest of its tool only, by name and what it was used for. Where these
    differ the data does; where they agree it need not (MLflow's sees the first 10,000 rows), so nothing is
    joined by them."""
    found: dict[str, list[str]] = {}
    inputs = properties.get("inputs")
    for each in inputs if isinstance(inputs, list) else ():
        if isinstance(each, Mapping) and each.get("digest") and not any(map(each.get, _EXACTLY)):
            used = f" ({each['context']})" if each.get("context") else ""
            found.setdefault(f"{each.get('name') or 'data'}{used}", []).append(str(each["digest"]))
    return {name: ", ".join(sorted(digests)) for name, digests in found.items()}


def of_edges(left: Edge, right: Edge) -> Iterator[Difference]:
    """One edge in two states: a deployment's share of the traffic, for example."""
    for key in sorted(left.properties.keys() | right.properties.keys()):
        a, b = left.properties.get(key), right.properties.get(key)
        if a != b:
            yield Difference(f"{left.src} {left.kind} {left.dst}: {key}", a, b, PARAMETER)


def of_values(
    left: Mapping[str, Any], right: Mapping[str, Any], prefix: str, weight: float
) -> Iterator[Difference]:
    """Values by name that differ, all of one weight."""
    for name in sorted(left.keys() | right.keys()):
        if not _equal(left.get(name), right.get(name)):
            yield Difference(f"{prefix}{name}", left.get(name), right.get(name), weight)


def _flat(prefix: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in properties.items():
        if not prefix and key in _TOLD:
            continue
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(f"{path}.", value)
        else:
            yield path, value


def _equal(left: Any, right: Any) -> bool:
    """Equal by content: tools that keep every parameter as a text say ``"0.10"`` for 0.1."""
    if left == right or left is None or right is None:
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return str(left).lower() == str(right).lower()
    try:
        return float(left) == float(right)
    except (TypeError, ValueError):
        return False


def _weight(path: str, left: Any, right: Any) -> float:
    head, dot, key = path.partition(".")
    if head.endswith("At") or (dot and key.endswith("At") and head not in _GROUPS):
        return NOISE
    if head in _GROUPS:
        said = [value for value in (left, right) if value is not None]
        if head != "metrics" and all(isinstance(v, str) and _PLACE.fullmatch(v.strip()) for v in said):
            return min(_GROUPS[head], PLACE)
        return _GROUPS[head]
    return _KEYS.get(head, OTHER)
