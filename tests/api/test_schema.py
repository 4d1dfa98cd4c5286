"""The schema: committed, sorted, complete, and every field of it has a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, is_introspection_type

import app.api
from app.answers.causes import Cause, CausesAnswer
from app.answers.impact import Target
from app.api import fields, ingesting, queries, remediations, similar
from app.api.causes import IncidentChangeAnswer
from app.api.columns import ColumnEdgeView, ColumnNodeView, ColumnReaderView, ColumnsAnswer
from app.api.impact import CountView, ImpactView
from app.api.schema import schema, sdl
from app.api.status import SourceStatus
from app.api.verdicts import AffectedView, ChecksView, ResultView
from app.api.versus import BEHIND as VERSUS
from app.learnings.experiments import Experiment, Experiments
from app.learnings.feedback import Judgement
from app.learnings.remediations import Suggestion
from app.lineage.aliases import Stay
from app.lineage.commits import CommitRange
from app.lineage.compare import Comparison, Difference
from app.lineage.evidence import Evidence
from app.lineage.identity import Explained
from app.lineage.paths import Paths
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.values import Edge, Node
from ingestors.corrections import Correction
from ingestors.report import Report

COMMITTED = Path(app.api.__file__).with_name("schema.graphql")

#: The values behind each type, for looking whether they have what the schema promises.
BEHIND: dict[str, type] = {
    "Alias": Stay,
    "CommitRange": CommitRange,
    "Comparison": Comparison,
    "Correction": Correction,
    "Difference": Difference,
    "Edge": Edge,
    "Evidence": Evidence,
    "IdentityAnswer": Explained,
    "IncidentChange": IncidentChangeAnswer,
    "RootCause": Cause,
    "RootCauses": CausesAnswer,
    "Identifier": fields.IdentifierView,
    "Impact": ImpactView,
    "ImpactTarget": Target,
    "KindCount": CountView,
    "Checks": ChecksView,
    "CheckResult": ResultView,
    "AffectedByCheck": AffectedView,
    "ColumnLineage": ColumnsAnswer,
    "ColumnNode": ColumnNodeView,
    "ColumnEdge": ColumnEdgeView,
    "ColumnReader": ColumnReaderView,
    "Lineage": fields.LineageAnswer,
    "LineageNode": fields.LineageNode,
    "NodeConnection": queries.NodeConnection,
    "NodeEdge": queries.NodeEdge,
    "Ownership": fields.Ownership,
    "PageInfo": queries.PageInfo,
    "PathResult": Paths,
    "SourceStatus": SourceStatus,
    "Ingestion": Report,
    "Asked": ingesting.Asked,
    "Tagging": fields.Tagging,
    "Match": similar.MatchAnswer,
    "Similar": similar.SimilarAnswer,
    "Suggestion": Suggestion,
    "AlikeRun": Experiment,
    "Experiments": Experiments,
    "Remediations": remediations.RemediationsAnswer,
    "RecordedRemedy": remediations.RecordedAnswer,
    "Feedback": Judgement,
    **VERSUS,
    **dict.fromkeys(NodeKind, Node),
}


def test_the_committed_schema_is_this_one() -> None:
    assert COMMITTED.read_text() == sdl(), "write it anew: kinlore schema > app/api/schema.graphql"


def test_kinds_are_those_declared() -> None:
    types = schema()._schema.type_map

    assert set(types["NodeKind"].values) == {kind.name for kind in NodeKind}  # type: ignore[attr-defined]
    assert set(types["EdgeKind"].values) == set(EdgeKind)  # type: ignore[attr-defined]
    node = types["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {kind.name for kind in schema()._schema.get_possible_types(node)} == set(NodeKind)


def object_types() -> list[GraphQLObjectType]:
    return [
        kind
        for kind in schema()._schema.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
    ]


@pytest.mark.parametrize("kind", object_types(), ids=lambda kind: kind.name)
def test_every_field_has_a_value(kind: GraphQLObjectType) -> None:
    for declared in schema().get_type_by_name(kind.name).fields:  # type: ignore[union-attr]
        name = declared.python_name
        if kind.name in ("Query", "Mutation"):
            assert declared.base_resolver is not None
        elif declared.base_resolver is not None:
            # What is resolved for one object only would not be called below a root field.
            assert "batch" in declared.metadata, name
        else:
            assert hasattr(BEHIND[kind.name], name), name


def test_everything_is_described_or_speaks_for_itself() -> None:
    for kind in NodeKind:
        assert schema()._schema.type_map[kind].description
