"""``python -m tests.benchmarks.recommender.fit [DATA] [--write]``: where the shipped weights come from.

Reads the development sets under DATA (``KINLORE_EVAL_DATA``, else ../shared/data), replays their questions in
time, and fits, in this order:

1. each signal's general mean and spread: over a sample of all candidates of all questions;
2. the weights of the signals: softmax regression over the candidates, both scopes and all sets together,
   shrunk to round numbers (``START``), which were set after exploratory fits on the same sets;
3. the probabilities: logistic regression on the first five of every question, matched and unmatched, in each
   of four time folds with weights that were fitted without it; once with vectors, once without;
4. the baseline's probability: logistic in its score, from its first fives, by the same rule.

Questions that are merely related to earlier ones are measured, but nothing is fitted to them.

Prints what is expected of unseen data (time folds; one set left out) and what each signal is worth (refitted
without it). ``--write`` puts the weights into app/learnings/priors.py.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from app.embeddings import model
from app.learnings import confidence, priors
from app.learnings.fusion import Floats, Signal, standard
from app.learnings.ranking import Comparison, Ranker, Scope
from tests.benchmarks.recommender import learnt
from tests.benchmarks.recommender.__main__ import CACHE, SCOPES, say
from tests.benchmarks.recommender.baseline import Baseline
from tests.benchmarks.recommender.figures import Answer, figures
from tests.benchmarks.recommender.folder import FileCache, Folder, Portioned, load
from tests.benchmarks.recommender.replay import moments

SETS = ("mlbugs_dev", "mlfix_dev", "hadoop_dev")
#: How much a question counts: duplicates speak more plainly than fixes that touch the same file.
SHARES = {"mlbugs_dev": 1.0, "mlfix_dev": 0.6, "hadoop_dev": 1.0}
#: What the weights are shrunk to, and how strongly. Set after exploratory fits on the same sets, so that
#: the folds below are not untouched by the choice.
START = {
    "text": 0.4, "title_in_text": 0.3, "text_in_title": 0.0, "rarest": 0.1, "meaning": 0.4,
    "title_meaning": 0.3, "signature": 0.0, "fix": 1.0, "recency": 0.6, "project": 0.5,
}  # fmt: skip
STRENGTH = 20.0
CONFIDENCE_STRENGTH = 100.0
FOLDS = 4
#: Candidates of a question that weights are fitted on.
_NEAR = 400
#: Signals that are nothing where they are not there, and are left at that.
UNSCALED = ("fix", "project")
VECTORS = ("meaning", "title_meaning")


class Case(msgspec.Struct, frozen=True):
    """A question as it was asked: its set, scope and fold, its candidates and which of them are relevant.
    ``related``: none is, by its line, but earlier ones are worth knowing."""

    data: str
    scope: Scope
    fold: int
    answers: bool
    related: bool
    compared: Comparison
    relevant: np.ndarray


Split = Callable[[Case], object]
Weights = Mapping[str, float]


def folders(data: Path, cache: Path) -> list[Folder]:
    """All sets, with vectors."""
    raw = model.load(threads=2)
    encoder = Portioned(model.CachedEncoder(raw, FileCache(cache, raw)), say)
    return [load(data / name, encoder) for name in SETS]


def cases(sets: Sequence[Folder]) -> list[Case]:
    """All questions of all sets, in both scopes."""
    found = []
    for read in sets:
        ranker = Ranker()
        for number, question in enumerate(moments(read, ranker.add)):
            fold = number * FOLDS // len(read.questions)
            for scope in SCOPES.values():
                compared = ranker.compare(question.item, scope=scope)
                relevant = np.array(
                    [ranker.item(place).id in question.relevant for place in compared.at], dtype=bool
                )
                if len(relevant):
                    answers = bool(question.relevant)
                    found.append(Case(read.name, scope, fold, answers, question.related, compared, relevant))
        say(f"{read.name}: {len(read.questions)} questions")
    return found


def of_baseline(sets: Sequence[Folder]) -> tuple[float, float]:
    """Constant and slope of the baseline's probability, from the first five of every question."""
    scores, relevant, groups = [], [], []
    for group, read in enumerate(sets):
        baseline = Baseline()
        for question in moments(read, baseline.add):
            for scope in SCOPES.values():
                for id, score in [] if question.related else baseline.rank(question.item, scope, 5):
                    scores.append(score)
                    relevant.append(id in question.relevant)
                    groups.append(group)
        say(f"{read.name}: baseline")
    constant, slope = learnt.logistic(
        np.array(scores)[:, None], np.array(relevant), np.array(groups), 0.0, confidence.CEILING
    )
    return constant, float(slope[0])


def scales(found: Sequence[Case]) -> dict[str, tuple[float, float]]:
    """Each signal's mean and spread: every set, and in it every question, counts alike."""
    told = {}
    for name in START:
        if name in UNSCALED:
            told[name] = 0.0, 1.0
            continue
        means, squares = [], []
        for data in SETS:
            values = [
                case.compared.values[name]
                for case in found
                if case.data == data and name in case.compared.values and not case.related
            ]
            means.append(np.mean([value.mean() for value in values]))
            squares.append(np.mean([(value.astype(float) ** 2).mean() for value in values]))
        mean = float(np.mean(means))
        told[name] = mean, float(np.sqrt(max(np.mean(squares) - mean**2, 1e-6)))
    return told


def signals(weights: Weights, scale: Mapping[str, tuple[float, float]]) -> dict[str, Signal]:
    """Weights and scales as they are shipped; some have one scale for all questions."""
    told = {}
    for name, weight in weights.items():
        absolute = priors.SIGNALS[name].absolute
        mean, spread = scale[name]
        told[name] = Signal(round(weight, 3), round(mean, 3), round(spread, 3), absolute)
    return told


def choices(
    found: Sequence[Case], names: Sequence[str], scale: Mapping[str, tuple[float, float]]
) -> Iterator[learnt.Choice]:
    """The standard scores of each question's candidates, columns in the order of ``names``."""
    unit = signals(dict.fromkeys(names, 1.0), scale)
    for case in found:
        gap = np.zeros(len(case.relevant), dtype=np.float32)
        values = case.compared.values
        columns = [standard(values[name], unit[name]) if name in values else gap for name in names]
        yield np.stack(columns, axis=1), case.relevant


def fitted(found: Sequence[Case], made: Sequence[learnt.Choice], names: Sequence[str]) -> dict[str, float]:
    """Weights from these questions; a weight below zero would turn a signal round and is put to zero."""
    usable = [place for place, case in enumerate(found) if case.relevant.any()]
    prior = np.array([START[name] for name in names])
    shares = [SHARES[found[place].data] for place in usable]
    weights = learnt.weights([_near(made[place], prior) for place in usable], shares, prior, STRENGTH)
    return dict(zip(names, np.maximum(weights, 0.0).tolist(), strict=True))


def _near(made: learnt.Choice, prior: learnt.Doubles) -> learnt.Choice:
    """The candidates that could come first, and the relevant ones; the others weigh next to nothing."""
    values, relevant = made
    near = np.argsort(-(values @ prior))[:_NEAR]
    chosen = np.union1d(near, np.flatnonzero(relevant))
    return values[chosen], relevant[chosen]


class Scored(msgspec.Struct, frozen=True):
    """A question with its candidates' scores, best first, and the features of the best ten."""

    case: Case
    order: np.ndarray
    features: dict[str, Floats]


def scored(case: Case, made: learnt.Choice, names: Sequence[str], weights: Weights) -> Scored:
    """The question ranked with these weights."""
    total = (made[0] @ np.array([weights[name] for name in names], dtype=np.float32)).astype(np.float32)
    order = np.argsort(-total, kind="stable")
    compared = case.compared
    values = {name: value for name, value in compared.values.items() if name in names}
    return Scored(case, order, confidence.features(order, total, values, compared.about, 10))


def sureness(ranked: Sequence[Scored]) -> dict[str, float]:
    """The coefficients of the probability, from the first five of every question."""
    ranked = [each for each in ranked if not each.case.related]
    names = list(ranked[0].features)
    rows = [np.stack([each.features[name][:5] for name in names], axis=1) for each in ranked]
    relevant = [each.case.relevant[each.order[:5]] for each in ranked]
    groups = np.concatenate(
        [[SETS.index(each.case.data)] * len(found) for each, found in zip(ranked, relevant, strict=True)]
    )
    present = np.unique(groups, return_inverse=True)[1]
    constant, coefficients = learnt.logistic(
        np.concatenate(rows).astype(float),
        np.concatenate(relevant),
        present,
        CONFIDENCE_STRENGTH,
        confidence.CEILING,
    )
    return {"constant": constant, **dict(zip(names, coefficients.tolist(), strict=True))}


def answer(each: Scored, coefficients: Mapping[str, float]) -> Answer:
    """The question's answer, as the benchmark has it: places stand for ids."""
    best = each.order[:10]
    chances = confidence.probabilities(each.features, coefficients)
    relevant = frozenset(str(place) for place in np.flatnonzero(each.case.relevant))
    if each.case.answers and not relevant:
        relevant = frozenset({"no candidate"})
    pairs = [(str(place), float(chance)) for place, chance in zip(best, chances, strict=True)]
    sure = confidence.any_alike(chance for _, chance in pairs)
    return Answer(relevant, pairs, sure, 0.0, each.case.related)


def held_out(
    found: Sequence[Case], made: Sequence[learnt.Choice], names: Sequence[str], split: Split
) -> tuple[list[Scored], list[Answer]]:
    """Every question ranked and judged by weights that were fitted without its part of the split."""
    ranked: list[Scored] = []
    answers: list[Answer] = []
    parts = sorted({split(case) for case in found}, key=str)
    by: dict[int, Scored] = {}
    for part in parts:
        inside = [place for place, case in enumerate(found) if split(case) == part]
        outside = [place for place, case in enumerate(found) if split(case) != part]
        weights = fitted([found[p] for p in outside], [made[p] for p in outside], names)
        for place in inside:
            by[place] = scored(found[place], made[place], names, weights)
    ranked = [by[place] for place in range(len(found))]
    coefficients = {part: sureness([each for each in ranked if split(each.case) != part]) for part in parts}
    answers = [answer(each, coefficients[split(each.case)]) for each in ranked]
    return ranked, answers


def report(found: Sequence[Case], answers: Sequence[Answer]) -> list[str]:
    """A line per set and scope."""
    lines = []
    for data in SETS:
        for scope in ("project", "all"):
            told = figures(
                [a for c, a in zip(found, answers, strict=True) if (c.data, c.scope) == (data, scope)], 3
            )
            kept = {name: value for name, value in told.items() if name != "p95_ms"}
            lines.append(
                f"  {data:11s}{scope:8s} " + "  ".join(f"{name} {value}" for name, value in kept.items())
            )
    return lines


def worth(found: Sequence[Case], answers: Sequence[Answer]) -> float:
    """One figure: the mean of R@5 and MRR@10 over sets and scopes."""
    told = []
    for data in SETS:
        for scope in ("project", "all"):
            each = figures(
                [a for c, a in zip(found, answers, strict=True) if (c.data, c.scope) == (data, scope)]
            )
            told.append((each["r5"] + each["mrr10"]) / 2)
    return float(np.mean(told))


def page(weights: Mapping[str, Signal], semantic: Weights, lexical: Weights) -> str:
    """app/learnings/priors.py with these weights."""
    path = Path(priors.__file__)
    before = path.read_text(encoding="utf-8").split("#: Fitted:")[0]
    lines = [
        before
        + "#: Fitted: from ``text`` to ``project``. Set by hand, for want of data: ``component``, ``graph``."
    ]
    lines.append("SIGNALS: dict[str, Signal] = {")
    for name in (*weights, "component", "graph"):
        signal = weights.get(name, priors.SIGNALS[name])
        tail = ", absolute=True" if signal.absolute else ""
        lines.append(f'    "{name}": Signal({signal.weight}, {signal.mean}, {signal.spread}{tail}),')
    lines.append("}\n")
    lines.append(
        "#: Log odds of being really alike: a constant, and a coefficient per feature of ``confidence``."
    )
    for title, coefficients in (("SEMANTIC", semantic), ("LEXICAL", lexical)):
        lines.append(f"{title}: dict[str, float] = {{")
        lines += [f'    "{name}": {round(value, 4)},' for name, value in coefficients.items()]
        lines.append("}")
    lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Fit, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recommender.fit", description=__doc__)
    data = Path(os.environ.get("KINLORE_EVAL_DATA", "../shared/data"))
    parser.add_argument("data", nargs="?", type=Path, default=data)
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where vectors are kept (default {CACHE})")
    parser.add_argument("--write", action="store_true", help="put the weights into app/learnings/priors.py")
    parser.add_argument("--brief", action="store_true", help="do not measure what each signal is worth")
    asked = parser.parse_args()
    sets = folders(asked.data / "recsys", asked.cache)
    found = cases(sets)
    scale = scales(found)
    told = {}
    for kind, names in (("with vectors", list(START)), ("without", [n for n in START if n not in VECTORS])):
        made = list(choices(found, names, scale))
        ranked, answers = held_out(found, made, names, lambda case: case.fold)
        print(
            f"{kind}, time folds: {worth(found, answers):.4f}", *report(found, answers), sep="\n", flush=True
        )
        told[kind] = fitted(found, made, names), sureness(ranked)
        if kind == "with vectors":
            _, answers = held_out(found, made, names, lambda case: case.data)
            print("one set left out:", *report(found, answers), sep="\n", flush=True)
            for name in [] if asked.brief else names:
                rest = [other for other in names if other != name]
                _, answers = held_out(found, list(choices(found, rest, scale)), rest, lambda case: case.fold)
                print(f"without {name:18s}{worth(found, answers):.4f}", flush=True)
    weights, semantic = told["with vectors"]
    _, lexical = told["without"]
    text = page(signals(weights, scale), semantic, lexical)
    if asked.write:
        Path(priors.__file__).write_text(text, encoding="utf-8")
    print(text)
    print("baseline: CONSTANT, SLOPE =", of_baseline(sets))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
