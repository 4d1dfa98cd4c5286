"""Edge kinds. A lineage edge points the way data, code and consequence flow: from cause to effect."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

import msgspec

from graph_schema.errors import DeclarationError
from graph_schema.kinds import NodeKind


class Family(StrEnum):
    """What an edge is about. Lineage walks follow ``FLOW`` and cross ``SAME_AS`` at no cost."""

    FLOW = "flow"
    STRUCTURE = "structure"
    IDENTITY = "identity"
    LEARNING = "learning"
    OWNERSHIP = "ownership"


class EdgeKind(StrEnum):
    """Kinds of edge; value and name are the same, and are the relationship type in Neo4j."""

    INTRODUCED = "INTRODUCED"
    CODE_FOR = "CODE_FOR"
    RUNTIME_OF = "RUNTIME_OF"
    INPUT_TO = "INPUT_TO"
    PRODUCED = "PRODUCED"
    DERIVED_INTO = "DERIVED_INTO"
    BASE_OF = "BASE_OF"
    REGISTERED_AS = "REGISTERED_AS"
    PACKAGED_IN = "PACKAGED_IN"
    DEPLOYED_AS = "DEPLOYED_AS"
    CHECKED_BY = "CHECKED_BY"
    IMPLICATED_IN = "IMPLICATED_IN"
    HAS = "HAS"
    PRECEDES = "PRECEDES"
    SAME_AS = "SAME_AS"
    TRIED = "TRIED"
    OF = "OF"
    CHANGED = "CHANGED"
    TRIGGERED = "TRIGGERED"
    DISTILLED_INTO = "DISTILLED_INTO"
    ADOPTED_BY = "ADOPTED_BY"
    ABOUT = "ABOUT"
    OWNED_BY = "OWNED_BY"
    TAGGED = "TAGGED"


class EdgeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Declaration of an edge kind: its family, what it says, and the pairs of kinds it may join."""

    kind: EdgeKind
    family: Family
    what: str
    pairs: frozenset[tuple[NodeKind, NodeKind]]

    def __post_init__(self) -> None:
        if not self.what or self.what[-1] == ".":
            raise DeclarationError(f"{self.kind}: describe it in a phrase without a full stop")
        if not self.pairs:
            raise DeclarationError(f"{self.kind}: needs at least one pair of kinds")


def _kinds(names: str) -> tuple[NodeKind, ...]:
    if names == "*":
        return tuple(NodeKind)
    return tuple(NodeKind(name) for name in names.split("/"))


def _edge(kind: EdgeKind, family: Family, what: str, *ends: str) -> EdgeSpec:
    """``ends`` are written ``A/B > C/D``: every kind on the left to every kind on the right."""
    pairs: set[tuple[NodeKind, NodeKind]] = set()
    for end in ends:
        left, right = (_kinds(side.strip()) for side in end.split(">"))
        pairs |= {(a, b) for a in left for b in right}
    return EdgeSpec(kind=kind, family=family, what=what, pairs=frozenset(pairs))


_E, _F = EdgeKind, Family
_ANY_SAME = tuple(f"{kind} > {kind}" for kind in NodeKind)
_CONTENT = "DatasetVersion/ModelVersion/Artifact"

EDGES: MappingProxyType[EdgeKind, EdgeSpec] = MappingProxyType(
    {
        spec.kind: spec
        for spec in (
            _edge(
                _E.INTRODUCED,
                _F.FLOW,
                "the commit's tree holds it at that path and no parent's does",
                "Commit > DatasetVersion/Artifact",
            ),
            _edge(_E.CODE_FOR, _F.FLOW, "was the code of", "Commit > Run/JobRun/Artifact/Deployment"),
            _edge(_E.RUNTIME_OF, _F.FLOW, "was what it ran on", "Runtime > Run/JobRun/Deployment"),
            _edge(_E.INPUT_TO, _F.FLOW, "was read by", "DatasetVersion > Run/JobRun/Deployment"),
            _edge(
                _E.PRODUCED,
                _F.FLOW,
                "wrote it",
                "Run/JobRun > DatasetVersion/ModelVersion/Artifact",
            ),
            _edge(_E.DERIVED_INTO, _F.FLOW, "was made from it", "DatasetVersion > DatasetVersion"),
            _edge(_E.BASE_OF, _F.FLOW, "was fine-tuned into", "ModelVersion > ModelVersion"),
            _edge(
                _E.REGISTERED_AS,
                _F.FLOW,
                "a logged model was registered as a version",
                "ModelVersion > ModelVersion",
            ),
            _edge(_E.PACKAGED_IN, _F.FLOW, "was packaged in", "ModelVersion > Artifact"),
            _edge(
                _E.DEPLOYED_AS,
                _F.FLOW,
                "was released, with its share of traffic over time",
                "ModelVersion/Artifact > Deployment",
            ),
            _edge(
                _E.CHECKED_BY,
                _F.FLOW,
                "was examined by",
                "DatasetVersion/ModelVersion/Run/JobRun/Deployment > Check",
            ),
            _edge(
                _E.IMPLICATED_IN,
                _F.FLOW,
                "is involved in",
                "Deployment/Artifact/ModelVersion/DatasetVersion/Run/JobRun/Check > Incident",
            ),
            _edge(
                _E.HAS,
                _F.STRUCTURE,
                "contains",
                "Repository > Commit/PullRequest",
                "PullRequest > Commit",
                "Dataset > DatasetVersion",
                "Experiment > Run",
                "Model > ModelVersion",
                "Job > JobRun",
                "Run > Run",
                "JobRun > JobRun/Run",
                "Environment > Deployment",
                "Incident > Incident",
            ),
            _edge(
                _E.PRECEDES,
                _F.STRUCTURE,
                "comes directly before",
                "Commit > Commit",
                "ModelVersion > ModelVersion",
                "DatasetVersion > DatasetVersion",
                "Deployment > Deployment",
            ),
            _edge(
                _E.SAME_AS,
                _F.IDENTITY,
                "is the same thing, with the evidence that says so",
                *_ANY_SAME,
                f"{_CONTENT} > {_CONTENT}",
            ),
            _edge(_E.TRIED, _F.LEARNING, "somebody tried", "Incident/Run/JobRun > Attempt"),
            _edge(_E.OF, _F.LEARNING, "was a use of", "Attempt > Remediation"),
            _edge(
                _E.CHANGED,
                _F.LEARNING,
                "consisted in changing",
                "Attempt > Commit/PullRequest/Deployment/DatasetVersion/Run",
            ),
            _edge(_E.TRIGGERED, _F.LEARNING, "set off", "Incident/Check > Run/JobRun"),
            _edge(_E.DISTILLED_INTO, _F.LEARNING, "became part of", "Remediation > PatternVersion"),
            _edge(_E.ADOPTED_BY, _F.LEARNING, "is followed by", "PatternVersion > Run/Deployment/Repository"),
            _edge(_E.ABOUT, _F.LEARNING, "speaks of", "Review/Decision/Document > *"),
            _edge(_E.OWNED_BY, _F.OWNERSHIP, "is owned by, with the role", "* > Person/Team"),
            _edge(_E.TAGGED, _F.OWNERSHIP, "carries the label", "* > Tag"),
        )
    }
)

#: What a lineage walk follows unless it is asked for something else.
FLOW_KINDS = tuple(kind for kind in EdgeKind if EDGES[kind].family is Family.FLOW)

#: Edge kinds as small integers, for stores; the order of declaration, append only.
EDGE_CODES = MappingProxyType({kind: code for code, kind in enumerate(EdgeKind)})
EDGE_BY_CODE = tuple(EdgeKind)


def check_ends(kind: EdgeKind, src: NodeKind, dst: NodeKind) -> str | None:
    """Why an edge of this kind may not join these kinds, or None where it may."""
    spec = EDGES[kind]
    if (src, dst) in spec.pairs:
        return None
    allowed = ", ".join(sorted(f"{a}→{b}" for a, b in spec.pairs)) if len(spec.pairs) < 20 else spec.what
    return f"{kind} may not join {src} to {dst}; allowed: {allowed}"


if set(EDGES) != set(EdgeKind):
    raise DeclarationError("every EdgeKind needs exactly one declaration")
