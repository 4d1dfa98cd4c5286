"""From what people write to the one node they mean: any identifier text, unscoped, or a commit's prefix."""

from __future__ import annotations

from collections.abc import Sequence

from graph_schema.errors import Ambiguous, NotFound
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Label, Spaces

_SHOWN_CANDIDATES = 20


def find_all(
    store: GraphStore, text: str, *, known_at: Micros | None = None, spaces: Spaces = None
) -> list[Label]:
    """Every node that ``text`` names, by id. Raises BadIdentifier where it is no identifier."""
    handles = store.resolve(text, known_at=known_at, spaces=spaces)
    return sorted(store.labels(handles, known_at=known_at), key=lambda label: label.id)


def find_one(store: GraphStore, text: str, *, known_at: Micros | None = None, spaces: Spaces = None) -> int:
    """The handle of the node that ``text`` names. Raises NotFound, Ambiguous, BadIdentifier."""
    handles = store.resolve(text, known_at=known_at, spaces=spaces)
    if len(handles) == 1:
        return handles[0]
    if not handles:
        raise NotFound(f"no node is named {text[:200]!r}")
    raise _ambiguous(text, store.labels(handles, known_at=known_at))


def _ambiguous(text: str, labels: Sequence[Label]) -> Ambiguous:
    ids = sorted(label.id for label in labels)
    listed = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
    return Ambiguous(
        f"{text[:200]!r} names {len(ids)} nodes; give one of their ids: {listed}",
        tuple(ids[:_SHOWN_CANDIDATES]),
    )
