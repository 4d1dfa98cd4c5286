"""One against another: leaderboards, recipes to repeat a run, and what goes with failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import strawberry

from app.answers import correlations as tests
from app.answers import leaderboard as boards
from app.answers.measured import measured
from app.answers.outcomes import outcomes
from app.answers.repro import Gap, Recipe, Step, recipe
from app.answers.repro_facts import known_of
from app.api.execute import batched
from app.api.fields import Ask, Context
from app.api.inputs import JSON, DateTime, PropertyFilter
from app.api.types import Node, described, field
from app.lineage.lookup import find_one
from graph_schema import values
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.values import Filter, Moment

Info = strawberry.Info[Context, None]

MAX_IDS, MAX_ROWS, MAX_FINDINGS = 200, 1_000, 200


@described
class Leaderboard:
    """
    Versions or runs ranked by a metric. Ranked are those that were measured on the same data; the others
    follow without a rank, and say why.
    """

    metric: str | None
    higher_is_better: bool | None
    metrics: list[str] = field("What could be asked for instead, the metrics of most versions first.")
    data: list[Node] = field("What the ranked ones were measured on.")
    rows: list[LeaderboardRow]
    total: int = field("Rows before the cut by first.")
    complete: bool
    truncated_because: str | None


@described
class LeaderboardRow:
    """
    A version or run; several where their runs differ only in their seed. value is the mean over n seeds, low
    and high are its 95 % interval (Student's t), null for a single value.
    """

    rank: int | None = field("Null where it cannot be compared; equal values share a rank.")
    node: Node
    nodes: list[Node]
    value: float | None
    low: float | None
    high: float | None
    n: int
    seeds: list[str]
    runs: list[Node] = field("The runs that measured it.")
    overlaps_first: bool | None = field(
        "Whether its interval meets that of the first row; null where one of them has none."
    )
    because: str | None = field("Why it cannot be compared.")
    data: list[Node] = field("What it was measured on, where that is not the data of the leaderboard.")


@described
class RecipeStep:
    """A step to repeat a run: what it restores (code, data, runtime, command), in words and as commands."""

    what: str
    text: str
    commands: list[str]


@described
class RecipeGap:
    """What is missing to repeat a run exactly (code, data, runtime, command, seed)."""

    what: str
    text: str


@strawberry.type(
    name="Recipe",
    description="How to repeat a run. exact if nothing is missing; script is all of it for a POSIX shell.",
)
class RecipeType:
    """How to repeat a run. exact if nothing is missing; script is all of it for a POSIX shell."""

    node: Node
    steps: list[RecipeStep]
    missing: list[RecipeGap]
    exact: bool
    params: JSON
    seeds: JSON
    script: str


@described
class Correlations:
    """
    What goes with failure more often than chance explains. subjects are those whose outcome is known, leftOut
    those without; tested is how many tests the findings are corrected for, level the expected share of false
    findings at most.
    """

    findings: list[Correlation]
    total: int = field(
        "Findings before the cut by first; one that is confounded with another is not counted."
    )
    subjects: int
    failed: int
    left_out: int
    tested: int
    level: float
    complete: bool
    truncated_because: str | None


def _fact_nodes(ask: Ask, parents: list[tests.Correlation]) -> list[values.Node | None]:
    """``Correlation.node``."""
    nodes = ask.readable(sorted({c.fact.handle for c in parents if c.fact.handle is not None}))
    return [None if c.fact.handle is None else nodes.get(c.fact.handle) for c in parents]


def _examples(ask: Ask, parents: list[tests.Correlation]) -> list[list[values.Node]]:
    """``Correlation.examples``."""
    return _listed(ask, [c.examples for c in parents])


def _counterexamples(ask: Ask, parents: list[tests.Correlation]) -> list[list[values.Node]]:
    """``Correlation.counterexamples``."""
    return _listed(ask, [c.counterexamples for c in parents])


def _listed(ask: Ask, groups: list[tuple[int, ...]]) -> list[list[values.Node]]:
    nodes = ask.readable(sorted({handle for group in groups for handle in group}))
    return [_of(nodes, group) for group in groups]


@described
class Correlation:
    """
    Something that goes with failure; that is no cause. lift is the share of failures among those that bear
    it over the share among all; p is Fisher's exact test, one-sided; q is p corrected for all tests
    (Benjamini and Yekutieli).
    """

    kind: str = field("parameter, data, model, runtime, setting, job, experiment or commit.")
    name: str
    value: str
    node: Node | None = batched(_fact_nodes)
    what: str = field("The fact in words.")
    text: str = field("The finding in a sentence.")
    failed: int
    total: int
    others_failed: int
    others_total: int
    lift: float
    p: float
    q: float
    also: list[str] = field("What exactly the same ones bear: nothing tells it apart.")
    confounded: list[Correlation] = field(
        "What was found too, and is not found among those that are alike in this (exact test, stratified,\n"
        "at 5 %): they do not tell which of them matters."
    )
    examples: list[Node] = batched(_examples, "Some that bear it and failed, the newest first.")
    counterexamples: list[Node] = batched(
        _counterexamples, "Some that bear it and did not fail, the newest first."
    )


class BoardAnswer(NamedTuple):
    """The values of :class:`Leaderboard`."""

    metric: str | None
    higher_is_better: bool | None
    metrics: list[str]
    data: list[values.Node]
    rows: list[RowAnswer]
    total: int
    complete: bool
    truncated_because: str | None


class RowAnswer(NamedTuple):
    """The values of :class:`LeaderboardRow`."""

    rank: int | None
    node: values.Node
    nodes: list[values.Node]
    value: float | None
    low: float | None
    high: float | None
    n: int
    seeds: tuple[str, ...]
    runs: list[values.Node]
    overlaps_first: bool | None
    because: str | None
    data: list[values.Node]


class CorrelationsAnswer(NamedTuple):
    """The values of :class:`Correlations`."""

    findings: list[tests.Correlation]
    total: int
    subjects: int
    failed: int
    left_out: int
    tested: int
    level: float
    complete: bool
    truncated_because: str | None


#: The values behind the types, for looking whether they have what the schema promises.
BEHIND: dict[str, type] = {
    "Leaderboard": BoardAnswer,
    "LeaderboardRow": RowAnswer,
    "Recipe": Recipe,
    "RecipeStep": Step,
    "RecipeGap": Gap,
    "Correlations": CorrelationsAnswer,
    "Correlation": tests.Correlation,
}


def _ask(info: Info, known_at: DateTime | None = strawberry.UNSET) -> Ask:
    ask = info.context.of(info.path)
    if known_at is not strawberry.UNSET:
        ask.moment = Moment(known_at=known_at)
    return ask


def _bounded(first: int | None, default: int, most: int) -> int:
    if first is None:
        return default
    if not 1 <= first <= most:
        raise BadInput(f"first is {first}; allowed are 1 to {most:,}")
    return first


def leaderboard(
    info: Info,
    ids: list[strawberry.ID],
    metric: str | None = strawberry.UNSET,
    higher_is_better: bool | None = strawberry.UNSET,
    first: int | None = 100,
    known_at: DateTime | None = strawberry.UNSET,
) -> BoardAnswer:
    """``Query.leaderboard``."""
    if not 1 <= len(ids) <= MAX_IDS:
        raise BadInput(f"{len(ids)} ids; allowed are 1 to {MAX_IDS} at once")
    ask = _ask(info, known_at)
    at = ask.moment.known_at
    handles = [find_one(ask.store, text, known_at=at, spaces=ask.spaces) for text in ids]
    found = measured(ask.store, handles, known_at=at, spaces=ask.spaces)
    higher = None if higher_is_better is strawberry.UNSET else higher_is_better
    board = boards.leaderboard(found.entries, metric=metric or None, higher=higher)
    shown = board.rows[: _bounded(first, 100, MAX_ROWS)]
    nodes = ask.readable(sorted({*board.data, *(h for r in shown for h in (*r.nodes, *r.runs, *r.data))}))
    rows = [
        RowAnswer(
            row.rank, nodes[row.nodes[0]], _of(nodes, row.nodes), row.value, row.low, row.high, row.n,
            row.seeds, _of(nodes, row.runs), row.overlaps, row.because, _of(nodes, row.data),
        )
        for row in shown
        if row.nodes[0] in nodes
    ]  # fmt: skip
    because = found.truncated_because
    return BoardAnswer(
        board.metric, board.higher_is_better, board.metrics, _of(nodes, board.data), rows, len(board.rows),
        because is None, because,
    )  # fmt: skip


def repro(info: Info, id: strawberry.ID, known_at: DateTime | None = strawberry.UNSET) -> Recipe:
    """``Query.repro``."""
    ask = _ask(info, known_at)
    at = ask.moment.known_at
    handle = find_one(ask.store, id, known_at=at, spaces=ask.spaces)
    return recipe(known_of(ask.store, handle, known_at=at, spaces=ask.spaces))


def correlations(
    info: Info,
    kind: NodeKind = NodeKind.RUN,
    where: list[PropertyFilter] | None = strawberry.UNSET,
    first: int | None = 20,
    level: float | None = tests.LEVEL,
    known_at: DateTime | None = strawberry.UNSET,
) -> CorrelationsAnswer:
    """``Query.correlations``."""
    ask = _ask(info, known_at)
    level = tests.LEVEL if level is None else level
    if not 0 < level <= 0.5:
        raise BadInput(f"level is {level}; allowed is more than 0 and at most 0.5")
    filters = [
        Filter(key=each.key, op=each.op, value=None if each.value is strawberry.UNSET else each.value)
        for each in where or ()
    ]
    ended = outcomes(ask.store, kind, filters, known_at=ask.moment.known_at, spaces=ask.spaces)
    called = [node.handle for node in ended.subjects]
    found = tests.correlate(ended.failed, ended.facts, called, level=level)
    shown = found.findings[: _bounded(first, 20, MAX_FINDINGS)]
    because = ended.truncated_because
    return CorrelationsAnswer(
        shown, len(found.findings), len(ended.subjects), sum(ended.failed), ended.left_out, found.tested,
        level, because is None, because,
    )  # fmt: skip


def _of(nodes: dict[int, values.Node], handles: Iterable[int]) -> list[values.Node]:
    return [nodes[handle] for handle in handles if handle in nodes]


@strawberry.type
class VersusQueries:
    """Questions that hold things against each other."""

    leaderboard: Leaderboard = field(
        "Runs, model versions, all versions of a model or runs of an experiment, ranked by a metric as\n"
        "far as they were measured on identical data. Without metric it is the one that most have; without\n"
        "higherIsBetter its name must say which way it goes.",
        resolver=leaderboard,
    )
    repro: RecipeType = field(
        "How to repeat a run, or the run that lies nearest upstream of anything else, and what is missing.",
        resolver=repro,
    )
    correlations: Correlations = field(
        "What goes with failure among the newest 5,000 runs, job runs, checks or deployments that fulfil\n"
        "where. Never a cause.",
        resolver=correlations,
    )
