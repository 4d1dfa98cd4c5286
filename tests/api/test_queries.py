"""What each field of Query answers."""

from __future__ import annotations

import pytest

from app.container import Container
from graph_schema.claims import Links, Record
from graph_schema.edges import EdgeKind
from tests.api.conftest import COMMIT, DATA, SHA, VERSION, Query, run, write


def test_a_node_by_any_of_its_identifiers(query: Query) -> None:
    fields = "{ __typename id kind name createdAt stub sources identifiers { id scheme scope value } }"

    data = query(
        f'{{ full: node(id: "{VERSION}") {fields} '
        'unscoped: node(id: "mlflow.model_version=churn/3") { id } '
        f'prefix: node(id: "git.sha=3faf1") {fields} }}'
    )

    assert data["full"] == {
        "__typename": "ModelVersion",
        "id": VERSION,
        "kind": "MODEL_VERSION",
        "name": "churn v3",
        "createdAt": None,
        "stub": False,
        "sources": ["tracking"],
        "identifiers": [
            {"id": VERSION, "scheme": "mlflow.model_version", "scope": "tracking", "value": "churn/3"}
        ],
    }
    assert data["unscoped"]["id"] == VERSION
    assert data["prefix"]["id"] == COMMIT and data["prefix"]["createdAt"] == "2026-01-01T00:00:00Z"


def test_owners_tags_and_aliases(query: Query) -> None:
    data = query(
        """query($version: ID!, $run: ID!) {
          version: node(id: $version) { owners { role owner { id kind } }
            ... on ModelVersion { aliases { name notBefore seenAt until current } } }
          run: node(id: $run) { owners { owner { id } role } tags { tag { name } by evidence } }
        }""",
        version=VERSION,
        run=run(1),
    )

    assert data["version"]["owners"] == [
        {"role": "maintainer", "owner": {"id": "email=ada@example.com", "kind": "PERSON"}}
    ]
    assert data["version"]["aliases"] == [
        {
            "name": "old",
            "notBefore": None,
            "seenAt": "2026-01-01T00:00:00Z",
            "until": "2026-01-02T00:00:00Z",
            "current": False,
        },
        {
            "name": "champion",
            "notBefore": "2026-01-01T00:00:00Z",
            "seenAt": "2026-01-02T00:00:00Z",
            "until": None,
            "current": True,
        },
    ]
    assert data["run"]["owners"] == [{"owner": {"id": "team=growth"}, "role": None}]
    assert data["run"]["tags"] == [
        {"tag": {"name": "out-of-memory"}, "by": "tracking", "evidence": "the log says so"}
    ]


def test_nodes_keep_the_order_and_the_gaps(query: Query) -> None:
    data = query("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[DATA, "git.sha=abcd", COMMIT, DATA])

    assert data["nodes"] == [{"id": DATA}, None, {"id": COMMIT}, {"id": DATA}]


def test_resolve_normalises(query: Query) -> None:
    found = query(f'{{ resolve(scheme: "git.sha", value: " {SHA.upper()} ") {{ id }} }}')
    none = query('{ resolve(scheme: "tag", value: "nobody") { id } }')

    assert found["resolve"] == [{"id": COMMIT}] and none["resolve"] == []


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ('{key: "status", value: "FAILED"}', ["run 1"]),
        ('{key: "params.lr", op: GTE, value: 0.3}', ["run 3", "run 4"]),
        ('{key: "params.lr", op: IN, value: [0, 0.2]}', ["run 0", "run 2"]),
        ('{key: "name", op: CONTAINS, value: "N 4"}', ["run 4"]),
        ('{key: "params.nothing", op: EXISTS}', []),
    ],
)
def test_find_filters(query: Query, where: str, names: list[str]) -> None:
    data = query(f"{{ find(kind: RUN, where: [{where}]) {{ nodes {{ name }} }} }}")

    assert [node["name"] for node in data["find"]["nodes"]] == names


def test_find_pages_by_cursor(query: Query) -> None:
    text = """query($after: String) {
      find(kind: RUN, first: 2, after: $after, orderBy: {by: CREATED_AT, descending: true}) {
        nodes { name } edges { cursor node { name } } pageInfo { hasNextPage endCursor } } }"""
    names, after, pages = [], None, []

    while True:
        page = query(text, after=after)["find"]
        names += [node["name"] for node in page["nodes"]]
        pages.append(page)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]

    assert names == [f"run {n}" for n in (4, 3, 2, 1, 0)]
    assert pages[0]["edges"][1] == {"cursor": pages[0]["pageInfo"]["endCursor"], "node": {"name": "run 3"}}
    mid = query(text, after=pages[0]["edges"][0]["cursor"])["find"]
    assert [node["name"] for node in mid["nodes"]] == ["run 3", "run 2"]


def test_search_pages_through_its_ranking(query: Query) -> None:
    text = """query($after: String) { search(text: "run", first: 3, kinds: [RUN], after: $after) {
      nodes { name } pageInfo { hasNextPage endCursor } } }"""

    one = query(text)["search"]
    two = query(text, after=one["pageInfo"]["endCursor"])["search"]

    names = [node["name"] for node in one["nodes"] + two["nodes"]]
    assert sorted(names) == [f"run {n}" for n in range(5)]
    assert one["pageInfo"]["hasNextPage"] and not two["pageInfo"]["hasNextPage"]


def test_lineage_typed_and_as_a_table_are_one_answer(query: Query) -> None:
    data = query(
        f"""{{ lineage(id: "{VERSION}", direction: UPSTREAM, maxHops: 9) {{
          root {{ id name }} totalNodes complete truncatedBecause table
          nodes {{ node {{ id kind name }} hops direction hiddenUpstream hiddenDownstream }}
          edges {{ from to kind source validFrom validTo evidence properties }} }} }}"""
    )["lineage"]

    assert data["root"] == {"id": VERSION, "name": "churn v3"}
    assert (data["totalNodes"], data["complete"], data["truncatedBecause"]) == (4, True, None)
    assert [(n["node"]["id"], n["hops"], n["direction"]) for n in data["nodes"]] == [
        (VERSION, 0, "BOTH"),
        (run(0), -1, "UPSTREAM"),
        (DATA, -2, "UPSTREAM"),
        (COMMIT, -2, "UPSTREAM"),
    ]
    assert [n["hiddenDownstream"] for n in data["nodes"]] == [0, 0, 4, 4]
    table = data["table"]
    assert table["ids"] == [n["node"]["id"] for n in data["nodes"]]
    assert table["kinds"] == [n["node"]["kind"] for n in data["nodes"]]
    assert table["names"] == [n["node"]["name"] for n in data["nodes"]]
    assert table["hops"] == [n["hops"] for n in data["nodes"]]
    ids = table["ids"]
    rows = zip(table["from"], table["to"], table["edgeKinds"], strict=True)
    assert sorted((ids[a], ids[b], kind) for a, b, kind in rows) == sorted(
        (e["from"], e["to"], e["kind"]) for e in data["edges"]
    )
    assert {(e["from"], e["to"], e["kind"]) for e in data["edges"]} == {
        (COMMIT, DATA, "INTRODUCED"),
        (COMMIT, run(0), "CODE_FOR"),
        (DATA, run(0), "INPUT_TO"),
        (run(0), VERSION, "PRODUCED"),
    }
    made = next(e for e in data["edges"] if e["kind"] == "PRODUCED")
    assert made["source"] == "tracking" and made["validFrom"] == "2026-01-02T00:00:00Z"


def test_lineage_as_of_a_time_before_an_edge(query: Query) -> None:
    text = f'{{ lineage(id: "{COMMIT}", asOf: "2026-01-01T12:00:00Z") {{ table }} }}'

    assert query(text)["lineage"]["table"]["ids"] == [COMMIT, DATA]


def test_lineage_follows_other_edges_when_asked(query: Query) -> None:
    text = f'{{ lineage(id: "{VERSION}", edgeKinds: [OWNED_BY]) {{ table }} }}'

    assert query(text)["lineage"]["table"]["edgeKinds"] == ["OWNED_BY"]


def test_paths(query: Query) -> None:
    data = query(
        f"""{{ paths(from: "{COMMIT}", to: "{VERSION}") {{
          paths {{ from to kind }} total totalIsExact complete truncatedBecause }} }}"""
    )["paths"]

    assert [[edge["kind"] for edge in path] for path in data["paths"]] == [
        ["CODE_FOR", "PRODUCED"],
        ["INTRODUCED", "INPUT_TO", "PRODUCED"],
    ]
    assert (data["total"], data["totalIsExact"], data["complete"]) == (2, True, True)


def test_more_paths_than_an_int_holds_are_not_counted(container: Container, query: Query) -> None:
    def data(number: int) -> str:
        return f"md5@dataset_version={number:032x}"

    steps = [(3 * n, 3 * n + 1, 3 * n + 2, 3 * n + 3) for n in range(32)]
    pairs = [pair for a, b, c, d in steps for pair in ((a, b), (a, c), (b, d), (c, d))]
    claims = tuple(Links(EdgeKind.DERIVED_INTO, data(a), data(b)) for a, b in pairs)
    write(container.store, [Record("ladder", "ladder", 1, claims)])

    asked = f'paths(from: "{data(0)}", to: "{data(96)}", maxHops: 64)'
    found = query(f"{{ {asked} {{ paths {{ from }} total totalIsExact complete truncatedBecause }} }}")[
        "paths"
    ]

    assert (len(found["paths"]), found["total"], found["totalIsExact"], found["complete"]) == (
        3,
        None,
        False,
        False,
    )
    assert "more than 2,147,483,647 paths" in found["truncatedBecause"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('{ node(id: "git.sha=abcdef") { id } }', "NOT_FOUND", "no node is named"),
        ('{ node(id: "nonsense") { id } }', "BAD_INPUT", "not spelled scheme=value"),
        ('{ node(id: "colour=red") { id } }', "BAD_INPUT", "unknown scheme 'colour'"),
        ("{ find(kind: RUN, first: 501) { nodes { id } } }", "BAD_INPUT", "allowed are 1 to 500"),
        ("{ find(kind: RUN, first: 0) { nodes { id } } }", "BAD_INPUT", "first is 0"),
        ('{ find(kind: RUN, after: "???") { nodes { id } } }', "BAD_INPUT", "cursor"),
        ('{ search(text: "x", after: "???") { nodes { id } } }', "BAD_INPUT", "no cursor of a search"),
        (f'{{ lineage(id: "{DATA}", first: 2001) {{ nodes {{ hops }} }} }}', "BAD_INPUT", "1 to 2,000"),
        (f'{{ lineage(id: "{DATA}", first: 50001) {{ table }} }}', "BAD_INPUT", "1 to 50,000"),
        (f'{{ lineage(id: "{DATA}", maxHops: -1) {{ table }} }}', "BAD_INPUT", "maxHops is -1"),
        (f'{{ lineage(id: "{DATA}", asOf: "soon") {{ table }} }}', "BAD_INPUT", "not a time"),
        (f'{{ lineage(id: "{DATA}", asOf: 3) {{ table }} }}', "BAD_INPUT", "write a time as"),
        ("{ find(kind: ROCKET) { nodes { id } } }", "BAD_INPUT", "ROCKET"),
        ("{ nodde { id } }", "BAD_INPUT", "Cannot query field 'nodde' on type 'Query'."),
        ("{ node", "BAD_INPUT", "Syntax Error"),
        ("mutation { x }", "BAD_INPUT", "Cannot query field 'x' on type 'Mutation'."),
        ("subscription { x }", "BAD_INPUT", "subscription operation is not supported"),
    ],
)
def test_expected_failures_have_a_code(query: Query, text: str, code: str, said: str) -> None:
    error = query(text, fails=True)

    assert error["extensions"]["code"] == code
    assert said in error["message"]
    assert "Did you mean" not in error["message"]
