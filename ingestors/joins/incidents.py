"""Incidents and the alerts that they were made of: one thing where it is one to one, else a whole and parts.

An alert and an incident belong together where they meet under a key (:mod:`ingestors.alerts`) and in time:
the incident was open while the alert fired. Where the same labels fire anew, what fired before has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from graph_schema.claims import Claim, Keyed, Links
from graph_schema.edges import EdgeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from graph_schema.times import Micros, format_time
from ingestors.alerts import REACH, by_fingerprint, is_fingerprint
from ingestors.joins.rule import Outcome, ref_of


def alert_changed(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """An alert under a key is new, or has ended: the incidents that may have other parts now are to be looked
    at. Those under the key, and those that know the alert, or what fired before it, by another."""
    found: dict[str, KeyedClaim] = {}
    for since, until, at in _spans(touches):
        for incident in _not_over(_incidents(tx, key, since, until), at):
            found[ref_of(incident)] = incident
        # Under its own labels it may also have ended what fired before.
        first = since if is_fingerprint(key) else at
        for alert in _not_over(_alerts(tx, key, first, None if at is None else at + 1), at):
            found.update((ref_of(incident), incident) for incident in _incidents_of(tx, alert))
    return _again(found)


def incident_changed(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """An incident under a key is new, has ended or is no more: those that share an alert with it are to be
    looked at. The incident itself is touched by its own claims."""
    found: dict[str, KeyedClaim] = {}
    for since, until, at in _spans(touches):
        for alert in _not_over(_alerts(tx, key, since, until), at):
            found.update((ref_of(incident), incident) for incident in _incidents_of(tx, alert))
    return _again(found)


def _again(incidents: Iterable[str]) -> Outcome:
    return Outcome({}, tuple(Touch("incident", incident, None, "") for incident in sorted(incidents)))


def _spans(touches: Sequence[Touch]) -> list[tuple[Micros | None, Micros | None, Micros | None]]:
    """What is in reach of each touch: from, until, and the time of the touch."""
    times = {t.at for t in touches}
    if None in times:
        return [(None, None, None)]
    return [(at - REACH, at + REACH + 1, at) for at in sorted(at for at in times if at is not None)]


def _alerts(tx: Transaction, key: str, since: Micros | None, until: Micros | None) -> list[KeyedClaim]:
    return tx.keyed("alert_in", key, role="alert", since=since, until=until)


def _incidents(tx: Transaction, key: str, since: Micros | None, until: Micros | None) -> list[KeyedClaim]:
    return tx.keyed("incident_in", key, role="incident", since=since, until=until)


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """``SAME_AS`` the one alert that the incident ``key`` was made of; of several it ``HAS`` each, and
    inherits what they are implicated with. While none is known, what it lists itself counts; where no alert
    says a thing, what its service stands for does."""
    parts: dict[str, tuple[KeyedClaim, KeyedClaim]] = {}
    for own in tx.keyed("incident", key, role="under"):
        for alert in _alerts_of(tx, own.data["key"], own):
            # Met under two keys, or told by two sources: the first, in order, stands.
            pair = (alert, own)
            parts[ref_of(alert)] = min(parts.get(ref_of(alert), pair), pair, key=_place)
    if not parts:
        return Outcome({"": []}, concluded=_listed(tx, key) or _served(tx, key))
    inherited = _inherited(tx, key, parts)
    if len(parts) == 1:
        ((alert, own),) = parts.values()
        if {ref_of(other) for other in _incidents_of(tx, alert)} <= {key}:
            # What the alert says of itself is said of both.
            return Outcome({"": [_same(alert, own)]}, concluded={} if inherited else _served(tx, key))
    edges = [_has(*parts[alert]) for alert in sorted(parts)]
    return Outcome({"": edges}, concluded=inherited or _served(tx, key))


def _place(pair: tuple[KeyedClaim, KeyedClaim]) -> tuple[Any, ...]:
    return tuple((claim.at or 0, claim.source, claim.anchor) for claim in pair)


def _not_over(claims: Sequence[KeyedClaim], at: Micros | None) -> list[KeyedClaim]:
    """What had not ended by then: what has cannot be affected by anything that begins later."""
    return [c for c in claims if at is None or c.until is None or c.until > at]


def _meet(alert: KeyedClaim, incident: KeyedClaim) -> bool:
    """Whether the incident was open while the alert fired, and not half a life away."""
    began, opened = alert.at or 0, incident.at or 0
    overlap = (incident.until is None or began < incident.until) and (
        alert.until is None or opened < alert.until
    )
    return overlap and abs(began - opened) <= REACH


def _alerts_of(tx: Transaction, key: str, incident: KeyedClaim) -> list[KeyedClaim]:
    """The alerts under a key that fired while the incident was open."""
    opened = incident.at or 0
    until = opened + REACH + 1
    if incident.until is not None:
        until = min(max(incident.until, opened + 1), until)
    near = _alerts(tx, key, opened - REACH, until)
    return [a for a in near if _meet(a, incident) and not _fired_anew(tx, a, incident)]


def _incidents_of(tx: Transaction, alert: KeyedClaim) -> list[KeyedClaim]:
    """The incidents that were open while an alert fired, under all of its keys."""
    began = alert.at or 0
    found: list[KeyedClaim] = []
    for under in tx.keyed("alert_keys", ref_of(alert), role="under"):
        key = under.data["key"]
        for own in _own(tx, key, alert):
            until = began + REACH + 1 if own.until is None else min(own.until, began + REACH + 1)
            for incident in _incidents(tx, key, began - REACH, until):
                if _meet(own, incident) and not _fired_anew(tx, own, incident):
                    found.append(incident)
    return found


def _own(tx: Transaction, key: str, alert: KeyedClaim) -> list[KeyedClaim]:
    """What is said of an alert under a key: each has its own word on when it ended."""
    began = alert.at or 0
    return [claim for claim in _alerts(tx, key, began, began + 1) if claim.ref == alert.ref]


def _fired_anew(tx: Transaction, alert: KeyedClaim, incident: KeyedClaim) -> bool:
    """Whether the same labels fired again after this alert began and before the incident was opened."""
    began, opened = alert.at or 0, incident.at or 0
    if opened <= began:
        return False
    later = tx.keyed(
        "alert_in",
        by_fingerprint(_labels_of(alert)),
        role="alert",
        since=began + 1,
        until=opened + 1,
        limit=1,
    )
    return bool(later)


def _labels_of(alert: KeyedClaim) -> str:
    """The fingerprint in an alert's identifier, ``fingerprint@startsAt``."""
    return ref_of(alert).partition("=")[2].partition("@")[0]


# --- what follows --------------------------------------------------------------------------------------


def _because(alert: KeyedClaim, own: KeyedClaim) -> str:
    what, _, value = str(own.data["key"]).partition(" ")
    how = (
        "it was made of this alert's group" if what == "group" else "it lists an alert with these very labels"
    )
    return (
        f"{how} ({value[:16]}): opened at {format_time(own.at or 0)}, the alert fires since "
        f"{format_time(alert.at or 0)}"
    )


def _same(alert: KeyedClaim, own: KeyedClaim) -> Derived:
    evidence = f"{_because(alert, own)}; no other alert is in it and this alert is in no other"
    edge = Links(EdgeKind.SAME_AS, ref_of(own), ref_of(alert), evidence=evidence)
    return Derived(edge, tuple(sorted({alert.source, own.source})))


def _has(alert: KeyedClaim, own: KeyedClaim) -> Derived:
    since = max(alert.at or 0, own.at or 0)
    edge = Links(EdgeKind.HAS, ref_of(own), ref_of(alert), since, None, None, _because(alert, own))
    return Derived(edge, tuple(sorted({alert.source, own.source})))


def _inherited(
    tx: Transaction, incident: str, parts: dict[str, tuple[KeyedClaim, KeyedClaim]]
) -> dict[str, list[Claim]]:
    """What the alerts say of themselves, said of the incident; each by the source of the alert."""
    said: dict[str, dict[Any, Claim]] = {}
    for alert in sorted(parts):
        met = parts[alert][0]
        for own in _own(tx, by_fingerprint(_labels_of(met)), met):
            for claim in msgspec.convert(list(own.data.get("implies") or ()), list[Claim]):
                _keep(said.setdefault(own.source, {}), _said_of(incident, claim, alert))
    return {source: list(known.values()) for source, known in said.items()}


def _listed(tx: Transaction, incident: str) -> dict[str, list[Claim]]:
    """What the alerts are implicated with that an incident lists."""
    return _implied(tx, incident, "lists")


def _served(tx: Transaction, incident: str) -> dict[str, list[Claim]]:
    """What its service stands for, unless it names something itself."""
    return {} if tx.keyed("incident", incident, role="names", limit=1) else _implied(tx, incident, "serves")


def _implied(tx: Transaction, incident: str, role: str) -> dict[str, list[Claim]]:
    said: dict[str, dict[Any, Claim]] = {}
    for own in tx.keyed("incident", incident, role=role):
        for claim in msgspec.convert(list(own.data["implies"]), list[Claim]):
            _keep(said.setdefault(own.source, {}), claim)
    return {source: list(known.values()) for source, known in said.items()}


def _said_of(incident: str, claim: Claim, alert: str) -> Claim:
    if isinstance(claim, Links):
        return msgspec.structs.replace(claim, dst=incident, evidence=f"{alert}, which is a part of it, is")
    if isinstance(claim, Keyed):
        return msgspec.structs.replace(claim, ref=incident)
    return claim


def _keep(known: dict[Any, Claim], claim: Claim) -> None:
    """Of an edge that several alerts have, the earliest; what stood somewhere may differ with every time."""
    if isinstance(claim, Links):
        key: Any = (claim.kind, claim.src)
        before = known.get(key)
        if isinstance(before, Links) and (before.since or 0, before.evidence or "") <= (
            claim.since or 0,
            claim.evidence or "",
        ):
            return
        known[key] = claim
    elif isinstance(claim, Keyed):
        known[claim.rule, claim.key, claim.at, *(claim.data or {}).get("revisions", ())] = claim
