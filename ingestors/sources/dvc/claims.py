"""From the items of the DVC source to claims. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from graph_schema import normalise
from graph_schema.claims import Claim, Finds, Keyed, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, checked, format_time
from ingestors.codeowners import lies_at
from ingestors.source import Item


def claims_of(item: Item) -> list[Claim]:
    """What an item says. Raises BadInput for a file that could not be read."""
    data = item.data
    if item.type == "file":
        raise BadInput(str(data["problem"]))
    if item.type == "dataset":
        return _dataset(data)
    if item.type == "version":
        return _version(data)
    if item.type == "stage":
        return _stage(data)
    if item.type == "state":
        return [
            Keyed("tree_state", item.key, "file", _data(md5), data={"path": path})
            for path, md5 in data["files"]
        ]
    if item.type == "commit":
        return _commit(item.key, data)
    return _experiment(data)


def _data(md5: str) -> str:
    return identifier("dvc.md5", md5)


def _known(md5: str, path: str, size: int | None, plain: bool, at: Micros | None, **more: Any) -> list[Claim]:
    """That there is such a version, and what is known of it."""
    name = _data(md5)
    ids = [name]
    if plain and not md5.endswith(".dir"):
        # Joined with what other tools know under the same content.
        ids.append(identifier("md5", md5, kind=NodeKind.DATASET_VERSION))
    properties = {
        "name": f"{posixpath.basename(path)}@{md5[:7]}",
        "path": path,
        "size": size,
        "createdAt": at,
        **more,
    }
    return [
        Names(NodeKind.DATASET_VERSION, tuple(ids)),
        States(NodeKind.DATASET_VERSION, name, _filled(properties), at),
    ]


def _dataset(data: Mapping[str, Any]) -> list[Claim]:
    name = identifier("dataset", data["dataset"])
    return [
        Names(NodeKind.DATASET, (name,)),
        States(NodeKind.DATASET, name, {"name": data["path"], "path": data["path"]}),
        lies_at(data["dataset"].removesuffix(f"/{data['path']}"), data["path"], name),
    ]


def _version(data: Mapping[str, Any]) -> list[Claim]:
    at = _micros(data["at"])
    origin: Mapping[str, str] = data["origin"] or {}
    claims = _known(
        data["md5"], data["path"], data["size"], data["plain"], at,
        nfiles=data["nfiles"], importedFrom=dict(origin) or None,
    )  # fmt: skip
    name = _data(data["md5"])
    claims.append(Links(EdgeKind.HAS, identifier("dataset", data["dataset"]), name, at))
    if "repository" in origin and "path" in origin:
        # The same content under its name at home; the version there is this very node.
        try:
            home = f"{normalise.git_remote(origin['repository'])}/{origin['path'].strip('/')}"
            there = identifier("dataset", home)
            claims += [Names(NodeKind.DATASET, (there,)), Links(EdgeKind.HAS, there, name, at)]
        except BadInput:
            pass
    elif "://" in origin.get("path", ""):
        claims.append(Finds("uri", origin["path"], name))
    if "etag" in origin:
        claims.append(Finds("etag", origin["etag"], name))
    return claims


def _stage(data: Mapping[str, Any]) -> list[Claim]:
    at = _micros(data["at"])
    claims: list[Claim] = []
    for dep in data["deps"]:
        claims += _known(dep["md5"], dep["path"], dep["size"], dep["plain"], at)
    properties = _filled({"stage": data["name"], "params": data["params"] or None})
    pairs = {(dep["md5"], out["md5"]): (dep, out) for dep in data["deps"] for out in data["outs"]}
    for (source, target), (dep, out) in pairs.items():
        if source != target:
            evidence = f"stage {data['name']} of dvc.lock: {dep['path']} → {out['path']}"
            claims.append(
                Links(EdgeKind.DERIVED_INTO, _data(source), _data(target), at, None, properties, evidence)
            )
    return claims


def _commit(sha: str, data: Mapping[str, Any]) -> list[Claim]:
    at = _micros(data["at"])
    commit = identifier("git.sha", sha)
    claims: list[Claim] = []
    if data["state"] is not None:
        claims.append(Keyed("tree", sha, "tree", commit, data={"state": data["state"]}))
    for md5, path in data["introduced"]:
        claims.append(Links(EdgeKind.INTRODUCED, commit, _data(md5), at, None, {"path": path}))
    for before, after, path in data["precedes"]:
        claims.append(Links(EdgeKind.PRECEDES, _data(before), _data(after), at, None, {"path": path}))
    return claims


def _experiment(data: Mapping[str, Any]) -> list[Claim]:
    sha = data["sha"]
    at = _micros(data["committed"])
    run, commit = identifier("dvc.experiment", sha), identifier("git.sha", sha)
    done = None if at is None else format_time(at)
    about = {
        "name": data["name"], "status": "FINISHED", "user": data["author"], "endedAt": done, "createdAt": at,
        "params": data["params"] or None, "metrics": data["metrics"] or None, "baseline": data["baseline"],
    }  # fmt: skip
    code = {
        "name": f"{sha[:7]} {data['subject']}".strip(), "author": data["author"],
        "authorEmail": data["email"], "committedAt": done, "createdAt": at,
    }  # fmt: skip
    claims: list[Claim] = [
        Names(NodeKind.RUN, (run,)),
        States(NodeKind.RUN, run, _filled(about), at),
        Names(NodeKind.COMMIT, (commit,)),
        States(NodeKind.COMMIT, commit, _filled(code), at),
        Links(EdgeKind.HAS, identifier("git.remote", data["remote"]), commit, at),
        Links(EdgeKind.CODE_FOR, commit, run, at),
    ]
    for parent in dict.fromkeys(data["parents"]):
        claims.append(Links(EdgeKind.PRECEDES, identifier("git.sha", parent), commit, at))
    for md5, path in data["inputs"]:
        claims.append(Links(EdgeKind.INPUT_TO, _data(md5), run, at, None, {"path": path}))
    claims += [
        Links(EdgeKind.PRODUCED, run, _data(md5), at, None, {"path": path}) for md5, path in data["produced"]
    ]
    return claims


def _filled(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if value is not None}


def _micros(seconds: int) -> Micros | None:
    """Git takes any number for a time; what lies outside the calendar is none."""
    try:
        return checked(seconds * 1_000_000)
    except BadInput:
        return None
