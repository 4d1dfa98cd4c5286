"""A large generated graph, filled into a Neo4j by its own import, in the store's own layout.

Most of it is runs that read what earlier runs made; from models by way of images and deployments it leads to
incidents. The layout is taken from the store's codec: what the store reads is what it would have written.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from app.store.neo4j import codec
from app.store.neo4j.store import Neo4jStore
from app.store.rows import NODE_CODES, BeliefRow, IdentRow, NodeRow
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.kinds import NodeKind
from tests.neo4j_server import Neo4jServer, jars, java_for

E, K = EdgeKind, NodeKind
START = 1_750_000_000_000_000
#: Parts of a hundred nodes; the rest are runs.
PARTS = {
    K.COMMIT: 5,
    K.DATASET_VERSION: 30,
    K.MODEL_VERSION: 15,
    K.ARTIFACT: 5,
    K.DEPLOYMENT: 4,
    K.INCIDENT: 1,
}
#: Data versions that a run reads: with what else there is, some five edges a node.
READS = 10

_NODES = (
    ":ID", ":LABEL", "num:long", "text", "ikind:long", "isince:long", "kind:long", "id", "name",
    "createdAt:long", "live:boolean", "properties", "bare",
)  # fmt: skip
_EDGES = (":START_ID", ":END_ID", ":TYPE", "bid:long", "oid:long", "recorded:long", "rid:long", "since:long")
_SCHEMES = {
    K.COMMIT: "git.sha={:040x}",
    K.DATASET_VERSION: "dvc.md5={:032x}",
    K.RUN: "mlflow.run_id={:032x}",
    K.MODEL_VERSION: "mlflow.model_version@tracking=model/{}",
    K.ARTIFACT: "oci.digest=sha256:{:064x}",
    K.DEPLOYMENT: "deployment@releases=prod/service@{}",
    K.INCIDENT: "pagerduty.incident=P{}",
}
_ORDER = (K.COMMIT, K.DATASET_VERSION, K.RUN, K.MODEL_VERSION, K.ARTIFACT, K.DEPLOYMENT, K.INCIDENT)


class Made(NamedTuple):
    """How much there is, and pairs to ask about: a commit, and an incident five hops below it."""

    nodes: int
    edges: int
    pairs: list[tuple[str, str]]


def name_of(kind: NodeKind, number: int) -> str:
    """The identifier of a node."""
    return _SCHEMES[kind].format(number)


class _Numbers:
    """Which numbers stand for which kind: a stretch for each."""

    def __init__(self, nodes: int) -> None:
        self.first: dict[NodeKind, int] = {}
        self.count = {kind: nodes * PARTS[kind] // 100 for kind in PARTS}
        self.count[K.RUN] = nodes - sum(self.count.values())
        at = 1
        for kind in _ORDER:
            self.first[kind] = at
            at += self.count[kind]

    def of(self, kind: NodeKind, place: int) -> int:
        return self.first[kind] + place


def write(folder: Path, nodes: int, *, seed: int = 1, pairs: int = 200) -> Made:
    """The two files of an import. The same numbers give the same graph."""
    numbers, dice = _Numbers(nodes), random.Random(seed)
    with (folder / "nodes.csv").open("w", encoding="utf-8") as file:
        file.write(",".join(_NODES) + "\n")
        for kind in _ORDER:
            for place in range(numbers.count[kind]):
                file.write(_node(kind, numbers.of(kind, place)))
    runs: dict[int, int] = {}
    edges = 0
    with (folder / "edges.csv").open("w", encoding="utf-8") as file:
        file.write(",".join(_EDGES) + "\n")
        for bid, (kind, src, dst) in enumerate(_edges(numbers, dice), 1):
            if kind is E.CODE_FOR:
                runs[dst] = src
            row = BeliefRow(bid, EDGE_CODES[kind], src, dst, src, dst, 1, 1, None, START, None, 1, None, None)
            kept = codec.belief_properties(row)
            file.write(f"{src},{dst},{kind},{bid},{kept['oid']},{kept['recorded']},{kept['rid']},{START}\n")
            edges = bid
    asked = [_above(numbers, runs, dice.randrange(numbers.count[K.INCIDENT])) for _ in range(pairs)]
    return Made(nodes, edges, asked)


def _node(kind: NodeKind, number: int) -> str:
    text = name_of(kind, number)
    name = f"{kind.scope_name} {number}"
    ident = codec.ident_properties(IdentRow(number, text, NODE_CODES[kind], number, 1))
    row = NodeRow(number, NODE_CODES[kind], text, name, None, START, None, True, True, [], {}, [text])
    node = codec.node_properties(row)
    return (
        f"{number},Item;Ident;{kind},{number},{ident['text']},{ident['ikind']},{ident['isince']},{node['kind']},"
        f"{node['id']},{node['name']},{START},true,{node['properties']},{ident.get('bare', '')}\n"
    )


def _edges(numbers: _Numbers, dice: random.Random) -> Iterator[tuple[EdgeKind, int, int]]:
    """Runs read data made before, few of it very often; one in seven data versions comes from no run."""
    of, count = numbers.of, numbers.count
    for place in range(count[K.RUN]):
        run = of(K.RUN, place)
        yield E.CODE_FOR, of(K.COMMIT, place * count[K.COMMIT] // count[K.RUN]), run
        # The data that there was by then.
        there = max(1, place * count[K.DATASET_VERSION] // count[K.RUN])
        reads = {_read(dice, there) for _ in range(READS + dice.randrange(3))}
        for data in sorted(reads):
            yield E.INPUT_TO, of(K.DATASET_VERSION, data), run
        made = place * count[K.DATASET_VERSION] // count[K.RUN]
        if made and place % 7:
            yield E.PRODUCED, run, of(K.DATASET_VERSION, made)
    for place in range(count[K.MODEL_VERSION]):
        yield E.PRODUCED, of(K.RUN, _model_run(numbers, place)), of(K.MODEL_VERSION, place)
    for place in range(count[K.ARTIFACT]):
        yield E.PACKAGED_IN, of(K.MODEL_VERSION, place * 3), of(K.ARTIFACT, place)
    for place in range(count[K.DEPLOYMENT]):
        yield E.DEPLOYED_AS, of(K.ARTIFACT, place), of(K.DEPLOYMENT, place)
    for place in range(count[K.INCIDENT]):
        yield E.IMPLICATED_IN, of(K.DEPLOYMENT, place * 4), of(K.INCIDENT, place)


def _read(dice: random.Random, there: int) -> int:
    back = int(20 * dice.paretovariate(0.9))
    return max(0, min(there - 1, back if dice.random() < 0.3 else there - back))


def _model_run(numbers: _Numbers, place: int) -> int:
    return place * numbers.count[K.RUN] // numbers.count[K.MODEL_VERSION]


def _above(numbers: _Numbers, commits: dict[int, int], incident: int) -> tuple[str, str]:
    """The commit that one comes from, by way of deployment, image, model and run, and the incident."""
    run = numbers.of(K.RUN, _model_run(numbers, incident * 4 * 3))
    return name_of(K.COMMIT, commits[run]), name_of(K.INCIDENT, numbers.of(K.INCIDENT, incident))


def fill(server: Neo4jServer, folder: Path) -> None:
    """Import the files into a server that was never started, start it, and make the store's indexes."""
    config = server._write_config()
    subprocess.run(
        [java_for(server.version), "-Xmx3g", "-cp", f"{jars(server.version)}/*", "org.neo4j.cli.AdminTool",
         "database", "import", "full", "neo4j", f"--nodes={folder / 'nodes.csv'}",
         f"--relationships={folder / 'edges.csv'}", "--quote='", "--id-type=integer",
         f"--report-file={folder / 'import.report'}"],
        env={**os.environ, "NEO4J_HOME": str(server.home), "NEO4J_CONF": str(config)},
        check=True, capture_output=True,
    )  # fmt: skip
    server.start()
    with server.driver() as driver:
        driver.execute_query("MERGE (:Source {sid: 1, name: 'imported', type: 'test', space: 'default'})")
        driver.execute_query("MERGE (:Origin {oid: 1, sids: [1]})")
        driver.execute_query("MERGE (:Revision {rev: 1, at: $at})", at=START)
    store = Neo4jStore(server.url, server.password)
    store.migrate()
    store.close()
    with server.driver() as driver:
        driver.execute_query("MATCH (s:State) SET s.revision = 1, s.at = $at", at=START)


def sample(made: Made, count: int) -> Sequence[tuple[str, str]]:
    """Pairs to ask about, each once."""
    return list(dict.fromkeys(made.pairs))[:count]
