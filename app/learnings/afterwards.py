"""What is worked out beside ingestion, once it has been committed: tags, and attempts that nobody recorded.

It goes by what the last transactions changed, and reads everything where too much did. Interrupted, it begins
again where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from app.learnings import attempts, tagger
from app.learnings.tagging import KINDS
from app.store.changed import follow
from graph_schema.store import GraphStore
from ingestors.report import STATUS

COLLECTION, KEY = "afterwards", "revision"
_PAGE = 500


class Worked(msgspec.Struct):
    """What a pass did: nodes looked at, nodes whose tags changed, records of attempts that changed."""

    looked_at: int = 0
    tagged: int = 0
    attempts: int = 0


def bring_up(store: GraphStore, *, should_stop: Callable[[], bool] = lambda: False) -> Worked | None:
    """Work out what follows from the changes since the last time. None where there were none."""
    since = dict(store.service(COLLECTION, prefix=KEY, limit=1)).get(KEY, 0)
    found = follow(store, since)
    if found.revision == since:
        return None
    done = Worked()
    spaces = _spaces(store)
    changed = _everything(store) if found.nodes is None or since == 0 else iter([sorted(found.nodes)])
    for handles in changed:
        for start in range(0, len(handles), _PAGE):
            if should_stop():
                return done
            part = handles[start : start + _PAGE]
            for space in spaces:
                told = tagger.tag(store, part, space)
                done.looked_at += told.looked_at
                done.tagged += told.changed
                done.attempts += attempts.infer(store, part, space)
    store.transact(lambda tx: tx.service_put(COLLECTION, KEY, found.revision))
    return done


def _everything(store: GraphStore) -> Iterator[list[int]]:
    for kind in KINDS:
        after: str | None = None
        while True:
            page = store.find(kind, first=_PAGE, after=after)
            yield [node.handle for node in page.items]
            if page.next is None:
                break
            after = page.next


def _spaces(store: GraphStore) -> list[str]:
    """The spaces that anything was ever read from."""
    told = {str(value.get("space", "default")) for _, value in store.service(STATUS, limit=10_000)}
    return sorted(told | {"default"})
