"""Node kinds: what the graph can hold. Declared once; tables, labels, enums and docs derive from here."""

from __future__ import annotations

import re
from enum import StrEnum
from types import MappingProxyType

import msgspec

from graph_schema.errors import DeclarationError


class NodeKind(StrEnum):
    """Kinds of node. The value is the label in Neo4j; the name is the GraphQL enum value."""

    REPOSITORY = "Repository"
    COMMIT = "Commit"
    PULL_REQUEST = "PullRequest"
    DATASET = "Dataset"
    DATASET_VERSION = "DatasetVersion"
    EXPERIMENT = "Experiment"
    RUN = "Run"
    JOB = "Job"
    JOB_RUN = "JobRun"
    MODEL = "Model"
    MODEL_VERSION = "ModelVersion"
    ARTIFACT = "Artifact"
    RUNTIME = "Runtime"
    ENVIRONMENT = "Environment"
    DEPLOYMENT = "Deployment"
    INCIDENT = "Incident"
    CHECK = "Check"
    REMEDIATION = "Remediation"
    ATTEMPT = "Attempt"
    PATTERN = "Pattern"
    PATTERN_VERSION = "PatternVersion"
    DECISION = "Decision"
    REVIEW = "Review"
    DOCUMENT = "Document"
    PERSON = "Person"
    TEAM = "Team"
    TAG = "Tag"

    @property
    def scope_name(self) -> str:
        """How the kind is spelled as the scope of a content scheme: ``model_version``."""
        return self.name.lower()


#: Order in which source types are believed, unless a kind declares its own.
DEFAULT_PRECEDENCE = (
    "kinlore",
    "mlflow",
    "git",
    "dvc",
    "github",
    "gitlab",
    "openlineage",
    "bentoml",
    "kubernetes",
    "oci",
    "pagerduty",
    "alertmanager",
    "events",
    "backstage",
)


class KindSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Declaration of a node kind.

    ``schemes`` are the identifier schemes that join, best first (their order is the rank).
    ``properties`` are the keys that people filter by most; stores may index them.
    ``precedence`` orders source types where two sources state the same property.
    """

    kind: NodeKind
    what: str
    schemes: tuple[str, ...]
    properties: tuple[str, ...] = ()
    precedence: tuple[str, ...] = DEFAULT_PRECEDENCE

    def __post_init__(self) -> None:
        if not self.what or self.what[-1] == ".":
            raise DeclarationError(f"{self.kind}: describe it in a phrase without a full stop")
        if not self.schemes or len(set(self.schemes)) != len(self.schemes):
            raise DeclarationError(f"{self.kind}: needs identifier schemes, each once")
        for key in self.properties:
            if not re.fullmatch(r"[a-z][A-Za-z0-9]*", key):
                raise DeclarationError(f"{self.kind}: property {key!r} is not lowerCamelCase")


def _spec(kind: NodeKind, what: str, schemes: str, properties: str = "") -> KindSpec:
    return KindSpec(
        kind=kind, what=what, schemes=tuple(schemes.split()), properties=tuple(properties.split())
    )


_K = NodeKind

KINDS: MappingProxyType[NodeKind, KindSpec] = MappingProxyType(
    {
        spec.kind: spec
        for spec in (
            _spec(_K.REPOSITORY, "a code repository", "git.remote", "defaultBranch"),
            _spec(_K.COMMIT, "one state of the code", "git.sha", "author authorEmail committedAt"),
            _spec(
                _K.PULL_REQUEST,
                "how a change was agreed: a pull or merge request",
                "github.pull_request gitlab.merge_request",
                "status author",
            ),
            _spec(_K.DATASET, "data under one name, whatever its state", "dataset", "path"),
            _spec(
                _K.DATASET_VERSION,
                "one state of a data set",
                "dvc.md5 md5 sha256 openlineage.dataset_version",
                "size path",
            ),
            _spec(_K.EXPERIMENT, "a group of runs", "mlflow.experiment_id", "lifecycleStage"),
            _spec(
                _K.RUN,
                "one training, evaluation or tuning run",
                "mlflow.run_id dvc.experiment kinlore.run",
                "status startedAt endedAt user",
            ),
            _spec(
                _K.JOB,
                "a pipeline or a task of one",
                "openlineage.job github.workflow gitlab.job_name",
                "schedule",
            ),
            _spec(
                _K.JOB_RUN,
                "one execution of a job",
                "openlineage.run_id airflow.dag_run airflow.task_instance github.workflow_run gitlab.pipeline"
                " gitlab.job",
                "status startedAt endedAt",
            ),
            _spec(_K.MODEL, "a registered model, whatever its version", "mlflow.model"),
            _spec(
                _K.MODEL_VERSION,
                "one version of a registered model, or a logged model",
                "mlflow.model_version mlflow.logged_model bentoml.model sha256 md5",
                "status version stage",
            ),
            _spec(
                _K.ARTIFACT,
                "anything else that was produced or packaged: an image, a bento",
                "oci.digest bentoml.bento sha256 md5",
            ),
            _spec(
                _K.RUNTIME,
                "what it ran on: lock file and image digests, interpreter, hardware",
                "runtime",
                "python",
            ),
            _spec(_K.ENVIRONMENT, "a place where things run", "environment"),
            _spec(
                _K.DEPLOYMENT,
                "one release of something into an environment",
                "k8s.uid deployment",
                "status startedAt endedAt",
            ),
            _spec(
                _K.INCIDENT,
                "something went wrong, from first signal to resolution",
                "alertmanager.alert pagerduty.incident github.issue gitlab.issue kinlore",
                "status severity startedAt endedAt",
            ),
            _spec(
                _K.CHECK,
                "a data-quality, drift, fairness or regression check and its result",
                "check",
                "status checkedAt",
            ),
            _spec(_K.REMEDIATION, "a way to fix something", "kinlore"),
            _spec(_K.ATTEMPT, "one use of a remediation and its outcome", "kinlore", "outcome"),
            _spec(_K.PATTERN, "a proven practice", "kinlore"),
            _spec(_K.PATTERN_VERSION, "one version of a pattern, with its evidence", "kinlore", "version"),
            _spec(_K.DECISION, "an entry of the decision log", "kinlore", "status"),
            _spec(_K.REVIEW, "a post-incident or experiment review", "kinlore"),
            _spec(
                _K.DOCUMENT,
                "a model card, a runbook, a plan, the notes of a release",
                "kinlore github.release gitlab.release",
            ),
            _spec(
                _K.PERSON,
                "somebody who owns or did something",
                "email github.login gitlab.username backstage.user",
            ),
            _spec(_K.TEAM, "people who own something together", "team"),
            _spec(_K.TAG, "a label", "tag"),
        )
    }
)

#: Property keys with one meaning on every kind; they fill the fields of a node in answers.
RESERVED_PROPERTIES = ("name", "url", "createdAt")

#: Properties that tell when something was seen. They differ from one pull to the next and are no state.
OBSERVED_PROPERTIES = frozenset({"aliasHistory"})

#: States of a run, a job run or a check after which nothing more happens.
TERMINAL_STATUSES = frozenset(
    {"FINISHED", "FAILED", "KILLED", "COMPLETE", "ABORTED", "SKIPPED", "RESOLVED", "CLOSED"}
)

_BY_SCOPE = {kind.scope_name: kind for kind in NodeKind}


def kind_of_scope(scope: str) -> NodeKind | None:
    """The kind that a content scheme's scope names (``model_version``), if any."""
    return _BY_SCOPE.get(scope)


if set(KINDS) != set(NodeKind):
    raise DeclarationError("every NodeKind needs exactly one declaration")
