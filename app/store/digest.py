"""Digests: one line per thing that is held, in an order of its own, hashed. The same for both engines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from app.store.rows import EDGE_KINDS, NODE_KINDS, BeliefRow, NodeRow, from_json, to_json
from graph_schema.kinds import OBSERVED_PROPERTIES, NodeKind
from graph_schema.store import is_inferred


def node_line(node: NodeRow, texts: Mapping[int, str], sources: Mapping[int, str]) -> bytes | None:
    """A live node: its identifiers, and what each source says of it. ``goneAt`` is no part of the state, and
    neither is what was inferred; None for a label of which nothing else is said: it is there in its edges."""
    facts = sorted(
        to_json([texts[f.iid], sources[f.sid], f.at, stated]).decode()
        for f in node.facts
        if not is_inferred(sources[f.sid]) and (stated := _stated(f.properties)) is not None
    )
    if not facts and NODE_KINDS[node.kind] is NodeKind.TAG:
        return None
    return to_json(["node", NODE_KINDS[node.kind].value, sorted(node.identifiers), facts])


def _stated(properties: dict[str, Any]) -> dict[str, Any] | None:
    """Properties without what was merely observed; None where nothing else was said."""
    if properties.keys().isdisjoint(OBSERVED_PROPERTIES):
        return properties
    return {k: v for k, v in properties.items() if k not in OBSERVED_PROPERTIES} or None


def belief_line(
    belief: BeliefRow, texts: Mapping[int, str], sources: Mapping[int, tuple[str, ...]]
) -> bytes | None:
    """A current belief, by the identifiers it was claimed with; ``sources`` by origin. None for an inferred
    tag: what there was to infer from may have come since."""
    if any(map(is_inferred, sources[belief.oid])):
        return None
    data: Any = from_json(belief.data) if belief.data else None
    return to_json(
        [
            "edge",
            EDGE_KINDS[belief.kind].value,
            texts[belief.src],
            texts[belief.dst],
            belief.since,
            belief.until,
            data,
            sorted(sources[belief.oid]),
            belief.anchor is not None,
        ]
    )


def refusal_line(text: str) -> bytes:
    """An identity claim that does not stand."""
    return to_json(["refused", text])


def digest_of(lines: Iterable[bytes | None]) -> str:
    """SHA-256 of lines in any order: they are hashed one by one, sorted, and hashed together. None is no
    part of it."""
    hashes = sorted(sha256(line).digest() for line in lines if line is not None)
    total = sha256()
    for one in hashes:
        total.update(one)
    return total.hexdigest()
