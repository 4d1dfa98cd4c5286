"""Two small pages, rendered here: what this is, and how to query it. No scripts, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

from app.api.status import SourceStatus
from graph_schema.store import Counts
from graph_schema.times import format_time
from graph_schema.values import Label, Node, Subgraph

STYLE = """
:root { color-scheme: light dark; --line: #8886; --dim: #666; }
@media (prefers-color-scheme: dark) { :root { --dim: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font: .9em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid var(--line); border-radius: .3rem; }
input { font: inherit; padding: .3rem .5rem; width: min(28rem, 70%); }
button { font: inherit; padding: .3rem .8rem; }
.dim { color: var(--dim); }
"""
STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_EXAMPLES = (
    ("What caused the last incident?", "causes", "latest"),
    ("Has anybody seen this failure, and what fixed it?", "similar", "--text ERROR"),
    ("What is at risk if I change this?", "impact", "git.sha=PREFIX"),
    ("Where did this model version come from?", "lineage", "mlflow.model_version=NAME/VERSION"),
    ("What does this commit feed?", "lineage", "git.sha=PREFIX"),
    ("Which thing is that?", "search", "the words you remember"),
)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f'<header><h1><a href="/">Kinlore</a></h1></header><main>{body}</main></body></html>'
    )


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the cells are HTML already."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def _form(text: str = "") -> str:
    return (
        '<form action="/" method="get" role="search"><label>Find or trace '
        f'<input name="q" value="{escape(text)}" placeholder="churn, or git.sha=3faf1c7"></label> '
        "<button>Go</button></form>"
    )


def _link(id: str, name: str) -> str:
    return f'<a href="/?{escape(urlencode({"q": id}))}">{escape(name)}</a>'


def home(counts: Counts, sources: Sequence[SourceStatus]) -> str:
    """What this is, what is in it, and what to ask."""
    nodes, edges = sum(counts.nodes.values()), sum(counts.edges.values())
    lines = [
        [
            escape(source.name),
            escape(source.type),
            f"{source.counts.get('items', 0):,}",
            escape(_state(source)),
        ]
        for source in sources
    ]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.nodes.items()))
    asked = "".join(
        f"<li>{escape(question)} <code>kinlore {verb} {escape(what)}</code></li>"
        for question, verb, what in _EXAMPLES
    )
    table = _rows(("source", "type", "items last time", "state"), lines) if lines else ""
    return _page(
        "Kinlore",
        f"<p>One graph of code, data, runs, models, releases and incidents: where things came from and "
        f"what they feed.</p>{_form()}"
        f"<h2>In the graph</h2><p>{nodes:,} nodes, {edges:,} edges</p>"
        f'<p class="dim">{escape(kinds) or "Nothing yet: run <code>kinlore ingest</code>."}</p>'
        f"{table}<h2>Ask</h2><ul>{asked}</ul>"
        '<p>Programs ask by <a href="/graphql">GraphQL</a>.</p>',
    )


def _state(source: SourceStatus) -> str:
    if source.disabled_because:
        return f"disabled: {source.disabled_because}"
    if source.last_error:
        return f"failed: {source.last_error}"
    if source.last_success is None:
        return "not ingested yet"
    return f"ingested {format_time(source.last_success)[:19]}Z"


def found(text: str, nodes: Sequence[Node]) -> str:
    """What a search found."""
    lines = [
        [escape(node.kind), _link(node.id, node.name), f"<code>{escape(node.id)}</code>"] for node in nodes
    ]
    body = _rows(("kind", "name", "id"), lines) if lines else "<p>Nothing found.</p>"
    return _page(f"{text} – Kinlore", f"{_form(text)}<h2>Found</h2>{body}")


def lineage(root: Node, graph: Subgraph) -> str:
    """A walk as a table: upstream first, the root, then downstream."""
    rows = sorted(zip(graph.hops, graph.labels, strict=True), key=lambda row: (row[0], row[1].id))
    lines = [[_hops(hops), escape(label.kind), _name(label)] for hops, label in rows]
    because = "complete" if graph.truncated_because is None else graph.truncated_because
    return _page(
        f"{root.name} – Kinlore",
        f"{_form(root.id)}<h2>{escape(root.kind)} {escape(root.name)}</h2>"
        f"<p><code>{escape(root.id)}</code></p>"
        f'<p class="dim">{len(graph.labels):,} nodes, {len(graph.steps):,} edges, {escape(because)}</p>'
        f"{_rows(('hops', 'kind', 'name'), lines)}",
    )


def _hops(hops: int) -> str:
    if hops == 0:
        return "here"
    return f"{-hops} up" if hops < 0 else f"{hops} down"


def _name(label: Label) -> str:
    return f"{_link(label.id, label.name)}<br><code class='dim'>{escape(label.id)}</code>"


def problem(text: str, message: str) -> str:
    """What went wrong, in a line."""
    return _page("Kinlore", f"{_form(text)}<p>{escape(message)}</p>")


def graphql(address: str, sdl: str) -> str:
    """How to query, and the schema."""
    query = "{ find(kind: RUN, first: 5) { nodes { id name } } }"
    curl = f"curl {address}/graphql -H 'content-type: application/json' \\\n  -d '{{\"query\": \"{query}\"}}'"
    return _page(
        "GraphQL – Kinlore",
        f"<h2>GraphQL</h2><p>Queries are sent by POST, as JSON:</p><pre>{escape(curl)}</pre>"
        f"<h2>Schema</h2><pre>{escape(sdl)}</pre>",
    )
