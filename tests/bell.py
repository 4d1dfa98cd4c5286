"""A source for tests that is only pushed: every ring of the bell is a run.

``{"rings": [{"key", "version", "name", …}]}``; the header ``x-ring`` names a delivery. What ``enrich`` does
is given by the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
import pytest

from app.container import Container
from app.settings import load
from graph_schema.claims import Claim, Names, States
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from ingestors import registry, signatures
from ingestors.source import Delivery, Item, PushedConfig, Source, check_bearer

SECRET = "0123456789abcdef-of-whoever-pushes"

SCHEMES: dict[str, Callable[[Delivery, bytes], None]] = {
    "bearer": check_bearer,
    "github": signatures.github,
    "gitlab": signatures.gitlab,
    "pagerduty": signatures.pagerduty,
    "standard": signatures.standard,
}


class BellConfig(PushedConfig):
    scheme: Literal["bearer", "github", "gitlab", "pagerduty", "standard"] = "bearer"


class BellSource(Source):
    type: ClassVar[str] = "bell"
    config_model = BellConfig
    pulls = False
    accepts = True
    #: What is asked for; a test replaces it.
    asked: ClassVar[Callable[[Sequence[Item]], Sequence[Item]]] = staticmethod(lambda items: items)

    def verify(self, delivery: Delivery, secret: bytes) -> None:
        SCHEMES[self.config.scheme](delivery, secret)

    def delivery_id(self, delivery: Delivery) -> str | None:
        return delivery.headers.get("x-ring")

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        try:
            # It takes more than JSON has: NaN, integers of any length, halves of characters.
            body = json.loads(delivery.body)
        except ValueError as problem:
            raise BadInput(f"not the rings of a bell: {problem}") from None
        rings = body.get("rings") if isinstance(body, dict) else None
        if not isinstance(rings, list) or not all(isinstance(ring, dict) for ring in rings):
            raise BadInput("not the rings of a bell: rings has to be a list of objects")
        if any(ring.get("name") == "mistake" for ring in rings):
            raise KeyError("a field that is not there")
        return [Item(str(ring.get("key", "")), "run", ring.get("version", 1), ring) for ring in rings]

    def enrich(self, items: Sequence[Item]) -> Sequence[Item]:
        return type(self).asked(items)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        if item.data.get("broken"):
            raise KeyError("a field that is not there")
        run = identifier("mlflow.run_id", item.key)
        if item.data.get("refused"):
            # The store refuses a node of one kind under the name of another.
            return [States(NodeKind.DATASET, run, {"name": "x"})]
        said = {name: value for name, value in item.data.items() if name not in ("key", "version")}
        return [Names(NodeKind.RUN, (run,)), States(NodeKind.RUN, run, {"name": item.key, **said})]


class Pipelines(BellSource):
    """A bell that takes the place of OpenLineage."""

    type: ClassVar[str] = "openlineage"


def hang_up(monkeypatch: pytest.MonkeyPatch, source: type[Source] = BellSource) -> None:
    """Make the type known, as if it came with the others."""
    place = f"{source.__module__}:{source.__name__}"
    monkeypatch.setattr(registry, "BUILT_IN", {**registry.BUILT_IN, source.type: place})


def house(folder: Path, text: str, **environ: str) -> Container:
    """A container whose settings are these, its store migrated."""
    file = folder / "kinlore.toml"
    file.write_text(text)
    container = Container(load(file, environ=environ))
    container.migrated()
    return container


def rings(*keys: str, version: int = 1, **data: Any) -> bytes:
    """A body in which these ring."""
    return msgspec.json.encode({"rings": [{"key": key, "version": version, **data} for key in keys]})
