"""One walk over all kinds, edges and schemes: what is declared is whole, named alike and fits together."""

from __future__ import annotations

import re

import msgspec
import pytest

from graph_schema.edges import (
    EDGE_BY_CODE,
    EDGE_CODES,
    EDGES,
    FLOW_KINDS,
    EdgeKind,
    EdgeSpec,
    Family,
    check_ends,
)
from graph_schema.errors import BadIdentifier, DeclarationError
from graph_schema.identifiers import identifier, kind_of, parse
from graph_schema.kinds import KINDS, RESERVED_PROPERTIES, KindSpec, NodeKind, kind_of_scope
from graph_schema.normalise import text
from graph_schema.schemes import SCHEMES, Scheme

SCOPED = {
    "mlflow.experiment_id",
    "mlflow.model",
    "mlflow.model_version",
    "bentoml.model",
    "bentoml.bento",
    "airflow.dag_run",
    "airflow.task_instance",
    "deployment",
    "environment",
    "check",
}
NEVER_JOIN = {"name", "uri", "etag", "mlflow.dataset_digest", "dedup_key"}


@pytest.mark.parametrize("kind", NodeKind)
def test_a_kind_is_described_named_and_identified(kind: NodeKind) -> None:
    spec = KINDS[kind]

    assert spec.kind is kind
    assert len(spec.what) > 3
    assert spec.what[0].islower()
    assert re.fullmatch(r"([A-Z][a-z]+)+", kind.value), "a label is in PascalCase"
    assert kind.name == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.value).upper(), (
        "the enum value is in SNAKE_CASE"
    )
    assert kind_of_scope(kind.scope_name) is kind
    for name in spec.schemes:
        assert SCHEMES[name].joins, f"{name} identifies a {kind}, so it has to join"
        assert kind in SCHEMES[name].kinds
    assert not set(spec.properties) & set(RESERVED_PROPERTIES)
    assert len(set(spec.precedence)) == len(spec.precedence)


@pytest.mark.parametrize("kind", EdgeKind)
def test_an_edge_is_described_and_joins_kinds_that_exist(kind: EdgeKind) -> None:
    spec = EDGES[kind]

    assert spec.kind is kind
    assert len(spec.what) > 3
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", kind.value)
    assert kind.name == kind.value
    assert spec.pairs
    for source, target in spec.pairs:
        assert source in KINDS
        assert target in KINDS
        assert check_ends(kind, source, target) is None


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_is_described_and_its_example_is_in_normal_form(name: str) -> None:
    scheme = SCHEMES[name]

    assert scheme.name == name
    assert re.fullmatch(r"[a-z0-9]+([._][a-z0-9]+)*", name)
    assert len(scheme.what) > 3
    assert scheme.normalise(scheme.example) == scheme.example
    assert scheme.scoped == (name in SCOPED)
    assert scheme.joins == (name not in NEVER_JOIN)
    assert bool(scheme.kinds) == scheme.joins
    assert parse(f"{name}={scheme.example}").value == scheme.example


@pytest.mark.parametrize("name", [n for n, s in SCHEMES.items() if s.joins])
def test_every_identifier_scheme_spells_an_identifier_for_each_of_its_kinds(name: str) -> None:
    scheme = SCHEMES[name]

    for kind in scheme.kinds:
        written = identifier(
            name,
            scheme.example,
            scope="prod" if scheme.scoped else None,
            kind=kind if scheme.content else None,
        )
        assert str(parse(written)) == written
        if scheme.content or len(scheme.kinds) == 1:
            assert kind_of(written) is kind


def test_a_scheme_without_kinds_of_its_own_content_or_not_is_told_apart() -> None:
    shared = {name for name, scheme in SCHEMES.items() if len(scheme.kinds) > 1}

    assert {name for name, scheme in SCHEMES.items() if scheme.content} == {"md5", "sha256"}
    assert shared == {"md5", "sha256", "kinlore"}


def test_flow_points_downstream_and_leaves_nothing_out() -> None:
    flow = {"INTRODUCED", "CODE_FOR", "RUNTIME_OF", "INPUT_TO", "PRODUCED", "DERIVED_INTO", "BASE_OF",
            "REGISTERED_AS", "PACKAGED_IN", "DEPLOYED_AS", "CHECKED_BY", "IMPLICATED_IN"}  # fmt: skip

    assert {kind.value for kind in FLOW_KINDS} == flow
    sources_of_incidents = {pair[0] for pair in EDGES[EdgeKind.IMPLICATED_IN].pairs}
    assert NodeKind.INCIDENT not in sources_of_incidents
    assert all(target is NodeKind.INCIDENT for _, target in EDGES[EdgeKind.IMPLICATED_IN].pairs)


def test_same_as_joins_alike_and_the_kinds_that_share_content() -> None:
    content = {NodeKind.DATASET_VERSION, NodeKind.MODEL_VERSION, NodeKind.ARTIFACT}
    across = {(a, b) for a, b in EDGES[EdgeKind.SAME_AS].pairs if a is not b}

    assert EDGES[EdgeKind.SAME_AS].family is Family.IDENTITY
    assert across == {(a, b) for a in content for b in content if a is not b}
    assert all((kind, kind) in EDGES[EdgeKind.SAME_AS].pairs for kind in NodeKind)


def test_an_edge_between_the_wrong_kinds_is_named_with_what_is_allowed() -> None:
    why = check_ends(EdgeKind.INPUT_TO, NodeKind.RUN, NodeKind.DATASET_VERSION)

    assert why is not None
    assert "INPUT_TO" in why
    assert "DatasetVersion→Run" in why


def test_codes_of_edge_kinds_go_both_ways() -> None:
    assert [EDGE_BY_CODE[EDGE_CODES[kind]] for kind in EdgeKind] == list(EdgeKind)


def test_declarations_are_frozen() -> None:
    with pytest.raises(AttributeError):
        KINDS[NodeKind.RUN].what = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        KINDS[NodeKind.RUN] = KINDS[NodeKind.JOB]  # type: ignore[index]
    with pytest.raises(TypeError):
        SCHEMES["x"] = SCHEMES["name"]  # type: ignore[index]


@pytest.mark.parametrize(
    "broken",
    [
        {"what": ""},
        {"what": "a thing."},
        {"schemes": ()},
        {"schemes": ("tag", "tag")},
        {"properties": ("snake_case",)},
    ],
)
def test_a_bad_kind_is_refused_when_it_is_declared(broken: dict[str, object]) -> None:
    good = msgspec.structs.asdict(KINDS[NodeKind.TAG])

    with pytest.raises(DeclarationError):
        KindSpec(**{**good, **broken})


def test_a_bad_edge_and_a_bad_scheme_are_refused_when_they_are_declared() -> None:
    with pytest.raises(DeclarationError):
        EdgeSpec(kind=EdgeKind.OF, family=Family.LEARNING, what="of", pairs=frozenset())
    with pytest.raises(DeclarationError):
        Scheme(name="x", what="x", normalise=text, example=" not normal ")
    with pytest.raises(DeclarationError):
        Scheme(name="x", what="x", normalise=text, example="x", scoped=True, content=True)


def test_an_unknown_scheme_is_named_with_the_ones_there_are() -> None:
    with pytest.raises(BadIdentifier, match=r"nonsense.*git\.sha"):
        parse("nonsense=1")
