"""BentoML's store, filled by the real BentoML."""

from __future__ import annotations

import os
from hashlib import md5, sha256
from itertools import pairwise
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import Source as Writer
from graph_schema.values import NOW, Edge
from ingestors.loop import Policy, ingest
from ingestors.report import DEAD_LETTERS, Report
from ingestors.source import SourceError
from ingestors.sources.bentoml import BentoMLSource
from tests.bento_store import BENTOML, BentoStore
from tests.contract.harness import edges_from, node, write

SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
RUN = "5f1f0f0e0d0c0b0a09080706050403aa"
LOGGED = "m-8d2f0c6b1e3a4f5d9c7b6a5e4d3c2b1a"
TRACKING = Writer("tracking", "mlflow")


class Made:
    """What was put into the store, by name."""

    def __init__(self, store: BentoStore, tags: list[str]) -> None:
        self.store = store
        self.named, self.logged, self.imported, self.folder, self.bento, self.plain = tags


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Four models and two bentos. Read only: tests that change anything take a copy."""
    work = tmp_path_factory.mktemp("bentoml")
    mlflow = work / "mlflow" / "mlflow_model"
    mlflow.mkdir(parents=True)
    (mlflow / "MLmodel").write_text(f"flavors: {{}}\nmodel_id: {LOGGED}\nrun_id: {RUN}\n", encoding="utf-8")
    store = BentoStore(work / "home")
    original = {"mlflow_run_id": RUN, "mlflow_model": "churn", "mlflow_version": 3, "auc": 0.81}
    models: list[tuple[str, dict[str, Any]]] = [
        ("model", {"name": "churn", "version": "v3", "files": {"model.pkl": "not a pickle"},
                   "metadata": original, "labels": {"team": "growth"}}),
        ("model", {"name": "churn", "version": "v4", "files": {"model.pkl": "another"},
                   "metadata": {"mlflow_model_id": LOGGED}}),
        ("model", {"name": "imported", "version": "v1", "files": {}, "folder": str(mlflow.parent)}),
        ("model", {"name": "folder", "version": "v1", "files": {"a/1.txt": "one", "b.txt": "two"}}),
    ]  # fmt: skip
    python = {"lock_packages": False}
    build = {"build": str(work / "build"), "python": python}
    bentos: list[tuple[str, dict[str, Any]]] = [
        ("bento", {"name": "churn_service", "models": ["churn:v3", "imported:v1"],
                   "labels": {"git_sha": SHA}, **build}),
        ("bento", {"name": "plain_service", "models": [], "labels": {"git_sha": SHA[:7]}, **build}),
    ]  # fmt: skip
    return Made(store, store.make(*models, *bentos))


@pytest.fixture
def changing(made: Made, tmp_path: Path) -> BentoStore:
    copytree(made.store.home, tmp_path / "home")
    return BentoStore(tmp_path / "home")


def source(home: Path, **config: Any) -> BentoMLSource:
    whole = {"type": "bentoml", "name": "serving", "home": str(home), **config}
    return BentoMLSource(BentoMLSource.config_model.model_validate(whole))


def pull(store: SqliteStore, home: Path, **config: Any) -> Report:
    report = ingest(store, source(home, **config))
    assert report.error is None
    return report


def model(tag: str) -> str:
    return identifier("bentoml.model", tag, "serving")


def bento(tag: str) -> str:
    return identifier("bentoml.bento", tag, "serving")


def edges(store: SqliteStore) -> list[Edge]:
    handles = [n.handle for kind in NodeKind for n in store.find(kind, first=500).items]
    return edges_from(store, handles, NOW)


def triples(store: SqliteStore) -> set[tuple[str, EdgeKind, str]]:
    return {(e.src, e.kind, e.dst) for e in edges(store)}


# what becomes what -------------------------------------------------------------------------------------


def test_models_are_what_the_tool_says(store: SqliteStore, made: Made) -> None:
    pull(store, made.store.home)

    named, folder = node(store, model(made.named)), node(store, model(made.folder))

    assert (named.kind, named.name, named.stub) == (NodeKind.MODEL_VERSION, "churn:v3", False)
    assert named.properties["metadata"] == {
        "mlflow_run_id": RUN, "mlflow_model": "churn", "mlflow_version": 3, "auc": 0.81
    }  # fmt: skip
    assert named.properties["labels"] == {"team": "growth"}
    assert named.properties["bentomlVersion"] == BENTOML
    assert named.created_at is not None
    assert set(named.identifiers) == {
        model(made.named),
        f"md5@model_version={md5(b'not a pickle', usedforsecurity=False).hexdigest()}",
        f"sha256@model_version={sha256(b'not a pickle').hexdigest()}",
    }
    assert folder.identifiers == (model(made.folder),), "of several files there is no one content"


def test_the_edges_are_all_there_are(store: SqliteStore, made: Made) -> None:
    pull(store, made.store.home)

    run, commit = f"mlflow.run_id={RUN}", f"git.sha={SHA}"
    logged = f"mlflow.logged_model={LOGGED}"
    named, imported = model(made.named), model(made.imported)
    found = triples(store)
    assert found - {t for t in found if t[1] is EdgeKind.SAME_AS} == {
        (named, EdgeKind.PACKAGED_IN, bento(made.bento)),
        (imported, EdgeKind.PACKAGED_IN, bento(made.bento)),
        (commit, EdgeKind.CODE_FOR, bento(made.bento)),
        (run, EdgeKind.PRODUCED, named),
        (run, EdgeKind.PRODUCED, imported),
    }
    same = {frozenset((a, b)) for a, kind, b in found if kind is EdgeKind.SAME_AS}
    assert same == {frozenset((logged, model(made.logged))), frozenset((logged, imported))}
    assert store.open_references() == [f"mlflow.model_version=churn/3 SAME_AS {named}"]


def test_a_copy_is_the_same_as_its_original_once_that_is_known(store: SqliteStore, made: Made) -> None:
    original = identifier("mlflow.model_version", "churn/3", "tracking")
    pull(store, made.store.home)

    write(store, TRACKING, Record("v3", "version", 1, (Names(NodeKind.MODEL_VERSION, (original,)),)))

    (said,) = [e for e in edges(store) if e.kind is EdgeKind.SAME_AS and original in (e.src, e.dst)]
    assert {said.src, said.dst} == {original, model(made.named)}
    assert said.evidence is not None
    assert "BentoML's copy churn:v3" in said.evidence
    assert "churn 3 of MLflow" in said.evidence
    assert store.open_references() == []


def test_of_two_servers_that_have_it_neither_is_meant(store: SqliteStore, made: Made) -> None:
    pull(store, made.store.home)

    for scope in ("tracking", "other"):
        original = identifier("mlflow.model_version", "churn/3", scope)
        write(store, TRACKING, Record(scope, "version", 1, (Names(NodeKind.MODEL_VERSION, (original,)),)))

    assert not [e for e in edges(store) if e.kind is EdgeKind.SAME_AS and "mlflow.model_version" in e.src]
    assert len(store.open_references()) == 1


def test_a_shortened_commit_names_none(store: SqliteStore, made: Made) -> None:
    pull(store, made.store.home)

    plain = node(store, bento(made.plain))

    assert plain.properties["labels"] == {"git_sha": SHA[:7]}
    assert not [e for e in edges(store) if e.dst == plain.id]


# again, changed, gone ----------------------------------------------------------------------------------


def test_nothing_is_read_again_that_has_not_changed(store: SqliteStore, made: Made) -> None:
    pull(store, made.store.home)
    digest = store.digest()

    report = pull(store, made.store.home)
    assert (report.items, report.changes) == (0, 0)
    report = ingest(store, source(made.store.home), full=True)

    assert (report.items, report.changes) == (6, 0)
    assert store.digest() == digest


def test_what_is_new_arrives_and_what_was_deleted_is_gone(store: SqliteStore, changing: BentoStore) -> None:
    pull(store, changing.home)

    changing.make(
        ("delete", {"kind": "model", "tag": "folder:v1"}),
        ("model", {"name": "churn", "version": "v5", "files": {"model.pkl": "newer"}}),
    )
    report = pull(store, changing.home)

    assert (report.items, report.new, report.retired) == (1, 1, 1)
    assert node(store, model("folder:v1")).gone_at is not None
    assert node(store, model("churn:v5")).gone_at is None
    changing.make(("model", {"name": "folder", "version": "v1", "files": {"b.txt": "two"}}))
    assert pull(store, changing.home).returned == 1
    assert node(store, model("folder:v1")).gone_at is None


def test_a_store_that_is_empty_all_at_once_is_not_believed(store: SqliteStore, changing: BentoStore) -> None:
    pull(store, changing.home)
    for place in ("models", "bentos"):
        (changing.home / place).rename(changing.home / f"{place}-elsewhere")

    report = pull(store, changing.home)

    assert report.retired == 0
    assert len(report.warnings) == 2


def test_names_and_dates_choose(store: SqliteStore, made: Made) -> None:
    assert pull(store, made.store.home, include=["churn*"]).items == 3
    assert pull(store, made.store.home, exclude=["plain_*"]).items == 5
    assert pull(store, made.store.home, include=["churn*"]).retired == 2, "what is no more chosen is gone"
    assert pull(store, made.store.home, name="late", since="2100-01-01").items == 0


# what is wrong -----------------------------------------------------------------------------------------


def letters(store: SqliteStore) -> dict[str, str]:
    return {key: letter["reason"] for key, letter in store.service(DEAD_LETTERS)}


def test_hostile_files_run_nothing_and_stop_nothing(
    store: SqliteStore, changing: BentoStore, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    calls = f"touch {canary}"
    bad = {
        "apply": f"name: bad\nversion: apply\nmetadata: !!python/object/apply:os.system ['{calls}']\n",
        "new": "name: bad\nversion: new\nlabels: !!python/object/new:subprocess.Popen"
        f" [['touch', '{canary}']]\n",
        "module": "name: bad\nversion: module\nlabels: !!python/module:antigravity ''\n",
        "deep": "name: bad\nversion: deep\nmetadata: " + "[" * 100_000 + "]" * 100_000,
        "bomb": "name: bad\nversion: bomb\na: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi"))
        + "metadata: {boom: *i}\n",
        "list": "- name: bad\n",
        "binary": "\udcff\udcfe",
        "other": "name: good\nversion: other\n",
        "huge": "name: bad\nversion: huge\n" + "#" * 2_000_001,
    }
    for version, content in bad.items():
        place = changing.home / "models" / "bad" / version / "model.yaml"
        place.parent.mkdir(parents=True)
        place.write_text(content, encoding="utf-8", errors="surrogateescape")
    for version in ("link", "pipe", "none"):
        (changing.home / "models" / "bad" / version).mkdir()
    (changing.home / "models/bad/link/model.yaml").symlink_to("/etc/passwd")
    os.mkfifo(changing.home / "models/bad/pipe/model.yaml")

    report = ingest(store, source(changing.home), policy=Policy(reject_count=100))

    assert not canary.exists()
    assert (report.error, report.dead_letters) == (None, 12)
    reasons = letters(store)
    assert all(key.startswith("serving/model/model/bad:") for key in reasons)
    assert "is a link" in reasons["serving/model/model/bad:link"]
    assert "says it is good:other" in reasons["serving/model/model/bad:other"]
    assert "too many values" in reasons["serving/model/model/bad:bomb"]
    assert node(store, model("churn:v3")).stub is False, "the others land"


def test_a_pickled_model_is_hashed_and_never_loaded(store: SqliteStore, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    place = tmp_path / "home" / "models" / "churn" / "v1"
    place.mkdir(parents=True)
    (place / "saved_model.pkl").write_bytes(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    (place / "model.yaml").write_text(
        "name: churn\nversion: v1\ncreation_time: '2026-01-01T00:00:00+00:00'\n"
    )

    pull(store, tmp_path / "home")

    assert not canary.exists()
    assert any(
        text.startswith("sha256@model_version=") for text in node(store, model("churn:v1")).identifiers
    )


def test_a_mended_file_is_read_again(store: SqliteStore, changing: BentoStore) -> None:
    place = changing.file("model", "churn:v3")
    good = place.read_text()
    place.write_text("name: [")
    assert pull(store, changing.home).dead_letters == 1

    place.write_text(good)

    assert pull(store, changing.home).dead_letters == 0
    assert letters(store) == {}


def test_a_folder_that_is_not_there_is_named(store: SqliteStore, tmp_path: Path) -> None:
    report = ingest(store, source(tmp_path / "nowhere"))

    assert (
        report.error == f"{tmp_path / 'nowhere'} is no folder; home is where BentoML keeps models and bentos"
    )
    with pytest.raises(SourceError):
        source(tmp_path / "nowhere").check()


# found by itself ---------------------------------------------------------------------------------------


def test_it_is_found_by_its_variable_or_in_the_home_folder(made: Made, tmp_path: Path) -> None:
    home = made.store.home
    (named,) = BentoMLSource.discover(tmp_path, {"BENTOML_HOME": str(home), "HOME": str(tmp_path)})
    assert named.config == {"home": str(home)}
    assert BentoMLSource.discover(tmp_path, {"HOME": str(tmp_path)}) == []

    copytree(home, tmp_path / "bentoml")
    (usual,) = BentoMLSource.discover(tmp_path, {"HOME": str(tmp_path)})

    assert usual.config == {"home": "~/bentoml"}
    assert source(home).check() == f"BentoML's store at {home}: 4 models, 2 bentos"
