"""Which data a run read, told by its commit and a path: used only where it logged no content.

A data version source says, per commit, in which state a clean tree leaves the tracked data (``tree``), and
per state which content lies at which path (``tree_state``). States are named by their content, are written
before the commits that refer to them, and never change.
"""

from __future__ import annotations

from collections.abc import Sequence

from graph_schema.claims import Links
from graph_schema.edges import EdgeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from ingestors.joins.rule import Outcome, ref_of


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """``INPUT_TO`` for the runs that read a path at the commit ``key``, ``CHECKED_BY`` for checks of it."""
    found: dict[str, list[Derived]] = {t.anchor: [] for t in touches if t.anchor}
    reads = tx.keyed("tree", key, role="reads")
    if reads:
        trees = tx.keyed("tree", key, role="tree")
        for read in reads:
            # Two sources that watch one repository say the same: the first, in order, stands.
            edges = (file_at(tx, key, tree, read) for tree in trees)
            first = next((edge for edge in edges if edge is not None), None)
            found[read.anchor] = [first] if first is not None else []
    return Outcome(found)


def file_at(tx: Transaction, commit: str, tree: KeyedClaim, read: KeyedClaim) -> Derived | None:
    """The edge from the data version at the path that was read, or from the directory it lies in."""
    path = str(read.data["path"]).strip("/")
    held = {str(f.data["path"]): f for f in tx.keyed("tree_state", tree.data["state"], role="file")}
    while path and path not in held:
        path = path.rpartition("/")[0]
    if not path:
        return None
    version = held[path]
    who = "check" if read.data.get("edge") == EdgeKind.CHECKED_BY else "run"
    tree_was = (
        "was made on a clean tree of that commit"
        if read.data.get("clean")
        else "names that commit (whether its tree was clean is not known)"
    )
    evidence = f"commit {commit[:10]} holds it at {path}, and the {who} {tree_was}"
    properties = {key: value for key, value in read.data.items() if key != "edge"}
    kind = EdgeKind(read.data.get("edge", EdgeKind.INPUT_TO))
    edge = Links(kind, ref_of(version), ref_of(read), read.at, None, properties, evidence)
    return Derived(edge, tuple(sorted({tree.source, read.source, version.source})))
