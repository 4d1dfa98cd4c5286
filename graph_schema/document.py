"""Documentation of the vocabulary, made from the declarations: ``python -m graph_schema.document``.

Writes ``docs/schema.md`` and ``docs/img/schema.svg``; a test fails where they differ from what is declared.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from graph_schema.edges import EDGES, FLOW_KINDS, EdgeSpec, Family
from graph_schema.kinds import KINDS, NodeKind
from graph_schema.schemes import SCHEMES, Scheme

DOCS = Path(__file__).resolve().parent.parent / "docs"

#: The look of every picture in the docs. Each brings its background, so that it reads the same anywhere.
STYLE = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2937}"
    ".card{fill:#f8fafc;stroke:#cbd5e1}.box{fill:#fff;stroke:#0f766e;stroke-width:1.5}"
    ".line{stroke:#475569;stroke-width:1.5;fill:none}.thin{stroke:#cbd5e1;stroke-width:1}"
    ".head,.dot{fill:#0f766e}.dim{fill:#475569}.b{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.card{fill:#1b2430;stroke:#3b4758}"
    ".box{fill:#111827;stroke:#2dd4bf}.line{stroke:#94a3b8}.thin{stroke:#3b4758}"
    ".head,.dot{fill:#2dd4bf}.dim{fill:#a3b1c2}}"
)

_FAMILIES = {
    Family.FLOW: "Flow: what lineage follows",
    Family.STRUCTURE: "Structure: what contains what, and what comes after what",
    Family.IDENTITY: "Identity",
    Family.LEARNING: "Learning",
    Family.OWNERSHIP: "Ownership",
}
_FIRST_COLUMN, _COLUMN, _ROW, _TOP, _EDGE = 150, 124, 34, 64, 22


# --- the page ------------------------------------------------------------------------------------------


def page() -> str:
    """``docs/schema.md``."""
    parts = [
        "# Schema",
        "<!-- Made by `python -m graph_schema.document`. Do not edit. -->",
        f"The graph has {len(KINDS)} kinds of nodes, {len(EDGES)} kinds of edges and {len(SCHEMES)}"
        " identifier schemes. They are declared once, in `graph_schema`; the stores, the GraphQL schema and"
        " this page are made from them. That a kind is declared does not mean that a source fills it yet:"
        " [Sources](sources/index.md) says what each of them writes.",
        "## Lineage at a glance",
        "Every lineage edge points from cause to effect. A dot is where an edge starts, an arrowhead where it"
        " may end.",
        "![Which kinds of nodes each lineage edge joins](img/schema.svg)",
        "## Node kinds",
        "The schemes are those that a node of the kind can be identified by, best first: a node's `id` is its"
        " identifier under the first of them that it has. In GraphQL a kind is spelled in upper snake case"
        " (`MODEL_VERSION`).",
        _table(
            ("kind", "what it is", "schemes", "properties that are often asked for"),
            [
                (f"`{kind}`", spec.what, _codes(spec.schemes), _codes(spec.properties))
                for kind, spec in KINDS.items()
            ],
        ),
        "## Edge kinds",
    ]
    for family, title in _FAMILIES.items():
        rows = [
            (f"`{spec.kind}`", spec.what, "<br>".join(_pairs(spec)))
            for spec in EDGES.values()
            if spec.family is family
        ]
        parts += [f"### {title}", _table(("edge", "what it says", "from → to"), rows)]
    joining = [scheme for scheme in SCHEMES.values() if scheme.joins]
    looking = [scheme for scheme in SCHEMES.values() if not scheme.joins]
    parts += [
        "## Identifier schemes",
        "*Global*: the value means the same everywhere. *Scoped*: it is unique within one installation of a"
        " tool, which is named after an `@`: `mlflow.model_version@tracking=churn/3`. *Content*: a digest"
        " that several kinds share; the kind is the scope: `sha256@model_version=…`. *Exclusive*: one thing"
        " has at most one value; a claim that would give it two is refused and reported.",
        _table(
            ("scheme", "what it is", "reach", "exclusive", "identifies", "example"),
            [
                (
                    f"`{s.name}`",
                    s.what,
                    _reach(s),
                    "yes" if s.exclusive else "",
                    ", ".join(s.kinds),
                    f"`{s.example}`",
                )
                for s in joining
            ],
        ),
        "### Names that find and never join",
        "They repeat, get overwritten or collide, so two things that share one are still two things."
        " `resolve` takes them.",
        _table(
            ("scheme", "what it is", "example"), [(f"`{s.name}`", s.what, f"`{s.example}`") for s in looking]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _reach(scheme: Scheme) -> str:
    if scheme.content:
        return "content"
    return "scoped" if scheme.scoped else "global"


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _pairs(spec: EdgeSpec) -> list[str]:
    """The pairs of an edge kind, sources with the same targets together: ``Run, JobRun → Artifact``."""
    if all((kind, kind) in spec.pairs for kind in NodeKind):
        others = frozenset((a, b) for a, b in spec.pairs if a is not b)
        return ["any kind → the same kind", *(_grouped(others))]
    return _grouped(spec.pairs)


def _grouped(pairs: frozenset[tuple[NodeKind, NodeKind]]) -> list[str]:
    return [f"{_names(sources)} → {_names(targets)}" for sources, targets in _groups(pairs)]


def _groups(
    pairs: frozenset[tuple[NodeKind, NodeKind]],
) -> list[tuple[tuple[NodeKind, ...], tuple[NodeKind, ...]]]:
    """(sources, targets) in order of declaration: sources that may reach the same kinds stand together."""
    by_targets: dict[tuple[NodeKind, ...], list[NodeKind]] = {}
    for source in NodeKind:
        targets = tuple(kind for kind in NodeKind if (source, kind) in pairs)
        if targets:
            by_targets.setdefault(targets, []).append(source)
    return [(tuple(sources), targets) for targets, sources in by_targets.items()]


def _names(kinds: Sequence[NodeKind]) -> str:
    return "any kind" if len(kinds) == len(NodeKind) else ", ".join(kinds)


# --- the picture ---------------------------------------------------------------------------------------


def picture() -> str:
    """``docs/img/schema.svg``: a column for each kind that lineage touches, a line for each way to join."""
    columns = lineage_order()
    x = {kind: _FIRST_COLUMN + _COLUMN // 2 + _COLUMN * place for place, kind in enumerate(columns)}
    rows = [
        (kind.value, sources, targets)
        for kind in FLOW_KINDS
        for sources, targets in _groups(EDGES[kind].pairs)
    ]
    width, height = _FIRST_COLUMN + _COLUMN * len(columns) + _EDGE, _TOP + _ROW * len(rows) + _EDGE
    told = "; ".join(f"{edge}: {_names(sources)} to {_names(targets)}" for edge, sources, targets in rows)
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="title desc">',
        '<title id="title">Which kinds of nodes each lineage edge joins</title>',
        f'<desc id="desc">{escape(told)}.</desc>',
        f"<style>{STYLE}text{{font-size:13px}}</style>",
        f'<rect class="card" x="1" y="1" width="{width - 2}" height="{height - 2}" rx="8"/>',
    ]
    for kind in columns:
        body.append(f'<line class="thin" x1="{x[kind]}" y1="{_TOP - 14}" x2="{x[kind]}" y2="{height - 16}"/>')
        body.append(f'<rect class="box" x="{x[kind] - 58}" y="18" width="116" height="28" rx="5"/>')
        body.append(f'<text class="b" x="{x[kind]}" y="36" text-anchor="middle" font-size="12">{kind}</text>')
    for number, (edge, sources, targets) in enumerate(rows):
        y = _TOP + _ROW * number + _ROW // 2
        body.append(f'<text class="dim" x="{_FIRST_COLUMN - 8}" y="{y + 4}" text-anchor="end">{edge}</text>')
        body += _arrows([x[kind] for kind in sources], [x[kind] for kind in targets], y)
    return "\n".join([*body, "</svg>"]) + "\n"


def _arrows(sources: Sequence[int], targets: Sequence[int], y: int) -> list[str]:
    """A line from its dots to its arrowheads. A kind that may reach itself gets a loop."""
    drawn = []
    ends = sorted({*sources, *targets})
    if len(ends) > 1:
        drawn.append(f'<line class="line" x1="{ends[0]}" y1="{y}" x2="{ends[-1]}" y2="{y}"/>')
    for at in sources:
        drawn.append(f'<circle class="dot" cx="{at}" cy="{y}" r="4.5"/>')
    for at in targets:
        if at in sources:
            drawn.append(f'<path class="line" d="M{at + 4} {y - 3}c26 -14 26 20 4 6"/>')
            drawn.append(f'<path class="head" d="M{at + 4} {y + 2}l9 -1l-4 8z"/>')
        elif min(sources) > at:
            drawn.append(f'<path class="head" d="M{at} {y}l10 -5v10z"/>')
        else:
            drawn.append(f'<path class="head" d="M{at} {y}l-10 -5v10z"/>')
    return drawn


def lineage_order() -> list[NodeKind]:
    """The kinds that lineage touches, causes before effects as far as that goes, else as declared."""
    pairs = {(a, b) for kind in FLOW_KINDS for a, b in EDGES[kind].pairs if a is not b}
    waiting = [kind for kind in NodeKind if any(kind in pair for pair in pairs)]
    order: list[NodeKind] = []
    while waiting:
        causes = {kind: {a for a, b in pairs if b is kind and a in waiting} for kind in waiting}
        # In a circle (a run reads what a run wrote) the one declared first goes first.
        nearest = next((kind for kind in waiting if not causes[kind]), waiting[0])
        order.append(nearest)
        waiting.remove(nearest)
    return order


def write(folder: Path = DOCS) -> None:
    """Write both files into a docs folder."""
    (folder / "img").mkdir(parents=True, exist_ok=True)
    (folder / "schema.md").write_text(page(), encoding="utf-8")
    (folder / "img" / "schema.svg").write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
