"""The source dvc against the real DVC: versions, how they were made, and what a clean tree reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from graph_schema.values import Node
from ingestors.git_objects import GitRepository
from ingestors.loop import ingest
from ingestors.registry import build
from ingestors.report import DEAD_LETTERS
from ingestors.sources.dvc import DvcSource
from ingestors.sources.dvc.contents import Contents
from ingestors.sources.dvc.effective import Effective
from ingestors.sources.dvc.history import History
from tests.sources.repositories import Repository, edges, every, ingested

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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "kinlore.db")
    store.migrate()
    yield store
    store.close()


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


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


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


def flow(store: SqliteStore, *kinds: str) -> set[tuple[str, str, str]]:
    return {edge for edge in edges(store) if edge[1] in kinds}


def states(store: SqliteStore) -> dict[str, dict[str, str]]:
    """Commit → what a clean tree reads, as the join rule finds it."""

    def read(tx: Any) -> dict[str, dict[str, str]]:
        found = {}
        for node in every(store, NodeKind.COMMIT):
            sha = node.id.removeprefix("git.sha=")
            for tree in tx.keyed("tree", sha, role="tree"):
                files = tx.keyed("tree_state", tree.data["state"], role="file")
                found[sha] = {f.data["path"]: f.ref.removeprefix("dvc.md5=") for f in files}
        return found

    return store.transact(read)


def versions(store: SqliteStore) -> dict[str, Node]:
    return {node.id.removeprefix("dvc.md5="): node for node in every(store, NodeKind.DATASET_VERSION)}


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


def pointer(*outs: tuple[str, str]) -> str:
    return "outs:\n" + "".join(f"- md5: {value}\n  hash: md5\n  path: {path}\n" for path, value in outs)


A, B, C = md5("a"), md5("b"), md5("c")


@pytest.fixture
def plain(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "plain")


def test_a_merge_introduces_only_what_no_parent_had(plain: Repository, store: SqliteStore) -> None:
    base = plain.commit("Base", {"x.dvc": pointer(("x", A))})
    plain.git("checkout", "--quiet", "-b", "side")
    side = plain.commit("Side", {"y.dvc": pointer(("y", B))})
    plain.git("checkout", "--quiet", "main")
    plain.commit("Main", {"README": "1"})
    plain.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
    merge = plain.commit("Merge", {"x.dvc": pointer(("x", C))})

    ingested(store, "dvc", plain.folder)

    assert flow(store, "INTRODUCED") == {
        (f"git.sha={commit}", "INTRODUCED", f"dvc.md5={version}")
        for commit, version in [(base, A), (side, B), (merge, C)]
    }
    assert flow(store, "PRECEDES") == {(f"dvc.md5={A}", "PRECEDES", f"dvc.md5={C}")}


def test_a_shallow_boundary_introduced_nothing(plain: Repository, store: SqliteStore, tmp_path: Path) -> None:
    plain.commit("Base", {"x.dvc": pointer(("x", A))})
    plain.commit("Two", {"README": "1"})
    last = plain.commit("Three", {"x.dvc": pointer(("x", B))})
    plain.git("clone", "--quiet", "--depth", "2", f"file://{plain.folder}", str(tmp_path / "shallow"))

    ingested(store, "dvc", tmp_path / "shallow")

    assert flow(store, "INTRODUCED") == {(f"git.sha={last}", "INTRODUCED", f"dvc.md5={B}")}
    assert set(versions(store)) == {A, B}


def test_what_was_pushed_away_is_gone_and_keeps_its_edges(plain: Repository, store: SqliteStore) -> None:
    for number in range(12):
        plain.commit(f"Commit {number}", {f"x{number}.dvc": pointer((f"x{number}", md5(str(number))))})
    ingested(store, "dvc", plain.folder)
    before = edges(store)
    plain.git("reset", "--quiet", "--hard", "HEAD~1")

    report = ingested(store, "dvc", plain.folder)

    assert report.retired == 3 and report.warnings == []
    assert [node.id for node in versions(store).values() if node.gone_at is not None] == [
        f"dvc.md5={md5('11')}"
    ]
    assert edges(store) == before


HOSTILE = {
    "conflict": "<<<<<<< HEAD\nouts: []\n=======\nouts: []\n>>>>>>> other\n",
    "bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(10)
    ) + "outs: *k\n",
    "merge bomb": "a: &a {x: 1}\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [{','.join(['*' + chr(97 + n)] * 9)}]}}\n" for n in range(10)
    ) + "outs: 1\n",
    "tag": "outs: !!python/object/apply:os.system ['touch /tmp/kinlore-canary']\n",
    "recursive": "outs: &a\n- *a\n",
    "not yaml": "outs: [\n",
    "a list": "- 1\n- 2\n",
    "wrong types": "outs: {path: 1}\n",
    "numbers": "outs:\n- md5: 12\n  path: x\n",
    "no path": f"outs:\n- md5: {A}\n",
    "deep": "outs: " + "[" * 5_000 + "]" * 5_000 + "\n",
    "bytes": "outs: \udcff\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["bad.dvc", "dvc.lock"])
def test_a_file_that_cannot_be_read_is_put_aside_and_the_rest_lands(
    plain: Repository, store: SqliteStore, name: str, place: str
) -> None:
    good = {"x.dvc": pointer(("x", A)), place: pointer(("y", B)) if place == "bad.dvc" else LOCK}
    first = plain.commit("Good", good)
    (plain.folder / place).write_bytes(HOSTILE[name].encode("utf-8", "surrogateescape"))
    plain.commit("Bad")
    plain.commit("Good again", good)

    report = ingested(store, "dvc", plain.folder)

    assert report.dead_letters == 1, "nothing was put aside"
    ((_, letter),) = store.service(DEAD_LETTERS)
    assert place in letter["reason"] and "\n" not in letter["reason"]
    # The last good state stands in between: nothing seems to have gone and come again.
    assert {source for source, *_ in flow(store, "INTRODUCED")} == {f"git.sha={first}"}
    assert set(versions(store)) == {A, B}


LOCK = f"""\
schema: '2.0'
stages:
  make:
    cmd: make
    deps:
    - path: x
      hash: md5
      md5: {A}
    outs:
    - path: y
      hash: md5
      md5: {B}
"""


def test_paths_outside_of_the_repository_are_not_its_data(plain: Repository, store: SqliteStore) -> None:
    plain.commit("One", {
        "sub/x.dvc": pointer(("../in.csv", A), ("../../out.csv", B), ("/etc/passwd", B), ("s3://b/k", B)),
    })  # fmt: skip

    ingested(store, "dvc", plain.folder)

    assert [node.properties["path"] for node in every(store, NodeKind.DATASET)] == ["in.csv"]


def test_names_that_sound_secret_keep_their_versions(plain: Repository, store: SqliteStore) -> None:
    plain.commit("One", {"data/secret.dvc": pointer(("secret", A)), "password.dvc": pointer(("password", B))})

    ingested(store, "dvc", plain.folder)

    assert set(versions(store)) == {A, B}
    assert next(iter(states(store).values())) == {"data/secret": A, "password": B}


def test_a_working_folder_and_an_old_lock_are_understood(plain: Repository, store: SqliteStore) -> None:
    plain.commit("One", {
        "sub/dvc.yaml": "stages:\n  make:\n    wdir: ../work\n    cmd: make\n    outs: [y]\n",
        "sub/dvc.lock": (
            f"make:\n  cmd: m\n  deps: [{{path: x, md5: {A}}}]\n  outs: [{{path: y, md5: {B}}}]\n"
        ),
    })  # fmt: skip

    ingested(store, "dvc", plain.folder)

    assert [node.properties["path"] for node in every(store, NodeKind.DATASET)] == ["work/y"]
    assert flow(store, "DERIVED_INTO") == {(f"dvc.md5={A}", "DERIVED_INTO", f"dvc.md5={B}")}
    # Without `hash: md5` DVC changed line ends first: the md5 is of no file.
    assert versions(store)[B].identifiers == (f"dvc.md5={B}",)


def test_of_two_descendants_the_nearer_tells(plain: Repository, store: SqliteStore) -> None:
    def lock(dep: str, out: str) -> str:
        return LOCK.replace(A, dep).replace(B, out)

    start = plain.commit("Start", {"x.dvc": pointer(("x", A)), "dvc.lock": lock(C, C)})
    plain.git("checkout", "--quiet", "-b", "far")
    plain.commit("Step", {"README": "1"})
    plain.commit("Far", {"dvc.lock": lock(A, md5("far"))})
    plain.git("checkout", "--quiet", "-b", "near", start)
    near = plain.commit("Near", {"dvc.lock": lock(A, md5("near"))})
    other = plain.commit("Other data", {"x.dvc": pointer(("x", md5("other")))})

    ingested(store, "dvc", plain.folder)

    told = states(store)
    assert told[start]["y"] == told[near]["y"] == md5("near")
    assert "y" not in told[other]


def test_parameters_count(plain: Repository, store: SqliteStore) -> None:
    lock = LOCK.replace(
        "    outs:",
        "    params:\n      params.yaml:\n        train.lr: 0.001\n      p.py:\n        x: 1\n    outs:",
    )
    files = {
        "x.dvc": pointer(("x", A)),
        "dvc.lock": lock,
        "params.yaml": "train: {lr: 1e-3}\n",
        "p.py": "x = 1\n",
    }
    same = plain.commit("Same", files)
    spelled = plain.commit("Spelled otherwise", {"params.yaml": "train:\n  lr: 0.0010 # same\n"})
    other = plain.commit("Other", {"params.yaml": "train: {lr: 0.01}\n"})
    code = plain.commit("Other code", {"params.yaml": "train: {lr: 1e-3}\n", "p.py": "x = 2\n"})

    ingested(store, "dvc", plain.folder)

    told = states(store)
    assert ["y" in told[sha] for sha in (same, spelled, other, code)] == [True, True, False, False]


def test_a_file_below_a_tracked_folder_depends_on_the_folder(plain: Repository, store: SqliteStore) -> None:
    lock = LOCK.replace("path: x\n", "path: raw/part-1.csv\n")
    same = plain.commit("Same", {"raw.dvc": pointer(("raw", f"{C}.dir")), "dvc.lock": lock})
    other = plain.commit("Other", {"raw.dvc": pointer(("raw", f"{A}.dir"))})

    ingested(store, "dvc", plain.folder)

    told = states(store)
    assert ("y" in told[same], "y" in told[other]) == (True, False)


@pytest.mark.slow
def test_twenty_thousand_commits_take_seconds(plain: Repository, store: SqliteStore) -> None:
    text = (
        LOCK.replace(A, "{number:032x}")
        .replace(B, "{number:031x}a")
        .replace("path: x\n", "path: src/module1.py\n")
    )
    plain.fast_import(20_000, 100, text)

    report = ingested(store, "dvc", plain.folder)

    assert report.new > 400
    assert report.duration < 60


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
