"""The recipe of a run, and what is missing for it. That it works is tested with the real tools."""

from __future__ import annotations

import shlex
from typing import Any

import msgspec

from app.answers.repro import Input, Known, Recipe, address, folder_of, recipe
from graph_schema.kinds import NodeKind
from graph_schema.values import Node

MD5, SHA, LOCK = "1bc29b36f623ba82aaf6724fd3b16718", "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594", "a" * 64


def node(kind: NodeKind, id: str, name: str = "it", *more: str, **properties: Any) -> Node:
    return Node(id=id, kind=kind, name=name, identifiers=(id, *more), properties=properties)


RUN = node(NodeKind.RUN, "kinlore.run=7c9e6679-7425-40de-944b-e07fc1f90ae7", "train.py")
COMMIT = node(NodeKind.COMMIT, f"git.sha={SHA}", "3faf1c7 Tune")
REPOSITORY = node(NodeKind.REPOSITORY, "git.remote=git.example.com/acme/churn", "churn")
DATA = node(NodeKind.DATASET_VERSION, f"dvc.md5={MD5}", "raw.csv@1bc29b3")
RUNTIME = node(
    NodeKind.RUNTIME, "runtime=" + "b" * 64, "Python 3.11.9", python="3.11.9", platform="Linux",
    machine="x86_64", cpus=8, memoryGb=16, gpus=["A100"], lock=LOCK, lockFile="requirements.lock",
)  # fmt: skip


def known(**more: Any) -> Known:
    whole: dict[str, Any] = {
        "run": RUN,
        "properties": {"command": "python train.py --seed 7 --lr 0.1", "params": {"seed": "7", "lr": "0.1"}},
        "commit": COMMIT,
        "repository": REPOSITORY,
        "dirty": False,
        "folder": "models",
        "inputs": [Input(node=DATA, path="data/raw.csv", commit=COMMIT, repository=REPOSITORY)],
        "runtimes": [RUNTIME],
    }
    return Known(**{**whole, **more})


def gaps(made: Recipe) -> list[tuple[str, str]]:
    return [(gap.what, gap.text) for gap in made.missing]


def commands(made: Recipe, what: str) -> list[str]:
    return [command for step in made.steps if step.what == what for command in step.commands]


def test_everything_is_known() -> None:
    made = recipe(known())

    assert made.exact and made.seeds == {"seed": "7"}
    assert (
        made.script
        == f"""#!/bin/sh
# Repeats train.py (kinlore.run=7c9e6679-7425-40de-944b-e07fc1f90ae7).
set -eu

# Code: 3faf1c7 Tune of churn
git clone https://git.example.com/acme/churn churn
cd churn
git checkout --detach {SHA}

# Data: data/raw.csv as of 3faf1c7 Tune, md5 {MD5}
mkdir -p data
dvc get --force --rev {SHA} --out data/raw.csv . data/raw.csv
echo '{MD5}  data/raw.csv' | md5sum --check

# Runtime: Python 3.11.9, packages of requirements.lock; it ran on Linux x86_64, 8 CPUs, 16 GB, A100
echo '{LOCK}  requirements.lock' | sha256sum --check
python3.11 -m venv .venv
. .venv/bin/activate
pip install --requirement requirements.lock

# Command: as it was started
cd models
python train.py --seed 7 --lr 0.1
"""
    )


def test_nothing_is_known() -> None:
    made = recipe(Known(run=RUN, properties={}))

    assert gaps(made) == [
        ("code", "no commit is known: nobody recorded which code ran"),
        ("data", "no data is known that it read"),
        ("runtime", "what it ran on is unknown"),
        ("seed", "no parameter names a seed: what is random will be so again"),
        ("command", "how it was started is unknown"),
    ]
    assert made.steps == [] and not made.exact
    assert "# Missing (seed): no parameter names a seed: what is random will be so again\n" in made.script


def test_code_that_was_changed_or_lies_nobody_knows_where() -> None:
    changed = recipe(known(dirty=True, diff="f" * 64))
    unsaid = recipe(known(dirty=None))
    homeless = recipe(known(repository=None))
    gone = recipe(known(commit=msgspec.structs.replace(COMMIT, gone_at=1)))

    assert gaps(changed) == [
        ("code", "the tree had uncommitted changes (digest ffffffffff…), which are not kept anywhere")
    ]
    assert gaps(unsaid) == [("code", "whether the tree had uncommitted changes nobody says")]
    assert gaps(homeless) == [("code", "the repository of commit 3faf1c7d9b is unknown")]
    assert commands(homeless, "code") == []
    assert gaps(gone) == [("code", "commit 3faf1c7d9b is gone from its repository")]


def test_data_that_cannot_be_fetched_is_named_with_what_is_known() -> None:
    table = node(NodeKind.DATASET_VERSION, "openlineage.dataset_version=db/calls@unobserved", "calls")
    digest = node(NodeKind.DATASET_VERSION, "sha256@dataset_version=" + "c" * 64, "x.parquet")
    made = recipe(
        known(
            inputs=[Input(node=table), Input(node=digest, path="x.parquet"), Input(node=DATA, path="y.csv")]
        )
    )

    assert gaps(made) == [
        ("data", "calls: openlineage.dataset_version=db/calls@unobserved is a state of a table, "
                 "which only the table's own tool can restore"),
        ("data", f"x.parquet: where it is kept is unknown; its sha256 is {'c' * 64}"),
        ("data", "y.csv: no commit is known that holds it; DVC's cache or remote has it as "
                 f"files/md5/1b/{MD5[2:]}"),
    ]  # fmt: skip


def test_data_of_another_repository_and_of_one_without_a_remote() -> None:
    local = node(NodeKind.REPOSITORY, "git.remote=file:///srv/churn", "churn")
    other = node(NodeKind.REPOSITORY, "git.remote=git.example.com/acme/registry", "registry")
    folder = node(NodeKind.DATASET_VERSION, f"dvc.md5={MD5}.dir", "splits")

    mine = recipe(
        known(repository=local, inputs=[Input(node=DATA, path="raw.csv", commit=COMMIT, repository=local)])
    )
    theirs = recipe(known(inputs=[Input(node=folder, path="splits", commit=COMMIT, repository=other)]))

    assert commands(mine, "code")[0] == "git clone /srv/churn churn"
    take = f"dvc get --force --rev {SHA} --out raw.csv"
    assert commands(mine, "data")[0] == f"{take} . raw.csv || {take} /srv/churn raw.csv"
    assert commands(theirs, "data") == [
        f"dvc get --force --rev {SHA} --out splits https://git.example.com/acme/registry splits"
    ]


def test_a_runtime_by_its_packages() -> None:
    listed = node(
        NodeKind.RUNTIME, "runtime=" + "d" * 64, python="3.12.1", packages=["numpy==2.0.0", "mlflow"]
    )

    made = recipe(known(runtimes=[listed]))

    assert commands(made, "runtime") == [
        "python3.12 -m venv .venv", ". .venv/bin/activate", "pip install mlflow numpy==2.0.0",
    ]  # fmt: skip
    assert gaps(made) == [
        ("runtime", "without a version: mlflow"),
        ("runtime", "no lock file is known: packages that are not listed may differ"),
    ]


def test_only_the_script_is_known() -> None:
    made = recipe(known(properties={"script": "train.py", "params": {"seed": 1, "lr": 0.1}}, folder=None))

    assert gaps(made) == [("command", "only the script train.py is known, not its arguments")]
    assert made.steps[-1].text == "Command: with the parameters lr=0.1 seed=1"
    assert commands(made, "command") == ["python train.py"]


def test_a_secret_that_was_taken_out_is_missing() -> None:
    made = recipe(known(properties={"command": "train --key [redacted:0a1b2c3d]", "params": {"seed": 1}}))

    assert gaps(made) == [("command", "a secret in the command was not kept: put it in again")]


def test_names_from_outside_neither_run_nor_break_a_line() -> None:
    evil = "x'; touch /tmp/owned #"
    bad = node(NodeKind.REPOSITORY, f"git.remote=git.example.com/{evil}", f"{evil}\nrm -rf /")
    path = "$(touch owned)\n-rf"

    made = recipe(
        known(
            repository=bad, folder=evil, inputs=[Input(node=DATA, path=path, commit=COMMIT, repository=bad)]
        )
    )

    plain = {"git", "cd", "mkdir", "dvc", "echo", "python3.11", ".", "pip", "python", "set"}
    lines = made.script.replace(shlex.quote(path), "PATH").replace(shlex.quote(f"{MD5}  {path}"), "SUM")
    for line in lines.splitlines():
        assert line == "" or line.startswith("#") or shlex.split(line)[0] in plain, line
    assert "rm -rf /" not in [line.strip() for line in lines.splitlines()]


def test_where_a_repository_is_cloned_from() -> None:
    assert address(node(NodeKind.REPOSITORY, "git.remote=github.com/acme/x")) == "https://github.com/acme/x"
    assert address(node(NodeKind.REPOSITORY, "git.remote=file:///srv/x")) == "/srv/x"
    assert folder_of(node(NodeKind.REPOSITORY, "git.remote=github.com/acme/-.x y")) == "x-y"
