"""The recipe to repeat a run: pure over what is known of it. What it lacks is named, never guessed.

Commands are for a POSIX shell. Whatever comes from outside is quoted; comments are on one line.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.answers.measured import SEED
from app.lineage.runtimes import parts_of
from graph_schema.identifiers import parse
from graph_schema.values import Node

_REDACTED = re.compile(r"\[redacted[^\]]*\]", re.IGNORECASE)
#: How a lock file is installed from, by its name.
_INSTALL = {
    "uv.lock": "uv sync --frozen && . .venv/bin/activate",
    "poetry.lock": "poetry sync",
    "pdm.lock": "pdm sync",
    "pixi.lock": "pixi install --frozen",
    "Pipfile.lock": "pipenv sync",
    "conda-lock.yml": "conda-lock install --prefix .conda conda-lock.yml",
    "environment.yml": "conda env create --prefix .conda --file environment.yml",
}
_SHOWN_HASH = 10


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """Data that the run read. ``path`` is where it lay in its repository, ``commit`` one that introduced it
    there and ``repository`` that commit's."""

    node: Node
    path: str | None = None
    commit: Node | None = None
    repository: Node | None = None


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run. ``properties`` are its own, with those of a command that it ran within;
    ``dirty`` and ``diff`` say how the tree differed from the commit; ``folder`` is where in the repository
    it was started."""

    run: Node
    properties: Mapping[str, Any]
    commit: Node | None = None
    repository: Node | None = None
    dirty: bool | None = None
    diff: str | None = None
    folder: str | None = None
    inputs: Sequence[Input] = ()
    runtimes: Sequence[Node] = ()


class Step(msgspec.Struct, frozen=True):
    """A step: what it restores (``code``, ``data``, ``runtime``, ``command``), in words, and as commands."""

    what: str
    text: str
    commands: tuple[str, ...]


class Gap(msgspec.Struct, frozen=True):
    """What is missing for an exact repetition (``code``, ``data``, ``runtime``, ``command``, ``seed``)."""

    what: str
    text: str


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How to repeat a run, step by step, and what is missing for it; ``exact`` if nothing is. ``script`` is
    the whole recipe for a shell; what is missing stands in it as comments."""

    node: Node
    steps: list[Step]
    missing: list[Gap]
    exact: bool
    params: dict[str, Any]
    seeds: dict[str, Any]
    script: str


def recipe(known: Known) -> Recipe:
    """The recipe for a run."""
    missing: list[Gap] = []
    steps = [*_code(known, missing), *_data(known, missing), *_runtime(known, missing)]
    params = dict(known.properties.get("params") or {})
    seeds = {key: value for key, value in params.items() if SEED.search(key)}
    if not seeds:
        missing.append(Gap("seed", "no parameter names a seed: what is random will be so again"))
    steps += _command(known, params, missing)
    return Recipe(
        node=known.run, steps=steps, missing=missing, exact=not missing, params=params, seeds=seeds,
        script=_script(known.run, steps, missing),
    )  # fmt: skip


def _script(run: Node, steps: Sequence[Step], missing: Sequence[Gap]) -> str:
    lines = ["#!/bin/sh", f"# Repeats {_plain(run.name)} ({_plain(run.id)}).", "set -eu"]
    lines += [f"# Missing ({gap.what}): {_plain(gap.text)}" for gap in missing]
    for step in steps:
        lines += ["", f"# {_plain(step.text)}", *step.commands]
    return "\n".join(lines) + "\n"


# --- code ------------------------------------------------------------------------------------------------


def _code(known: Known, missing: list[Gap]) -> list[Step]:
    if known.commit is None:
        missing.append(Gap("code", "no commit is known: nobody recorded which code ran"))
        return []
    sha = parse(known.commit.id).value
    if known.dirty:
        named = f" (digest {known.diff[:_SHOWN_HASH]}…)" if known.diff else ""
        missing.append(Gap("code", f"the tree had uncommitted changes{named}, which are not kept anywhere"))
    elif known.dirty is None:
        missing.append(Gap("code", "whether the tree had uncommitted changes nobody says"))
    if known.commit.gone_at is not None:
        missing.append(Gap("code", f"commit {sha[:_SHOWN_HASH]} is gone from its repository"))
    if known.repository is None:
        missing.append(Gap("code", f"the repository of commit {sha[:_SHOWN_HASH]} is unknown"))
        return []
    folder = folder_of(known.repository)
    commands = [
        f"git clone {_word(address(known.repository))} {_word(folder)}",
        f"cd {_word(folder)}",
        f"git checkout --detach {sha}",
    ]
    return [Step("code", f"Code: {known.commit.name} of {known.repository.name}", tuple(commands))]


def address(repository: Node) -> str:
    """Where a repository is cloned from: its path for one without a remote, else by https."""
    remote = parse(repository.id).value
    if remote.startswith("file:"):
        return re.sub(r"^file:(?://)?", "", remote)
    return f"https://{remote}"


def folder_of(repository: Node) -> str:
    """What git would call the clone."""
    name = posixpath.basename(parse(repository.id).value.rstrip("/"))
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip("-.") or "repository"


# --- data ------------------------------------------------------------------------------------------------


def _data(known: Known, missing: list[Gap]) -> list[Step]:
    if not known.inputs:
        missing.append(Gap("data", "no data is known that it read"))
    steps = []
    for each in sorted(known.inputs, key=lambda i: (i.path or "", i.node.id)):
        content = _content(each.node)
        md5 = content.get("dvc.md5")
        if md5 is not None and each.path and each.commit is not None and each.repository is not None:
            steps.append(_by_dvc(each, md5, each.path, each.commit, each.repository, known))
            continue
        name = each.path or each.node.name
        if md5 is not None:
            place = f"files/md5/{md5[:2]}/{md5[2:]}"
            text = f"{name}: no commit is known that holds it; DVC's cache or remote has it as {place}"
        elif content:
            scheme, digest = next(iter(sorted(content.items())))
            text = f"{name}: where it is kept is unknown; its {scheme} is {digest}"
        else:
            text = (
                f"{name}: {each.node.id} is a state of a table, which only the table's own tool can restore"
            )
        missing.append(Gap("data", text))
    return steps


def _by_dvc(each: Input, md5: str, path: str, commit: Node, repository: Node, known: Known) -> Step:
    """``dvc get`` takes the very version from the commit that introduced it, whatever file of DVC's holds
    it there; the checked-out commit is often the one before that."""
    same = known.repository is not None and known.repository.id == repository.id
    take = f"dvc get --force --rev {parse(commit.id).value} --out {_word(path)}"
    sources = ["." if same else _word(address(repository))]
    if same and parse(repository.id).value.startswith("file:"):
        # Without a remote of DVC's the data lies in the cache of the original only.
        sources.append(_word(address(repository)))
    folder = posixpath.dirname(path)
    commands = [
        *([f"mkdir -p {_word(folder)}"] if folder else []),
        " || ".join(f"{take} {source} {_word(path)}" for source in sources),
    ]
    if not md5.endswith(".dir"):
        commands.append(f"echo {shlex.quote(f'{md5}  {path}')} | md5sum --check")
    return Step("data", f"Data: {path} as of {commit.name}, md5 {md5}", tuple(commands))


def _content(node: Node) -> dict[str, str]:
    """Digests of the content, by scheme."""
    found: dict[str, str] = {}
    for name in node.identifiers:
        read = parse(name)
        if read.scheme in ("dvc.md5", "md5", "sha256"):
            found.setdefault(read.scheme, read.value)
    return found


# --- runtime ---------------------------------------------------------------------------------------------


def _runtime(known: Known, missing: list[Gap]) -> list[Step]:
    parts, packages = parts_of(known.runtimes)
    if not parts and not packages:
        missing.append(Gap("runtime", "what it ran on is unknown"))
        return []
    steps = []
    hardware = ", ".join(
        text
        for text in (
            " ".join(str(parts[key]) for key in ("platform", "machine") if key in parts),
            f"{parts['cpus']} CPUs" if "cpus" in parts else "",
            f"{parts['memoryGb']} GB" if "memoryGb" in parts else "",
            ", ".join(map(str, parts.get("gpus", ()))),
        )
        if text
    )
    ran_on = f"; it ran on {hardware}" if hardware else ""
    if "image" in parts:
        image = f"docker pull {_word(str(parts['image']))}"
        steps.append(Step("runtime", f"Runtime: the image that it ran in{ran_on}", (image,)))
    lock, file = parts.get("lock"), str(parts.get("lockFile") or "")
    python = str(parts.get("python") or "")
    if lock and file:
        check = f"echo {shlex.quote(f'{lock}  {file}')} | sha256sum --check"
        commands = [check, *_install(file, python)]
        steps.append(
            Step("runtime", f"Runtime: Python {python or '?'}, packages of {file}{ran_on}", tuple(commands))
        )
    elif packages:
        pinned = [f"{name}=={version}" if version else name for name, version in sorted(packages.items())]
        install = f"pip install {' '.join(_word(each) for each in pinned)}"
        text = f"Runtime: Python {python or '?'} with the packages that are listed{ran_on}"
        steps.append(Step("runtime", text, (*_venv(python), install)))
        loose = sorted(name for name, version in packages.items() if not version)
        if loose:
            missing.append(Gap("runtime", f"without a version: {', '.join(loose)}"))
        missing.append(Gap("runtime", "no lock file is known: packages that are not listed may differ"))
    elif "image" not in parts:
        steps.append(Step("runtime", f"Runtime: Python {python or '?'}{ran_on}", tuple(_venv(python))))
        missing.append(Gap("runtime", "no packages are known"))
    if not python and "image" not in parts:
        missing.append(Gap("runtime", "the version of Python is unknown"))
    return steps


def _venv(python: str) -> list[str]:
    minor = ".".join(python.split(".")[:2])
    name = f"python{minor}" if re.fullmatch(r"\d+\.\d+", minor) else "python3"
    return [f"{name} -m venv .venv", ". .venv/bin/activate"]


def _install(file: str, python: str) -> list[str]:
    if file in _INSTALL:
        return [_INSTALL[file]]
    return [*_venv(python), f"pip install --requirement {_word(file)}"]


# --- command ---------------------------------------------------------------------------------------------


def _command(known: Known, params: Mapping[str, Any], missing: list[Gap]) -> list[Step]:
    command, script = known.properties.get("command"), known.properties.get("script")
    enter = [f"cd {_word(known.folder)}"] if known.folder and known.folder != "." else []
    if command:
        if _REDACTED.search(str(command)):
            missing.append(Gap("command", "a secret in the command was not kept: put it in again"))
        elif str(command).endswith("…"):
            missing.append(Gap("command", "the end of the command was not kept, it is very long"))
        return [Step("command", "Command: as it was started", (*enter, str(command)))]
    given = " ".join(f"{key}={_plain(str(value))}" for key, value in sorted(params.items()))
    if script:
        missing.append(Gap("command", f"only the script {script} is known, not its arguments"))
        text = f"Command: with the parameters {given}" if given else "Command: its arguments are unknown"
        runner = ("python",) if str(script).endswith(".py") else ()
        return [Step("command", text, (*enter, " ".join((*runner, _word(str(script))))))]
    missing.append(Gap("command", "how it was started is unknown"))
    return [Step("command", f"Command: unknown; the parameters were {given}", ())] if given else []


def _word(text: str) -> str:
    """A word for the shell that no program takes for an option."""
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _plain(text: str) -> str:
    """On one line, without control characters: it stands in a comment."""
    return "".join(char if char.isprintable() else " " for char in text)
