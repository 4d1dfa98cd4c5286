"""Identifier schemes: how a thing is named, how far the name reaches, and how it is spelled."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import msgspec

from graph_schema import normalise
from graph_schema.errors import DeclarationError
from graph_schema.kinds import KINDS, NodeKind

Normaliser = Callable[[str], str]


class Scheme(msgspec.Struct, frozen=True, kw_only=True):
    """Declaration of a scheme.

    ``scoped``: the value is unique only within one installation of a tool, which becomes the scope.
    ``content``: several kinds share it (a digest); the kind becomes the scope.
    ``exclusive``: a node, and everything that is ``SAME_AS`` it, has at most one value (per scope).
    ``joins``: whether sharing a value makes two nodes one. Look-up schemes find, and never join.
    """

    name: str
    what: str
    normalise: Normaliser
    example: str
    scoped: bool = False
    content: bool = False
    exclusive: bool = False
    joins: bool = True

    def __post_init__(self) -> None:
        if self.scoped and self.content:
            raise DeclarationError(f"{self.name}: scoped by installation or by kind, not both")
        if self.normalise(self.example) != self.example:
            raise DeclarationError(f"{self.name}: the example {self.example!r} is not in normal form")

    @property
    def kinds(self) -> tuple[NodeKind, ...]:
        """The kinds that this scheme identifies, in declared order."""
        return _KINDS_OF.get(self.name, ())


_n = normalise
_SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
_MD5 = "1bc29b36f623ba82aaf6724fd3b16718"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_UUID = "0190f2a4-6b1c-7def-8123-456789abcdef"

SCHEMES: MappingProxyType[str, Scheme] = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            Scheme(
                name="git.remote",
                what="where a repository lives",
                normalise=_n.git_remote,
                example="github.com/acme/churn",
            ),
            Scheme(name="git.sha", what="a commit's id", normalise=_n.git_sha, example=_SHA, exclusive=True),
            Scheme(
                name="github.pull_request",
                what="repository and number",
                normalise=_n.numbered,
                example="acme/churn#7",
            ),
            Scheme(
                name="gitlab.merge_request",
                what="project and number",
                normalise=_n.numbered,
                example="acme/churn!7",
            ),
            Scheme(
                name="dataset",
                what="namespace and name of a data set",
                normalise=_n.namespaced,
                example="postgres://db/public.users",
            ),
            Scheme(
                name="dvc.md5",
                what="content as DVC writes it",
                normalise=_n.dvc_md5,
                example=f"{_MD5}.dir",
                exclusive=True,
            ),
            Scheme(name="md5", what="md5 of the content", normalise=_n.md5, example=_MD5, content=True),
            Scheme(
                name="sha256",
                what="sha256 of the content",
                normalise=_n.sha256,
                example=_SHA256,
                content=True,
            ),
            Scheme(
                name="openlineage.dataset_version",
                what="the data set and the run that wrote it",
                normalise=_n.namespaced,
                example=f"postgres://db/public.users@{_UUID}",
            ),
            Scheme(
                name="mlflow.experiment_id",
                what="an experiment of a tracking server",
                normalise=_n.text,
                example="12",
                scoped=True,
                exclusive=True,
            ),
            Scheme(
                name="mlflow.run_id",
                what="a tracked run",
                normalise=_n.text,
                example=_MD5,
                exclusive=True,
            ),
            Scheme(
                name="dvc.experiment",
                what="the commit of a DVC experiment",
                normalise=_n.git_sha,
                example=_SHA,
                exclusive=True,
            ),
            Scheme(
                name="kinlore.run",
                what="a run that Kinlore recorded",
                normalise=_n.uuid,
                example=_UUID,
                exclusive=True,
            ),
            Scheme(
                name="openlineage.job",
                what="namespace and name of a job",
                normalise=_n.namespaced,
                example="airflow/etl.load_users",
            ),
            Scheme(name="openlineage.run_id", what="a run of a job", normalise=_n.uuid, example=_UUID),
            Scheme(
                name="airflow.dag_run",
                what="DAG and run",
                normalise=_n.name_version,
                example="etl/scheduled__2026-01-31",
                scoped=True,
                exclusive=True,
            ),
            Scheme(
                name="airflow.task_instance",
                what="DAG, run and task",
                normalise=_n.name_version,
                example="etl/scheduled__2026-01-31/load",
                scoped=True,
                exclusive=True,
            ),
            Scheme(
                name="github.workflow",
                what="repository and file of a workflow",
                normalise=_n.located,
                example="acme/churn/.github/workflows/train.yml",
            ),
            Scheme(
                name="github.workflow_run",
                what="repository and id of a workflow run",
                normalise=_n.numbered,
                example="acme/churn#1589141559",
            ),
            Scheme(
                name="gitlab.job_name",
                what="project and name of a CI job, or the file of a pipeline",
                normalise=_n.tagged,
                example="acme/churn@train",
            ),
            Scheme(
                name="gitlab.pipeline",
                what="project and id of a pipeline",
                normalise=_n.numbered,
                example="acme/churn#31",
            ),
            Scheme(
                name="gitlab.job",
                what="project and id of a CI job",
                normalise=_n.numbered,
                example="acme/churn#377",
            ),
            Scheme(
                name="mlflow.model",
                what="a registered model",
                normalise=_n.text,
                example="churn",
                scoped=True,
            ),
            Scheme(
                name="mlflow.model_version",
                what="registered model and version",
                normalise=_n.name_version,
                example="churn/3",
                scoped=True,
            ),
            Scheme(
                name="mlflow.logged_model",
                what="a logged model",
                normalise=_n.text,
                example="m-8d2f0c6b1e3a4f5d9c7b6a5e4d3c2b1a",
                exclusive=True,
            ),
            Scheme(
                name="bentoml.model",
                what="a model in a BentoML store",
                normalise=_n.name_tag,
                example="churn:k2vq5wtx6gm3kasc",
                scoped=True,
            ),
            Scheme(
                name="bentoml.bento",
                what="a bento in a BentoML store",
                normalise=_n.name_tag,
                example="churn_service:k2vq5wtx6gm3kasc",
                scoped=True,
            ),
            Scheme(
                name="oci.digest",
                what="an image's manifest digest",
                normalise=_n.oci_digest,
                example=f"sha256:{_SHA256}",
            ),
            Scheme(
                name="runtime",
                what="digest of a runtime's parts",
                normalise=_n.lower,
                example=_SHA256,
                exclusive=True,
            ),
            Scheme(
                name="environment",
                what="name of an environment",
                normalise=_n.text,
                example="prod",
                scoped=True,
            ),
            Scheme(name="k8s.uid", what="uid of an object", normalise=_n.uuid, example=_UUID, exclusive=True),
            Scheme(
                name="deployment",
                what="environment, name and revision",
                normalise=_n.namespaced,
                example="prod/churn@7",
                scoped=True,
            ),
            Scheme(
                name="alertmanager.alert",
                what="fingerprint and start of an alert",
                normalise=_n.text,
                example="9c1a5b2f@2026-01-31T10:00:00.000Z",
            ),
            Scheme(
                name="pagerduty.incident",
                what="id of an incident",
                normalise=_n.text,
                example="Q1ABCDEF2GHIJK",
            ),
            Scheme(
                name="github.issue",
                what="repository and number",
                normalise=_n.numbered,
                example="acme/churn#9",
            ),
            Scheme(
                name="gitlab.issue",
                what="project and number",
                normalise=_n.numbered,
                example="acme/churn#9",
            ),
            Scheme(
                name="github.release",
                what="repository and tag",
                normalise=_n.tagged,
                example="acme/churn@v1.2",
            ),
            Scheme(
                name="gitlab.release",
                what="project and tag",
                normalise=_n.tagged,
                example="acme/churn@v1.2",
            ),
            Scheme(
                name="check",
                what="the source's own id of a check result",
                normalise=_n.text,
                example="validations/users.json",
                scoped=True,
            ),
            Scheme(
                name="kinlore",
                what="something recorded in Kinlore",
                normalise=_n.uuid,
                example=_UUID,
                exclusive=True,
            ),
            Scheme(name="email", what="a mail address", normalise=_n.email, example="ada@example.com"),
            Scheme(name="github.login", what="a GitHub login", normalise=_n.lower, example="ada"),
            Scheme(name="gitlab.username", what="a GitLab user name", normalise=_n.lower, example="ada"),
            Scheme(
                name="backstage.user",
                what="namespace and name of a User entity",
                normalise=_n.name_version,
                example="default/ada",
            ),
            Scheme(name="team", what="name of a team", normalise=_n.text, example="growth-ml"),
            Scheme(name="tag", what="the label", normalise=_n.text, example="out-of-memory"),
            # Look-up only: they repeat, get overwritten or collide.
            Scheme(name="name", what="a display name", normalise=_n.text, example="churn", joins=False),
            Scheme(
                name="uri",
                what="an address that may be overwritten",
                normalise=_n.text,
                example="s3://b/k",
                joins=False,
            ),
            Scheme(
                name="etag", what="an object store's etag", normalise=_n.text, example="33a6", joins=False
            ),
            Scheme(
                name="mlflow.dataset_digest",
                what="MLflow's digest, blind beyond row 10,000",
                normalise=_n.text,
                example="8f1c2d3e",
                joins=False,
            ),
            Scheme(
                name="dedup_key", what="an alerting key", normalise=_n.text, example="srv01/HTTP", joins=False
            ),
        )
    }
)

_KINDS_OF: dict[str, tuple[NodeKind, ...]] = {}
for _kind, _declared in KINDS.items():
    for _name in _declared.schemes:
        if _name not in SCHEMES:
            raise DeclarationError(f"{_kind}: the scheme {_name!r} is not declared")
        _KINDS_OF[_name] = (*_KINDS_OF.get(_name, ()), _kind)

for _scheme in SCHEMES.values():
    if _scheme.joins and not _scheme.kinds:
        raise DeclarationError(f"{_scheme.name}: no kind is identified by it")
    if _scheme.content and len(_scheme.kinds) < 2:
        raise DeclarationError(f"{_scheme.name}: a content scheme is shared by several kinds")
