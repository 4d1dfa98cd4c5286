"""A lineage answer as a tree that a person can read: upstream and downstream of one thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from app.cli.console import age, clean
from app.cli.ids import spelled
from graph_schema.wording import counted

#: Siblings of one kind by one kind of edge, shown before the rest is folded into a line.
SIBLINGS = 8


def owners(node: Mapping[str, Any]) -> str:
    """Who owns a node, in which role: ``Growth ML (owner), ada (codeowner)``. Empty where nobody is known."""
    return ", ".join(
        clean(each["owner"]["name"]) + (f" ({clean(each['role'])})" if each["role"] else "")
        for each in node.get("owners") or ()
    )


class _Child(NamedTuple):
    node: Mapping[str, Any]
    edge: Mapping[str, Any]


class Tree:
    """Draws a walk's nodes and edges. ``now`` is in microseconds; times of nodes are too."""

    def __init__(
        self, nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]], now: int
    ) -> None:
        self._hops = {each["node"]["id"]: each["hops"] for each in nodes}
        self._nodes = {each["node"]["id"]: each["node"] for each in nodes}
        self._now = now
        self._above: dict[str, list[_Child]] = {}
        self._below: dict[str, list[_Child]] = {}
        self._same: dict[str, list[_Child]] = {}
        for edge in edges:
            src, dst = edge["from"], edge["to"]
            if edge["kind"] == "SAME_AS":
                self._same.setdefault(src, []).append(_Child(self._nodes[dst], edge))
                self._same.setdefault(dst, []).append(_Child(self._nodes[src], edge))
            else:
                self._above.setdefault(dst, []).append(_Child(self._nodes[src], edge))
                self._below.setdefault(src, []).append(_Child(self._nodes[dst], edge))

    def lines(self, root: str) -> Iterator[str]:
        """The whole picture, line by line."""
        yield self._title(self._nodes[root])
        yield f"  {clean(root)}"
        alike = [id for id, hops in self._hops.items() if hops == 0 and id != root]
        for other in alike:
            yield f"  the same as {self._title(self._nodes[other])} ({clean(other)})"
        for title, sign, links in (("upstream", -1, self._above), ("downstream", 1, self._below)):
            ids = [id for id, hops in self._hops.items() if hops * sign > 0]
            if not ids:
                continue
            yield ""
            yield f"{title} ({len(ids):,})"
            drawn: set[str] = {root}
            yield from self._children(root, links, sign, "", drawn)
            for other in alike:
                yield from self._children(other, links, sign, "", drawn)
            loose = [id for id in ids if id not in drawn]
            if loose:
                yield "by way of kinds that are not shown:"
                for id in loose[:SIBLINGS]:
                    yield f"   {self._title(self._nodes[id])}  {counted(abs(self._hops[id]), 'hop')}"
                if len(loose) > SIBLINGS:
                    yield f"   … and {len(loose) - SIBLINGS:,} more"

    def _children(
        self, id: str, links: Mapping[str, list[_Child]], sign: int, indent: str, drawn: set[str]
    ) -> Iterator[str]:
        """Draw depth first, without recursion: chains may be longer than Python's stack."""
        pending = [(indent, self._entries(id, links, sign, drawn))]
        while pending:
            indent, entries = pending[-1]
            if not entries:
                pending.pop()
                continue
            entry = entries.pop(0)
            branch, gap = ("├─ ", "│  ") if entries else ("└─ ", "   ")
            if isinstance(entry, str):
                yield f"{indent}{branch}{entry}"
                continue
            again = entry.node["id"] in drawn
            yield f"{indent}{branch}{self._line(entry)}{'  (see above)' if again else ''}"
            if not again:
                drawn.add(entry.node["id"])
                pending.append((indent + gap, self._entries(entry.node["id"], links, sign, drawn)))

    def _entries(
        self, id: str, links: Mapping[str, list[_Child]], sign: int, drawn: set[str]
    ) -> list[_Child | str]:
        """What hangs below a node: its neighbours this way and what is the same, large groups folded."""
        here = self._hops[id]
        found = [child for child in links.get(id, ()) if self._hops[child.node["id"]] * sign > 0]
        found += [
            child
            for child in self._same.get(id, ())
            if self._hops[child.node["id"]] == here and child.node["id"] not in drawn and here
        ]
        groups: dict[tuple[str, str], dict[str, _Child]] = {}
        for child in found:
            held = groups.setdefault((child.edge["kind"], child.node["kind"]), {})
            held[child.node["id"]] = _merged(held.get(child.node["id"]), child)
        entries: list[_Child | str] = []
        for (_, kind), of in sorted(groups.items()):
            group = list(of.values())
            group.sort(key=lambda child: (_place(child), -(child.node["createdAt"] or 0), child.node["id"]))
            entries += group[:SIBLINGS]
            folded = group[SIBLINGS:]
            if folded:
                # What is folded counts as drawn, with everything that only it leads to.
                drawn.update(child.node["id"] for child in folded)
                entries.append(f"… and {len(folded):,} more {spelled(kind)}")
        return entries

    def _title(self, node: Mapping[str, Any]) -> str:
        marks = [str(_told(node).get("status") or ""), age(node["createdAt"], self._now)]
        if node.get("goneAt"):
            marks.append("gone at its source")
        if node.get("stub"):
            marks.append("not described by any source")
        said = ", ".join(mark for mark in marks if mark)
        return f"{spelled(node['kind'])} {clean(node['name'])}" + (f"  {said}" if said else "")

    def _line(self, child: _Child) -> str:
        edge = child.edge
        why = f"  [{edge['kind']} {clean(edge['source'])}]"
        hops = self._hops[child.node["id"]]
        return f"{self._title(child.node)}  {hops:+d}{why}"


def _merged(one: _Child | None, other: _Child) -> _Child:
    """An edge that holds several times, as a share that changes has it, is one line, by whoever tells it."""
    if one is None:
        return other
    sources = {*one.edge["source"].split("+"), *other.edge["source"].split("+")}
    return _Child(one.node, {**one.edge, "source": "+".join(sorted(sources))})


def _told(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is known of a check; nothing of other things is shown."""
    told = node.get("properties")
    return told if isinstance(told, dict) else {}


def _place(child: _Child) -> tuple[bool, bool]:
    """Of checks, those that failed come first, and a whole before its parts."""
    told = _told(child.node)
    return (bool(told) and told.get("status") != "FAILED", "partOf" in told)
