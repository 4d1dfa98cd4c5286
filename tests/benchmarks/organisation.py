"""A generated organisation: data sets, runs and models with power-law fan-out, as items of a source.

Every node is one record; what flows into it is stated in the same record. The same numbers give the same
organisation, so that a baseline can load exactly the same elements.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple

from graph_schema.claims import Claim, Links, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from ingestors.source import Item, Pulled, Source, SourceConfig

PAGE = 1_000
_START = 1_750_000_000_000_000

#: A cycle of kinds in which every edge of the flow is allowed: data is read by runs, which produce data.
_DATA, _RUN = NodeKind.DATASET_VERSION, NodeKind.RUN


class Element(NamedTuple):
    """A node, its properties, and the nodes that flow into it (by number)."""

    number: int
    kind: NodeKind
    id: str
    properties: dict[str, Any]
    inputs: tuple[int, ...]


@lru_cache(maxsize=4_000_000)
def identifier_of(number: int) -> str:
    """The id of a node: every third is a run, the others are data versions. Ids are digests, as real ones."""
    digest = blake2b(number.to_bytes(8), digest_size=16).hexdigest()
    return f"mlflow.run_id={digest}" if number % 3 == 2 else f"dvc.md5={digest}"


def elements(count: int, *, degree: float = 3.06, seed: int = 1) -> Iterator[Element]:
    """``count`` nodes with about ``count * degree`` edges between them.

    Runs read data versions that lie before them, chosen by a power law, so that a few are read by thousands;
    data versions are produced by one earlier run. Edges only lead forward, so each node comes after what it
    needs, as most histories do.
    """
    dice = random.Random(seed)
    reads = degree * 3 - 1
    for number in range(count):
        if number % 3 == 2:
            wanted = min(number, max(1, round(dice.gauss(reads, 1.5))))
            chosen = {_data_before(dice, number) for _ in range(wanted)}
            properties = {
                "name": f"train-{number}",
                "status": "FINISHED" if number % 11 else "FAILED",
                "startedAt": _START + number * 1_000_000,
                "user": f"user{number % 50}",
                "params": {"lr": 0.001 * (number % 17), "epochs": number % 40, "model": "gbm"},
            }
            yield Element(number, _RUN, identifier_of(number), properties, tuple(sorted(chosen)))
        else:
            made_by = number - 3 - 3 * int(dice.paretovariate(1.2)) * 2
            made_by -= (made_by - 2) % 3
            inputs = (made_by,) if made_by >= 2 else ()
            properties = {"path": f"data/part-{number % 997}.parquet", "size": number * 17 % 1_000_003}
            yield Element(number, _DATA, identifier_of(number), properties, inputs)


def _data_before(dice: random.Random, number: int) -> int:
    back = int(dice.paretovariate(0.9))
    # Small numbers are old and popular: half of the reads go to what everybody reads.
    chosen = back if dice.random() < 0.5 else number - back
    chosen = max(0, min(number - 1, chosen))
    return chosen - 1 if chosen % 3 == 2 else chosen


def edge_kind(element: Element) -> EdgeKind:
    """What an element's inputs are to it."""
    return EdgeKind.INPUT_TO if element.kind is _RUN else EdgeKind.PRODUCED


class OrganisationConfig(SourceConfig):
    """No keys of its own."""


class OrganisationSource(Source):
    """Delivers elements that were made beforehand: what is measured is the way into the graph."""

    type: ClassVar[str] = "mlflow"
    config_model = OrganisationConfig

    def __init__(self, made: Sequence[Element]) -> None:
        super().__init__(OrganisationConfig(type="mlflow", name="organisation"))
        self._made = made

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        for start in range(0, len(self._made), PAGE):
            page = self._made[start : start + PAGE]
            items = [
                Item(
                    f"{e.kind}/{e.number}",
                    "element",
                    1,
                    {"kind": e.kind.value, "id": e.id, "properties": e.properties, "inputs": e.inputs},
                )
                for e in page
            ]
            yield Pulled(items, {"after": start}, total=len(self._made))

    def to_claims(self, item: Item) -> Sequence[Claim]:
        data = item.data
        kind = NodeKind(data["kind"])
        edge = EdgeKind.INPUT_TO if kind is _RUN else EdgeKind.PRODUCED
        own = data["id"]
        claims: list[Claim] = [States(kind, own, data["properties"], 1)]
        claims.extend(Links(edge, identifier_of(i), own, _START) for i in data["inputs"])
        return claims
