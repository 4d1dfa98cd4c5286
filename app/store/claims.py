"""Reading a record: from claims on identifiers to rows on row ids."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec

from app.store.batch import SAME_AS, Batch
from app.store.rows import NODE_KINDS, JoinRow, KeyedRow, SourceRow, to_json
from graph_schema.claims import Finds, Joins, Keyed, Links, Names, Record, States
from graph_schema.edges import EDGE_CODES, EDGES, EdgeKind, check_ends
from graph_schema.errors import BadClaim
from graph_schema.identifiers import head_of, identifier, kind_of, leading
from graph_schema.identity import Verdict
from graph_schema.kinds import NodeKind
from graph_schema.properties import Statement, merge
from graph_schema.times import Micros
from graph_schema.wording import a_or_an

Content = tuple[int, int, int, Micros | None, Micros | None, bytes | None]


class Reading(msgspec.Struct):
    """What a record says, on row ids. ``facts``: identifier → (time, properties)."""

    facts: dict[int, tuple[Micros | None, dict[str, Any]]]
    links: list[Content]
    joins: list[JoinRow]
    keyed: list[KeyedRow]


#: The kinds at the ends of each edge kind, where there is only one possible.
_ENDS: dict[EdgeKind, tuple[NodeKind | None, NodeKind | None]] = {
    kind: (
        next(iter({a for a, _ in spec.pairs})) if len({a for a, _ in spec.pairs}) == 1 else None,
        next(iter({b for _, b in spec.pairs})) if len({b for _, b in spec.pairs}) == 1 else None,
    )
    for kind, spec in EDGES.items()
}


def is_open(text: str) -> bool:
    """Whether an identifier is a reference that does not say under which scope."""
    return head_of(text.partition("=")[0]).is_open


def named_in(record: Record) -> Iterator[str]:
    """The identifiers that a record names, as they stand there and some more than once."""
    for claim in record.claims:
        if isinstance(claim, Links):
            yield claim.src
            yield claim.dst
        elif isinstance(claim, Names):
            yield from claim.ids
        elif isinstance(claim, Keyed):
            yield from (text for text in (claim.ref, claim.by) if text is not None)
        elif isinstance(claim, Joins):
            yield claim.a
            yield claim.b
        else:
            yield claim.id


def kinds_in(record: Record, kinds: dict[str, NodeKind | None]) -> None:
    """Collect every identifier that a record names exactly, with its kind where a claim settles it."""
    for claim in record.claims:
        if isinstance(claim, Links):
            ends = _ENDS[claim.kind]
            _note(kinds, claim.src, ends[0])
            _note(kinds, claim.dst, ends[1])
        elif isinstance(claim, States):
            _note(kinds, claim.id, claim.kind, record)
        elif isinstance(claim, Names):
            if not claim.ids:
                raise BadClaim(f"{record.key}: names {a_or_an(claim.kind)} by nothing")
            for text in claim.ids:
                _note(kinds, text, claim.kind, record)
        elif isinstance(claim, Keyed):
            for ref in (claim.ref, claim.by):
                if ref is not None:
                    _note(kinds, ref, None, record)
        elif isinstance(claim, Joins):
            for text in (claim.a, claim.b):
                _note(kinds, text, None, record)
        else:
            _note(kinds, claim.id, None, record)


def _note(
    kinds: dict[str, NodeKind | None], text: str, kind: NodeKind | None, exact_in: Record | None = None
) -> None:
    """Note an identifier. One without its scope is passed over, or refused where ``exact_in`` needs it."""
    head = head_of(text.partition("=")[0])
    if head.is_open:
        if exact_in is not None:
            where = "needs a scope here; without one it can only end an edge"
            raise BadClaim(f"{exact_in.key}: {text} {where}")
        return
    if head.kind is not None:
        if kind is not None and kind is not head.kind:
            raise BadClaim(f"{text} names {a_or_an(head.kind)}, not {a_or_an(kind)}")
        kinds[text] = head.kind
        return
    if not head.scheme.joins:
        raise BadClaim(f"{text}: {head.scheme.name} finds a node but does not name it")
    if kind is not None and kind not in head.ranks:
        raise BadClaim(f"{text}: {head.scheme.name} does not identify {a_or_an(kind)}")
    kinds[text] = kind or kinds.get(text)


def read(record: Record, source: SourceRow, batch: Batch) -> Reading:
    """Rows for a record's claims. All its identifiers are loaded. Raises BadClaim."""
    by_text = batch.by_text
    facts: dict[int, tuple[Micros | None, dict[str, Any]]] = {}
    links: list[Content] = []
    joins: list[JoinRow] = []
    keyed: list[KeyedRow] = []
    for claim in record.claims:
        if isinstance(claim, Links):
            src, dst = by_text.get(claim.src), by_text.get(claim.dst)
            if src is None or dst is None:
                keyed.extend(_reference(record, source, claim, batch))
                continue
            batch.check_edge(claim.kind, src, dst)
            told = claim.properties or claim.evidence
            data = batch.pack(claim.properties, claim.evidence) if told else None
            code = EDGE_CODES[claim.kind]
            if code == SAME_AS:
                joins.append(
                    _join(record, source, Verdict.SAME, src.iid, dst.iid, claim.since, claim.until, data)
                )
            else:
                links.append((code, src.iid, dst.iid, claim.since, claim.until, data))
        elif isinstance(claim, States):
            row = by_text[claim.id]
            before = facts.get(row.iid)
            stated = (claim.at, dict(claim.properties))
            facts[row.iid] = stated if before is None else _later(NODE_KINDS[row.kind], before, stated)
        elif isinstance(claim, Names):
            lead = by_text[leading(claim.ids, claim.kind)]
            facts.setdefault(lead.iid, (None, {}))
            for text in claim.ids:
                other = by_text[text]
                if other is not lead:
                    joins.append(_join(record, source, Verdict.JOIN, lead.iid, other.iid, None, None, None))
                if head_of(text.partition("=")[0]).scheme.content:
                    keyed.append(_keyed(record, source, _content(text), batch))
        elif isinstance(claim, Keyed):
            keyed.append(_keyed(record, source, claim, batch))
        elif isinstance(claim, Joins):
            joins.append(_verdict(record, source, claim, batch))
        else:
            keyed.append(_keyed(record, source, _found(claim), batch))
    unique = {j.content: j for j in joins}
    unique_keyed = {k.content: k for k in keyed}
    return Reading(facts, list(dict.fromkeys(links)), list(unique.values()), list(unique_keyed.values()))


_Stated = tuple[Micros | None, dict[str, Any]]


def _later(kind: NodeKind, first: _Stated, second: _Stated) -> _Stated:
    """Two statements of one record on one thing: per property the later stands."""
    merged = merge(kind, [Statement("", "", at, properties) for at, properties in (first, second)])
    times = [at for at, _ in (first, second) if at is not None]
    return (max(times, default=None), merged)


def _join(
    record: Record,
    source: SourceRow,
    verdict: Verdict,
    a: int,
    b: int,
    since: Micros | None,
    until: Micros | None,
    data: bytes | None,
) -> JoinRow:
    tie = (source.name, record.key)
    return JoinRow(0, a, b, verdict, 0, 0, None, tie, since, until, data, False, None)


def _verdict(record: Record, source: SourceRow, claim: Joins, batch: Batch) -> JoinRow:
    a, b = batch.by_text[claim.a], batch.by_text[claim.b]
    if claim.verdict not in ("same", "apart"):
        raise BadClaim(f"a verdict on identity is same or apart, not {claim.verdict!r}")
    if claim.verdict == "same":
        batch.check_edge(EdgeKind.SAME_AS, a, b)
    verdict = Verdict.SAID if claim.verdict == "same" else Verdict.APART
    data = batch.pack(None, claim.why or f"said by {source.name}")
    return _join(record, source, verdict, a.iid, b.iid, None, None, data)


def _found(claim: Finds) -> Keyed:
    """A look-up name, as the keyed claim that :meth:`GraphStore.resolve` reads."""
    if head_of(claim.scheme).scheme.joins:
        raise BadClaim(f"{claim.scheme} is no look-up scheme; say with Names that it names {claim.id}")
    return Keyed("find", identifier(claim.scheme, claim.value), "found", claim.id)


def _content(text: str) -> Keyed:
    """The content an identifier speaks of, whatever kind of thing has it."""
    head, _, value = text.partition("=")
    return Keyed("content", f"{head.partition('@')[0]}={value}", "has", text)


def _keyed(record: Record, source: SourceRow, claim: Keyed, batch: Batch) -> KeyedRow:
    ref = batch.by_text[claim.ref].iid if claim.ref is not None else None
    by = batch.by_text[claim.by].iid if claim.by is not None else None
    data = to_json(claim.data) if claim.data else None
    said = to_json(
        [
            source.name,
            record.key,
            claim.rule,
            claim.key,
            claim.role,
            claim.ref,
            claim.by,
            claim.at,
            claim.until,
        ]
    )
    anchor = blake2b(said + (data or b""), digest_size=12).hexdigest()
    return KeyedRow(
        0, claim.rule, claim.key, claim.role, ref, by, claim.at, claim.until, data, 0, source.sid, anchor
    )


def _reference(record: Record, source: SourceRow, claim: Links, batch: Batch) -> list[KeyedRow]:
    """An edge with an end that does not say its scope: kept as a claim under what it does say."""
    open_ends = [t for t in (claim.src, claim.dst) if is_open(t)]
    kinds = [kind_of(t) if is_open(t) else NODE_KINDS[batch.by_text[t].kind] for t in (claim.src, claim.dst)]
    if kinds[0] is not None and kinds[1] is not None:
        why = check_ends(claim.kind, kinds[0], kinds[1])
        if why:
            raise BadClaim(f"{why} ({claim.src} → {claim.dst})")
    exact = next((t for t in (claim.src, claim.dst) if not is_open(t)), None)
    data = {
        "kind": claim.kind.value,
        "src": claim.src,
        "dst": claim.dst,
        "since": claim.since,
        "until": claim.until,
        "properties": claim.properties,
        "evidence": claim.evidence,
        # Of an open end only the claims that may still come can tell.
        "kinds": [None if kind is None else kind.value for kind in kinds],
    }
    # With two open ends the edge is derived under the first; the second key only sets that off.
    rows = [_keyed(record, source, Keyed("open", open_ends[0], "edge", exact, data=data), batch)]
    for other in open_ends[1:]:
        pointer = {**data, "under": open_ends[0]}
        rows.append(_keyed(record, source, Keyed("open", other, "also", exact, data=pointer), batch))
    return rows
