"""A repository that tries to have something executed by whoever looks at it, and who counts how often."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.sources.repositories import Repository

HOOKS = (
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout", "post-commit",
    "post-index-change", "post-merge", "post-receive", "post-rewrite", "post-update", "pre-applypatch",
    "pre-auto-gc", "pre-commit", "pre-merge-commit", "pre-push", "pre-rebase", "pre-receive",
    "prepare-commit-msg", "proc-receive", "push-to-checkout", "reference-transaction", "sendemail-validate",
    "update",
)  # fmt: skip
MD5 = "25a07ffc7bd3e0a9f0a4d2c4d9a1b3e7"
SECRET = "0e4a7d2c4d9a1b3e725a07ffc7bd3e0a"


ATTRIBUTES = "*.py filter=trap merge=trap\n*.dvc filter=other diff=trap\n*.csv diff=text\n"
SIGNATURE = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n =trap\n -----END PGP SIGNATURE-----\n"


class Canary:
    """An executable that notes each time it is run, and under which name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "sung"
        (folder / "bin").mkdir(parents=True)

    def named(self, name: str) -> str:
        """The path of an executable that sings under this name."""
        place = self.folder / "bin" / name
        if not place.exists():
            place.write_text(f"#!/bin/sh\necho {name} >> {self._log}\nexit 0\n")
            place.chmod(0o755)
        return str(place)

    def sung(self) -> list[str]:
        """Names that were sung, and silence again."""
        if not self._log.exists():
            return []
        found = sorted(set(self._log.read_text().split()))
        self._log.unlink()
        return found


class Pickled:
    """Sings when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def repository(folder: Path, canary: Canary) -> Repository:
    """Two honest commits, then everything that git or DVC might be made to run. The tree is dirty."""
    found = Repository(folder)
    found.commit(
        "Data",
        {
            "train.py": "import sys\nsys.exit(3)\n",
            "data.csv": "a,b\n",
            "data.csv.dvc": f"outs:\n- md5: {MD5}\n  size: 3\n  hash: md5\n  path: data.csv\n",
            ".gitattributes": ATTRIBUTES,
            ".gitmodules": f'[submodule "sub"]\n\tpath = sub\n\turl = ext::{canary.named("submodule-url")}\n',
        },
    )
    yaml = f"!!python/object/apply:os.system ['{canary.named('yaml')}']"
    lock = (
        "schema: '2.0'\nstages:\n  train:\n    cmd: python train.py\n    deps:\n"
        f"    - path: data.csv\n      md5: {MD5}\n    outs:\n"
        f"    - path: model.pkl\n      md5: {MD5[::-1]}\n    params: {yaml}\n"
    )
    dvc_yaml = f"stages:\n  train:\n    cmd: {yaml}\n    outs: [model.pkl]\nvars: {yaml}\n"
    found.commit("Traps in YAML", {"dvc.lock": lock, "dvc.yaml": dvc_yaml, "params.yaml": f"lr: {yaml}\n"})
    outside = folder.parent / "outside.dvc"
    outside.write_text(f"outs:\n- md5: {SECRET}\n  path: leaked.csv\n")
    (folder / "link.dvc").symlink_to(outside)
    (folder / "escape.dvc").write_text(f"outs:\n- md5: {SECRET}\n  path: ../../../../etc/passwd\n")
    (folder / "model.pkl").write_bytes(pickle.dumps(Pickled(canary.named("pickle"))))
    head = found.commit("Links")
    found.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    found.git("commit", "--quiet", "--message", "A submodule")
    signed = found.git("cat-file", "commit", "HEAD").replace("\n\n", f"\n{SIGNATURE}\n", 1)
    found.git("reset", "--quiet", found.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=signed))
    _submodule(folder, canary)
    _config(folder, canary)
    _refs(folder, found.head(), canary)
    (folder / "data.csv").write_text("changed\n")
    # Git would have to filter these to compare them; a pipe would be read for ever.
    (folder / "train.py").write_text("import sys\nsys.exit(4)\n")
    (folder / "params.yaml").unlink()
    os.mkfifo(folder / "params.yaml")
    return found


def _config(folder: Path, canary: Canary) -> None:
    traps = folder / ".git" / "traps"
    traps.mkdir()
    for place in (traps, folder / ".git" / "hooks"):
        place.mkdir(exist_ok=True)
        for hook in HOOKS:
            (place / hook).unlink(missing_ok=True)
            (place / hook).symlink_to(canary.named(f"hook-{hook}"))
    said = {
        name: canary.named(name.replace(".", "-"))
        for name in (
            "core.fsmonitor", "core.pager", "core.editor", "core.askPass", "core.sshCommand", "core.gitProxy",
            "core.alternateRefsCommand", "credential.helper", "diff.external", "diff.trap.command",
            "diff.text.textconv", "filter.trap.clean", "filter.trap.smudge", "filter.other.process",
            "gpg.program", "gpg.ssh.program", "gpg.x509.program", "interactive.diffFilter",
            "merge.trap.driver", "pager.log", "pager.diff", "remote.origin.uploadpack", "remote.origin.vcs",
            "sequence.editor", "submodule.sub.update", "uploadpack.packObjectsHook", "web.browser",
        )
    }  # fmt: skip
    said |= {
        "core.hooksPath": str(traps),
        "core.attributesFile": str(folder / ".gitattributes"),
        "core.untrackedCache": "true",
        "log.showSignature": "true",
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{canary.named('remote-url')}",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "core.repositoryFormatVersion": "1",
        "submodule.sub.url": f"ext::{canary.named('submodule-url')}",
        "submodule.recurse": "true",
        "include.path": "included",
    }
    for alias in ("log", "rev-parse", "cat-file", "ls-files", "status"):
        said[f"alias.{alias}"] = f"!{canary.named('alias')}"
    git_dir = folder / ".git"
    (git_dir / "included").write_text(f"[core]\n\tfsmonitor = {canary.named('included')}\n")
    with (git_dir / "config").open("a") as file:
        for name, value in said.items():
            section, _, rest = name.partition(".")
            sub, _, key = rest.rpartition(".")
            head = f'[{section} "{sub}"]' if sub else f"[{section}]"
            file.write(f"{head}\n\t{key} = {json.dumps(value)}\n")
    (git_dir / "objects" / "info").mkdir(exist_ok=True)
    (git_dir / "objects" / "info" / "alternates").write_text(f"|{canary.named('alternate')}\n/nowhere\n")
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text(ATTRIBUTES)


def _submodule(folder: Path, canary: Canary) -> None:
    inner = Repository(folder / "sub")
    inner.commit("Inside", {"a.txt": "a\n"})
    with (folder / "sub" / ".git" / "config").open("a") as file:
        file.write(f"[core]\n\tfsmonitor = {canary.named('submodule-fsmonitor')}\n")
    (folder / "sub" / "a.txt").write_text("changed\n")


def _refs(folder: Path, head: str, canary: Canary) -> None:
    """Branches whose names look like options; one of them is checked out."""
    heads = folder / ".git" / "refs" / "heads"
    for name in (f"--upload-pack={Path(canary.named('option')).name}", "--output=leaked", "-c", "--exec=x"):
        (heads / name).write_text(f"{head}\n")
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/--output=leaked\n")


def provoke(folder: Path, environ: dict[str, str]) -> None:
    """What somebody careless does with the plain git, to see that the traps are set."""
    for words in (
        ["status"], ["diff"], ["diff", "data.csv"], ["diff", "--no-ext-diff", "data.csv"], ["log", "-2"],
        ["fetch"], ["add", "train.py"], ["add", "data.csv.dvc"], ["commit", "--message", "x"],
    ):  # fmt: skip
        subprocess.run(
            ["git", "-C", str(folder), *words],
            env={**environ, "GIT_ALLOW_PROTOCOL": "ext:file"}, capture_output=True, timeout=60,
        )  # fmt: skip


def bento_store(home: Path, canary: Canary) -> Path:
    """A store with one model, whose files want to be unpickled and whose YAML wants to be constructed."""
    yaml = f"!!python/object/apply:os.system ['{canary.named('bento-yaml')}']"
    place = home / "models" / "churn" / "abc"
    place.mkdir(parents=True)
    (home / "models" / "churn" / "latest").write_text("abc")
    (place / "model.yaml").write_text(
        "name: churn\nversion: abc\nmodule: bentoml.picklable_model\nlabels: {}\nmetadata: {extra: x}\n"
        "creation_time: '2026-11-01T10:00:00+00:00'\ncontext: {}\n"
    )
    (place / "saved_model.pkl").write_bytes(pickle.dumps(Pickled(canary.named("bento-pickle"))))
    trap = home / "models" / "trap" / "abc"
    trap.mkdir(parents=True)
    (trap / "model.yaml").write_text(f"name: trap\nversion: abc\nmetadata: {yaml}\n")
    (trap / "saved_model.pkl").write_bytes(pickle.dumps(Pickled(canary.named("bento-pickle"))))
    return home


def unpickle(file: Path) -> None:
    """In a process of its own, to see that the trap is set."""
    subprocess.run(
        [sys.executable, "-c", f"import pickle; pickle.load(open({str(file)!r}, 'rb'))"], check=True
    )
