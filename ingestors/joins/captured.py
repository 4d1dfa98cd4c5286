"""A command that Kinlore ran: what its processes came to, and the MLflow runs that it made.

A launch of several processes is one run with several captures; the run failed if one of them did, and the
first to fail tells why. MLflow runs carry the command's id as a tag. One such run at the top is the
command's own, seen by another tool: one node. Several are runs that the command has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from graph_schema.claims import Claim, Keyed, Links, Names, Properties, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import KeyedClaim, Touch, Transaction
from graph_schema.times import Micros
from ingestors.joins.rule import Outcome, ref_of

RULE = "captured"

#: Of several processes the worst speaks for the run; one is mostly killed because another failed.
_WORST = {"FAILED": 0, "KILLED": 1, "FINISHED": 2}


def part(run: str, at: Micros, status: str, rank: int | None, properties: Properties) -> Keyed:
    """What one process of a command came to, ``at`` its end. ``run``: identifier ``kinlore.run=…``;
    ``status``: FINISHED, FAILED or KILLED; ``rank``: among the processes of one launch, if it has several."""
    data = {"status": status, "rank": rank, "properties": properties}
    return Keyed(RULE, run, "part", run, None, at, None, data)


def made(run: str, by_tool: str, at: Micros | None, parent: str | None) -> Keyed:
    """A run in a tool (``mlflow.run_id=…``) that was made within a command; ``parent`` is the one around it
    there."""
    return Keyed(RULE, run, "made", by_tool, None, at, None, {"parent": parent})


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """What the parts come to, for each source that tells of some."""
    parts: dict[str, list[KeyedClaim]] = defaultdict(list)
    found: dict[str, KeyedClaim] = {}
    for claim in sorted(tx.keyed(RULE, key), key=lambda c: (c.source, c.anchor)):
        if claim.role == "part":
            parts[claim.source].append(claim)
        else:
            found.setdefault(ref_of(claim), claim)
    return Outcome({}, concluded={name: _conclusions(key, held, found) for name, held in parts.items()})


def _conclusions(run: str, parts: Sequence[KeyedClaim], found: Mapping[str, KeyedClaim]) -> list[Claim]:
    worst = min(
        parts, key=lambda p: (_WORST.get(p.data["status"], 3), p.at or 0, p.data["rank"] or 0, p.anchor)
    )
    properties: Properties = dict(worst.data["properties"])
    failed = sorted(
        {p.data["rank"] for p in parts if p.data["rank"] is not None and p.data["status"] == "FAILED"}
    )
    if failed:
        properties["failedRanks"] = failed
    claims: list[Claim] = [States(NodeKind.RUN, run, properties, worst.at)]
    tops = [ref for ref, claim in found.items() if claim.data["parent"] not in found]
    if len(tops) == 1:
        claims.append(Names(NodeKind.RUN, (tops[0], run)))
    else:
        claims += [Links(EdgeKind.HAS, run, top, found[top].at) for top in sorted(tops)]
    return claims
