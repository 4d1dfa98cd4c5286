"""What experiments and runs say: pure functions from an item's data to claims."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from graph_schema.claims import Claim, Finds, Keyed, Links, Properties, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, format_time, from_millis
from ingestors import series, tables
from ingestors.joins import captured
from ingestors.sources.mlflow import names
from ingestors.sources.mlflow.names import Names, tidy

Data = Mapping[str, Any]

# What has a place of its own among the properties, or is bulk that nobody asks for.
_NOT_TAGS = frozenset(
    {
        "mlflow.log-model.history",
        "mlflow.loggedArtifacts",
        "mlflow.loggedImages",
        "mlflow.modelVersions",
        "mlflow.note.content",
        "mlflow.parentRunId",
        "mlflow.runName",
        "mlflow.source.git.branch",
        "mlflow.source.git.commit",
        "mlflow.source.git.diff",
        "mlflow.source.git.dirty",
        "mlflow.source.git.repoURL",
        "mlflow.source.name",
        "mlflow.source.type",
        "mlflow.user",
        "kinlore.diff",
        "kinlore.dirty",
        "kinlore.dvc",
        "kinlore.error_type",
        "kinlore.run",
        "kinlore.traceback",
    }
)
#: Run tags in which people keep what went wrong, the shortest first. Read of runs that did not succeed.
ERROR_TAGS = (
    "error", "error_message", "exception", "failure_reason", "error.message", "traceback",
    "kinlore.traceback",
)  # fmt: skip
_COMMIT_TAGS = ("mlflow.source.git.commit", "mlflow.databricks.gitRepoCommit")
_REPOSITORY_TAGS = ("mlflow.source.git.repoURL", "mlflow.databricks.gitRepoUrl")
_DIRTY_TAGS = ("mlflow.source.git.dirty", "kinlore.dirty")
_IMAGE_TAGS = ("mlflow.docker.image.id", "mlflow.docker.image.uri")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def moment(millis: int | None) -> Micros | None:
    """Milliseconds of MLflow as microseconds; what lies outside the years 1 to 9999 is no time."""
    if millis is None:
        return None
    try:
        return from_millis(millis)
    except BadInput:
        return None


def written(at: Micros | None) -> str | None:
    """A time as properties hold it: ISO 8601 in UTC."""
    return None if at is None else format_time(at)


def filled(**properties: Any) -> Properties:
    """Only the properties that say something."""
    return {key: value for key, value in properties.items() if value not in (None, "", [], {})}


def kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without those that have a place of their own, and without bulk."""
    return {key: value for key, value in tags.items() if key not in _NOT_TAGS}


def first(tags: Mapping[str, str], keys: Sequence[str]) -> str | None:
    """The first of these tags that has a value."""
    for key in keys:
        if value := tags.get(key):
            return value
    return None


def experiment_claims(data: Data, to: Names) -> list[Claim]:
    """An experiment: name, stage, page."""
    properties = filled(
        name=data["name"],
        url=to.page("experiments", data["id"]),
        createdAt=moment(data["created"]),
        lifecycleStage=data["stage"],
        description=data["tags"].get("mlflow.note.content"),
        tags=kept_tags(data["tags"]),
    )
    me = to.experiment(data["id"])
    return [
        States(NodeKind.EXPERIMENT, me, properties),
        *series.called(me, series.EXPERIMENT, data["name"] or data["id"]),
    ]


def run_claims(data: Data, to: Names) -> list[Claim]:
    """A run: its properties, what it belongs to, its code, its data, what it ran on."""
    me = names.run(data["id"])
    tags: Mapping[str, str] = data["tags"]
    start = moment(data["start"])
    commit = _commit(tags)
    claims: list[Claim] = [
        States(NodeKind.RUN, me, _properties(data, to, start, commit)),
        Links(EdgeKind.HAS, to.experiment(data["experiment"]), me, start),
    ]
    parent = tags.get("mlflow.parentRunId")
    if parent and parent != data["id"]:
        claims.append(Links(EdgeKind.HAS, names.run(parent), me, start))
    if job_run := tidy("openlineage.run_id", tags.get("openlineage.run_id", "")):
        claims.append(Links(EdgeKind.HAS, job_run, me, start))
    if command := tidy("kinlore.run", tags.get("kinlore.run", "")):
        claims.append(captured.made(command, me, start, names.run(parent) if parent else None))
    if commit is not None:
        about = filled(dirty=dirty(tags), script=tags.get("mlflow.source.name"))
        claims.append(Links(EdgeKind.CODE_FOR, commit, me, start, properties=about or None))
        if repository := tidy("git.remote", first(tags, _REPOSITORY_TAGS) or ""):
            claims.append(Links(EdgeKind.HAS, repository, commit))
    if image := first(tags, _IMAGE_TAGS):
        claims += runtime_claims({"image": image}, {"image": image}, me, start)
    claims += _measured(data, me, to)
    held = _held_by_dvc(tags)
    for used in data["inputs"]:
        # Two inputs may share a digest: what is said twice is one claim.
        claims += [c for c in _input_claims(used, me, start, commit, dirty(tags), held) if c not in claims]
    return claims


def _measured(data: Data, me: str, to: Names) -> list[Claim]:
    """Its metrics, for bounds on them, once they are final."""
    at = moment(data["end"])
    if data["status"] != "FINISHED" or at is None or not series.numbers(data["metrics"]):
        return []
    named = {"name": data["name"]} if data["name"] else {}
    return [
        *series.measured(me, at, data["metrics"]),
        *series.member(to.experiment(data["experiment"]), me, at, metrics=data["metrics"], data=named),
    ]


def _properties(data: Data, to: Names, start: Micros | None, commit: str | None) -> Properties:
    tags: Mapping[str, str] = data["tags"]
    properties = filled(
        name=data["name"],
        url=to.page("experiments", data["experiment"], "runs", data["id"]),
        createdAt=start,
        status=data["status"],
        startedAt=written(start),
        endedAt=written(moment(data["end"])),
        user=data["user"],
        lifecycleStage=data["stage"],
        params=data["params"],
        metrics=data["metrics"],
        tags=kept_tags(tags),
        commit=commit.partition("=")[2] if commit else first(tags, _COMMIT_TAGS),
        branch=tags.get("mlflow.source.git.branch"),
        script=tags.get("mlflow.source.name"),
        description=tags.get("mlflow.note.content"),
        error=error_in_tags(data),
        errorType=tags.get("kinlore.error_type") if data["status"] != "FINISHED" else None,
        diff=tags.get("kinlore.diff"),
        inputs=[_fact(used) for used in data["inputs"]],
    )
    if (is_dirty := dirty(tags)) is not None:
        properties["dirty"] = is_dirty
    return properties


def error_in_tags(data: Data) -> str | None:
    """What went wrong, where a tag says it. A successful run's tag ``error`` is some number of its own."""
    if data["status"] == "FINISHED":
        return None
    texts: list[str] = []
    for key in ERROR_TAGS:
        text = data["tags"].get(key, "").strip()
        # A traceback ends with the message: saying both would say it twice.
        if text and not any(text in other for other in texts):
            texts = [other for other in texts if other not in text]
            texts.append(text)
    return "\n".join(texts) or None


def error_claims(data: Data) -> list[Claim]:
    """The text of an error that lay among a failed run's artifacts."""
    properties: Properties = {"error": data["text"], "errorArtifact": data["path"]}
    return [States(NodeKind.RUN, names.run(data["run"]), properties)] if data["text"] else []


def model_input_claims(data: Data) -> list[Claim]:
    """Logged models that a run read, to evaluate them for instance; no lineage edge says that."""
    models = list(data["models"])
    return [States(NodeKind.RUN, names.run(data["run"]), {"modelInputs": models})] if models else []


def dirty(tags: Mapping[str, str]) -> bool | None:
    """Whether the tree differed from the commit; None where nobody said."""
    if tags.get("mlflow.source.git.diff", "").strip():
        return True
    said = (first(tags, _DIRTY_TAGS) or "").strip().lower()
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(said)


def _commit(tags: Mapping[str, str]) -> str | None:
    said = first(tags, _COMMIT_TAGS)
    return tidy("git.sha", said) if said else None


# --- data ----------------------------------------------------------------------------------------------


def _fact(used: Data) -> Properties:
    tags = used["tags"]
    return filled(
        name=used["name"],
        context=used["context"],
        digest=used["digest"],
        source=used["source"],
        sourceType=used["sourceType"],
        dvcMd5=tags.get("dvc.md5"),
        dvcPath=tags.get("dvc.path"),
        dataset=_table(tags),
    )


def _table(tags: Mapping[str, str]) -> str | None:
    namespace, name = tags.get("openlineage.dataset.namespace"), tags.get("openlineage.dataset.name")
    return f"{namespace}/{name}" if namespace and name and tidy("dataset", f"{namespace}/{name}") else None


def _held_by_dvc(tags: Mapping[str, str]) -> dict[str, str]:
    """Path → md5, as DVC's files in the working tree had it when the run began; kinlore-client tells."""
    try:
        told = json.loads(tags.get("kinlore.dvc", "{}"))
    except (ValueError, RecursionError):
        return {}
    return (
        {str(path): md5 for path, md5 in told.items() if isinstance(md5, str)}
        if isinstance(told, dict)
        else {}
    )


def _input_claims(
    used: Data,
    run: str,
    start: Micros | None,
    commit: str | None,
    is_dirty: bool | None,
    held: Mapping[str, str],
) -> list[Claim]:
    """Content first, then a table's name, then commit and path. MLflow's digest finds and never joins."""
    claims: list[Claim] = []
    tags: Mapping[str, str] = used["tags"]
    about = filled(context=used["context"], name=used["name"])
    content = tidy("dvc.md5", tags["dvc.md5"]) if "dvc.md5" in tags else None
    path, told_by = _path(used)
    if content is None and path is not None and path in held:
        content = tidy("dvc.md5", held[path])
        about["path"] = path
    table = _table(tags)
    if content is not None:
        claims.append(Links(EdgeKind.INPUT_TO, content, run, start, properties=about or None))
        if "://" in used["source"]:
            claims.append(Finds("uri", used["source"], content))
    if table is not None and start is not None:
        claims.append(tables.read(table, run, start, properties=about))
    if content is None and table is None and commit is not None and is_dirty is not True and path is not None:
        # The rule works out what the commit's tree held there. Without ``clean`` nobody said that it was.
        data = {
            "path": path,
            "pathFrom": told_by,
            **({} if is_dirty is None else {"clean": True}),
            **about,
        }
        sha = commit.partition("=")[2]
        claims.append(Keyed("tree", sha, "reads", run, None, start, None, data))
    if used["digest"]:
        claims.append(Finds("mlflow.dataset_digest", used["digest"], content or run))
    return claims


def _path(used: Data) -> tuple[str | None, str]:
    """A path in the repository, and what told it: the tag ``dvc.path``, or the source of a local data set.

    MLflow records a local source as it was given. A relative one is relative to where the script ran,
    mostly the repository's root; it joins only if DVC holds exactly that path in the commit's tree. An
    absolute one says nothing about the repository.
    """
    if "dvc.path" in used["tags"]:
        return _relative(used["tags"]["dvc.path"]), "dvc.path"
    if used["sourceType"] == "local":
        return _relative(used["source"]), "source"
    return None, ""


def _relative(path: str) -> str | None:
    path = path.strip()
    if not path or "\\" in path or "\0" in path or path.startswith(("/", "~")) or _SCHEME.match(path):
        return None
    tidied = posixpath.normpath(path)
    return None if tidied == "." or tidied.startswith("..") else tidied


# --- what it ran on ------------------------------------------------------------------------------------


def runtime_claims(
    parts: Mapping[str, str], properties: Properties, run: str | None, since: Micros | None
) -> list[Claim]:
    """A runtime is named by the digest of its parts, so that equal ones are one node."""
    digest = hashlib.sha256(json.dumps(dict(parts), sort_keys=True).encode()).hexdigest()
    me = f"runtime={digest}"
    claims: list[Claim] = [States(NodeKind.RUNTIME, me, properties)]
    if run is not None:
        claims.append(Links(EdgeKind.RUNTIME_OF, me, run, since))
    return claims


def environment_claims(data: Data) -> list[Claim]:
    """The environment that MLflow wrote beside a logged model: interpreter and requirements."""
    parts = filled(python=data["python"], requirements=data["requirementsDigest"])
    if not parts:
        return []
    properties = filled(
        name=f"Python {data['python']}" if data["python"] else None,
        python=data["python"],
        packages=list(data["packages"]),
    )
    run = names.run(data["run"]) if data["run"] else None
    return runtime_claims(parts, properties, run, moment(data["created"]))
