"""What ``kinlore run`` and ``kinlore_client.record`` tell: commands and their data, one delivery each."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from graph_schema.claims import Claim, Links, Names, Properties, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, parse_time
from ingestors.joins import captured
from ingestors.source import Delivery, Item, PushedConfig, Source

MAX_BODY = 1_000_000
_MAX_DATA = 2_000


class CaptureConfig(PushedConfig):
    """Keys of every source that is pushed."""


class _Data(msgspec.Struct, rename={"dvc_md5": "dvc.md5"}, omit_defaults=True):
    """A file, a folder or anything with a digest. ``path`` is relative to the repository's root where it lies
    inside it."""

    path: str | None = None
    name: str | None = None
    dvc_md5: str | None = None
    md5: str | None = None
    sha256: str | None = None
    size: int | None = None
    files: int | None = None


class _Code(msgspec.Struct, omit_defaults=True):
    """The working tree, see :func:`ingestors.worktree.read`."""

    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    dirty: bool | None = None
    diff: str | None = None
    folder: str | None = None
    dvc: dict[str, str] = {}


class _Error(msgspec.Struct, omit_defaults=True):
    """An exception: type, message, the frames it came through, and how it was printed."""

    type: str
    message: str = ""
    text: str = ""
    frames: list[dict[str, Any]] = []


class _Runtime(msgspec.Struct, omit_defaults=True):
    """``parts`` name the runtime, ``packages`` are shown."""

    parts: dict[str, Any] = {}
    packages: dict[str, str] = {}


class _Told(msgspec.Struct, omit_defaults=True):
    """A delivery. Times are ISO 8601. ``kind`` is ``run`` for a command that ended, ``lineage`` for data that
    a process says it read or wrote; then ``run`` or ``mlflow_run_id`` names whose they are."""

    format: Literal[1]
    kind: Literal["run", "lineage"]
    id: str
    started: str
    ended: str
    run: str | None = None
    mlflow_run_id: str | None = None
    parent: str | None = None
    rank: int | None = None
    ranks: int | None = None
    name: str | None = None
    command: list[str] = []
    exit_code: int | None = None
    signal: str | None = None
    user: str | None = None
    host: str | None = None
    code: _Code = msgspec.field(default_factory=_Code)
    runtime: _Runtime = msgspec.field(default_factory=_Runtime)
    inputs: list[_Data] = []
    outputs: list[_Data] = []
    error: _Error | None = None
    log: str | None = None


_decode = msgspec.json.Decoder(_Told).decode


class CaptureSource(Source):
    """Commands that ``kinlore run`` ran, and data that ``kinlore_client.record`` named."""

    type = "capture"
    config_model = CaptureConfig
    pulls = False
    accepts = True

    def delivery_id(self, delivery: Delivery) -> str | None:
        """A capture is sent until it is acknowledged, so it may come twice."""
        return _read(delivery).id

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        """One item: a process of a command (``run/rank``), or a word on data."""
        told = _read(delivery)
        key = f"{told.run}/{told.rank or 0}" if told.kind == "run" else f"lineage/{told.id}"
        return [Item(key, told.kind, parse_time(told.ended), msgspec.to_builtins(told))]

    def to_claims(self, item: Item) -> Sequence[Claim]:
        """A run with its code, data and runtime; or data of a run that others tell of."""
        told = msgspec.convert(item.data, _Told)
        started, ended = parse_time(told.started), parse_time(told.ended)
        me = identifier("kinlore.run", told.run) if told.run is not None else None
        if told.mlflow_run_id is not None:
            me = identifier("mlflow.run_id", told.mlflow_run_id)
        if me is None:
            raise BadInput("a capture needs run or mlflow_run_id: whose data is it?")
        claims: list[Claim] = [Names(NodeKind.RUN, (me,))]
        if told.kind == "run":
            properties = _properties(told, started)
            claims.append(captured.part(me, ended, properties["status"], told.rank, properties))
            if told.parent is not None and told.parent != told.run:
                claims.append(Links(EdgeKind.HAS, identifier("kinlore.run", told.parent), me, started))
        elif told.name is not None:
            claims.append(States(NodeKind.RUN, me, _filled(name=told.name, user=told.user), ended))
        claims += _code(told, me, started)
        claims += _runtime(told, me, started)
        for each in told.inputs:
            claims += _data(each, told.code.remote, lambda d: Links(EdgeKind.INPUT_TO, d, me, started))
        for each in told.outputs:
            claims += _data(each, told.code.remote, lambda d: Links(EdgeKind.PRODUCED, me, d, ended))
        unique: list[Claim] = []
        for claim in claims:
            if claim not in unique:
                unique.append(claim)
        return unique


def _read(delivery: Delivery) -> _Told:
    if len(delivery.body) > MAX_BODY:
        raise BadInput(f"a capture has at most {MAX_BODY:,} bytes; this has {len(delivery.body):,}")
    try:
        told = _decode(delivery.body)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise BadInput(f"no capture: {problem}") from None
    if told.kind == "run" and (told.run is None or not told.command):
        raise BadInput("no capture: a run needs run and command")
    if told.run is None and told.mlflow_run_id is None:
        raise BadInput("no capture: it needs run or mlflow_run_id")
    if told.run is not None:
        told.run = identifier("kinlore.run", told.run).partition("=")[2]
    if not told.id or len(told.id) > 200:
        raise BadInput("no capture: id is 1 to 200 characters")
    return told


def _filled(**properties: Any) -> Properties:
    return {key: value for key, value in properties.items() if value not in (None, "", [], {})}


def _properties(told: _Told, started: Micros) -> Properties:
    error = told.error
    status = "KILLED" if told.signal else "FAILED" if told.exit_code else "FINISHED"
    ended = parse_time(told.ended)
    properties = _filled(
        name=told.name or _name(told.command),
        createdAt=started,
        status=status,
        startedAt=told.started,
        endedAt=told.ended,
        duration=round((ended - started) / 1_000_000, 3),
        exitCode=told.exit_code,
        signal=told.signal,
        user=told.user,
        host=told.host,
        command=shlex.join(told.command),
        params=options(told.command),
        processes=told.ranks,
        rank=told.rank if told.rank is not None and status != "FINISHED" else None,
        commit=told.code.commit,
        branch=told.code.branch,
        dirty=told.code.dirty,
        diff=told.code.diff,
        data=dict(sorted(told.code.dvc.items())[:_MAX_DATA]),
        inputs=[msgspec.to_builtins(each) for each in told.inputs],
        outputs=[msgspec.to_builtins(each) for each in told.outputs],
        packages=told.runtime.packages,
        log=told.log,
    )
    if error is not None:
        properties |= _filled(
            error=error.text or f"{error.type}: {error.message}".removesuffix(": "),
            errorType=error.type,
            errorMessage=error.message,
            frames=error.frames,
        )
    elif status != "FINISHED":
        ending = f"ended by {told.signal}" if told.signal else f"ended with exit code {told.exit_code}"
        last = (told.log or "").rstrip().rpartition("\n")[2][:500]
        properties["error"] = f"{ending}\n{last}".strip()
    return properties


def _name(command: Sequence[str]) -> str:
    """The script, else the module, else the program."""
    for at, word in enumerate(command[1:], 1):
        if word == "-m" and at + 1 < len(command):
            return command[at + 1]
        if not word.startswith("-") and word.endswith((".py", ".sh", ".ipynb", ".R", ".jl")):
            return word.rpartition("/")[2]
    return command[0].rpartition("/")[2] or command[0]


def options(command: Sequence[str]) -> dict[str, str]:
    """Options of a command line by their names: ``--lr 0.1``, ``--lr=0.1``, ``lr=0.1`` as Hydra has it."""
    found: dict[str, str] = {}
    waiting: str | None = None
    for word in command[1:]:
        name, equals, value = word.partition("=")
        if word.startswith("--") and len(word) > 2:
            waiting = None if equals else name[2:]
            found[name[2:]] = value if equals else "true"
        elif waiting is not None and not _is_option(word):
            found[waiting], waiting = word, None
        else:
            waiting = None
            bare = name.lstrip("+~")
            if equals and bare.replace(".", "").replace("_", "").replace("/", "").isalnum():
                found[bare] = value
    return {name[:250]: value[:500] for name, value in list(found.items())[:200]}


def _is_option(word: str) -> bool:
    return word.startswith("-") and not word[1:2].isdigit() and len(word) > 1


def _code(told: _Told, run: str, started: Micros) -> list[Claim]:
    code = told.code
    if code.commit is None:
        return []
    commit = identifier("git.sha", code.commit)
    about = _filled(diff=code.diff, script=_name(told.command) if told.command else None, folder=code.folder)
    if code.dirty is not None:
        about["dirty"] = code.dirty
    claims: list[Claim] = [Links(EdgeKind.CODE_FOR, commit, run, started, properties=about or None)]
    if code.remote is not None:
        claims.append(Links(EdgeKind.HAS, identifier("git.remote", code.remote), commit))
    return claims


def _runtime(told: _Told, run: str, started: Micros) -> list[Claim]:
    parts: Mapping[str, Any] = told.runtime.parts
    if not parts:
        return []
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    me = identifier("runtime", digest)
    named = " · ".join(
        str(part)
        for part in (
            f"Python {parts['python']}" if parts.get("python") else None,
            f"{parts.get('platform', '')} {parts.get('machine', '')}".strip(),
            ", ".join(sorted(set(map(str, parts.get("gpus") or ())))),
        )
        if part
    )
    about = {key: value for key, value in parts.items() if key != "packages"}
    about = _filled(name=named, packagesDigest=parts.get("packages"), packages=told.runtime.packages, **about)
    return [States(NodeKind.RUNTIME, me, about), Links(EdgeKind.RUNTIME_OF, me, run, started)]


def _data(each: _Data, remote: str | None, link: Any) -> list[Claim]:
    """A version of data and its edge; nothing where it has no digest. The run's properties name it anyway."""
    ids: list[str] = []
    if each.dvc_md5:
        ids.append(identifier("dvc.md5", each.dvc_md5))
        if not each.dvc_md5.endswith(".dir"):
            # Joined with what other tools know under the same content.
            ids.append(identifier("md5", each.dvc_md5, kind=NodeKind.DATASET_VERSION))
    if each.md5:
        ids.append(identifier("md5", each.md5, kind=NodeKind.DATASET_VERSION))
    if each.sha256:
        ids.append(identifier("sha256", each.sha256, kind=NodeKind.DATASET_VERSION))
    if not ids:
        return []
    me = ids[0]
    title = (each.name or each.path or "").rstrip("/").rpartition("/")[2]
    digest = me.partition("=")[2]
    about = _filled(name=f"{title or 'data'}@{digest[:7]}", path=each.path, size=each.size, nfiles=each.files)
    claims: list[Claim] = [
        Names(NodeKind.DATASET_VERSION, tuple(dict.fromkeys(ids))),
        States(NodeKind.DATASET_VERSION, me, about),
        link(me),
    ]
    if each.path and remote and not each.path.startswith(("/", "..")):
        dataset = identifier("dataset", f"{_place(remote)}/{each.path}")
        claims.append(States(NodeKind.DATASET, dataset, {"name": each.path, "path": each.path}))
        claims.append(Links(EdgeKind.HAS, dataset, me))
    return claims


def _place(remote: str) -> str:
    """As the dvc source names the repository that a data set lies in."""
    return identifier("git.remote", remote).partition("=")[2]
