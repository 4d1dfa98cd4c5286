"""The last run of its kind that was good: it ended well, and did no worse than those before it."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Sequence

from app.answers.cause_graph import nodes_of
from app.answers.cause_history import Groups, RunHistory, check_failed
from app.answers.last_good import EARLIER, LastGood, State, along, began, near, time_of, troubles_of
from app.answers.outcomes import GOOD, failed_run
from app.learnings.failures import sort_of_error
from app.lineage.aliases import Stay, moves_of, stays
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros, format_time
from graph_schema.values import Direction, Node, Spaces

E = EdgeKind
#: Runs of one name that are looked at: as many as this of those recorded before, and of those after.
_NAMESAKES = 200
#: Runs that ended well whose incidents are asked for first.
_FIRST = 32


def of_runs(
    store: GraphStore,
    failing: Sequence[Node],
    at: Micros,
    known_at: Micros | None = None,
    spaces: Spaces = None,
    streams: Collection[str] = (),
) -> LastGood:
    """Earlier runs of the same experiment or job, earlier versions of the same model or data set; of a run
    that belongs to nothing, earlier runs of its name with code of the same repository. Good is the last that
    ended well and, by its metrics, did not do worse than those before it. Where the failure is about checks
    of some ``streams``, it is one that passed such a check, else one of which there is none; where it is
    about a model with an alias, such as ``champion``, the version that had it last.
    """
    handles = [node.handle for node in failing]
    above = along(store, handles, Direction.UPSTREAM, E.HAS, known_at, spaces)
    groups = sorted({step.src for step, _ in above})
    below = along(store, groups, Direction.DOWNSTREAM, E.HAS, known_at, spaces)
    # What a run is a part of is no other run.
    beside = {(step.dst, edge.valid_from) for step, edge in below if step.dst not in groups}
    members = set(near(beside, at, max(handles, default=0)))
    grouped = {step.dst for step, _ in above}
    alone = [node for node in failing if node.handle not in grouped and _ends(node)]
    members |= _namesakes(store, alone, known_at, spaces)
    siblings = nodes_of(store, sorted(members - set(handles)), known_at, spaces)
    kinds = {node.kind for node in failing}
    alike = [n for n in siblings.values() if n.kind in kinds]
    dated = [(when, n) for n in alike if (when := began(n)) is not None and when < at]
    # Of runs that bear the same name, these are what the failing one is an instance of.
    named = {_stem(node.name) for node in failing}
    dated.sort(key=lambda pair: (_stem(pair[1].name) not in named, -pair[0], pair[1].id))
    held = Groups({}, {}, siblings)
    for step, _ in below:
        held.parents.setdefault(step.dst, []).append(step.src)
        held.members.setdefault(step.src, []).append(step.dst)
    history = RunHistory(held, at)
    troubles = troubles_of(store, [n.handle for _, n in dated[:EARLIER]], set(), at, known_at, spaces)
    earlier = [State(n, when, None, troubles.get(n.handle, ())) for when, n in dated[:EARLIER]]
    states = [State(n, began(n) or at, None) for n in failing]
    streak = _streak(failing, [pair for pair in dated if _stem(pair[1].name) in named])
    verdicts = _verdicts(store, [n.handle for _, n in dated], streams, at, known_at, spaces)
    well = [(when, n) for when, n in dated if _went_well(n) and not verdicts.get(n.handle)]
    before = _had_alias(store, failing, [n for _, n in well], groups, at, known_at, spaces)
    well.sort(key=lambda pair: (pair[1].handle not in verdicts, -_since(before.get(pair[1].handle))))
    worse = 0
    # The last is good, mostly; where many are not, all that is left is asked for at once.
    for some in (well[:_FIRST], well[_FIRST:]):
        troubles = troubles_of(store, [n.handle for _, n in some], set(), at, known_at, spaces)
        for when, node in some:
            if troubles.get(node.handle):
                continue
            if history.worse(node):
                worse += 1
                continue
            status = node.properties.get("status")
            ended = f"ended as {status}" if status and _ends(node) else "has no incident"
            ended = "passed that check" if node.handle in verdicts else ended
            because = f"{node.name} of {format_time(when)} {ended}"
            if (stay := before.get(node.handle)) is not None:
                because += f"; the alias {stay.name} was there from {format_time(stay.seen_at)}"
            if worse:
                because += "; what ran since did worse by its metrics"
            good = State(node, when, None)
            return LastGood(failing=states, earlier=earlier, good=good, because=because, streak=streak)
    because = "none of its kind is known before it" if not dated else "none before it ended well"
    if worse:
        because = "all before it that ended well did worse by their metrics"
    return LastGood(failing=states, earlier=earlier, good=None, because=because, streak=streak)


def _verdicts(
    store: GraphStore,
    handles: Sequence[int],
    streams: Collection[str],
    at: Micros,
    known_at: Micros | None,
    spaces: Spaces,
) -> dict[int, bool]:
    """Of those with a check of one of these streams by then, whether they failed any."""
    of = along(store, handles, Direction.DOWNSTREAM, E.CHECKED_BY, known_at, spaces) if streams else []
    checks = nodes_of(store, {step.dst for step, _ in of}, known_at, spaces)
    found: dict[int, bool] = {}
    for step, _ in of:
        check = checks.get(step.dst)
        if check is None or check.properties.get("stream") not in streams or (time_of(check) or 0) > at:
            continue
        failed = check_failed(check)
        if failed is not None:
            found[step.src] = found.get(step.src, False) or failed
    return found


def _had_alias(
    store: GraphStore,
    failing: Sequence[Node],
    others: Sequence[Node],
    groups: Sequence[int],
    at: Micros,
    known_at: Micros | None,
    spaces: Spaces,
) -> dict[int, Stay]:
    """Where others had an alias that a failing version of the same model has had, the last of these stays."""
    models = [node for node in failing if node.kind is NodeKind.MODEL_VERSION]
    moves = moves_of(nodes_of(store, groups, known_at, spaces).values()) if models else {}
    mine = {stay.name for node in models for stay in stays(node, moves)}
    found: dict[int, Stay] = {}
    for other in others if mine else ():
        had = [stay for stay in stays(other, moves) if stay.name in mine and stay.seen_at <= at]
        if had:
            found[other.handle] = max(had, key=_since)
    return found


def _since(stay: Stay | None) -> Micros:
    return 0 if stay is None else stay.seen_at


def _streak(failing: Sequence[Node], before: Sequence[tuple[Micros, Node]]) -> list[State]:
    """The runs before, the newest first, that failed the same way since the last one that did not fail."""
    told = {sort_of_error(node.properties) for node in failing if failed_run(node)}
    found = []
    for when, node in before if told else ():
        if node.properties.get("status") in GOOD:
            break
        if failed_run(node) and sort_of_error(node.properties) in told:
            found.append(State(node, when, None))
    return found


def _went_well(node: Node) -> bool:
    """Whether a run ended well, as far as it says so itself; data and models do not end."""
    status = node.properties.get("status")
    return status in GOOD or (status is None and not _ends(node))


def _namesakes(
    store: GraphStore, failing: Sequence[Node], known_at: Micros | None, spaces: Spaces
) -> set[int]:
    """Runs that bear the name of one of these, and whose code is of the same repository, as far as one is
    known: what ``kinlore run`` records belongs to no experiment."""
    found: set[int] = set()
    for node in failing:
        try:
            called = store.resolve(f"name={node.name}", known_at=known_at, spaces=spaces)
        except BadIdentifier:
            continue  # A name may be longer than what can be looked up.
        # Nodes get their handles as they are recorded; what was recorded later may well have run before.
        called.sort()
        own = bisect(called, node.handle)
        near = called[max(own - 1 - _NAMESAKES, 0) : own + _NAMESAKES]
        labels = store.labels(near, known_at=known_at)
        same = [label.handle for label in labels if label.kind is node.kind]
        homes = _homes(store, {*same, node.handle}, known_at, spaces)
        mine = homes.get(node.handle, set())
        found |= {h for h in same if (homes.get(h, set()) & mine if mine else h not in homes)}
    return found


def _homes(
    store: GraphStore, runs: Collection[int], known_at: Micros | None, spaces: Spaces
) -> dict[int, set[int]]:
    """The repositories that the code of runs lies in."""
    code = along(store, sorted(runs), Direction.UPSTREAM, E.CODE_FOR, known_at, spaces)
    commits = sorted({step.src for step, _ in code})
    held: dict[int, set[int]] = {}
    for step, _ in along(store, commits, Direction.UPSTREAM, E.HAS, known_at, spaces):
        held.setdefault(step.dst, set()).add(step.src)
    homes: dict[int, set[int]] = {}
    for step, _ in code:
        if step.src in held:
            homes.setdefault(step.dst, set()).update(held[step.src])
    return homes


def _ends(node: Node) -> bool:
    return node.kind in (NodeKind.RUN, NodeKind.JOB_RUN)


def _stem(name: str) -> str:
    """A name without what tells one instance from the next: digits and separators."""
    return "".join(c for c in name if c.isalpha()).lower()
