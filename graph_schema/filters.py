"""The meaning of property filters, once for all engines.

Stores may narrow down with an index first; what stands in the answer is what :func:`matches` accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graph_schema.errors import BadInput
from graph_schema.times import format_time
from graph_schema.values import Filter, FilterOp, Node

_FIELDS: dict[str, Callable[[Node], Any]] = {
    "id": lambda n: n.id,
    "kind": lambda n: n.kind.name,
    "name": lambda n: n.name,
    "url": lambda n: n.url,
    "createdAt": lambda n: None if n.created_at is None else format_time(n.created_at),
    "goneAt": lambda n: None if n.gone_at is None else format_time(n.gone_at),
    "stub": lambda n: n.stub,
    "sources": lambda n: list(n.sources),
    "identifiers": lambda n: list(n.identifiers),
}


def lookup(node: Node, key: str) -> Any:
    """A field of the node, or a property; dots descend, the longest key that exists wins."""
    field = _FIELDS.get(key)
    if field is not None:
        return field(node)
    return _descend(node.properties, key)


def _descend(value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        return None
    if key in value:
        return value[key]
    head, dot, rest = key.partition(".")
    while dot:
        if head in value:
            found = _descend(value[head], rest)
            if found is not None:
                return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def _comparable(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Both sides as one type: numbers as numbers (a number in text counts), texts as texts."""
    if isinstance(left, bool) or isinstance(right, bool):
        return (left, right) if isinstance(left, bool) and isinstance(right, bool) else None
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left, right
    if isinstance(left, str) and isinstance(right, int | float):
        try:
            return float(left), right
        except ValueError:
            return None
    if isinstance(left, int | float) and isinstance(right, str):
        try:
            return left, float(right)
        except ValueError:
            return None
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    return None


def _equal(left: Any, right: Any) -> bool:
    pair = _comparable(left, right)
    if pair is None:
        # JSON's true is not 1; anything else of different types is never equal either.
        return type(left) is type(right) and bool(left == right)
    return bool(pair[0] == pair[1])


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted.casefold() in value.casefold()
    if isinstance(value, list):
        return any(_equal(item, wanted) for item in value)
    if isinstance(value, dict):
        return isinstance(wanted, str) and wanted in value
    return False


def check(where: Sequence[Filter]) -> None:
    """Refuse a filter that can mean nothing. Raises BadInput naming what is allowed."""
    for condition in where:
        if not condition.key:
            raise BadInput("a filter needs a key, for example params.lr")
        if condition.op is FilterOp.IN and not isinstance(condition.value, list):
            raise BadInput(f"the filter on {condition.key!r}: IN takes a list of values")
        if condition.op in (FilterOp.LT, FilterOp.LTE, FilterOp.GT, FilterOp.GTE) and (
            isinstance(condition.value, bool) or not isinstance(condition.value, int | float | str)
        ):
            raise BadInput(f"the filter on {condition.key!r}: {condition.op} takes a number or a text")


def matches(node: Node, where: Sequence[Filter]) -> bool:
    """Whether the node fulfils every condition. An absent property fulfils only NE and EXISTS false."""
    return all(_holds(lookup(node, condition.key), condition) for condition in where)


def _holds(value: Any, condition: Filter) -> bool:
    op, wanted = condition.op, condition.value
    if op is FilterOp.EXISTS:
        return (value is not None) is (wanted is not False)
    if op is FilterOp.NE:
        return not _equal(value, wanted)
    if value is None:
        return op is FilterOp.EQ and wanted is None
    if op is FilterOp.EQ:
        return _equal(value, wanted)
    if op is FilterOp.IN:
        return any(_equal(value, item) for item in wanted)
    if op is FilterOp.CONTAINS:
        return _contains(value, wanted)
    pair = _comparable(value, wanted)
    if pair is None:
        return False
    left, right = pair
    if op is FilterOp.LT:
        return bool(left < right)
    if op is FilterOp.LTE:
        return bool(left <= right)
    if op is FilterOp.GT:
        return bool(left > right)
    return bool(left >= right)
