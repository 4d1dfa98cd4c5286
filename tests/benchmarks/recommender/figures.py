"""What is measured of answers; docs/ranking.md says the same in words."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np


class Answer(msgspec.Struct, frozen=True):
    """To one question: (id, probability) of the best ten, best first; how sure it is that there is a match
    at all; how long it took, in milliseconds; whether the question is merely ``related`` to earlier ones, so
    that showing these is no error and no success either."""

    relevant: frozenset[str]
    found: list[tuple[str, float]]
    sureness: float
    took: float
    related: bool = False


def figures(answers: Sequence[Answer], digits: int = 4) -> dict[str, float]:
    """The columns of the benchmark, but for the speed of encoding. Answers to merely related questions count
    in ``related``, ``auroc_related`` and ``p95_ms`` alone; without any there is no ``auroc_related``."""
    times = [answer.took for answer in answers]
    beside = [answer.sureness for answer in answers if answer.related]
    answers = [answer for answer in answers if not answer.related]
    matched = [answer for answer in answers if answer.relevant]
    ranks = [rank(answer) for answer in matched]
    sure = [answer.sureness for answer in matched]
    unsure = [answer.sureness for answer in answers if not answer.relevant]
    told = {
        "n": len(matched),
        "unmatched": len(unsure),
        "r1": _share([found <= 1 for found in ranks]),
        "r5": _share([found <= 5 for found in ranks]),
        "r10": _share([found <= 10 for found in ranks]),
        "mrr10": float(np.mean([1 / found if found <= 10 else 0.0 for found in ranks])) if ranks else 0.0,
        "auroc": auroc(sure, unsure),
        "answered_at_20": answered(sure, unsure, 0.2),
        "ece": calibration_error([pair for answer in answers for pair in shown(answer)]),
        "related": len(beside),
        **({"auroc_related": auroc(sure, beside)} if beside else {}),
        "p95_ms": float(np.percentile(times, 95)) if times else 0.0,
    }
    counts = ("n", "unmatched", "related")
    return {name: value if name in counts else round(value, digits) for name, value in told.items()}


def rank(answer: Answer) -> float:
    """The rank of the first relevant match, counted from 1; infinite if none is among the ten."""
    places = [place for place, (id, _) in enumerate(answer.found[:10], 1) if id in answer.relevant]
    return places[0] if places else float("inf")


def auroc(matched: Sequence[float], unmatched: Sequence[float]) -> float:
    """The chance that a matched question's answer is surer than an unmatched one's; ties count half."""
    if not matched or not unmatched:
        return 0.5
    against = np.sort(np.asarray(unmatched))
    below = np.searchsorted(against, matched, side="left")
    upto = np.searchsorted(against, matched, side="right")
    return float((below + upto).mean() / 2 / len(against))


def answered(matched: Sequence[float], unmatched: Sequence[float], share: float) -> float:
    """The share of matched questions that still get an answer when the threshold leaves this share of the
    unmatched ones with one."""
    if not matched or not unmatched:
        return 0.0
    return float((np.asarray(matched) > np.quantile(unmatched, 1 - share)).mean())


def calibration_error(pairs: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error: over equally wide bins of probability, |mean probability − share that is
    relevant|, weighted by how many are in the bin."""
    if not pairs:
        return 0.0
    chances = np.array([chance for chance, _ in pairs])
    relevant = np.array([float(was) for _, was in pairs])
    at = np.minimum((chances * bins).astype(int), bins - 1)
    return float(
        sum(
            abs(chances[at == bin].mean() - relevant[at == bin].mean()) * (at == bin).mean()
            for bin in set(at.tolist())
        )
    )


def shown(answer: Answer) -> list[tuple[float, bool]]:
    """(probability, relevant?) of the five that an answer shows."""
    return [(chance, id in answer.relevant) for id, chance in answer.found[:5]]


def _share(true: Sequence[bool]) -> float:
    return float(np.mean(true)) if true else 0.0
