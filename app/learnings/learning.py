"""Weights learned from feedback: never far from the prior, and used only where they are no worse.

A match's score is a sum of contributions by signal. What is learned is a factor for each signal: logistic
regression of *relevant* on the contributions, penalised by its squared distance from factor 1 (a Gaussian
prior; the maximum a posteriori estimate). With little feedback the factors stay at 1.

They are promoted only after a replay in time: learned on the earlier part of the judgements, tried on the
later ones. Where log loss there is not better, or any relevant thing's mean reciprocal rank is worse than
with the prior, the prior stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from app.learnings.feedback import Impression, Judgement, impressions, judgements
from graph_schema.store import GraphStore

COLLECTION, KEY = "learned", "signals"
#: Weight of the prior: as if so many judgements had confirmed each factor.
PRIOR = 20.0
#: Judgements below which nothing is learned, and the share of them, by time, that is learned from.
LEAST, EARLIER = 30, 0.7
#: A factor stays within these bounds whatever is said: no signal is turned round.
LOWEST, HIGHEST = 0.25, 4.0


class Example(msgspec.Struct, frozen=True):
    """A judged match: the question and the time (microseconds) that it was judged at, its contributions by
    signal, and whether it was relevant."""

    question: str
    at: int
    signals: Mapping[str, float]
    relevant: bool


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """Factors by signal, and why they are used or not. ``loss`` is the log loss of the later judgements and
    ``mrr`` their mean reciprocal rank, each (prior, learned)."""

    factors: dict[str, float]
    promoted: bool
    because: str
    judged: int
    loss: tuple[float, float] | None = None
    mrr: tuple[float, float] | None = None


def examples(shown: Sequence[Impression], said: Sequence[Judgement]) -> list[Example]:
    """Judged matches, by time. Each takes the contributions that it was last shown with."""
    signals = {(i.question, each.id): each.signals for i in shown for each in i.shown if each.signals}
    found = [
        Example(each.question, each.at, signals[each.question, each.thing], each.relevant)
        for each in said
        if each.relevant is not None and (each.question, each.thing) in signals
    ]
    return sorted(found, key=lambda each: each.at)


def learn(judged: Sequence[Example]) -> Learned:
    """Factors from judged matches, promoted if the replay allows it. Pure."""
    if len(judged) < LEAST:
        because = f"{len(judged)} judgements; nothing is learned from fewer than {LEAST}"
        return Learned(factors={}, promoted=False, because=because, judged=len(judged))
    cut = int(len(judged) * EARLIER)
    earlier, later = judged[:cut], judged[cut:]
    tried = factors(earlier)
    loss = log_loss(later, {}), log_loss(later, tried)
    ranks = mean_reciprocal_rank(later, {}), mean_reciprocal_rank(later, tried)
    promoted = loss[1] < loss[0] and ranks[1] >= ranks[0]
    because = (
        f"on the last {len(later)} judgements log loss {loss[1]:.3f} against {loss[0]:.3f} of the prior, "
        f"mean reciprocal rank {ranks[1]:.3f} against {ranks[0]:.3f}"
    )
    return Learned(
        factors=factors(judged) if promoted else {},
        promoted=promoted,
        because=because,
        judged=len(judged),
        loss=loss,
        mrr=ranks,
    )


def factors(judged: Sequence[Example]) -> dict[str, float]:
    """The maximum a posteriori factors, by Newton's method; the intercept is free."""
    names = sorted({name for each in judged for name in each.signals})
    x = np.array([[each.signals.get(name, 0.0) for name in names] + [1.0] for each in judged])
    y = np.array([float(each.relevant) for each in judged])
    # A signal in large units would feel the prior less: what is confirmed is a factor, so scale it.
    spread = np.append(np.maximum(x[:, :-1].std(axis=0), 1e-9), 1.0)
    penalty = np.append((PRIOR * spread[:-1] ** 2) / 4, 1e-6)
    prior = np.append(np.ones(len(names)), 0.0)
    weights = prior.copy()
    for _ in range(50):
        p = _sigmoid(x @ weights)
        gradient = x.T @ (p - y) + penalty * (weights - prior)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-8:
            break
    learned = np.clip(weights[:-1], LOWEST, HIGHEST)
    return {name: float(value) for name, value in zip(names, learned, strict=True)}


def log_loss(judged: Sequence[Example], by: Mapping[str, float]) -> float:
    """Mean log loss of relevance, with the intercept that suits these factors best."""
    scores = np.array([score(each.signals, by) for each in judged])
    y = np.array([float(each.relevant) for each in judged])
    best = min(
        (float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))))
        for p in (np.clip(_sigmoid(scores - shift), 1e-6, 1 - 1e-6) for shift in np.linspace(-8, 8, 161))
    )
    return best


def mean_reciprocal_rank(judged: Sequence[Example], by: Mapping[str, float]) -> float:
    """Over questions of which something judged was relevant: 1 / rank of the first such, among the judged."""
    questions: dict[str, list[Example]] = defaultdict(list)
    for each in judged:
        questions[each.question].append(each)
    found = []
    for listed in questions.values():
        ranked = sorted(listed, key=lambda each: -score(each.signals, by))
        place = next((rank for rank, each in enumerate(ranked, 1) if each.relevant), None)
        if place is not None:
            found.append(1 / place)
    return float(np.mean(found)) if found else 0.0


def score(signals: Mapping[str, float], by: Mapping[str, float]) -> float:
    """The sum of contributions, each times its factor (1 where nothing was learned)."""
    return sum(value * by.get(name, 1.0) for name, value in signals.items())


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))))


#: The probability of a match that nothing speaks for; its distance in log-odds is what signals add up to.
_BASE = 0.05


def contributions(probability: float, shares: Mapping[str, float]) -> dict[str, float]:
    """A probability's distance from the base, in log-odds, shared out by signal: what is logged with an
    impression, and learned from. ``shares`` need not sum to 1."""
    total = sum(value for value in shares.values() if value > 0)
    distance = _logit(probability) - _logit(_BASE)
    if total <= 0:
        return {}
    return {name: distance * value / total for name, value in shares.items() if value > 0}


def adjusted(probability: float, signals: Mapping[str, float], by: Mapping[str, float]) -> float:
    """The probability with each signal's contribution times its factor; the same where none was learned."""
    more = sum((by.get(name, 1.0) - 1) * value for name, value in signals.items())
    return float(_sigmoid(np.array(_logit(probability) + more))) if more else probability


def _logit(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(bounded / (1 - bounded)))


def relearn(store: GraphStore) -> Learned:
    """Learn from all that is kept, and remember what came of it."""
    made = learn(examples(impressions(store), judgements(store)))
    if made == learned(store):
        return made
    store.transact(lambda tx: tx.service_put(COLLECTION, KEY, msgspec.to_builtins(made)))
    return made


def factors_of(store: GraphStore) -> dict[str, float]:
    """The factors to use now; none where nothing was promoted."""
    found = learned(store)
    return {} if found is None else found.factors


def learned(store: GraphStore) -> Learned | None:
    """What was learned last; None where nothing ever was. Its factors are empty unless promoted."""
    for key, value in store.service(COLLECTION, prefix=KEY, limit=1):
        if key == KEY:
            return msgspec.convert(value, Learned)
    return None
