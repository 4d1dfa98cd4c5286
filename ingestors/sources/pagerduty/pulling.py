"""Reading incidents anew: the API tells what was created when, not what has changed.

So each pull reads what was created lately and what is open, and asks for what was open before and is no more.
Only incidents that look different from the last time are worth their alerts and notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graph_schema.errors import BadInput
from graph_schema.times import Micros, parse_time
from ingestors.source import Item, Pulled
from ingestors.sources.pagerduty.api import OPEN, Api, Incident
from ingestors.sources.pagerduty.shape import incident_items

_DAY = 86_400 * 1_000_000
#: How far back the first pull goes, without `since`.
FIRST = 365 * _DAY
#: What was created within this time before the last pull is looked at again.
AGAIN = 7 * _DAY
#: The API allows half a year.
_SPAN = 150 * _DAY


def pages(api: Api, cursor: Any | None, *, since: str | None, now: Micros) -> Iterator[Pulled]:
    """Pages since the cursor: until when everything created was read, and how each recent or open incident
    looked, by its id."""
    start = now - FIRST if since is None else parse_time(since)
    looked: dict[str, str] = {}
    done = start
    if cursor is not None:
        looked, done = dict(cursor["looked"]), cursor["until"]
        start = max(start, done - AGAIN)
    were_open = {key for key, look in looked.items() if look.startswith(OPEN)}
    seen: set[str] = set()
    while start < now:
        end = min(start + _SPAN, now)
        for page in api.created(start, end):
            items = _items(api, page, looked, seen, now)
            if page:
                done = max(done, parse_time(str(page[-1]["created_at"])))
            if items:
                yield Pulled(items, {"until": done, "looked": dict(looked)})
        start, done = end, max(done, end)
    for page in api.open():
        if items := _items(api, page, looked, seen, now):
            yield Pulled(items, {"until": done, "looked": dict(looked)})
    closed = [found for key in sorted(were_open - seen) if (found := api.incident(key)) is not None]
    items = _items(api, closed, looked, seen, now)
    # What is neither recent nor open will not be met again.
    yield Pulled(items, {"until": done, "looked": {k: look for k, look in looked.items() if k in seen}})


def _items(api: Api, page: list[Incident], looked: dict[str, str], seen: set[str], now: Micros) -> list[Item]:
    """What is to be written of a page; ``looked`` and ``seen`` are brought up to date."""
    items: list[Item] = []
    for incident in page:
        key, look = str(incident.get("id")), _look(incident)
        seen.add(key)
        try:
            if looked.get(key) != look:
                items += [*incident_items(incident), *api.alerts(key, now), *api.notes(key)]
            is_recent = parse_time(str(incident.get("created_at"))) >= now - AGAIN
        except BadInput as problem:
            # Refused with its reason in to_claims: it becomes a dead letter, and the others land.
            items.append(Item(key, "incident", now, {"incident": incident, "refused": str(problem)}))
            looked[key] = look
            continue
        if is_recent or look.startswith(OPEN):
            looked[key] = look
        else:
            looked.pop(key, None)
    return items


def _look(incident: Incident) -> str:
    counts = incident.get("alert_counts")
    number = counts.get("all") if isinstance(counts, dict) else None
    told = (incident.get("status"), incident.get("updated_at"), incident.get("last_status_change_at"), number)
    return " ".join(map(str, told))
