"""From nodes to what the ranking compares: one entry per failure, read in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from app.embeddings.model import content_key
from app.learnings import failures, surroundings
from app.learnings.fixes import Fixes, fixes
from app.learnings.ranking import Item
from app.learnings.surroundings import Around
from app.lineage.runtimes import packages_of
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Filter, FilterOp, Node, Order, Ordering

#: Nodes that are read together.
_PAGE = 500


class Entry(msgspec.Struct, frozen=True):
    """A failure: the node's handle, the item that is ranked, and what differences are told from.

    ``rests_on``: handles of all nodes whose change may change it, its own among them."""

    handle: int
    kind: NodeKind
    item: Item
    around: Around
    parameters: dict[str, str]
    packages: dict[str, str]
    sources: tuple[str, ...]
    fixes: Fixes
    rests_on: tuple[int, ...]

    @property
    def text(self) -> str:
        """What is embedded as its text."""
        return f"{self.item.title}\n{self.item.body}"

    def digests(self, model: str) -> tuple[str, str]:
        """Keys of its text and of its title under a model, as vectors are kept by."""
        return content_key(model, self.text), content_key(model, self.item.title)


def entries(store: GraphStore, nodes: Sequence[Node], *, all: bool = False) -> list[Entry]:
    """An entry for each of these nodes that is a failure, or, with ``all``, for each one of the kinds."""
    nodes = [node for node in nodes if node.kind in failures.KINDS]
    if not nodes:
        return []
    found = surroundings.around(store, [node.handle for node in nodes])
    wanted = {h for around in found.values() for h in (*around.checks, *around.runtimes)}
    more = {n.handle: n for n in store.get(sorted(wanted)) if n is not None} if wanted else {}
    ended = fixes(store, [node.handle for node in nodes])
    made = []
    for node in nodes:
        around = found[node.handle]
        checks = [more[h] for h in around.checks if h in more and failures.check_failed(more[h])]
        if all or failures.is_failure(node, checks):
            runtimes = [more[h] for h in around.runtimes if h in more]
            made.append(_entry(node, around, checks, runtimes, ended.get(node.handle, Fixes())))
    return made


def _entry(
    node: Node, around: Around, checks: Sequence[Node], runtimes: Sequence[Node], ended: Fixes
) -> Entry:
    parameters = failures.parameters(node)
    packages: dict[str, str] = {}
    for runtime in runtimes:
        pinned = {name: version for name, version in packages_of(runtime).items() if version}
        packages = {**pinned, **packages}
        for key in ("python", "platform", "cuda", "image"):
            if runtime.properties.get(key):
                packages.setdefault(key, str(runtime.properties[key]))
    item = Item(
        id=str(node.handle),
        project=surroundings.project(node, around),
        title=failures.title(node, checks),
        body=failures.body(node, checks),
        created=failures.happened(node),
        component=surroundings.component(node, around),
        entities=(
            *(near.entity for near in around.near),
            *failures.alert_of(node),
            *(f"parameter:{key}={value}" for key, value in sorted(parameters.items())),
        ),
        fixes=tuple(fix.text for fix in ended.said),
    )
    return Entry(
        node.handle,
        node.kind,
        item,
        around,
        parameters,
        packages,
        node.sources,
        ended,
        (node.handle, *(near.handle for near in around.near), *ended.rests_on),
    )


def read(store: GraphStore, handles: Iterable[int]) -> list[Entry]:
    """Entries of those of these nodes that are failures now."""
    asked = sorted(handles)
    found: list[Entry] = []
    for start in range(0, len(asked), _PAGE):
        nodes = store.get(asked[start : start + _PAGE])
        found += entries(store, [node for node in nodes if node is not None])
    return found


def scan(store: GraphStore, kinds: Sequence[NodeKind] = failures.KINDS) -> Iterator[list[Entry]]:
    """All failures, a page at a time; of a kind, the newest first."""
    newest = Ordering(Order.CREATED_AT, descending=True)
    for kind in kinds:
        bad = Filter("status", FilterOp.IN, list(failures.FAILED))
        after: str | None = None
        while True:
            page = store.find(kind, () if kind is NodeKind.INCIDENT else (bad,), newest, _PAGE, after)
            yield entries(store, page.items)
            after = page.next
            if after is None:
                break
    yield from _examined(store)


def _examined(store: GraphStore) -> Iterator[list[Entry]]:
    """Runs of which a check says that something is wrong, whatever they say themselves."""
    after: str | None = None
    while True:
        page = store.find(
            NodeKind.CHECK, (Filter("status", FilterOp.EQ, "FAILED"),), first=_PAGE, after=after
        )
        yield read(store, examined(store, [node.handle for node in page.items]))
        after = page.next
        if after is None:
            return


def examined(store: GraphStore, checks: Sequence[int]) -> set[int]:
    """What these checks examined."""
    if not checks:
        return set()
    return {step.src for step in store.expand(checks, Direction.UPSTREAM, (EdgeKind.CHECKED_BY,)).steps}


def of_text(text: str, at: Micros) -> Item:
    """A failure of which only a text is known."""
    title, body = failures.text_parts(text)
    return Item(id="", project=None, title=title, body=body, created=at)
