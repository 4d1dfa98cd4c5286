"""Writes inferred tags: what is known of nodes read, their tags worked out, and what changed written.

A tag is claimed by a source of the space whose words gave reason for it, so that no evidence is seen by who
may not read it. A person's tag stands for its whole group: nothing is inferred beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from app.learnings import failures
from app.learnings.remediations import along
from app.learnings.tagging import KINDS, TECHNIQUES, Given, given, group_of
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import INFERRED, GraphStore, Source, is_inferred
from graph_schema.values import Direction, Edge, Node
from ingestors import joins

#: Nodes that are read and written at once.
BATCH = 200
_ATLAS = "https://atlas.mitre.org/techniques/"
_READ_DATA = (NodeKind.RUN, NodeKind.JOB_RUN)


class Tagged(msgspec.Struct):
    """What a pass did: nodes looked at, and nodes whose tags changed."""

    looked_at: int = 0
    changed: int = 0


def source_of(space: str) -> Source:
    """Who infers tags from what a space says."""
    return Source(INFERRED if space == "default" else f"{INFERRED}@{space}", "tags", space)


def tag(store: GraphStore, handles: Collection[int], space: str) -> Tagged:
    """Bring the inferred tags of these nodes up to date, by what this space says of them."""
    done = Tagged()
    wanted = [each.handle for each in store.labels(sorted(handles)) if each.kind in KINDS]
    for start in range(0, len(wanted), BATCH):
        _batch(store, wanted[start : start + BATCH], space, done)
    return done


def _batch(store: GraphStore, handles: Sequence[int], space: str, done: Tagged) -> None:
    spaces = frozenset((space,))
    nodes = [node for node in store.get(handles, spaces=spaces) if node is not None]
    if not nodes:
        return
    done.looked_at += len(nodes)
    here = [node.handle for node in nodes]
    checks = along(store, here, EdgeKind.CHECKED_BY, Direction.DOWNSTREAM, spaces=spaces)
    runs = [node.handle for node in nodes if node.kind in _READ_DATA]
    data = along(store, runs, EdgeKind.INPUT_TO, Direction.UPSTREAM, spaces=spaces)
    wanted = sorted({each for found in (*checks.values(), *data.values()) for each in found})
    others = {node.handle: node for node in store.get(wanted, spaces=spaces) if node is not None}
    held = _tags(store, here)
    source = source_of(space)
    records = []
    for node in nodes:
        failed = [others[c] for c in checks[node.handle] if c in others and failures.check_failed(others[c])]
        read = [others[d] for d in data.get(node.handle, ()) if d in others]
        said = held.get(node.handle, [])
        people = {group_of(_label(edge)) for edge in said if not is_inferred(edge.source)}
        now = [each for each in given(node, failed, read) if each.group not in people]
        before = {_as_given(edge) for edge in said if edge.source == source.name}
        if set(now) != before:
            records.append((node, now))
    if records:
        done.changed += len(records)
        store.transact(
            lambda tx: joins.apply(
                tx, source, [Record(f"tags/{n.id}", "tags", tx.now, _claims(n, now)) for n, now in records]
            )
        )


def _tags(store: GraphStore, handles: Sequence[int]) -> Mapping[int, list[Edge]]:
    """The tags of nodes as they are claimed, whoever may read them."""
    steps = store.expand(handles, Direction.DOWNSTREAM, (EdgeKind.TAGGED,)).steps
    found: dict[int, list[Edge]] = {}
    for step, edge in zip(steps, store.edges([step.belief for step in steps]), strict=True):
        found.setdefault(step.src, []).append(edge)
    return found


def _label(edge: Edge) -> str:
    return edge.dst.partition("=")[2]


def _as_given(edge: Edge) -> Given:
    said = edge.properties
    return Given(_label(edge), str(said.get("group")), edge.evidence or "", str(said.get("by")))


def _claims(node: Node, tags: Sequence[Given]) -> tuple[Claim, ...]:
    claims: list[Claim] = []
    for each in tags:
        label = identifier("tag", each.tag)
        claims.append(Names(NodeKind.TAG, (label,)))
        if each.tag in TECHNIQUES:
            name = f"{each.tag} {TECHNIQUES[each.tag][0]}"
            claims.append(States(NodeKind.TAG, label, {"name": name, "url": f"{_ATLAS}{each.tag}"}))
        said = {"by": each.by, "group": each.group}
        claims.append(Links(EdgeKind.TAGGED, node.id, label, None, None, said, each.evidence))
    return tuple(claims)
