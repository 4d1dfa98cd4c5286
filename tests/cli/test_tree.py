"""The lineage tree: what a person reads, line by line."""

from __future__ import annotations

from typing import Any

from app.cli.tree import Tree

NOW = 1_800_000_000_000_000
HOUR = 3_600_000_000


def node(id: str, hops: int, kind: str = "RUN", name: str | None = None, **more: Any) -> dict[str, Any]:
    return {"node": {"id": id, "kind": kind, "name": name or id, "createdAt": None, **more}, "hops": hops}


def edge(src: str, dst: str, kind: str = "INPUT_TO", source: str = "git") -> dict[str, str]:
    return {"from": src, "to": dst, "kind": kind, "source": source}


def drawn(nodes: list[dict[str, Any]], edges: list[dict[str, str]]) -> str:
    return "\n".join(Tree(nodes, edges, NOW).lines(nodes[0]["node"]["id"]))


def test_both_sections_with_kind_name_age_hops_and_source() -> None:
    nodes = [
        node("m", 0, "MODEL_VERSION", "churn v3", createdAt=NOW - 50 * HOUR),
        node("r", -1, "RUN", "tune", goneAt="2026-01-01T00:00:00Z"),
        node("c", -2, "COMMIT", "3faf1c7 Tune", stub=True),
        node("d", 1, "DEPLOYMENT", "churn@7", createdAt=NOW - 20),
    ]
    edges = [
        edge("c", "r", "CODE_FOR"),
        edge("r", "m", "PRODUCED", "tracking"),
        edge("m", "d", "DEPLOYED_AS", "k8s"),
    ]

    assert drawn(nodes, edges) == (
        "ModelVersion churn v3  2 d ago\n"
        "  m\n"
        "\n"
        "upstream (2)\n"
        "└─ Run tune  gone at its source  -1  [PRODUCED tracking]\n"
        "   └─ Commit 3faf1c7 Tune  not described by any source  -2  [CODE_FOR git]\n"
        "\n"
        "downstream (1)\n"
        "└─ Deployment churn@7  just now  +1  [DEPLOYED_AS k8s]"
    )


def test_large_groups_are_folded_the_newest_shown() -> None:
    runs = [node(f"r{n}", 1, createdAt=NOW - n * HOUR) for n in range(1, 14)]
    text = drawn([node("d", 0, "DATASET_VERSION"), *runs], [edge("d", f"r{n}") for n in range(1, 14)])

    lines = text.splitlines()[4:]
    assert len(lines) == 9
    assert lines[0].startswith("├─ Run r1 ") and lines[7].startswith("├─ Run r8 ")
    assert lines[8] == "└─ … and 5 more Run"


def test_what_is_reached_twice_is_drawn_once() -> None:
    nodes = [node("a", 0), node("b", 1), node("c", 1), node("d", 2), node("e", 3)]
    edges = [edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("c", "d"), edge("d", "e")]

    text = drawn(nodes, edges)

    assert text.count("Run e") == 1 and text.count("Run d") == 2 and text.count("(see above)") == 1


def test_an_edge_that_holds_several_times_is_a_line() -> None:
    nodes = [node("d", 0, "DEPLOYMENT"), node("a", -1, "ARTIFACT"), node("m", -1, "MODEL_VERSION")]
    stays = [edge("a", "d", "DEPLOYED_AS", source) for source in ("k8s", "events+k8s", "k8s")]

    assert drawn(nodes, [*stays, edge("m", "d", "DEPLOYED_AS")]).splitlines()[3:] == [
        "upstream (2)",
        "├─ Artifact a  -1  [DEPLOYED_AS events+k8s]",
        "└─ ModelVersion m  -1  [DEPLOYED_AS git]",
    ]


def test_what_is_the_same_hangs_beside_and_leads_on() -> None:
    nodes = [node("a", 0), node("a2", 0), node("b", 1), node("b2", 1), node("c", 2)]
    edges = [edge("a", "a2", "SAME_AS"), edge("a2", "b"), edge("b2", "b", "SAME_AS"), edge("b2", "c")]

    text = drawn(nodes, edges)

    assert "├" not in text and "the same as Run a2 (a2)" in text
    assert "Run b2  +1  [SAME_AS git]" in text and "Run c  +2" in text


def test_nodes_behind_kinds_that_are_not_shown_are_listed() -> None:
    text = drawn([node("a", 0), node("far", 4)], [])

    assert "by way of kinds that are not shown:" in text and "Run far  4 hops" in text


def test_long_chains_and_cycles_end() -> None:
    nodes = [node(f"n{n}", n) for n in range(3_000)]
    edges = [edge(f"n{n}", f"n{n + 1}") for n in range(2_999)] + [edge("n2999", "n1")]

    assert len(drawn(nodes, edges).splitlines()) == 3_004


def test_names_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in drawn([node("a", 0, name="\x1b[31mred\nline")], [])
