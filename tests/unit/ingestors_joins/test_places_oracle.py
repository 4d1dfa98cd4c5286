"""Places: events a few at a time, in any order, some withdrawn again, come to what a simple oracle says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.edges import EdgeKind
from graph_schema.store import Derived, KeyedClaim, Touch
from ingestors.deployments import place
from ingestors.joins import blames, places
from tests.unit.ingestors_joins.claims_at_hand import ClaimsAtHand, claim

KEY = place("prod", "churn")
ENVIRONMENT = "environment@cd=prod"
LAST = 12

Found = dict[str, Sequence[Derived]]


def name(number: int) -> str:
    return f"deployment@cd=prod/churn@{number}"


def event(anchor: int, drawn: tuple[str, int, int, float, str | None]) -> KeyedClaim:
    role, number, at, share, mode = drawn
    if role == "blames":
        return claim(f"{anchor}", role, f"alertmanager.alert={number}@{at}", at)
    if role == "clears":
        return claim(f"{anchor}", "ends", None, at)
    if role == "takes":
        said: dict[str, object] = {"share": None, "mode": None if mode == "shadow" else mode}
    else:
        said = {} if role == "ends" else {"share": share, "mode": mode}
    by = None if role == "ends" else ENVIRONMENT
    return claim(f"{anchor}", role, name(number), at, by=by, data=said)


def serving(events: Sequence[KeyedClaim], moment: int) -> dict[str, float]:
    """Who has which share at a time, from the beginning; a shadow has none."""
    stated: dict[str, tuple[float | None, str | None]] = {}
    due = sorted((e for e in events if e.role != "blames" and (e.at or 0) <= moment), key=lambda e: e.at or 0)
    for _, together in groupby(due, key=lambda e: e.at):
        now = list(together)
        takers = [e.ref for e in now if e.role == "takes" and e.ref]
        if takers:
            stated = {max(takers): (None, None)}
        shifts = [e for e in now if e.role == "shifts" and e.ref]
        for e in sorted(shifts, key=lambda e: (e.data["share"] or 0.0, e.data["mode"] or "")):
            stated[e.ref or ""] = (e.data["share"], e.data["mode"])
        for e in now:
            if e.role == "ends" and e.ref is None:
                stated = {}
            elif e.role == "ends":
                stated.pop(e.ref or "", None)
    given = {n: 0.0 if mode == "shadow" else share for n, (share, mode) in stated.items()}
    rest = max(0.0, 1 - sum(share for share in given.values() if share is not None))
    return {n: round(rest if share is None else share, 6) for n, share in given.items()}


def seen(found: Found, moment: int) -> dict[str, float]:
    """The same from the windows that were derived; two at one time for one deployment would be a mistake."""
    edges = [
        d.edge
        for derived in found.values()
        for d in derived
        if d.edge.kind is EdgeKind.DEPLOYED_AS
        if (d.edge.since or 0) <= moment and (d.edge.until is None or d.edge.until > moment)
    ]
    assert len({e.dst for e in edges}) == len(edges)
    return {e.dst: (e.properties or {})["share"] for e in edges}


_roles = st.sampled_from(
    ["takes", "takes", "shifts", "shifts", "shifts", "ends", "clears", "blames", "blames"]
)
_modes = st.sampled_from([None, "canary", "shadow"])
_events = st.tuples(
    _roles, st.integers(1, 4), st.integers(0, LAST), st.sampled_from([0.0, 0.1, 0.25, 0.5]), _modes
)


class Deriving:
    """Claims that come and go, and what is held of them as a store would hold it."""

    def __init__(self) -> None:
        self.tx = ClaimsAtHand()
        for number in range(1, 5):
            version = f"mlflow.model_version@tracking=churn/{number}"
            said = {"kind": "ModelVersion", "text": version}
            self.tx.put("release", name(number), claim(f"of {number}", "of", version, 0, data=said))
        self.stood: Found = {}
        self.blamed: Found = {}

    def change(self, came: Sequence[KeyedClaim], went: Sequence[KeyedClaim] = ()) -> None:
        """These claims came and went in one transaction."""
        for c in came:
            self.tx.put(_rule(c), KEY, c)
        for c in went:
            self.tx.held[_rule(c), KEY].remove(c)
        self._derive([(_rule(c), Touch(_rule(c), KEY, c.at, c.anchor)) for c in [*came, *went]])

    def everything(self) -> Deriving:
        """The same claims, derived at once."""
        other = Deriving()
        other.tx = self.tx
        other._derive([(rule, Touch(rule, KEY, None, "")) for rule in ("place", "blame")])
        return other

    def _derive(self, touched: list[tuple[str, Touch]]) -> None:
        of_place = [t for rule, t in touched if rule == "place"]
        of_blame = [t for rule, t in touched if rule == "blame"]
        if of_place:
            outcome = places.rule(self.tx, KEY, of_place)  # type: ignore[arg-type]
            self.stood.update(outcome.found)
            of_blame += [t for t in outcome.also if t.key == KEY]
        if of_blame:
            self.blamed.update(blames.rule(self.tx, KEY, of_blame).found)  # type: ignore[arg-type]


def _rule(c: KeyedClaim) -> str:
    return "blame" if c.role == "blames" else "place"


def _said(found: Found) -> set[Derived]:
    return {repr(d) for derived in found.values() for d in derived}  # type: ignore[misc]


@settings(max_examples=300, deadline=None)
@given(
    drawn=st.lists(_events, min_size=1, max_size=24),
    together=st.integers(1, 6),
    gone=st.sets(st.integers(0, 23), max_size=8),
)
def test_step_by_step_comes_to_what_the_oracle_says(
    drawn: list[tuple[str, int, int, float, str | None]], together: int, gone: set[int]
) -> None:
    claims = [event(n, d) for n, d in enumerate(drawn)]
    deriving = Deriving()
    for start in range(0, len(claims), together):
        deriving.change(claims[start : start + together])
        _check(deriving, claims[: start + together])

    left = [c for n, c in enumerate(claims) if n not in gone]
    deriving.change([], [c for n, c in enumerate(claims) if n in gone])

    _check(deriving, left)


def _check(deriving: Deriving, claims: Sequence[KeyedClaim]) -> None:
    for moment in range(LAST + 2):
        assert seen(deriving.stood, moment) == serving(claims, moment)
    whole = deriving.everything()
    assert _said(deriving.stood) == _said(whole.stood)
    assert _said(deriving.blamed) == _said(whole.blamed)
    for blame in (c for c in claims if c.role == "blames"):
        guilty = {d.edge.src: (d.edge.properties or {})["share"] for d in deriving.blamed[blame.anchor]}
        there = serving(claims, blame.at or 0)
        assert guilty.items() <= there.items()
        assert {n for n, share in there.items() if share > 0} <= guilty.keys()
