"""A source whose records are a function of a seed: joins, slots, open references, records replaced later.

Everything comes in pages; the cursor is the number of pages that are committed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, ClassVar
from uuid import UUID

from graph_schema.claims import Claim, Keyed, Links, Names, States, occupies, uses
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from ingestors.source import Item, Pulled, Source, SourceConfig

EPOCH = 1_770_000_000_000_000
PAGE = 40
#: Records that the complete list at the end no longer shows.
VANISHED = 5
_SLOTS = 6


def plan(count: int, seed: int = 7) -> list[Item]:
    """``count`` items in order of arrival, about a fifth of them later states of records before them."""
    rng = random.Random(seed)
    makers = (_run, _run, _run, _data, _join)
    records = count * 4 // 5
    items = [makers[number % len(makers)](number, 1, rng) for number in range(records)]
    rng.shuffle(items)
    for _ in range(count - records):
        # Its later state may come before it or after it.
        old = items[rng.randrange(records)]
        number = int(old.key.rpartition("/")[2])
        later = makers[number % len(makers)](number, 1 + rng.randrange(1, 50), rng)
        items.insert(rng.randrange(len(items)), later)
    return items


def _run(number: int, version: int, rng: random.Random) -> Item:
    data = {
        "number": number,
        "state": version,
        "commit": rng.randrange(20),
        "data": rng.randrange(40),
        "slot": rng.randrange(_SLOTS),
        "at": EPOCH + rng.randrange(10_000) * 1_000_000,
        "model": rng.randrange(30),
        "rate": rng.random(),
    }
    return Item(f"run/{number}", "run", version, data)


def _data(number: int, version: int, rng: random.Random) -> Item:
    data = {
        "number": number,
        "state": version,
        "slot": rng.randrange(_SLOTS),
        "at": EPOCH + rng.randrange(10_000) * 1_000_000,
        "content": rng.randrange(60),
    }
    return Item(f"data/{number}", "data", version, data)


def _join(number: int, version: int, rng: random.Random) -> Item:
    data = {"number": number, "state": version, "run": rng.randrange(number + 1), "model": rng.randrange(30)}
    return Item(f"join/{number}", "join", version, data)


class Synthetic(Source):
    """Delivers :func:`plan` a page at a time."""

    type: ClassVar[str] = "synthetic"
    config_model = SourceConfig
    retirable = ("run",)

    def __init__(self, count: int, seed: int = 7) -> None:
        super().__init__(SourceConfig(type="synthetic", name="synthetic"))
        self.items = plan(count, seed)
        self.pages = [self.items[start : start + PAGE] for start in range(0, len(self.items), PAGE)]
        self.runs = sorted({item.key for item in self.items if item.type == "run"})

    @property
    def vanished(self) -> frozenset[str]:
        """Runs that are gone at the end."""
        return frozenset(self.runs[:VANISHED])

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        done = cursor or 0
        for number in range(done, len(self.pages)):
            yield Pulled(self.pages[number], number + 1, len(self.items))
        present = frozenset(self.runs) - self.vanished
        yield Pulled((), len(self.pages), len(self.items), {"run": present})

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(keys) - self.vanished

    def to_claims(self, item: Item) -> Sequence[Claim]:
        data = item.data
        if item.type == "run":
            return _run_claims(data)
        if item.type == "data":
            return _data_claims(data)
        run = identifier("mlflow.run_id", f"r{data['run']}")
        return [
            Names(NodeKind.RUN, (run, identifier("kinlore.run", str(UUID(int=data["number"]))))),
            # No scope: it joins when exactly one model version matches.
            Links(EdgeKind.PRODUCED, run, identifier("mlflow.model_version", f"churn/{data['model']}")),
        ]


def _run_claims(data: Any) -> list[Claim]:
    run = identifier("mlflow.run_id", f"r{data['number']}")
    commit = identifier("git.sha", sha256(b"%d" % data["commit"]).hexdigest()[:40])
    version = identifier("mlflow.model_version", f"churn/{data['model']}", "tracking")
    return [
        Names(NodeKind.RUN, (run,)),
        States(
            NodeKind.RUN,
            run,
            {"name": f"run {data['number']}", "state": data["state"], "metrics": {"rate": data["rate"]}},
            data["state"],
        ),
        Links(EdgeKind.CODE_FOR, commit, run, data["at"]),
        Links(EdgeKind.INPUT_TO, _content(data["data"]), run, data["at"]),
        Links(EdgeKind.PRODUCED, run, version, data["at"]),
        uses(f"table/{data['slot']}", run, data["at"], EdgeKind.INPUT_TO),
    ]


def _data_claims(data: Any) -> list[Claim]:
    version = identifier("openlineage.dataset_version", f"warehouse/t{data['number']}@unobserved")
    content = identifier("sha256", sha256(b"c%d" % data["content"]).hexdigest(), "artifact")
    return [
        Names(NodeKind.DATASET_VERSION, (version, _content(data["number"] % 40))),
        States(NodeKind.DATASET_VERSION, version, {"name": f"t{data['number']}", "rows": data["state"]}),
        Names(NodeKind.ARTIFACT, (content,)),
        Keyed("content", f"c{data['content']}", "has", version),
        Keyed("content", f"c{data['content']}", "has", content),
        occupies(f"table/{data['slot']}", version, data["at"]),
    ]


def _content(number: int) -> str:
    return identifier("dvc.md5", sha256(b"d%d" % number).hexdigest()[:32])
