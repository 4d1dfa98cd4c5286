"""What the models and bentos of a store say. Pure functions over what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph_schema.claims import Claim, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import format_time
from ingestors.sources.bentoml.store import short_text


def bento_claims(data: Mapping[str, Any], scope: str) -> list[Claim]:
    """What a bento says: it packs models, and its label ``git_sha`` names the commit of its code."""
    me = identifier("bentoml.bento", data["tag"], scope)
    at = data["createdAt"]
    properties = {"name": data["tag"], **{k: v for k, v in data.items() if k not in ("tag", "models")}}
    claims: list[Claim] = [
        Names(NodeKind.ARTIFACT, (me,)),
        States(NodeKind.ARTIFACT, me, _told(properties), at),
    ]
    for tag in data["models"]:
        model = identifier("bentoml.model", tag, scope)
        claims.append(Links(EdgeKind.PACKAGED_IN, model, me, at))
    try:
        commit = identifier("git.sha", str(data["labels"].get("git_sha", "")))
    except BadIdentifier:
        # A shortened id names no commit for certain; it stays among the labels.
        return claims
    claims.append(Links(EdgeKind.CODE_FOR, commit, me, at))
    return claims


def model_claims(data: Mapping[str, Any], scope: str) -> list[Claim]:
    """What a model says: its content, the run that made it, the model in MLflow that it is a copy of."""
    kind = NodeKind.MODEL_VERSION
    me = identifier("bentoml.model", data["tag"], scope)
    at, metadata = data["createdAt"], data["metadata"]
    # An empty file is the content of nothing.
    content = [
        identifier(scheme, data[scheme], kind=kind) for scheme in ("md5", "sha256") if data.get("size")
    ]
    properties = {"name": data["tag"], **{k: v for k, v in data.items() if k not in ("tag", "md5", "sha256")}}
    claims: list[Claim] = [
        Names(kind, (me, *content)),
        States(kind, me, _told(properties), at),
    ]
    run, logged = data["mlflowRunId"], data["mlflowModelId"]
    if run is not None:
        evidence = f"BentoML's copy {data['tag']} names the run that made it"
        claims.append(Links(EdgeKind.PRODUCED, identifier("mlflow.run_id", run), me, at, evidence=evidence))
    model, version = short_text(metadata.get("mlflow_model")), short_text(metadata.get("mlflow_version"))
    if model is not None and version is not None:
        # Which tracking server that is nobody says here: it joins where one version matches.
        original, said = identifier("mlflow.model_version", f"{model}/{version}"), f"{model} {version}"
    elif logged is not None:
        original, said = identifier("mlflow.logged_model", logged), f"the logged model {logged}"
    else:
        return claims
    when = "" if at is None else f", made {format_time(at)}"
    evidence = f"BentoML's copy {data['tag']}{when}, names {said} of MLflow as its original"
    claims.append(Links(EdgeKind.SAME_AS, original, me, evidence=evidence))
    return claims


def _told(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if value not in (None, {}, "")}
