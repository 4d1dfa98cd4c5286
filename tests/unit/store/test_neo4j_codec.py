"""Keys that Neo4j's indexes can hold, in the order that SQLite has; handles of beliefs; compact nodes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.neo4j import codec
from app.store.rows import EDGE_KINDS, NODE_CODES, Fact, NodeRow
from graph_schema.filters import matches
from graph_schema.kinds import NodeKind
from graph_schema.values import Filter, FilterOp, Node

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
# Both sides of where code points and UTF-16 part ways.
EDGE = st.text(st.sampled_from("a\ud7ff\ue000\uff21\uffff\U00010000\U0001f642\U0010ffff"), max_size=4)


def utf16(text: str) -> list[int]:
    """How Java orders a text."""
    raw = text.encode("utf-16-be")
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


@given(left=TEXTS | EDGE, right=TEXTS | EDGE)
def test_keys_are_ordered_as_their_texts_in_bytes_and_in_utf16(left: str, right: str) -> None:
    a, b = codec.index_key(left), codec.index_key(right)

    assert (left < right) == (a.encode() < b.encode()) == (utf16(a) < utf16(b))
    assert (left == right) == (a == b)


@given(start=TEXTS | EDGE, rest=TEXTS | EDGE)
def test_a_prefix_of_a_text_is_a_prefix_of_its_key(start: str, rest: str) -> None:
    assert codec.index_key(start + rest).startswith(codec.key_prefix(start))


@pytest.mark.parametrize("letter", ["x", "ä", "日", "\U0001f642"])
def test_a_long_text_has_a_key_that_fits_and_is_its_own(letter: str) -> None:
    long = letter * 4_000

    keys = {codec.index_key(long), codec.index_key(long + "a"), codec.index_key(long + "b")}

    assert len(keys) == 3
    # What an entry of an index may hold, with room for a second key.
    assert all(len(key.encode()) < 8_000 for key in keys)
    assert all(key.startswith(codec.key_prefix(long)) for key in keys)


def test_most_texts_are_their_own_keys() -> None:
    text = "git.sha=3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"

    assert codec.index_key(text) is text


def test_a_handle_tells_the_belief_and_its_kind() -> None:
    handles = [codec.handle_of(bid, kind) for bid in (1, 2, 10**9) for kind in range(len(EDGE_KINDS))]

    assert len(set(handles)) == len(handles)
    assert all(a < b for a, b in pairwise(handles))
    assert [codec.belief_of(h) for h in handles[:2]] == [(1, 0), (1, 1)]


@given(
    value=st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    wanted=st.sampled_from(["FAILED", "1", "1.0", "nan", "inf", "1e3", "true", "", "ä", "x y"]),
)
def test_what_the_index_leaves_out_would_not_have_matched(value: object, wanted: str) -> None:
    """Only texts that ``filterable`` accepts are asked for by index, so it must hold all that equal them."""
    node = Node(id="x", kind=NodeKind.RUN, name="", identifiers=("x",), properties={"status": value})

    if codec.filterable(wanted) and matches(node, [Filter("status", FilterOp.EQ, wanted)]):
        assert codec.filterable(value)


def _node(*facts: Fact, **properties: object) -> NodeRow:
    code = NODE_CODES[NodeKind.RUN]
    return NodeRow(
        7, code, "mlflow.run_id=a", "a", None, None, None, True, not facts, list(facts), properties,
        ["mlflow.run_id=a"],
    )  # fmt: skip


def test_a_node_comes_back_as_it_was_kept() -> None:
    one = _node(Fact(7, 1, 1, 5, 1, None, {"status": "FAILED"}), status="FAILED")
    two = _node(
        Fact(7, 1, 1, 5, 1, None, {"status": "FAILED"}), Fact(7, 2, 2, None, 1, 9, {"user": "ada"}),
        status="FAILED", user="ada",
    )  # fmt: skip
    columns = ("num", "kind", "id", "name", "createdAt", "goneAt", "live", "stub", "facts", "properties",
               "identifiers")  # fmt: skip

    for node in (one, two, _node()):
        kept = codec.node_properties(node)
        assert codec.node_row([kept[column] for column in columns]) == node


def test_a_stub_and_what_is_gone_are_not_searched() -> None:
    said = _node(Fact(7, 1, 1, 5, 1, None, {"status": "FAILED"}), status="FAILED")
    gone = _node(Fact(7, 1, 1, 5, 1, None, {"status": "FAILED"}), status="FAILED")
    gone.live = False

    assert "failed" in codec.node_properties(said)["words"]
    assert codec.node_properties(said)["p_status"] == "FAILED"
    assert codec.node_properties(_node())["words"] is None
    assert (codec.node_properties(gone)["words"], codec.node_properties(gone)["p_status"]) == (None, None)
