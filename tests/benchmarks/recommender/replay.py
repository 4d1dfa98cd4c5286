"""Asks the questions of a folder in the order of their time, each of what was known then.

Rarities, too, are those of the time: a report is added once it could have been found, never before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from app.learnings import confidence
from app.learnings.ranking import Item, Ranker, Scope
from tests.benchmarks.recommender.baseline import Baseline, probability
from tests.benchmarks.recommender.figures import Answer
from tests.benchmarks.recommender.folder import Folder, Question, text

#: Encodes the query, that it may be timed; what it returns is not used.
Encode = Callable[[list[str]], object]


def moments(folder: Folder, add: Callable[[Item], object]) -> Iterator[Question]:
    """The questions in order, each after all that could be found before it was added."""
    waiting = iter(folder.items)
    upcoming = next(waiting, None)
    for question in folder.questions:
        while upcoming is not None and upcoming[0] < question.item.created:
            add(upcoming[1])
            upcoming = next(waiting, None)
        yield question


def ours(folder: Folder, scope: Scope, encode: Encode) -> list[Answer]:
    """What the product's ranking answers."""
    ranker = Ranker()
    answers = []
    for question in moments(folder, ranker.add):
        start = time.perf_counter()
        encode([text(question.item), question.item.title])
        found = ranker.rank(question.item, scope=scope, first=10)
        took = (time.perf_counter() - start) * 1_000
        pairs = [(each.id, each.probability) for each in found]
        sure = confidence.any_alike(chance for _, chance in pairs)
        answers.append(Answer(question.relevant, pairs, sure, took, question.related))
    return answers


def theirs(folder: Folder, scope: Scope, encode: Encode) -> list[Answer]:
    """What the baseline answers."""
    baseline = Baseline()
    answers = []
    for question in moments(folder, baseline.add):
        start = time.perf_counter()
        encode([text(question.item), question.item.title])
        found = baseline.rank(question.item, scope, first=10)
        took = (time.perf_counter() - start) * 1_000
        pairs = [(id, probability(score)) for id, score in found]
        sure = max((score for _, score in found), default=float("-inf"))
        answers.append(Answer(question.relevant, pairs, sure, took, question.related))
    return answers
