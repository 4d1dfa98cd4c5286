"""How the bounds of the settings get into the graph: as claims, like everything else.

They are a record of the source ``bounds``, so that rules can read them, and a changed bound changes exactly
what follows from it (:mod:`ingestors.joins.bounds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from graph_schema.claims import Keyed, Record
from graph_schema.store import GraphStore, Source, Transaction
from ingestors import joins
from ingestors.bounds import Bound
from ingestors.series import ALL, BOUND

BOUNDS = Source("bounds", "bounds")
_COLLECTION, _KEY, _RECORD = "bounds", "settings", "settings"


def settle(store: GraphStore, bounds: Sequence[Bound]) -> bool:
    """Make these the bounds that hold; whether that changed anything. Nothing is locked where it does not."""
    said = [msgspec.to_builtins(bound) for bound in sorted(bounds, key=lambda bound: bound.name)]
    digest = blake2b(msgspec.json.encode(said, order="deterministic"), digest_size=16).hexdigest()
    held = dict(store.service(_COLLECTION, prefix=_KEY)).get(_KEY)
    if held == digest or (held is None and not said):
        return False

    def work(tx: Transaction) -> None:
        claims = tuple(Keyed(BOUND, ALL, "bound", data=each) for each in said)
        joins.apply(tx, BOUNDS, [Record(_RECORD, "bounds", tx.now, claims)])
        tx.service_put(_COLLECTION, _KEY, digest)

    store.transact(work)
    return True
