"""Identifiers as text: there and back, open references, kinds and ranks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.errors import BadIdentifier
from graph_schema.identifiers import (
    Identifier,
    head_of,
    identifier,
    kind_of,
    leading,
    parse,
    rank_key,
    scheme_named,
)
from graph_schema.kinds import NodeKind
from graph_schema.schemes import SCHEMES

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MD5 = "1bc29b36f623ba82aaf6724fd3b16718"

_bits = st.sampled_from(["%", "=", "%25", "%3D", "%3d", "@", "a", " b", "é", "🙂", "/"])
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
_scopes = st.one_of(st.lists(_bits, min_size=1, max_size=6).map("".join), _texts).filter(
    lambda s: bool(s.strip())
)
_values = _texts.filter(lambda s: bool(s.strip()))


@given(scope=_scopes, value=_values)
def test_a_scoped_identifier_survives_being_written_and_read(scope: str, value: str) -> None:
    written = identifier("mlflow.model", value, scope)

    read = parse(written)

    assert read == Identifier("mlflow.model", value.strip(), scope.strip())
    assert str(read) == written


@given(first=_scopes, second=_scopes)
def test_different_scopes_are_never_spelled_alike(first: str, second: str) -> None:
    left, right = (identifier("mlflow.model", "churn", scope) for scope in (first, second))

    assert (left == right) == (first.strip() == second.strip())


@given(value=_values)
def test_an_open_reference_survives_being_written_and_read(value: str) -> None:
    written = identifier("mlflow.model", value)

    assert str(parse(written)) == written
    assert head_of(written.partition("=")[0]).is_open


def test_percent_and_equals_in_a_scope_are_encoded() -> None:
    assert identifier("mlflow.model", "a=b%", "x=1%") == "mlflow.model@x%3D1%25=a=b%"
    assert parse("mlflow.model@x%3d1%25=a=b%") == Identifier("mlflow.model", "a=b%", "x=1%")


@pytest.mark.parametrize("name", [n for n, s in SCHEMES.items() if not s.scoped and not s.content])
def test_a_global_scheme_takes_no_scope(name: str) -> None:
    example = SCHEMES[name].example

    with pytest.raises(BadIdentifier, match="global"):
        identifier(name, example, "somewhere")
    with pytest.raises(BadIdentifier, match="global"):
        parse(f"{name}@somewhere={example}")


def test_content_takes_the_kind_as_scope() -> None:
    spelled = identifier("sha256", f"sha256:{SHA256}", kind=NodeKind.MODEL_VERSION)

    assert spelled == f"sha256@model_version={SHA256}"
    assert kind_of(spelled) is NodeKind.MODEL_VERSION
    assert identifier("sha256", SHA256, "model_version") == spelled
    assert kind_of(f"sha256={SHA256}") is None
    assert head_of("sha256").is_open
    with pytest.raises(BadIdentifier, match="model_version"):
        identifier("sha256", SHA256, kind=NodeKind.COMMIT)
    with pytest.raises(BadIdentifier, match="model_version"):
        parse(f"sha256@commit={SHA256}")
    with pytest.raises(BadIdentifier):
        parse(f"sha256@nonsense={SHA256}")


@pytest.mark.parametrize("scope", ["", "  "])
def test_a_scope_may_not_be_empty(scope: str) -> None:
    with pytest.raises(BadIdentifier):
        identifier("mlflow.model", "churn", scope)
    with pytest.raises(BadIdentifier):
        parse(f"mlflow.model@{scope}=churn")


@pytest.mark.parametrize("scope", ["a\0b", "\ud800", "x" * 5_000])
def test_a_scope_is_held_to_what_a_store_can_hold(scope: str) -> None:
    with pytest.raises(BadIdentifier):
        identifier("mlflow.model", "churn", scope)
    with pytest.raises(BadIdentifier):
        parse(f"mlflow.model@{scope}=churn")


def test_blanks_around_a_scope_do_not_make_another_identifier() -> None:
    assert str(parse("mlflow.model@ prod =churn")) == identifier("mlflow.model", "churn", " prod ")


@pytest.mark.parametrize(
    "text", ["", "churn", "=churn", "git.sha", "git.sha=", "GIT.SHA=x", "x" * 5_000, "a@b"]
)
def test_what_is_no_identifier_is_refused_shortly(text: str) -> None:
    with pytest.raises(BadIdentifier) as refusal:
        parse(text)
    assert len(str(refusal.value)) < 1_500


def test_values_are_normalised_on_the_way_in() -> None:
    assert str(parse("git.remote=git@github.com:acme/churn.git")) == "git.remote=github.com/acme/churn"
    assert str(parse(f" dvc.md5 ={MD5.upper()}.DIR")) == f"dvc.md5={MD5}.dir"


def test_ranks_follow_the_declared_order_then_value_then_scope() -> None:
    texts = [
        f"sha256@model_version={SHA256}",
        "mlflow.logged_model=m-1",
        "mlflow.model_version@b=churn/3",
        "mlflow.model_version@a=churn/4",
        "mlflow.model_version@a=churn/3",
    ]

    ordered = sorted(texts, key=lambda t: rank_key(t, NodeKind.MODEL_VERSION))

    assert ordered == [texts[4], texts[2], texts[3], texts[1], texts[0]]
    assert leading(texts, NodeKind.MODEL_VERSION) == "mlflow.model_version@a=churn/3"


def test_a_scheme_has_no_rank_in_a_kind_that_it_does_not_identify() -> None:
    with pytest.raises(BadIdentifier, match="Run"):
        rank_key("tag=x", NodeKind.RUN)


def test_the_kind_of_a_scheme_that_several_kinds_share_is_open() -> None:
    assert kind_of("kinlore=0190f2a4-6b1c-7def-8123-456789abcdef") is None
    assert kind_of("git.sha=" + "a" * 40) is NodeKind.COMMIT


def test_a_scheme_is_found_by_name() -> None:
    assert scheme_named("git.sha").exclusive
