"""Ranking: candidates, order, and an explanation that adds up."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from app.learnings.ranking import Item, Ranker

DAY = 86_400_000_000


def item(id: str, title: str, body: str = "", *, project: str = "p", day: int = 0) -> Item:
    return Item(id=id, project=project, title=title, body=body, created=day * DAY)


EARLIER = [
    item("nan", "Loss becomes nan with float16", "loss is nan after 200 steps in GradScaler.step", day=1),
    item("oom", "CUDA out of memory in the second epoch", "RuntimeError: CUDA out of memory", day=2),
    item("csv", "Column customer_age missing", "KeyError: 'customer_age' in load_features", day=3),
    item("far", "Loss becomes nan with float16 elsewhere", "GradScaler.step", project="q", day=4),
]


def test_the_most_alike_comes_first() -> None:
    ranker = Ranker(EARLIER)

    best = ranker.rank(item("new", "nan loss", "GradScaler.step gives nan in float16", day=9), first=2)

    assert best[0].id in {"nan", "far"}
    assert len(best) == 2


def test_candidates_are_earlier_not_itself_in_scope_and_allowed() -> None:
    ranker = Ranker(EARLIER)
    query = item("oom", "CUDA out of memory", day=3)

    everywhere = {found.id for found in ranker.rank(query, first=9)}
    in_project = {found.id for found in ranker.rank(query, first=9, scope="project", before=99 * DAY)}
    allowed = ranker.rank(query, first=9, before=99 * DAY, allowed=np.array([False, True, True, False]))

    assert everywhere == {"nan"}
    assert in_project == {"nan", "csv"}
    assert [found.id for found in allowed] == ["csv"]


def test_contributions_sum_to_the_score_and_name_what_is_shared() -> None:
    ranker = Ranker(EARLIER)

    best = ranker.rank(item("new", "KeyError customer_age", day=9), first=1)[0]

    assert best.score == pytest.approx(sum(part.value for part in best.contributions), abs=1e-5)
    assert "customer_age" in next(part.shared for part in best.contributions if part.signal == "text")


def test_an_item_added_again_replaces_itself() -> None:
    ranker = Ranker(EARLIER)

    place = ranker.add(item("oom", "Disk quota exceeded", day=2))
    found = {match.id: match.index for match in ranker.rank(item("new", "disk quota", day=9), first=9)}

    assert len(ranker) == 4
    assert found["oom"] == place
    assert ranker.remove("oom")
    assert not ranker.remove("oom")


def test_vectors_of_different_sizes_are_refused() -> None:
    ranker = Ranker()
    vector = np.array([1.0, 0.0], dtype=np.float32)
    ranker.add(Item(id="a", project=None, title="t", body="", created=1, vector=vector))

    with pytest.raises(ValueError, match="a vector of 1 among vectors of 2"):
        ranker.add(Item(id="b", project=None, title="t", body="", created=1, vector=vector[:1]))


def test_what_ended_an_earlier_one_counts_by_its_best_line() -> None:
    ended = ("src/io/batch_loader.cc", "docs/readme.md")
    earlier = [
        item("other", "Crash after some hours", day=1),
        msgspec.structs.replace(item("fixed", "Crash after some hours", day=1), fixes=ended),
    ]
    query = item("new", "Segfault", "in batch_loader.cc", day=9)

    best = Ranker(earlier).rank(query, first=1)[0]

    assert best.id == "fixed"
    cited = next(part for part in best.contributions if part.signal == "fix")
    assert cited.value > 0 and "batch_loader" in " ".join(cited.shared) and "readme" not in cited.shared


def test_what_will_end_the_query_is_not_looked_at() -> None:
    ranker = Ranker([msgspec.structs.replace(each, fixes=("src/scaler.py",)) for each in EARLIER])
    query = item("new", "Segfault in the scaler", day=9)

    told = ranker.rank(msgspec.structs.replace(query, fixes=("GradScaler.step", "customer_age")))

    assert told == ranker.rank(query)
