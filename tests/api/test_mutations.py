"""Corrections by GraphQL."""

from __future__ import annotations

from tests.api.conftest import VERSION, Query, run

SAME = 'mutation { same(a: "%s", b: "%s", why: "one model", by: "ada") { id verdict a b by why changed } }'


def test_what_is_said_is_listed_explained_and_withdrawn(query: Query) -> None:
    query('mutation { tag(id: "churn", tag: "flaky") { id } }', fails=True)

    owned = query(
        f'mutation {{ setOwner(id: "{VERSION}", owner: "team= growth", role: "pager") {{ id a b changed }} }}'
    )["setOwner"]
    label = query(
        f'mutation {{ tag(id: "{run(2)}", tag: "flaky", by: "ada", why: "3 times") {{ id changed }} }}'
    )

    assert (owned["a"], owned["b"], owned["changed"]) == (VERSION, "team=growth", True)
    node = query(f'{{ node(id: "{VERSION}") {{ owners {{ role owner {{ id }} }} }} }}')["node"]
    assert {"role": "pager", "owner": {"id": "team=growth"}} in node["owners"]
    tags = query(f'{{ node(id: "{run(2)}") {{ tags {{ by evidence tag {{ id }} }} }} }}')["node"]["tags"]
    assert tags == [{"by": "ada", "evidence": "said by a person: 3 times", "tag": {"id": "tag=flaky"}}]
    assert {each["verdict"] for each in query("{ corrections { verdict } }")["corrections"]} == {
        "owner",
        "tag",
    }
    for said in (owned, label["tag"]):
        assert query(f'mutation {{ withdraw(id: "{said["id"]}") {{ changed }} }}')["withdraw"] == {
            "changed": True
        }
    assert query("{ corrections { id } }")["corrections"] == []


def test_identity(query: Query) -> None:
    answer = query(f'{{ identity(a: "{run(1)}", b: "{run(2)}") {{ identity because left {{ id }} }} }}')[
        "identity"
    ]

    assert (answer["identity"], answer["left"]["id"]) == ("UNRELATED", run(1))
    assert "only one of these" in answer["because"][0]


def test_what_cannot_be_is_said_and_not_kept(query: Query) -> None:
    error = query(SAME % (run(1), run(2)), fails=True)

    assert error["extensions"]["code"] == "BAD_INPUT"
    assert "exclusive" in error["message"]
    missing = query('mutation { withdraw(id: "identity/none") { id } }', fails=True)
    assert missing["extensions"]["code"] == "NOT_FOUND"
    assert query("{ corrections { id } }")["corrections"] == []
