"""What a query may cost, counted before anything is expanded, validated or executed.

One pass over the document, every fragment counted once: 2²⁵ doubled fragments cost 25 additions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from app.errors import TooCostly
from graph_schema.errors import BadInput

MAX_TOKENS = 4_000
MAX_LENGTH = 100_000
MAX_DEPTH = 15
MAX_ALIASES = 60
MAX_DIRECTIVES = 50
MAX_ROOTS = 20
MAX_FIELDS = 2_000
#: Values in the answer, at most: fields below a root field times the length that it asks for.
MAX_COST = 1_000_000

#: Lists whose length ``first`` bounds, with its default.
_PAGED = {
    "checks": 50,
    "correlations": 20,
    "experiments": 5,
    "find": 50,
    "impact": 300,
    "leaderboard": 100,
    "lineage": 300,
    "paths": 3,
    "remediations": 5,
    "rootCauses": 5,
    "search": 20,
    "similar": 5,
}
#: Lists inside a node. They are short, but a query may go from one to the next.
_NESTED = {
    "owners": 4,
    "tags": 4,
    "history": 100,
    "runs": 5,
    "examples": 3,
    "counterexamples": 3,
    "confounded": 5,
}


class _Weight(msgspec.Struct, frozen=True):
    """Of a selection: how deep it is, what it is written of, how many values it makes per object, and what
    it costs as a selection on Query (``roots`` and ``cost``)."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    values: int = 0
    roots: int = 0
    cost: int = 0


def check(document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> None:
    """Refuse what would cost too much. Raises TooCostly naming the limit, BadInput for a fragment cycle."""
    weight = _Counter(document, variables).of(operation.selection_set)
    for found, allowed, what in (
        (weight.depth, MAX_DEPTH, "levels of fields"),
        (weight.roots, MAX_ROOTS, "fields at the top"),
        (weight.aliases, MAX_ALIASES, "aliases"),
        (weight.directives, MAX_DIRECTIVES, "directives"),
        (weight.fields, MAX_FIELDS, "fields with its fragments spread out"),
        (weight.cost, MAX_COST, "values in its answer, at most: ask for fewer fields or a smaller first"),
    ):
        if found > allowed:
            raise TooCostly(f"the query has {_short(found)} {what}; allowed are {allowed:,}")


def _short(number: int) -> str:
    # A number of a thousand digits helps nobody, and takes long to print.
    return f"{number:,}" if number < 10**12 else "far too many"


class _Counter:
    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self.variables = variables
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.counted: dict[str, _Weight | None] = {}

    def of(self, selection: SelectionSetNode) -> _Weight:
        """What a selection weighs, with its fragments."""
        depth = fields = aliases = directives = values = roots = cost = 0
        for node in selection.selections:
            directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                inner = _Weight() if node.selection_set is None else self.of(node.selection_set)
                depth = max(depth, 1 + inner.depth)
                fields += 1
                aliases += node.alias is not None
                values += 1 + _NESTED.get(node.name.value, 1) * inner.values
                roots += 1
                cost += self._length(node) * (1 + inner.values)
            else:
                inner = self._fragment(node)
                depth = max(depth, inner.depth)
                values += inner.values
                roots += inner.roots
                cost += inner.cost
            fields += inner.fields
            aliases += inner.aliases
            directives += inner.directives
        return _Weight(depth, fields, aliases, directives, values, roots, cost)

    def _fragment(self, node: Any) -> _Weight:
        if isinstance(node, InlineFragmentNode):
            return self.of(node.selection_set)
        name = node.name.value
        fragment = self.fragments.get(name)
        if fragment is None:
            return _Weight()
        if name not in self.counted:
            self.counted[name] = None
            self.counted[name] = self.of(fragment.selection_set)
        weight = self.counted[name]
        if weight is None:
            raise BadInput(f"the fragment {name} contains itself")
        return weight

    def _length(self, node: FieldNode) -> int:
        """How long the list of a root field may be."""
        default = _PAGED.get(node.name.value, 1)
        given = {argument.name.value: self._size(argument.value) for argument in node.arguments or ()}
        first = given.get("first")
        # The ids that a question is about bound its answer only where nothing else does.
        return first if first is not None else max(default, given.get("ids") or 1)

    def _size(self, value: Any) -> int | None:
        """A number as it stands, or how long a list is."""
        if isinstance(value, ListValueNode):
            return max(1, len(value.values))
        if isinstance(value, IntValueNode):
            # More digits than an Int has are refused later, by its type.
            return max(1, int(value.value[:12]))
        if isinstance(value, VariableNode):
            held = self.variables.get(value.name.value)
            if isinstance(held, list):
                return max(1, len(held))
            return max(1, held) if isinstance(held, int) else None
        return None
