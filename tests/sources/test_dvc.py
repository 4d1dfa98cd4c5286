"""The source dvc against the real DVC: versions, how they were made, and what a clean tree reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from ingestors.git_objects import GitRepository
from ingestors.loop import ingest
from ingestors.registry import build
from ingestors.sources.dvc import DvcSource
from ingestors.sources.dvc.contents import Contents
from ingestors.sources.dvc.effective import Effective
from ingestors.sources.dvc.history import History
from tests.sources.repositories import Repository, edges, every, flow, ingested, md5, states, versions

PIPELINE = {
    "src/prepare.py": (
        "import pathlib\n"
        "pathlib.Path('data/clean.csv').write_text(pathlib.Path('data/raw.csv').read_text().upper())\n"
    ),
    "src/features.py": (
        "import json, pathlib, yaml\n"
        "window = yaml.safe_load(open('params.yaml'))['features']['window']\n"
        "place = pathlib.Path('data/features'); place.mkdir(exist_ok=True)\n"
        "(place / 'a.txt').write_text(pathlib.Path('data/clean.csv').read_text() * window)\n"
        "(place / 'b.txt').write_text('b')\n"
        "json.dump({'auc': 0.5 + window / 100, 'by': {'eu': 0.25}}, open('metrics.json', 'w'))\n"
    ),
    "params.yaml": "lr: 1e-3\nfeatures:\n  window: 3\n",
    "dvc.yaml": """\
stages:
  prepare:
    cmd: python src/prepare.py
    deps: [data/raw.csv, src/prepare.py]
    outs: [data/clean.csv]
  features:
    cmd: python src/features.py
    deps: [data/clean.csv, src]
    params: [features.window, lr]
    outs: [data/features]
    metrics:
      - metrics.json: {cache: false}
""",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, dvc_tool: Path) -> dict[str, Any]:
    """A history by the real tools: two extracts, each with its lock one commit later, and an experiment."""
    repository = Repository(tmp_path_factory.mktemp("dvc") / "churn", dvc_tool)
    repository.start_dvc()
    repository.write({**PIPELINE, "data/raw.csv": "a,b\n1,2\n"})
    repository.dvc("add", "--quiet", "data/raw.csv")
    names = {"data-1": repository.commit("First extract")}
    repository.dvc("repro", "--quiet")
    names["lock-1"] = repository.commit("Lock it")
    names["docs"] = repository.commit("Write docs", {"README.md": "hello"})
    repository.write({"data/raw.csv": "a,b\n1,3\n"})
    repository.dvc("add", "--quiet", "data/raw.csv")
    names["data-2"] = repository.commit("Second extract")
    repository.dvc("repro", "--quiet")
    names["lock-2"] = repository.commit("Lock it again")
    names["params"] = repository.commit(
        "Look back further", {"params.yaml": "lr: 1e-3\nfeatures:\n  window: 9\n"}
    )
    repository.git("checkout", "--quiet", names["lock-2"])
    repository.git("checkout", "--quiet", "-B", "work")
    repository.dvc("exp", "run", "--quiet", "--name", "wider", "--set-param", "features.window=5")
    names["experiment"] = next(
        line.split()[0]
        for line in repository.git("for-each-ref", "refs/exps").splitlines()
        if line.endswith("wider")
    )
    return {"repository": repository, **names}


def features(clean: str, window: int) -> str:
    """The md5 that DVC gives to the folder of features."""
    listed = [
        {"md5": md5(clean * window), "relpath": "a.txt"},
        {"md5": md5("b"), "relpath": "b.txt"},
    ]
    return md5(json.dumps(listed)) + ".dir"


RAW = {1: md5("a,b\n1,2\n"), 2: md5("a,b\n1,3\n")}
CLEAN = {1: md5("A,B\n1,2\n"), 2: md5("A,B\n1,3\n")}
FEATURES = {(n, w): features(f"A,B\n1,{n + 1}\n", w) for n in (1, 2) for w in (3, 5)}


def test_versions_and_how_they_were_made(made: dict[str, Any], store: SqliteStore) -> None:
    repository = made["repository"]

    report = ingested(store, "dvc", repository.folder)

    assert report.dead_letters == 0 and report.stale == 0
    assert set(versions(store)) == {
        *RAW.values(),
        *CLEAN.values(),
        FEATURES[1, 3],
        FEATURES[2, 3],
        FEATURES[2, 5],
    }
    assert flow(store, "DERIVED_INTO") == {
        (f"dvc.md5={source}", "DERIVED_INTO", f"dvc.md5={target}")
        for source, target in [
            (RAW[1], CLEAN[1]), (RAW[2], CLEAN[2]), (CLEAN[1], FEATURES[1, 3]), (CLEAN[2], FEATURES[2, 3]),
            (CLEAN[2], FEATURES[2, 5]),
        ]
    }  # fmt: skip
    assert flow(store, "INTRODUCED") == {
        (f"git.sha={made[commit]}", "INTRODUCED", f"dvc.md5={version}")
        for commit, version in [
            ("data-1", RAW[1]), ("lock-1", CLEAN[1]), ("lock-1", FEATURES[1, 3]), ("data-2", RAW[2]),
            ("lock-2", CLEAN[2]), ("lock-2", FEATURES[2, 3]), ("experiment", FEATURES[2, 5]),
        ]
    }  # fmt: skip
    datasets = f"dataset=file://{repository.folder}/data"
    assert flow(store, "HAS") >= {
        *((f"{datasets}/raw.csv", "HAS", f"dvc.md5={each}") for each in RAW.values()),
        *((f"{datasets}/clean.csv", "HAS", f"dvc.md5={each}") for each in CLEAN.values()),
        *(
            (f"{datasets}/features", "HAS", f"dvc.md5={each}")
            for each in FEATURES.values()
            if each in versions(store)
        ),
    }
    assert flow(store, "PRECEDES") >= {
        (f"dvc.md5={before}", "PRECEDES", f"dvc.md5={after}")
        for before, after in [
            (RAW[1], RAW[2]),
            (CLEAN[1], CLEAN[2]),
            (FEATURES[1, 3], FEATURES[2, 3]),
            (FEATURES[2, 3], FEATURES[2, 5]),
        ]
    }


def test_what_is_known_of_a_version(made: dict[str, Any], store: SqliteStore) -> None:
    ingested(store, "dvc", made["repository"].folder)

    raw, folder = versions(store)[RAW[1]], versions(store)[FEATURES[1, 3]]

    assert raw.identifiers == (f"dvc.md5={RAW[1]}", f"md5@dataset_version={RAW[1]}")
    assert (raw.name, raw.properties["path"], raw.properties["size"]) == (
        f"raw.csv@{RAW[1][:7]}",
        "data/raw.csv",
        8,
    )
    assert raw.created_at is not None and not raw.stub
    # The md5 of a folder is one of a list, no content that other tools could know.
    assert folder.identifiers == (f"dvc.md5={FEATURES[1, 3]}",)
    assert (folder.properties["nfiles"], folder.properties["size"]) == (2, 25)


def test_metrics_are_no_data_and_code_is_none(made: dict[str, Any], store: SqliteStore) -> None:
    ingested(store, "dvc", made["repository"].folder)

    paths = {node.properties["path"] for node in every(store, NodeKind.DATASET)}

    assert paths == {"data/raw.csv", "data/clean.csv", "data/features"}


def test_an_experiment_is_a_run(made: dict[str, Any], store: SqliteStore) -> None:
    ingested(store, "dvc", made["repository"].folder)

    (run,) = every(store, NodeKind.RUN)

    assert run.id == f"dvc.experiment={made['experiment']}"
    assert (run.name, run.properties["status"]) == ("wider", "FINISHED")
    assert run.properties["params"] == {"lr": 0.001, "features.window": 5}
    assert run.properties["metrics"] == {"auc": 0.55, "by.eu": 0.25}
    assert run.properties["baseline"] == made["lock-2"]
    around = {edge for edge in edges(store) if run.id in edge}
    assert around == {
        (f"git.sha={made['experiment']}", "CODE_FOR", run.id),
        (f"dvc.md5={RAW[2]}", "INPUT_TO", run.id),
        (run.id, "PRODUCED", f"dvc.md5={FEATURES[2, 5]}"),
    }
    assert (f"git.sha={made['lock-2']}", "PRECEDES", f"git.sha={made['experiment']}") in edges(store)


def test_what_a_clean_tree_reads(made: dict[str, Any], store: SqliteStore) -> None:
    ingested(store, "dvc", made["repository"].folder)

    told = states(store)

    first = {"data/raw.csv": RAW[1], "data/clean.csv": CLEAN[1], "data/features": FEATURES[1, 3]}
    second = {"data/raw.csv": RAW[2], "data/clean.csv": CLEAN[2], "data/features": FEATURES[2, 3]}
    # The lock of data-1 comes one commit later; that of data-2 is still the old one's.
    assert told[made["data-1"]] == told[made["lock-1"]] == told[made["docs"]] == first
    assert told[made["data-2"]] == told[made["lock-2"]] == second
    # Nobody has run the new parameters.
    assert told[made["params"]] == {"data/raw.csv": RAW[2], "data/clean.csv": CLEAN[2]}
    assert told[made["experiment"]] == {**second, "data/features": FEATURES[2, 5]}


def test_commit_by_commit_ends_as_all_at_once(
    made: dict[str, Any], store: SqliteStore, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    made["repository"].git("clone", "--quiet", "--bare", str(made["repository"].folder), str(copy))
    repository = GitRepository(copy)
    order = [made[name] for name in ("data-1", "lock-1", "docs", "data-2", "lock-2", "params")]
    for ref in repository.refs():
        made["repository"].git("-C", str(copy), "update-ref", "-d", ref.name)
    other = SqliteStore(tmp_path / "other.db")
    other.migrate()
    for sha in order:
        made["repository"].git("-C", str(copy), "update-ref", "refs/heads/main", sha)
        ingested(store, "dvc", copy)

    ingested(other, "dvc", copy)

    assert states(store) == states(other)
    assert store.digest() == other.digest()
    full = ingested(store, "dvc", copy, full=True)
    assert (full.changes, store.digest()) == (0, other.digest())
    other.close()


def test_nothing_new_is_nothing_to_do(made: dict[str, Any], store: SqliteStore) -> None:
    ingested(store, "dvc", made["repository"].folder)
    before = store.digest()

    again = ingested(store, "dvc", made["repository"].folder)
    full = ingested(store, "dvc", made["repository"].folder, full=True)

    assert (again.items, full.changes, full.retired) == (0, 0, 0)
    assert store.digest() == before


def test_the_directory_md5_of_code_is_dvcs(made: dict[str, Any]) -> None:
    repository = made["repository"]
    lock = repository.git("show", f"{made['lock-2']}:dvc.lock")
    git = GitRepository(repository.folder)
    history = History(git, [made["lock-2"]], None)
    contents = Contents(git)
    view = history.view_of[made["lock-2"]]
    entry = history.views[view]["src"]
    contents.prefetch([entry])

    (found,) = contents.md5s(entry)

    assert found.endswith(".dir") and f"md5: {found}" in lock
    assert (
        Effective(history, contents, history.order).at(made["lock-2"])["data/features"].md5 == FEATURES[2, 3]
    )


def test_an_import_knows_where_it_came_from(
    made: dict[str, Any], dvc_tool: Path, store: SqliteStore, tmp_path: Path
) -> None:
    home = made["repository"]
    user = Repository(tmp_path / "user", dvc_tool)
    user.start_dvc()
    user.dvc(
        "import", "--quiet", "--rev", made["data-1"], str(home.folder), "data/raw.csv", "--out", "raw.csv"
    )
    user.commit("Import")

    ingested(store, "dvc", user.folder)

    version = versions(store)[RAW[1]]
    assert version.properties["importedFrom"]["path"] == "data/raw.csv"
    assert version.properties["importedFrom"]["revision"] == made["data-1"]
    named = {source for source, kind, target in edges(store) if (kind, target) == ("HAS", version.id)}
    assert named == {f"dataset=file://{user.folder}/raw.csv", f"dataset=file://{home.folder}/data/raw.csv"}


# --- by hand: what would take DVC long -----------------------------------------------------------------


def test_it_is_found_in_a_folder(made: dict[str, Any], plain: Repository) -> None:
    plain.commit("One")
    folder = made["repository"].folder

    (found,) = DvcSource.discover(folder, {})

    assert found.config == {"type": "dvc", "name": "churn-data", "path": "."}
    assert DvcSource.discover(plain.folder, {}) == []
    assert build(dict(found.config), folder).check() == f"file://{folder}: 2 files of DVC where HEAD is"
    none = build({"type": "dvc", "name": "x", "path": "."}, plain.folder)
    assert "no dvc.lock" in none.check()


def test_order_of_sources_does_not_matter(made: dict[str, Any], store: SqliteStore, tmp_path: Path) -> None:
    folder = made["repository"].folder
    other = SqliteStore(tmp_path / "other.db")
    other.migrate()

    for type_name in ("git", "dvc"):
        ingested(store, type_name, folder)
    for type_name in ("dvc", "git"):
        assert ingest(other, build({"type": type_name, "name": type_name, "path": "."}, folder)).error is None

    assert store.digest() == other.digest()
    assert not any(node.stub for kind in NodeKind for node in every(store, kind))
    other.close()
