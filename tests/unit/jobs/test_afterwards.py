"""A server works out by itself what follows from ingestion, and stops when it is told to."""

from __future__ import annotations

import time

from app.jobs.afterwards import Afterwards
from graph_schema.claims import Names, Record, States
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from ingestors import joins
from tests.waiting import soon

RUN = "mlflow.run_id=0000000000000000000000000000000a"


def test_tags_come_by_themselves(store: GraphStore) -> None:
    service = Afterwards(store, look=0.05)
    service.start()
    said = {"name": "r", "status": "FAILED", "error": "PermissionError: permission denied: '/data'"}
    claims = (Names(NodeKind.RUN, (RUN,)), States(NodeKind.RUN, RUN, said))

    store.transact(lambda tx: joins.apply(tx, Source("tracking", "mlflow"), [Record("a", "run", 1, claims)]))

    assert soon(lambda: store.resolve("tag=permission"))
    service.stop()
    store.transact(lambda tx: joins.apply(tx, Source("tracking", "mlflow"), [Record("a", "run", 2, ())]))
    time.sleep(0.2)
    assert store.resolve("tag=permission"), "nothing happens once it has stopped"
