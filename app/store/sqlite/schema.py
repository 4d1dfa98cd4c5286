"""Tables of the SQLite store, as numbered migrations. A step is applied in one transaction or not at all."""

from __future__ import annotations

from graph_schema.edges import EDGE_CODES, EdgeKind

_SAME_AS = EDGE_CODES[EdgeKind.SAME_AS]

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE revision(rev INTEGER PRIMARY KEY, at INTEGER NOT NULL)",
        "CREATE INDEX revision_at ON revision(at)",
        "CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE source(sid INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL,"
        " space TEXT NOT NULL)",
        "CREATE TABLE origin(oid INTEGER PRIMARY KEY, sids TEXT NOT NULL)",
        "CREATE TABLE record(rid INTEGER PRIMARY KEY, sid INTEGER NOT NULL, key TEXT NOT NULL,"
        " type TEXT NOT NULL, version INTEGER NOT NULL, digest BLOB NOT NULL, marks BLOB NOT NULL,"
        " gone_at INTEGER)",
        "CREATE UNIQUE INDEX record_key ON record(sid, key)",
        "CREATE TABLE ident(iid INTEGER PRIMARY KEY, text TEXT NOT NULL, kind INTEGER NOT NULL,"
        " nid INTEGER NOT NULL, since INTEGER NOT NULL, live INTEGER NOT NULL)",
        "CREATE UNIQUE INDEX ident_text ON ident(text)",
        # Most nodes have one identifier, whose id they share; only the others need the index.
        "CREATE INDEX ident_nid ON ident(nid) WHERE nid <> iid",
        "CREATE TABLE ident_past(iid INTEGER NOT NULL, nid INTEGER NOT NULL, since INTEGER NOT NULL,"
        " until INTEGER NOT NULL)",
        "CREATE INDEX ident_past_iid ON ident_past(iid)",
        "CREATE INDEX ident_past_nid ON ident_past(nid)",
        "CREATE TABLE node(nid INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id TEXT NOT NULL,"
        " name TEXT NOT NULL, created_at INTEGER, gone_at INTEGER, live INTEGER NOT NULL,"
        " stub INTEGER NOT NULL, facts BLOB NOT NULL, properties TEXT NOT NULL, identifiers TEXT)",
        "CREATE INDEX node_id ON node(kind, id) WHERE live",
        "CREATE INDEX node_name ON node(kind, name, id) WHERE live",
        "CREATE INDEX node_created ON node(kind, created_at, id) WHERE live",
        "CREATE TABLE fact_past(iid INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,"
        " fact BLOB NOT NULL)",
        "CREATE INDEX fact_past_iid ON fact_past(iid)",
        "CREATE TABLE belief(bid INTEGER PRIMARY KEY, kind INTEGER NOT NULL, src INTEGER NOT NULL,"
        " dst INTEGER NOT NULL, src_nid INTEGER NOT NULL, dst_nid INTEGER NOT NULL, oid INTEGER NOT NULL,"
        " rid INTEGER NOT NULL, anchor INTEGER, since INTEGER, until INTEGER, recorded INTEGER NOT NULL,"
        " retired INTEGER, data BLOB)",
        "CREATE INDEX belief_out ON belief(src_nid, kind, dst_nid) WHERE retired IS NULL",
        "CREATE INDEX belief_in ON belief(dst_nid, kind, src_nid) WHERE retired IS NULL",
        "CREATE INDEX belief_out_past ON belief(src_nid) WHERE retired IS NOT NULL",
        "CREATE INDEX belief_in_past ON belief(dst_nid) WHERE retired IS NOT NULL",
        "CREATE INDEX belief_anchor ON belief(anchor) WHERE anchor IS NOT NULL AND retired IS NULL",
        # Small, so that a walk over a graph without SAME_AS learns so at once.
        f"CREATE INDEX belief_same ON belief(kind) WHERE kind = {_SAME_AS} AND retired IS NULL",
        "CREATE TABLE joining(jid INTEGER PRIMARY KEY, a INTEGER NOT NULL, b INTEGER NOT NULL,"
        " verdict INTEGER NOT NULL, oid INTEGER NOT NULL, rid INTEGER NOT NULL, anchor INTEGER,"
        " tie TEXT NOT NULL, since INTEGER, until INTEGER, data BLOB, accepted INTEGER NOT NULL,"
        " belief INTEGER)",
        "CREATE INDEX joining_a ON joining(a)",
        "CREATE INDEX joining_b ON joining(b)",
        "CREATE INDEX joining_anchor ON joining(anchor) WHERE anchor IS NOT NULL",
        "CREATE TABLE keyed(kid INTEGER PRIMARY KEY, rule TEXT NOT NULL, key TEXT NOT NULL,"
        " role TEXT NOT NULL, ref INTEGER, by INTEGER, at INTEGER, until INTEGER, data BLOB,"
        " rid INTEGER NOT NULL, sid INTEGER NOT NULL, anchor TEXT NOT NULL)",
        "CREATE INDEX keyed_key ON keyed(rule, key, role, at)",
        "CREATE INDEX keyed_ref ON keyed(ref) WHERE ref IS NOT NULL",
        "CREATE INDEX keyed_by ON keyed(by) WHERE by IS NOT NULL",
        "CREATE TABLE service(collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
        " PRIMARY KEY(collection, key)) WITHOUT ROWID",
        'CREATE VIRTUAL TABLE words USING fts5(text, tokenize="unicode61 remove_diacritics 2'
        " tokenchars '_'\")",
        "CREATE TABLE vector(model TEXT NOT NULL, nid INTEGER NOT NULL, digest TEXT NOT NULL,"
        " data BLOB NOT NULL, PRIMARY KEY(model, nid)) WITHOUT ROWID",
    ),
)

SCHEMA_VERSION = len(MIGRATIONS)
