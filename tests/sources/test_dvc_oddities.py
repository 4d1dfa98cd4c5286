"""DVC in odd repositories: merges, shallow clones, pushed-away commits, files nobody should trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from ingestors.report import DEAD_LETTERS
from tests.sources.repositories import Repository, edges, every, flow, ingested, md5, states, versions


def pointer(*outs: tuple[str, str]) -> str:
    return "outs:\n" + "".join(f"- md5: {value}\n  hash: md5\n  path: {path}\n" for path, value in outs)


A, B, C = md5("a"), md5("b"), md5("c")


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
