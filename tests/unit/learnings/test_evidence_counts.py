"""What an answer cites carries it: taken out of the match, the score falls."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learnings.ranking import Item, Ranked, Ranker
from app.learnings.signature import terms

DAY = 86_400_000_000
WORDS = ("loss", "nan", "gradient", "column", "missing", "timeout", "worker", "shard", "tokenizer", "quota")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)


def items(bodies: list[str]) -> list[Item]:
    return [
        Item(
            id=str(number),
            project="p",
            title=body.split()[0],
            body=body,
            created=number * DAY,
            entities=(f"dataset:{body.split()[-1]}",),
        )
        for number, body in enumerate(bodies)
    ]


def of(ranker: Ranker, query: Item, id: str) -> Ranked:
    return next(found for found in ranker.rank(query, first=99) if found.id == id)


@settings(max_examples=60, deadline=None)
@given(bodies=st.lists(texts, min_size=2, max_size=8), asked=texts)
def test_without_the_words_it_cites_a_match_scores_lower(bodies: list[str], asked: str) -> None:
    earlier = items(bodies)
    query = Item(id="new", project="p", title=asked.split()[0], body=asked, created=99 * DAY)
    best = Ranker(earlier).rank(query, first=1)[0]
    cited = {word for part in best.contributions if part.signal != "project" for word in part.shared}

    item = earlier[best.index]
    without = msgspec.structs.replace(item, title=_less(item.title, cited), body=_less(item.body, cited))
    ranker = Ranker(without if each is item else each for each in earlier)

    assert not cited or of(ranker, query, best.id).score < best.score


@settings(max_examples=60, deadline=None)
@given(bodies=st.lists(texts, min_size=2, max_size=8))
def test_without_the_entities_it_cites_a_match_scores_lower(bodies: list[str]) -> None:
    earlier = items(bodies)
    query = msgspec.structs.replace(earlier[0], id="new", created=99 * DAY)
    best = Ranker(earlier).rank(query, first=1)[0]

    without = msgspec.structs.replace(earlier[best.index], entities=())
    ranker = Ranker(without if each.id == best.id else each for each in earlier)

    cited = next(part.shared for part in best.contributions if part.signal == "graph")
    assert not cited or of(ranker, query, best.id).score < best.score


@settings(max_examples=60, deadline=None)
@given(bodies=st.lists(texts, min_size=2, max_size=8), asked=texts, fixed=texts)
def test_without_the_fix_it_cites_a_match_scores_lower(bodies: list[str], asked: str, fixed: str) -> None:
    earlier = items(bodies)
    earlier[0] = msgspec.structs.replace(earlier[0], fixes=(fixed, "src/loader.py"))
    query = Item(id="new", project="p", title=asked.split()[0], body=asked, created=99 * DAY)
    before = of(Ranker(earlier), query, "0")

    without = Ranker([msgspec.structs.replace(earlier[0], fixes=()), *earlier[1:]])

    cited = next(part.shared for part in before.contributions if part.signal == "fix")
    assert not cited or of(without, query, "0").score < before.score


@settings(max_examples=60, deadline=None)
@given(bodies=st.lists(texts, min_size=1, max_size=8), asked=texts)
def test_contributions_sum_to_the_score(bodies: list[str], asked: str) -> None:
    query = Item(id="new", project="q", title=asked, body=asked, created=99 * DAY, entities=("dataset:nan",))

    for found in Ranker(items(bodies)).rank(query):
        assert found.score == pytest.approx(sum(part.value for part in found.contributions), abs=1e-4)
        assert 0 < found.probability < 1


def _less(text: str, cited: set[str]) -> str:
    return " ".join(word for word in text.split() if not cited.intersection(terms(word)))
