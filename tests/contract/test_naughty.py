"""Strings that break things elsewhere: stored literally wherever a string may stand, or refused by name."""

from __future__ import annotations

import pytest

from graph_schema.claims import Finds, Keyed, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadClaim, BadIdentifier, BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import NOW, Filter, FilterOp
from tests.contract.harness import edges_from, ids_of, node, record, say, write

K, E = NodeKind, EdgeKind

NAUGHTY = [
    "'", '"', "`", "\\", "''", '""', "\\'", "%", "_", "%s", "{}", "{0}", "${x}", "$param", ":param", "?1",
    "@x",
    "Robert'); DROP TABLE node; --",
    "' OR '1'='1",
    "1; DELETE FROM belief",
    "x') RETURN n UNION MATCH (m) DETACH DELETE m //",
    "`}) DETACH DELETE n //",
    "\\u0027 OR 1=1",
    "CALL apoc.load.json('http://169.254.169.254/')",
    "<script>alert(1)</script>",
    "<@U123> @channel",
    "../../../../etc/passwd",
    "null", "NULL", "undefined", "NaN", "true", "0", "-1", "1e400", "0x41",
    "a=b=c", "a@b=c", "=", "@", "%25%3D", "a\tb", "a\nb", "a\r\nb",
    "\u202eevil\u202c", "\u200b\u200d\ufeffx", "Z͑ͫ̓ͪ̂ͫ̽", "ﷺ", "田中さん", "😀👩‍👩‍👧‍👦🏳️‍🌈", "\U0010ffff",
    "é", "e\u0301", "İI\u0131i", "ß", "\x01\x02\x1f\x7f", "\u0085x\u2028y",
    "x" * 4_000, "🙂" * 900,
]  # fmt: skip


@pytest.mark.parametrize("start", range(0, len(NAUGHTY), 8))
def test_a_string_is_stored_literally_wherever_one_may_stand(store: GraphStore, start: int) -> None:
    for text in NAUGHTY[start : start + 8]:
        check_string(store, text)


def check_string(store: GraphStore, text: str) -> None:
    tag = identifier("tag", text)
    model = identifier("mlflow.model", text, scope=text[:900])
    source = Source(text, text, "default")
    said = {"name": text, "url": text, text: text, "params": {text: [text, {text: text}]}}
    table = identifier("dataset", f"{text}/{text}"[:4_000]) if len(text) < 1_000 else "dataset=x/y"

    write(
        store,
        source,
        Record(
            text,
            text,
            1,
            (
                States(K.TAG, tag, said),
                Names(K.MODEL, (model,)),
                Names(K.DATASET, (table,)),
                Links(E.TAGGED, model, tag, None, None, {text: text}, text),
                Finds("uri", text, tag),
                Keyed("tree_state", text, text, tag, None, 1, None, {text: text}),
            ),
        ),
    )
    store.transact(lambda tx: tx.service_put("notes", text, {text: text}))

    found = node(store, tag)
    assert (found.id, found.name, found.url) == (tag, text, text)
    assert found.properties == {text: text, "params": {text: [text, {text: text}]}}
    assert found.sources == (text,)
    assert ids_of(store, model) == [model]
    assert ids_of(store, table) == [table]
    assert tag in ids_of(store, f"uri={text}") if text.strip() else True
    (edge,) = edges_from(store, store.resolve(model), NOW)
    assert (edge.src, edge.dst, edge.properties, edge.evidence, edge.source) == (
        model,
        tag,
        {text: text},
        text,
        text,
    )
    assert (text, {text: text}) in store.service("notes")
    assert store.service("notes", prefix=text, limit=1) == [(text, {text: text})]
    assert [(c.role, c.data) for c in store.transact(lambda tx: tx.keyed("tree_state", text))] == [
        (text, {text: text})
    ]
    assert [h.key for h in store.transact(lambda tx: tx.held(source, text))] == [text]
    assert [n.id for n in store.find(K.TAG, [Filter("name", FilterOp.EQ, text)]).items] == [tag]
    assert [n.id for n in store.find(K.TAG, [Filter(f"params.{text}", FilterOp.EXISTS)]).items] == [tag]
    store.search_text(text)
    store.digest()


def test_all_of_them_together_are_kept_apart(store: GraphStore) -> None:
    tags = {identifier("tag", text) for text in NAUGHTY}

    write(store, Source("s", "t"), *[record(tag, Names(K.TAG, (tag,))) for tag in tags])

    seen: list[str] = []
    after: str | None = None
    while True:
        page = store.find(K.TAG, first=7, after=after)
        seen += [n.id for n in page.items]
        after = page.next
        if after is None:
            break
    assert len(seen) == len(tags)
    assert set(seen) == tags
    assert seen == sorted(seen), "in one order on every engine: by code point"


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "", "   ", "x" * 4_001])
def test_an_identifier_that_no_store_can_hold_is_refused(store: GraphStore, text: str) -> None:
    with pytest.raises(BadIdentifier):
        identifier("tag", text)
    with pytest.raises(BadIdentifier):
        store.resolve(f"tag={text}")
    with pytest.raises(BadInput):
        say(store, Names(K.TAG, (f"tag={text}",)))


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_elsewhere_what_cannot_be_held_is_refused_or_kept_literally(store: GraphStore, text: str) -> None:
    before = store.backup_digest()
    tag = "tag=x"
    claims = [
        States(K.TAG, tag, {"name": text}),
        States(K.TAG, tag, {text: 1}),
        Links(E.TAGGED, tag, "tag=y", None, None, {"a": text}),
        Links(E.TAGGED, tag, "tag=y", None, None, None, text),
        Keyed("tree_state", text, "file", tag),
        Finds("uri", text, tag),
    ]
    for claim in claims:
        try:
            say(store, claim)
        except (BadClaim, BadInput):
            assert store.backup_digest() == before
            continue
        # What was let in has to come out again, in every way of looking.
        store.digest()
        store.search_text("x")
        assert store.get(store.resolve(tag))[0] is not None
        if isinstance(claim, States):
            found = node(store, tag)
            assert text in (found.name, *found.properties)
        say(store)
        before = store.backup_digest()


def test_an_identifier_that_is_not_in_its_normal_form_is_no_second_name(store: GraphStore) -> None:
    """Sources spell identifiers with `identifier()`; what they spell by hand must not split a node."""
    odd = f"git.sha={'AB' * 20}"
    try:
        say(store, Names(K.COMMIT, (odd,)))
    except BadInput:
        return

    assert ids_of(store, odd) == [odd.lower().replace("GIT.SHA", "git.sha")]
