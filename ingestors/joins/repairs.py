"""A merged change that says it fixes an incident is an attempt at it; whether it worked, the incident tells.

It worked as far as can be told if the incident was closed with the change or after it, and is closed still.
No person has looked: nobody verified it, and ``closedBy`` names the forge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from graph_schema.claims import Claim, Keyed, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import parse
from graph_schema.kinds import NodeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from graph_schema.times import Micros, format_time
from ingestors.joins.rule import Outcome, ref_of
from ingestors.repairs import RULE, named

TRIED = "tried"
#: Forges close what a change fixes in the same moment; their clocks may put it a little before.
_AT_ONCE: Micros = 60_000_000


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """An attempt and its remediation for each change, said by the change's source, while the incident is
    known as one. The edge from the incident needs both sources: :func:`tried`."""
    incidents = tx.keyed(RULE, key, role="incident")
    said: dict[str, list[Claim]] = defaultdict(list)
    if incidents:
        ended = max((each.until for each in incidents if each.until is not None), default=None)
        for change in tx.keyed(RULE, key, role="change"):
            said[change.source] += _attempt(key, change, ended)
    return Outcome({}, also=(Touch(TRIED, key, None, ""),), concluded=said)


def _attempt(incident: str, change: KeyedClaim, ended: Micros | None) -> list[Claim]:
    request, at = ref_of(change), change.at or 0
    attempt, remediation = named(request, incident), named(request)
    title = str(change.data["title"])
    worked = ended is not None and ended >= at - _AT_ONCE
    forge = parse(request).scheme.partition(".")[0]
    stated = {
        "name": title,
        "outcome": "worked" if worked else "unknown",
        "at": format_time(at),
        "createdAt": at,
        "origin": "change",
        **({"by": change.data["by"]} if change.data.get("by") else {}),
        **({"closedBy": forge} if worked else {}),
    }
    return [
        Names(NodeKind.REMEDIATION, (remediation,)),
        States(NodeKind.REMEDIATION, remediation, {"name": title, "createdAt": at, "origin": "change"}, at),
        Names(NodeKind.ATTEMPT, (attempt,)),
        States(NodeKind.ATTEMPT, attempt, stated, at),
        Links(EdgeKind.OF, attempt, remediation, at),
        Links(EdgeKind.CHANGED, attempt, request, at),
        Keyed(TRIED, incident, "attempt", attempt, request, at),
    ]


def tried(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """``TRIED`` from the incident to the attempts at it."""
    sources = sorted({each.source for each in tx.keyed(RULE, key, role="incident")})[:1]
    edges = [_tried(key, attempt, sources) for attempt in tx.keyed(TRIED, key)] if sources else []
    return Outcome({"": edges})


def _tried(incident: str, attempt: KeyedClaim, sources: Sequence[str]) -> Derived:
    because = f"{attempt.by} was merged and says that it fixes {incident}"
    edge = Links(EdgeKind.TRIED, incident, ref_of(attempt), attempt.at, None, None, because)
    return Derived(edge, tuple(sorted({attempt.source, *sources})))
