"""From what a change touches to nodes of the graph. Only questions are asked, over GraphQL."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from app.gate.changes import Change, Changes, dataset_id, job_id, version_id
from graph_schema.errors import BadInput

Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Answers a query with its data."""

#: Ids that one query may name; fields that one query may have at its top.
_IDS, _ROOTS = 200, 20
#: Members (versions, runs) of one data set or job, and runs of one script, that are looked at: the last ones.
MAX_MEMBERS = 100
#: Files whose recorded runs are looked up.
MAX_SCRIPTS = 200

_NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
_RUN = "{ id createdAt properties }"


class Found(msgspec.Struct, frozen=True):
    """Nodes that a change touches. ``own`` are the states that it replaces: of data those at the base, of
    code and jobs the last run. ``earlier`` are the other states and runs, newest first; what they led to may
    still be in use. ``runs`` counts the recorded runs of its scripts."""

    change: Change
    own: tuple[str, ...]
    earlier: tuple[str, ...] = ()
    runs: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.own, *self.earlier)


class Lookup(msgspec.Struct, frozen=True):
    """What the graph knows, and what was left out for being too much."""

    found: list[Found]
    notes: list[str]


def look_up(ask: Ask, changes: Changes) -> Lookup:
    """The nodes behind each change. A constant number of queries a hundred names."""
    notes: list[str] = []
    names = {change: _names(changes.repository, change) for change in changes.changes}
    leading = _existing(ask, {name for listed in names.values() for name in listed})
    groups = sorted({leading[name] for listed in names.values() for name in listed
                     if name in leading and not name.startswith("dvc.md5=")})  # fmt: skip
    members = _members(ask, groups, notes)
    runs = _runs(ask, changes, notes)
    found = []
    for change, listed in names.items():
        replaced, new = _states(change)
        own = dict.fromkeys(leading[name] for name in listed if name in replaced and name in leading)
        states = dict.fromkeys(
            member for name in listed if name in leading for member in members.get(leading[name], ())
        )
        ran = dict.fromkeys(run for script in change.scripts for run in runs.get(script, ()))
        for listed_ids in (states, ran):
            for id in new:
                listed_ids.pop(leading.get(id, id), None)
            if listed_ids and not own.keys() & listed_ids.keys():
                own[next(iter(listed_ids))] = None
        earlier = tuple(id for id in {**states, **ran} if id not in own)
        if own:
            found.append(Found(change, tuple(own), earlier, len(ran)))
    return Lookup(found, notes)


def _states(change: Change) -> tuple[set[str], set[str]]:
    """Of the states that are named, those at the base and those that the change brings."""
    named = [version_id(md5) for md5 in change.versions]
    if change.kind != "data":
        return set(named), set()
    return set(named[: change.replaced]), set(named[change.replaced :])


def _names(repository: str, change: Change) -> list[str]:
    names = [version_id(md5) for md5 in change.versions]
    for path in change.datasets:
        try:
            names.append(dataset_id(repository, path))
        except BadInput:
            continue
    if change.kind == "workflow" and (job := job_id(repository, change.path)) is not None:
        names.append(job)
    return list(dict.fromkeys(names))


def _existing(ask: Ask, names: Iterable[str]) -> dict[str, str]:
    """Name → leading id, for those that the graph has."""
    wanted = sorted(names)
    leading: dict[str, str] = {}
    for start in range(0, len(wanted), _IDS):
        chunk = wanted[start : start + _IDS]
        for name, node in zip(chunk, ask(_NODES, {"ids": chunk})["nodes"], strict=True):
            if node is not None:
                leading[name] = node["id"]
    return leading


def _members(ask: Ask, groups: Sequence[str], notes: list[str]) -> dict[str, list[str]]:
    """The last members of data sets and jobs, newest first."""
    found: dict[str, list[str]] = {}
    for start in range(0, len(groups), _ROOTS):
        chunk = groups[start : start + _ROOTS]
        variables = {f"i{number}": id for number, id in enumerate(chunk)}
        fields = " ".join(
            f"g{number}: lineage(id: $i{number}, direction: DOWNSTREAM, maxHops: 1, edgeKinds: [HAS], "
            "first: 2000) { nodes { hops node { id createdAt } } totalNodes }"
            for number in range(len(chunk))
        )
        declared = ", ".join(f"${name}: ID!" for name in variables)
        answer = ask(f"query({declared}) {{ {fields} }}", variables)
        for number, id in enumerate(chunk):
            nodes = [each["node"] for each in answer[f"g{number}"]["nodes"] if each["hops"] == 1]
            nodes.sort(key=lambda node: (node["createdAt"] or "", node["id"]), reverse=True)
            found[id] = [node["id"] for node in nodes[:MAX_MEMBERS]]
            total = answer[f"g{number}"]["totalNodes"] - 1
            if total > MAX_MEMBERS:
                notes.append(f"of {id} the last {MAX_MEMBERS} of {total:,} states were looked at")
    return found


# --- runs of a script --------------------------------------------------------------------------------------


def _runs(ask: Ask, changes: Changes, notes: list[str]) -> dict[str, list[str]]:
    """Script → the last runs that name it as their script or in their command, and whose code is this
    repository's: their commit is in the clone, or in what the graph knows of the repository."""
    scripts = list(dict.fromkeys(script for change in changes.changes for script in change.scripts))
    if len(scripts) > MAX_SCRIPTS:
        notes.append(f"runs were looked up for {MAX_SCRIPTS} of {len(scripts):,} files")
        del scripts[MAX_SCRIPTS:]
    names = sorted({posixpath.basename(script) for script in scripts})
    named = _named_runs(ask, names, list(changes.history))
    # A branch that was squashed or deleted: its commits are no longer here, its runs are.
    rest = [name for name in names if not named[name]]
    others = _named_runs(ask, rest, None)
    ours = _of_repository(ask, changes.repository, {n["id"]: n for nodes in others.values() for n in nodes})
    named.update({name: [node for node in nodes if node["id"] in ours] for name, nodes in others.items()})
    return {
        script: list(
            dict.fromkeys(
                node["id"]
                for node in named.get(posixpath.basename(script), ())
                if runs_it(node["properties"], script)
            )
        )
        for script in scripts
    }


def _named_runs(ask: Ask, names: list[str], commits: list[str] | None) -> dict[str, list[dict[str, Any]]]:
    """File name → runs that say it in their script or command, newest first; of these commits, if given."""
    found: dict[str, list[dict[str, Any]]] = {}
    of_commits = "" if commits is None else ', {key: "commit", op: IN, value: $commits}'
    for start in range(0, len(names), _ROOTS // 2):
        chunk = names[start : start + _ROOTS // 2]
        fields = " ".join(
            f'{key}{number}: find(kind: RUN, where: [{{key: "{key}", op: CONTAINS, value: $n{number}}}'
            f"{of_commits}], orderBy: {{by: CREATED_AT, descending: true}}, first: {MAX_MEMBERS}) "
            f"{{ nodes {_RUN} }}"
            for number in range(len(chunk))
            for key in ("script", "command")
        )
        declared = ", ".join(f"$n{number}: JSON" for number in range(len(chunk)))
        variables: dict[str, Any] = {f"n{number}": name for number, name in enumerate(chunk)}
        if commits is not None:
            declared += ", $commits: JSON"
            variables["commits"] = commits
        answer = ask(f"query({declared}) {{ {fields} }}", variables)
        for number, name in enumerate(chunk):
            found[name] = [
                node for key in ("script", "command") for node in answer[f"{key}{number}"]["nodes"]
            ]
    return found


def _of_repository(ask: Ask, repository: str, runs: Mapping[str, Any]) -> set[str]:
    """Those of these runs whose commit the repository has."""
    commits: dict[str, list[str]] = {}
    for id, node in runs.items():
        commit = node["properties"].get("commit")
        if isinstance(commit, str) and commit:
            commits.setdefault(f"git.sha={commit}", []).append(id)
    names = sorted(commits)
    found: set[str] = set()
    for start in range(0, len(names), _ROOTS):
        chunk = list(_existing(ask, names[start : start + _ROOTS]))
        if not chunk:
            continue
        variables = {f"i{number}": id for number, id in enumerate(chunk)}
        fields = " ".join(
            f"c{number}: lineage(id: $i{number}, direction: UPSTREAM, maxHops: 1, edgeKinds: [HAS], "
            "kinds: [REPOSITORY], first: 50) { nodes { node { identifiers { id } } } }"
            for number in range(len(chunk))
        )
        declared = ", ".join(f"${name}: ID!" for name in variables)
        answer = ask(f"query({declared}) {{ {fields} }}", variables)
        for number, id in enumerate(chunk):
            holders = {
                held["id"]
                for each in answer[f"c{number}"]["nodes"]
                for held in each["node"].get("identifiers", ())
            }
            if f"git.remote={repository}" in holders:
                found.update(commits[id])
    return found


def runs_it(properties: Mapping[str, Any], script: str) -> bool:
    """Whether a run's script or command names this file: trackers keep paths as they were typed, relative to
    any folder or absolute."""
    said = properties.get("script")
    words = [said] if isinstance(said, str) else []
    command = properties.get("command")
    if isinstance(command, str):
        try:
            words += shlex.split(command)
        except ValueError:
            words += command.split()
    return any(_same_file(word, script) for word in words)


def _same_file(word: str, path: str) -> bool:
    # --config=conf/a.yaml and the like name a file too.
    word = posixpath.normpath(word.rpartition("=")[2].replace("\\", "/") or ".")
    return word == path or path.endswith(f"/{word}") or word.endswith(f"/{path}")
