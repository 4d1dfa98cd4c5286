"""Impact: found on planted failures, exact on a real graph, fast on a large one."""

from __future__ import annotations

import csv
import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx
import numpy as np

from app.answers.adjacencies import Adjacencies
from app.answers.impact import ImpactAnswer, impact
from app.answers.reach import HOP
from app.store.sqlite import SqliteStore
from graph_schema.claims import Claim, Links, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import Source
from ingestors import joins
from ingestors.loop import ingest
from tests.benchmarks import planted_impact
from tests.benchmarks.causes.targets import IMPACT_PRECISION_AT_10, SCORED
from tests.benchmarks.measure import Figure, at_most, timed
from tests.benchmarks.organisation import OrganisationSource, elements

REAL = "real/bqetl_edges.csv"
_ASKED = 300
_AT_ONCE = 500
_CHANGED = 7


def run(folder: Path, size: int, seeds: Sequence[int] = SCORED) -> Iterator[Figure]:
    """Figures on generated organisations, on the real graph where it is there, and on so many nodes."""
    yield from planted_impact.run(folder, seeds, IMPACT_PRECISION_AT_10)
    yield from real(Path(os.environ.get("KINLORE_EVAL_DATA", "../shared/data")) / REAL)
    yield from large(folder, size)


def real(path: Path) -> Iterator[Figure]:
    """Tables of a real lineage graph, against the distances that networkx finds in it."""
    if not path.is_file():
        yield Figure("Impact on a real graph", f"left out: {path.name} is not there (KINLORE_EVAL_DATA)")
        return
    with path.open(encoding="utf-8", newline="") as lines:
        edges = [(row[0], row[1]) for row in csv.reader(lines) if row[0] != row[1]]
    graph = networkx.DiGraph(edges)
    with TemporaryDirectory(prefix="kinlore-bench-") as place:
        store = SqliteStore(Path(place) / "real.db")
        store.migrate()
        _load(store, edges)
        handles = {name: store.resolve(_version(name))[0] for name in graph}
        held = Adjacencies(store)
        held.built()
        seconds, wrong = [], 0
        asked = random.Random(7).sample(sorted(graph), min(_ASKED, len(graph)))
        for name in asked:
            took, answer = timed(lambda n=name: impact(store, [handles[n]], 100, first=2_000, held=held))  # type: ignore[misc]
            seconds.append(took)
            hops = networkx.single_source_shortest_path_length(graph, name)
            raw = {handles[other]: HOP**far for other, far in hops.items() if far}
            # Where a table is in a cycle it leads to itself, too.
            around = [hops[each] + 1 for each in graph.predecessors(name) if each in hops]
            raw |= {handles[name]: HOP ** min(around)} if around else {}
            shares = (
                {t.handle: t.contribution / answer.score for t in answer.targets} if answer.targets else {}
            )
            total = sum(raw.values())
            wrong += shares.keys() != raw.keys() or not np.allclose(
                [shares[handle] for handle in raw], [raw[handle] / total for handle in raw]
            )
        store.close()
    yield Figure(
        f"Impact on a real graph of {len(graph):,} tables: answers that differ from networkx",
        f"{wrong} of {len(asked):,}; p95 {np.percentile(seconds, 95) * 1000:.1f} ms",
        "0",
        wrong == 0,
    )


def _version(name: str) -> str:
    return identifier("openlineage.dataset_version", f"bigquery/{name}@unobserved")


def _load(store: SqliteStore, edges: Sequence[tuple[str, str]]) -> None:
    for start in range(0, len(edges), _AT_ONCE):
        records = []
        for number, (a, b) in enumerate(edges[start : start + _AT_ONCE], start):
            claims: list[Claim] = [Names(NodeKind.DATASET_VERSION, (_version(each),)) for each in (a, b)]
            claims.append(Links(EdgeKind.DERIVED_INTO, _version(a), _version(b)))
            records.append(Record(f"edge/{number}", "edge", 1, tuple(claims)))
        store.transact(lambda tx, r=records: joins.apply(tx, Source("real", "openlineage"), r))  # type: ignore[misc]


def large(folder: Path, size: int) -> Iterator[Figure]:
    """Nodes at random, and the largest hub, of a graph of so many nodes; the whole downstream of each."""
    store = SqliteStore(folder / "large.db")
    store.migrate()
    ingest(store, OrganisationSource(list(elements(size))))
    held = Adjacencies(store)
    built, graph = timed(held.built)
    dice = random.Random(7)
    handles = [int(handle) for handle in dice.sample(list(graph.graph.handles), _ASKED)]
    hub = int(graph.graph.handles[int(np.argmax(np.diff(graph.graph.flow.first)))])
    seconds, cpu, found = [], [], []
    for handle in (hub, *handles):
        took, (answer, busy) = timed(lambda h=handle: _asked(store, held, h))  # type: ignore[misc]
        cpu.append(busy)
        seconds.append(took)
        found.append(answer.total)
    changed = [_touched(store, held, handle) for handle in handles[:_CHANGED]]
    store.close()
    p50, p95 = (np.percentile(seconds, share) * 1000 for share in (50, 95))
    detail = f"p50 {p50:.0f}, hub {seconds[0] * 1000:.0f} ms"
    detail += f", processor time p95 {np.percentile(cpu, 95) * 1000:.0f} ms"
    detail += f"; of the median node {np.median(found):,.0f} things at risk; read in {built:.1f} s"
    yield Figure(
        f"SQLite: exact impact of any node, graph of {size:,}, p95",
        f"{p95:.0f} ms ({detail})",
        "< 200 ms",
        bool(p95 < 200),
    )
    patched = float(np.median(changed))
    yield at_most(
        f"SQLite: what a write changed, patched into the graph of {size:,} in memory, against reading it",
        patched / built,
        0.1,
        f"{patched * 1000:.0f} ms against {built:.1f} s",
    )


def _asked(store: SqliteStore, held: Adjacencies, handle: int) -> tuple[ImpactAnswer, float]:
    """The answer, and the seconds of processor time that it took."""
    before = time.thread_time()
    answer = impact(store, [handle], 1_000, held=held)
    return answer, time.thread_time() - before


def _touched(store: SqliteStore, held: Adjacencies, handle: int) -> float:
    """Seconds until the graph in memory is again what the store has, after one node got a new neighbour."""
    (label,) = store.labels([handle])
    is_run = label.kind is NodeKind.RUN
    kind, other = (
        (EdgeKind.PRODUCED, _version("late")) if is_run else (EdgeKind.INPUT_TO, "mlflow.run_id=late")
    )
    record = Record(f"late/{handle}", "edge", 1, (Links(kind, label.id, other),))
    store.transact(lambda tx: joins.apply(tx, Source("late", "test"), [record]))
    return timed(held.built)[0]
