"""Row 1: kill -9 of the ingesting process, anywhere. It resumes, nothing is lost and nothing doubled."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from graph_schema.store import Counts, GraphStore
from graph_schema.store import Source as Writer
from ingestors.loop import ingest
from ingestors.report import CURSOR, DEAD_LETTERS, Report
from tests.faults.conftest import Figure
from tests.faults.synthetic import Synthetic
from tests.faults.victim import SHORT, Address, Telling, start_ingestion

WRITER = Writer("synthetic", "synthetic")
TYPES = ("run", "data", "join")


class Clean:
    """What an ingestion makes that nobody disturbs, and how many transactions of what length it takes."""

    def __init__(self, address: Address, source: Synthetic) -> None:
        self.source = source
        store = address.open()
        store.migrate()
        began = time.monotonic()
        steps: list[float] = []
        told: Any = Telling(store, lambda: steps.append(time.monotonic()))
        report = ingest(told, source, policy=SHORT)
        assert report.error is None
        self.step = (time.monotonic() - began) / len(steps)
        self.steps = len(steps)
        self.report: Report = report
        self.digest = store.digest()
        self.counts: Counts = store.counts()
        self.held = held(store)
        store.close()


def held(store: GraphStore) -> dict[str, bool]:
    """Every record that is held, and whether it is gone at the source."""
    return store.transact(
        lambda tx: {
            record.key: record.gone_at is not None
            for type_name in TYPES
            for record in tx.held(WRITER, type_name)
        }
    )


def ahead(store: GraphStore, source: Synthetic) -> list[str]:
    """Records that the cursor says are there and that are not, or not in the state that it has passed."""
    cursor = dict(store.service(CURSOR)).get("synthetic") or 0
    states: dict[str, int] = {}
    for page in source.pages[:cursor]:
        for item in page:
            states[item.key] = max(states.get(item.key, 0), item.version)
    there = held(store)
    missing = [key for key in states if key not in there]
    for key, state in random.Random(cursor).sample(sorted(states.items()), min(10, len(states))):
        if key.startswith("run/"):
            (node,) = store.get(store.resolve(f"mlflow.run_id=r{key.partition('/')[2]}"))
            stated = node.properties["state"] if node is not None else 0
            missing += [key] if stated < state else []
    return missing


@pytest.mark.parametrize("moments", [25, pytest.param(100, marks=pytest.mark.soak)])
@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_an_ingestion_that_is_killed_anywhere_goes_on(
    address: Callable[[], Address], engine: str, moments: int, figure: Figure
) -> None:
    # A transaction on Neo4j takes about ten times as long.
    small = {"sqlite": 600, "neo4j": 200}
    count, seed = (small[engine], 7) if moments < 50 else (2_000, 11)
    clean = Clean(address(), Synthetic(count, seed))
    rng = random.Random(moments)
    kills = lost = doubled = equal = ingestions = 0

    while kills < moments:
        here = address()
        while True:
            # A sixth of the work, on average, until the next one.
            wanted, passed = rng.randint(1, max(1, clean.steps // 3)), 0
            process, told = start_ingestion(here, count, seed)
            try:
                while passed < wanted or kills == moments:
                    told.recv_bytes()
                    passed += 1
                # The first run on a cold server is slow: its pace says little about the others.
                time.sleep(rng.uniform(0, min(2 * clean.step, 0.1)))
                process.kill()
            except EOFError:
                pass
            process.join()
            told.close()
            if process.exitcode == 0:
                break
            assert process.exitcode == -9, "the ingestion failed by itself"
            kills += 1
            store = here.open()
            store.migrate()
            lost += len(ahead(store, clean.source))
            store.close()
        ingestions += 1
        store = here.open()
        there, counts = held(store), store.counts()
        lost += len(clean.held.keys() - there.keys())
        doubled += counts.records - len(clean.held)
        equal += (store.digest(), there, counts.nodes, counts.edges, store.service(DEAD_LETTERS)) == (
            clean.digest, clean.held, clean.counts.nodes, clean.counts.edges, [],
        )  # fmt: skip
        store.close()

    figure(
        f"killed {kills} times in {ingestions} ingestions of {clean.steps} transactions:",
        f"{equal}/{ingestions} equal, lost {lost}, doubled {doubled}",
    )
    assert (equal, lost, doubled) == (ingestions, 0, 0)
