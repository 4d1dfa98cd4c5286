"""How well the tools are joined, in numbers, and the one line that closes each gap."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Node

#: Beyond this many nodes of a kind the rest is not counted, and the line says so.
LIMIT = 100_000
_PAGE = 1_000


class _Question(msgspec.Struct, frozen=True):
    """One share to report: nodes of ``of`` that have an edge of these kinds coming in, or going out."""

    of: NodeKind
    direction: Direction
    kinds: tuple[EdgeKind, ...]
    has: str
    remedy: str
    only: Callable[[Node], bool] = lambda node: True


_QUESTIONS = (
    _Question(
        NodeKind.RUN,
        Direction.UPSTREAM,
        (EdgeKind.CODE_FOR,),
        "have a commit",
        "run inside the git repository, or set the run tag mlflow.source.git.commit",
    ),
    _Question(
        NodeKind.RUN,
        Direction.UPSTREAM,
        (EdgeKind.INPUT_TO,),
        "have a data version",
        "call mlflow.log_input with the tag dvc.md5 (as in dvc.lock), or dvc.path where the tree was clean",
    ),
    _Question(
        NodeKind.MODEL_VERSION,
        Direction.UPSTREAM,
        # A registered version comes from its run directly, or by way of the logged model.
        (EdgeKind.PRODUCED, EdgeKind.REGISTERED_AS),
        "have the run that made them",
        "log the model inside the run (mlflow.<flavour>.log_model) before it is registered",
        lambda node: any(text.startswith("mlflow.") for text in node.identifiers),
    ),
)

_PLURALS = {NodeKind.RUN: ("run", "runs"), NodeKind.MODEL_VERSION: ("model version", "model versions")}


def coverage(store: GraphStore, limit: int = LIMIT) -> list[str]:
    """Lines such as ``1,304 runs: 61 % have a commit, 38 % have a data version``, each followed by what to do
    about the rest. Gone nodes and stubs are not counted. Empty where there is nothing to join."""
    lines: list[str] = []
    for kind in dict.fromkeys(question.of for question in _QUESTIONS):
        questions = [question for question in _QUESTIONS if question.of is kind]
        lines += _of_kind(store, kind, questions, limit)
    return lines


def _of_kind(store: GraphStore, kind: NodeKind, questions: list[_Question], limit: int) -> list[str]:
    total = 0
    asked = [0] * len(questions)
    have = [0] * len(questions)
    after: str | None = None
    while total < limit:
        page = store.find(kind, first=_PAGE, after=after)
        nodes = [node for node in page.items if not node.stub and node.gone_at is None]
        total += len(nodes)
        for place, question in enumerate(questions):
            handles = {node.handle for node in nodes if question.only(node)}
            asked[place] += len(handles)
            have[place] += _joined(store, handles, question)
        after = page.next
        if after is None:
            break
    if not total:
        return []
    one, many = _PLURALS[kind]
    cut = f"the first {total:,} {many}" if after is not None else f"{total:,} {one if total == 1 else many}"
    shares = [
        f"{_percent(have[place], asked[place])} {question.has}"
        for place, question in enumerate(questions)
        if asked[place]
    ]
    if not shares:
        return []
    lines = [f"{cut}: {', '.join(shares)}"]
    for place, question in enumerate(questions):
        missing = asked[place] - have[place]
        if missing:
            verb = "does" if missing == 1 else "do"
            lines.append(f"  {missing:,} {verb} not {question.has}: {question.remedy}")
    return lines


def _joined(store: GraphStore, handles: set[int], question: _Question) -> int:
    if not handles:
        return 0
    found = store.expand(sorted(handles), question.direction, question.kinds)
    upstream = question.direction is Direction.UPSTREAM
    reached = {step.dst if upstream else step.src for step in found.steps}
    same: dict[int, list[int]] = {}
    for step in found.same:
        same.setdefault(step.src, []).append(step.dst)
        same.setdefault(step.dst, []).append(step.src)
    # What one of a class has, all have: they are one thing.
    todo = [handle for handle in reached if handle in same]
    while todo:
        fresh = [twin for twin in same.get(todo.pop(), ()) if twin not in reached]
        reached.update(fresh)
        todo += fresh
    return len(handles & reached)


def _percent(part: int, whole: int) -> str:
    # All but one of many is not all: 100 % and 0 % are said only where they are meant.
    if part in (0, whole):
        return f"{100 * part // whole} %"
    return f"{min(99, max(1, round(100 * part / whole)))} %"
