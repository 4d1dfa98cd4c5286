"""Writing records and deriving from them, in one transaction. Corrections by people take this way too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from graph_schema.claims import Record
from graph_schema.errors import BadClaim
from graph_schema.store import Source, Touch, Transaction, Written
from ingestors.joins import (
    blames,
    bounds,
    captured,
    content,
    incidents,
    owned_places,
    owners,
    places,
    references,
    repairs,
    runs,
    slots,
    trees,
)
from ingestors.joins.rule import Outcome, Rule, RuleOfMany

RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        "slot": slots.rule,
        "open": references.rule,
        "tree": trees.rule,
        "content": content.rule,
        "place": places.rule,
        "release": places.release,
        "blame": blames.rule,
        "alert_in": incidents.alert_changed,
        "incident_in": incidents.incident_changed,
        "incident": incidents.rule,
        "run_events": runs.rule,
        "captured": captured.rule,
        "owners": owners.rule,
        "owned_place": owned_places.rule,
        "bound": bounds.changed,
        "measured": bounds.measured,
        "series": bounds.series,
        "repair": repairs.rule,
        "tried": repairs.tried,
    }
)

#: Rules that read much under a key: they are run for all keys at once, and when the others have come to rest,
#: for each of these may touch the same key again.
LATE: MappingProxyType[str, RuleOfMany] = MappingProxyType({"judged": bounds.judge})

#: Keyed claims that are only read: look-up names, and what a rule reads beside its own key.
PASSIVE = frozenset({"find", "tree_state", "stands", "alert_keys", "families"})

#: Derived edges can move identity, which can touch derivations again; real chains are two or three long.
_MAX_ROUNDS = 50


def apply(tx: Transaction, source: Source, records: Sequence[Record]) -> Written:
    """Write records and bring everything derived from them up to date."""
    written = tx.write(source, records)
    derive(tx, written)
    return written


def derive(tx: Transaction, written: Written) -> None:
    """Run the rules that a write touched, and those that they touch in turn. Counts go into ``written``."""
    late: dict[str, set[str]] = {}
    for _ in range(_MAX_ROUNDS):
        touched, written.touched = written.touched, []
        groups = _grouped(touched, late)
        if groups:
            tx.ahead(groups.keys())
            outcomes = {place: _rule(place[0])(tx, place[1], touches) for place, touches in groups.items()}
        elif late:
            outcomes = {
                (rule, key): outcome
                for rule, keys in late.items()
                for key, outcome in LATE[rule](tx, sorted(keys)).items()
            }
            late = {}
        else:
            return
        _take(tx, outcomes, written)
    raise BadClaim("derivation does not come to rest; the claims written last contradict each other")


def _take(tx: Transaction, outcomes: Mapping[tuple[str, str], Outcome], written: Written) -> None:
    # All at once: what one key's outcome changes for another touches it, and is seen in the next round.
    written.add(tx.derive({place: each.found for place, each in outcomes.items() if each.found}))
    concluded = {p: each.concluded for p, each in outcomes.items() if each.concluded is not None}
    written.add(tx.conclude(concluded))
    for each in outcomes.values():
        written.touched.extend(each.also)


def _rule(name: str) -> Rule:
    rule = RULES.get(name)
    if rule is None:
        raise BadClaim(f"no rule is called {name!r}; there are {', '.join(sorted({*RULES, *LATE}))}")
    return rule


def _grouped(touched: Sequence[Touch], late: dict[str, set[str]]) -> dict[tuple[str, str], list[Touch]]:
    """What is to be run now, by rule and key. What can wait goes into ``late``."""
    groups: dict[tuple[str, str], list[Touch]] = defaultdict(list)
    for touch in touched:
        if touch.rule in LATE:
            late.setdefault(touch.rule, set()).add(touch.key)
        elif touch.rule not in PASSIVE:
            groups[touch.rule, touch.key].append(touch)
    return groups
