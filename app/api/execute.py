"""How answers are completed: every field is resolved once for all objects of its level.

Strawberry parses, validates, picks the operation and calls the resolvers of root fields. What they return is
completed here and not object by object, which costs some 20 µs a field: ten times the store's own work for a
lineage of 1,000 nodes. The number of store calls depends on the query and never on the size of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import Any, cast

import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    get_named_type,
    is_introspection_type,
    is_leaf_type,
    is_specified_scalar_type,
)
from graphql.execution.collect_fields import FieldDetailsList, collect_subfields
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField
from strawberry.types.scalar import identity

from app.api.fields import Context

Batch = Callable[..., Sequence[Any]]
"""From a root field's view of the graph, all parents of a level and the field's arguments by name to the
values, in order."""


def batched(batch: Batch, description: str | None = None) -> Any:
    """A field whose values are worked out for all objects of a level at once."""

    def one(root: Any, info: strawberry.Info[Context, None]) -> Any:
        # Only where something else than LevelByLevel executes: the same values, one call an object.
        return batch(info.context.of(info.path), [root])[0]

    return strawberry.field(resolver=one, description=description, metadata={"batch": batch})


class LevelByLevel(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's execution; values of root fields are completed level by level.

    A resolver of a root field may be asynchronous, of a query, a mutation or a subscription. A failure below
    a root field fails that field as a whole. Introspection is left to graphql-core.
    """

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Context],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """The value as it is sent: what the executor calls once a root field has been resolved."""
        introspects = path.prev is not None or is_introspection_type(get_named_type(return_type))
        if introspects or isinstance(result, Exception):
            return super().complete_value(
                return_type, field_details_list, info, path, result, position_context
            )
        return _Level(self, path).complete(return_type, [result], field_details_list)[0]


class _Level:
    """Completes all values below one root field."""

    def __init__(self, executor: LevelByLevel, path: Path) -> None:
        self.executor = executor
        context: Context = executor.context_value
        self.ask = context.of(path)

    def complete(
        self, kind: GraphQLOutputType, values: Sequence[Any], nodes: FieldDetailsList
    ) -> Sequence[Any]:
        """Values of one field, those of all objects of its level."""
        if isinstance(kind, GraphQLNonNull):
            done = self.complete(kind.of_type, values, nodes)
            if None in done:
                raise TypeError(f"{nodes[0].node.name.value} may not be null")
            return done
        if isinstance(kind, GraphQLList):
            flat = [item for value in values if value is not None for item in value]
            items = iter(self.complete(kind.of_type, flat, nodes))
            return [None if value is None else list(islice(items, len(value))) for value in values]
        if is_leaf_type(kind):
            write = _writer(kind)
            if write is None:
                return values
            return [None if value is None else write(value) for value in values]
        present = [value for value in values if value is not None]
        if isinstance(kind, GraphQLObjectType):
            made = self._objects(kind, present, nodes)
        else:
            made = self._abstract(present, nodes)
        if len(present) == len(values):
            return made
        rest = iter(made)
        return [None if value is None else next(rest) for value in values]

    def _abstract(self, values: list[Any], nodes: FieldDetailsList) -> list[Any]:
        """Values of the interface, each as its own type: one level per type and not per value."""
        self.ask.note(values)
        places: dict[str, list[int]] = {}
        for place, value in enumerate(values):
            places.setdefault(value.kind, []).append(place)
        done: list[Any] = [None] * len(values)
        for name, where in places.items():
            kind = cast(GraphQLObjectType, self.executor.schema.type_map[name])
            made = self._objects(kind, [values[place] for place in where], nodes)
            for place, value in zip(where, made, strict=True):
                done[place] = value
        return done

    def _objects(
        self, kind: GraphQLObjectType, parents: list[Any], nodes: FieldDetailsList
    ) -> list[dict[str, Any]]:
        if not parents:
            return []
        run = self.executor
        fields = collect_subfields(
            run.schema, run.fragments, run.variable_values, run.operation, kind, nodes, True
        ).grouped_field_set
        columns = [self._field(kind, group, parents) for group in fields.values()]
        keys = list(fields)
        return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]

    def _field(self, kind: GraphQLObjectType, nodes: FieldDetailsList, parents: list[Any]) -> Sequence[Any]:
        name = nodes[0].node.name.value
        if name == "__typename":
            return [kind.name] * len(parents)
        field = kind.fields[name]
        declared: StrawberryField = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
        batch: Batch | None = declared.metadata.get("batch")
        if batch is not None:
            # Only what takes arguments is asked for them.
            given = (
                get_argument_values(field, nodes[0].node, self.executor.variable_values) if field.args else {}
            )
            values: Sequence[Any] = batch(self.ask, parents, **given)
        else:
            values = list(map(attrgetter(declared.python_name), parents))
        return self.complete(field.type, values, nodes)


def _writer(kind: GraphQLLeafType) -> Callable[[Any], Any] | None:
    """How values of a scalar or enum are written; None where they are written as they are."""
    if isinstance(kind, GraphQLEnumType):
        return _names(kind).__getitem__
    if is_specified_scalar_type(kind):
        return None
    write: Callable[[Any], Any] = kind.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].serialize
    return None if write is identity else write


@cache
def _names(kind: GraphQLEnumType) -> dict[Any, str]:
    # Strawberry's own way compares a value with every one of the enum.
    return {value.value: name for name, value in kind.values.items()}
