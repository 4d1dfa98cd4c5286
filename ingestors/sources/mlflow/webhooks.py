"""What MLflow's registry announces as it happens (webhooks, MLflow 3.3 and later). Pure.

Of aliases only the moves are taken: MLflow itself keeps no history of them, and what moved twice between
two pulls would be lost. All other events tell nothing that the next pull does not find.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from graph_schema.claims import Claim, States, occupies
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.times import parse_time
from ingestors.released import alias_slot
from ingestors.source import Delivery, Item
from ingestors.sources.mlflow.names import Names

DELIVERY_ID = "x-mlflow-delivery-id"
_ENTITY = "model_version_alias"
_ACTIONS = ("created", "deleted")


class _Event(msgspec.Struct):
    entity: str
    action: str
    timestamp: str
    data: dict[str, Any]


def received(delivery: Delivery) -> list[Item]:
    """The move of an alias; nothing of other events. Raises BadInput for what no MLflow sends."""
    try:
        event = msgspec.json.decode(delivery.body, type=_Event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadInput(
            f"this is no event of MLflow's registry (entity, action, timestamp, data): {problem}"
        ) from None
    if event.entity != _ENTITY or event.action not in _ACTIONS:
        return []
    at = parse_time(event.timestamp)
    name, alias = event.data.get("name"), event.data.get("alias")
    version = event.data.get("version") if event.action == "created" else None
    told = isinstance(name, str) and isinstance(alias, str)
    if not told or (version is None) is (event.action == "created"):
        raise BadInput("an event on an alias names the model, the alias and, where it is set, the version")
    data = {"name": name, "alias": alias, "version": None if version is None else str(version), "at": at}
    # The same move, announced to two webhooks, is one record.
    return [Item(f"alias_move/{name}/{alias}/{data['version']}/{at}", "alias_move", at, data)]


def move_claims(data: Mapping[str, Any], to: Names) -> list[Claim]:
    """A move is a fact about the model; readers put the moves together with what pulls have seen. An alias
    that was taken away stands for no version: its slot holds the model itself."""
    move = {"alias": data["alias"], "version": data["version"], "at": data["at"]}
    me = to.model(data["name"])
    stands = me if data["version"] is None else to.version(data["name"], data["version"])
    return [
        States(NodeKind.MODEL, me, {"aliasMoves": {f"{data['alias']}@{data['at']}": move}}, data["at"]),
        occupies(alias_slot(data["name"], data["alias"]), stands, data["at"]),
    ]
