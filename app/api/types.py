"""The GraphQL types: the fixed names as SDL, the kinds generated from their declarations."""

from __future__ import annotations

from functools import cache

from graphql import GraphQLSchema, build_schema, lexicographic_sort_schema, print_schema

from graph_schema.edges import EDGES, EdgeKind
from graph_schema.kinds import KINDS, NodeKind
from graph_schema.values import FilterOp, Order

_NODE_FIELDS = '''
  """The leading identifier; any identifier the thing has, or ever had, works where an id is asked for."""
  id: ID!
  kind: NodeKind!
  name: String!
  url: String
  identifiers: [Identifier!]!
  """JSON under lowerCamelCase keys; a tool's own names stand one level down (params, metrics, tags)."""
  properties: JSON!
  createdAt: DateTime
  """Since when it is gone at its source. Its edges stay."""
  goneAt: DateTime
  """Named by something else, not described by any source yet."""
  stub: Boolean!
  """Names of the sources that speak of it."""
  sources: [String!]!
  owners: [Ownership!]!
  tags: [Tagging!]!
'''

#: Fields of one kind beyond those of every node.
_OWN_FIELDS = {NodeKind.MODEL_VERSION: "  aliases: [Alias!]!\n"}

_FIXED = '''
"""ISO 8601, in UTC in answers: 2026-01-31T10:00:00Z."""
scalar DateTime

"""Any JSON value."""
scalar JSON

"""
The answer of a walk in columns: {"ids", "kinds", "names", "hops", "from", "to", "edgeKinds"}.
The first four have one entry a node, the others one an edge; from and to are indices into ids.
"""
scalar LineageTable

"""BOTH is the upstream walk and the downstream walk, not a zig-zag."""
enum Direction { UPSTREAM DOWNSTREAM BOTH }

type Query {
  node(id: ID!, knownAt: DateTime): Node
  """In the order asked for; null where there is no such node."""
  nodes(ids: [ID!]!, knownAt: DateTime): [Node]!
  """Every node so named, under any scope. git.sha takes a prefix; name, uri and the like find too."""
  resolve(scheme: String!, value: String!): [Node!]!
  find(
    kind: NodeKind!, where: [PropertyFilter!], orderBy: NodeOrder, first: Int = 50, after: String
    knownAt: DateTime
  ): NodeConnection!
  """Full text: names, identifiers, property texts. Best first."""
  search(text: String!, kinds: [NodeKind!], first: Int = 20, after: String): NodeConnection!
  """
  What the thing came from and what it feeds, nearest first. Hops are negative upstream. kinds filters what
  is shown, not what is walked; edgeKinds replaces the kinds that carry lineage. first is at most 2,000, or
  50,000 where only the table is asked for.
  """
  lineage(
    id: ID!, direction: Direction! = BOTH, maxHops: Int = 3, kinds: [NodeKind!], edgeKinds: [EdgeKind!]
    asOf: DateTime, knownAt: DateTime, first: Int = 300
  ): Lineage!
  """Shortest first, downstream from the one to the other, else upstream. Each path begins at from."""
  paths(
    from: ID!, to: ID!, maxHops: Int = 20, first: Int = 3, asOf: DateTime, knownAt: DateTime
  ): PathResult!
  sources: [SourceStatus!]!
}

"""An identifier, spelled out in id: scheme=value, or scheme@scope=value."""
type Identifier { id: ID! scheme: String! scope: String value: String! }

"""A name that moves between versions. It moved here in (notBefore, seenAt]."""
type Alias { name: String! notBefore: DateTime seenAt: DateTime! until: DateTime current: Boolean! }

type Ownership { owner: Node! role: String }

"""A label, who or what put it there, and why."""
type Tagging { tag: Node! by: String! evidence: String }

"""A condition on a field or property; dots descend (params.lr). EXISTS takes true, false or nothing."""
input PropertyFilter { key: String! op: FilterOp! = EQ value: JSON }

input NodeOrder { by: NodeOrderField! = ID descending: Boolean! = false }

type PageInfo { hasNextPage: Boolean! endCursor: String }
type NodeEdge { cursor: String! node: Node! }
type NodeConnection { nodes: [Node!]! edges: [NodeEdge!]! pageInfo: PageInfo! }

type Lineage {
  root: Node!
  nodes: [LineageNode!]!
  edges: [Edge!]!
  table: LineageTable!
  """Nodes found before the cut; at least so many where truncatedBecause says so."""
  totalNodes: Int!
  complete: Boolean!
  truncatedBecause: String
}

"""hops is negative upstream; direction is BOTH for the root. hidden… counts neighbours that are not shown."""
type LineageNode { node: Node! hops: Int! direction: Direction! hiddenUpstream: Int! hiddenDownstream: Int! }

"""Points from cause to effect. evidence says why an inferred edge holds."""
type Edge {
  from: ID!
  to: ID!
  kind: EdgeKind!
  source: String!
  validFrom: DateTime
  validTo: DateTime
  evidence: String
  properties: JSON!
}

"""total counts the paths within maxHops; null where that cannot be told."""
type PathResult {
  paths: [[Edge!]!]!
  total: Int
  totalIsExact: Boolean!
  complete: Boolean!
  truncatedBecause: String
}

"""A configured source, or one that has written before. counts are those of its last ingestion."""
type SourceStatus {
  name: String!
  type: String!
  space: String!
  enabled: Boolean!
  disabledBecause: String
  lastStarted: DateTime
  lastFinished: DateTime
  lastSuccess: DateTime
  lastError: String
  lastErrorAt: DateTime
  deadLetters: Int!
  counts: JSON!
  warnings: [String!]!
  coverage: [String!]!
}
'''


def _enum(name: str, values: list[tuple[str, str]]) -> str:
    lines = "\n".join(f'  """{what}"""\n  {value}' for value, what in values)
    return f"enum {name} {{\n{lines}\n}}\n"


def _definitions() -> str:
    parts = [
        _FIXED,
        _enum("NodeKind", [(kind.name, KINDS[kind].what) for kind in NodeKind]),
        _enum("EdgeKind", [(kind.name, EDGES[kind].what) for kind in EdgeKind]),
        f"enum FilterOp {{ {' '.join(FilterOp)} }}",
        f"enum NodeOrderField {{ {' '.join(Order)} }}",
        f'"""A thing in the graph."""\ninterface Node {{{_NODE_FIELDS}}}',
    ]
    for kind in NodeKind:
        own = _OWN_FIELDS.get(kind, "")
        parts.append(f'"""{KINDS[kind].what}"""\ntype {kind} implements Node {{{_NODE_FIELDS}{own}}}')
    return "\n".join(parts)


@cache
def schema() -> GraphQLSchema:
    """The schema, sorted. Values of enums are their names; resolving is not its concern."""
    return lexicographic_sort_schema(build_schema(_definitions(), no_location=True))


def sdl() -> str:
    """The schema as text, sorted: what ``schema.graphql`` holds."""
    return print_schema(schema()) + "\n"
