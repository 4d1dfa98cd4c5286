"""What a change touches, read out of real repositories, and what counts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.changes import Change, Changes, load, save
from app.gate.ci import Candidate, surroundings
from app.gate.reading import read_changes
from graph_schema.errors import BadInput
from tests.sources.repositories import Repository
from tests.unit.gate.projects import (
    CLEAN,
    DVC_YAML,
    FEATURES,
    NEW_CLEAN,
    NEW_FEATURES,
    NEW_RAW,
    RAW,
    begin,
    lock,
    pointer,
)

HERE = surroundings({})
SHA = "a" * 40


@pytest.fixture
def project(tmp_path: Path) -> Repository:
    return begin(tmp_path / "churn")


def read(project: Repository, base: str | None = None) -> Changes:
    return read_changes(project.folder, HERE, base, "HEAD")


def changed(project: Repository, files: dict[str, str]) -> list[Change]:
    """What counts of a commit with these files."""
    project.commit("Change", files)
    return list(read(project).changes)


def test_data_with_what_was_made_of_it(project: Repository) -> None:
    first = project.git("rev-parse", "main")
    new = {"data/raw.csv.dvc": pointer(NEW_RAW), "dvc.lock": lock(NEW_RAW, NEW_CLEAN, NEW_FEATURES)}

    raw, clean, features = changed(project, new)

    assert (raw.kind, raw.path, raw.text) == ("data", "data/raw.csv", "aaaaaaa → ddddddd")
    assert (raw.versions, raw.replaced, raw.datasets) == ((RAW, NEW_RAW), 1, ("data/raw.csv",))
    assert raw.commits == (first,)
    assert [(each.path, each.follows) for each in (raw, clean, features)] == [
        ("data/raw.csv", False),
        ("data/clean.csv", True),
        ("data/features.csv", True),
    ]
    assert clean.versions == (CLEAN, NEW_CLEAN)


def test_data_that_comes_or_goes(project: Repository) -> None:
    project.git("rm", "--quiet", "data/raw.csv.dvc")

    gone, new = changed(project, {"data/regions.csv.dvc": pointer(NEW_RAW, "regions.csv")})

    assert (gone.path, gone.text, gone.versions, gone.replaced) == (
        "data/raw.csv", "no longer there", (RAW,), 1
    )  # fmt: skip
    assert (new.path, new.text, new.versions, new.replaced) == ("data/regions.csv", "new", (NEW_RAW,), 0)


def test_code_that_a_stage_names(project: Repository) -> None:
    (change,) = changed(project, {"src/prepare.py": "from src.common import read as r\n"})

    assert (change.kind, change.path, change.because) == ("code", "src/prepare.py", "stage prepare")
    assert (change.datasets, change.versions) == (("data/clean.csv",), (CLEAN,))
    assert change.scripts == ("src/prepare.py",)


def test_code_in_a_folder_that_a_stage_names(project: Repository) -> None:
    (change,) = changed(project, {"src/features/window.py": "import pandas\n"})

    assert (change.because, change.versions) == ("stage featurize", (FEATURES,))
    # Who imports it may have been run by itself.
    assert change.scripts == ("src/features/window.py", "train.py")


def test_code_that_is_imported_by_what_is_run(project: Repository) -> None:
    (change,) = changed(project, {"src/common.py": "def read(): return 1\n"})

    assert change.because == "imported by src/prepare.py, train.py"
    assert change.versions == (CLEAN,)
    assert change.scripts == ("src/common.py", "src/prepare.py", "train.py")


def test_code_that_only_runs_could_have_read(project: Repository) -> None:
    (change,) = changed(project, {"notebooks/look.py": "print(2)\n"})

    assert (change.kind, change.scripts, change.versions) == ("code", ("notebooks/look.py",), ())


def test_only_parameters_that_a_stage_reads(project: Repository) -> None:
    text = "featurize:\n  window: 6\nreport:\n  colour: blue\n"

    (change,) = changed(project, {"params.yaml": text})

    assert (change.kind, change.text) == ("parameters", "featurize.window: 3 → 6")
    assert (change.because, change.versions) == ("stage featurize", (FEATURES,))
    (plan,) = read(project).plans
    assert plan.settings == {"featurize": {"window": 6}, "report": {"colour": "blue"}}


def test_values_of_secret_parameters_are_not_told(tmp_path: Path) -> None:
    project = begin(tmp_path / "churn")
    project.git("checkout", "--quiet", "main")
    keyed = lock().replace("featurize.window: 3", "api_key: before-5f3c")
    project.commit("Keyed", {"dvc.lock": keyed, "params.yaml": "api_key: before-5f3c\n"})
    project.git("checkout", "--quiet", "-b", "key")
    project.commit("Key", {"params.yaml": "api_key: after-9d2b\n"})

    found = read(project)

    assert [change.text for change in found.changes] == ["api_key differs"]
    assert "9d2b" not in str(found)


def test_what_is_not_committed_is_said_not_to_be_looked_at(project: Repository) -> None:
    project.write({"src/prepare.py": "x = 1\n"})

    found = read(project)

    assert (found.changes, found.notes) == ((), ("uncommitted changes were not looked at",))


def test_a_partial_clone_says_what_to_do(project: Repository, tmp_path: Path) -> None:
    project.commit("Change", {"README.md": "x\n"})
    project.git("config", "uploadpack.allowFilter", "true")
    place = tmp_path / "ci"
    address = f"file://{project.folder}"
    project.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", address, str(place))

    with pytest.raises(BadInput, match="clone without a filter"):
        read_changes(place, HERE, "origin/main", "origin/change")


def test_a_file_that_is_too_large_is_said_and_the_rest_counts(project: Repository) -> None:
    project.commit("Change", {"big.dvc": "#" * (9 << 20), "data/raw.csv.dvc": pointer(NEW_RAW)})

    found = read(project)

    assert [change.path for change in found.changes] == ["data/raw.csv"]
    assert found.notes == ("big.dvc could not be read: too large, or not in this clone",)


def test_parameters_that_no_stage_reads_are_code_of_runs_at_most(project: Repository) -> None:
    (change,) = changed(project, {"params.yaml": "featurize:\n  window: 3\nreport:\n  colour: blue\n"})

    assert (change.kind, change.versions, change.scripts) == ("code", (), ("params.yaml",))


def test_a_stage_that_is_defined_differently(project: Repository) -> None:
    (change,) = changed(project, {"dvc.yaml": DVC_YAML.replace("src/prepare.py\n", "src/prepare.py -v\n", 1)})

    assert (change.kind, change.path, change.text) == ("stage", "dvc.yaml", "prepare is defined differently")
    assert change.versions == (CLEAN,)


def test_a_stage_that_is_laid_out_differently_is_the_same(project: Repository) -> None:
    assert changed(project, {"dvc.yaml": f"# in order\n{DVC_YAML}"}) == []


def test_a_workflow(project: Repository) -> None:
    (change,) = changed(project, {".github/workflows/train.yml": "on: [push]\n"})

    assert (change.kind, change.path) == ("workflow", ".github/workflows/train.yml")


@pytest.mark.parametrize(
    "path",
    ["README.md", "docs/guide.txt", "src/features/README.md", "LICENSE", "img/a.svg", ".gitignore", "new.py"],
)
def test_prose_and_what_is_new_count_nothing(project: Repository, path: str) -> None:
    assert changed(project, {path: "changed\n"}) == []
    assert read(project).total == 1


def test_prose_that_a_stage_names_counts(tmp_path: Path) -> None:
    project = begin(tmp_path / "churn")
    project.git("checkout", "--quiet", "main")
    project.commit("Read it", {"dvc.lock": lock().replace("src/features\n", "src/features/README.md\n")})
    project.git("checkout", "--quiet", "-b", "prose")

    (change,) = changed(project, {"src/features/README.md": "changed\n"})

    assert change.because == "stage featurize"


def test_it_is_compared_with_where_the_branch_began(project: Repository) -> None:
    project.commit("Change", {"README.md": "mine\n"})
    project.git("checkout", "--quiet", "main")
    project.commit("Theirs", {"src/prepare.py": "theirs\n"})
    project.git("checkout", "--quiet", "change")

    assert read(project).changes == ()
    assert read(project, "main").total == 1


def test_a_push_is_compared_with_what_was_there(project: Repository) -> None:
    before = project.git("rev-parse", "main")
    project.git("checkout", "--quiet", "main")
    project.commit("Straight", {"src/prepare.py": "x = 1\n"})
    around = surroundings({})
    around = type(around)(bases=(Candidate(before, "what was there", fork=False), *around.bases))

    found = read_changes(project.folder, around, None, "HEAD")

    assert [change.path for change in found.changes] == ["src/prepare.py"]


def test_a_shallow_clone_says_what_to_do(project: Repository, tmp_path: Path) -> None:
    project.commit("Change", {"README.md": "x\n"})
    project.git(
        "clone", "--quiet", "--depth=1", "--branch=change", f"file://{project.folder}", str(tmp_path / "ci")
    )
    # As a checkout in CI leaves it.
    project.git("-C", str(tmp_path / "ci"), "remote", "set-head", "origin", "--delete")

    with pytest.raises(BadInput, match="fetch-depth: 0"):
        read_changes(tmp_path / "ci", HERE, None, "HEAD")
    with pytest.raises(BadInput, match="--base 'main' is no commit"):
        read_changes(tmp_path / "ci", HERE, "main", "HEAD")


def test_outside_a_repository_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not in a git repository"):
        read_changes(tmp_path, HERE, None, "HEAD")


def test_a_file_that_cannot_be_read_is_said_and_the_rest_counts(project: Repository) -> None:
    project.commit("Conflict", {"dvc.lock": "<<<<<<< HEAD\n", "data/raw.csv.dvc": pointer(NEW_RAW)})

    found = read(project)

    # What stood in the lock is not said to be gone.
    assert [(change.kind, change.path) for change in found.changes] == [("data", "data/raw.csv")]
    assert found.notes == ("dvc.lock holds the marks of an unresolved merge",)


def test_odd_names_are_kept_as_text(project: Repository) -> None:
    project.git("checkout", "--quiet", "main")
    odd = b"src/\xff\nname.py".decode("utf-8", "surrogateescape")
    place = project.folder / odd
    place.write_text("x = 1\n")
    project.commit("Odd")
    project.git("checkout", "--quiet", "-B", "change")
    place.write_text("x = 2\n")
    project.commit("Odder")

    (change,) = read(project, "main").changes

    assert change.path == "src/?\nname.py"


def test_what_one_workflow_saves_another_reads(project: Repository, tmp_path: Path) -> None:
    project.commit("Change", {"src/prepare.py": "x = 1\n", "params.yaml": "featurize:\n  window: 6\n"})
    found = read(project)

    save(found, tmp_path / "changes.json")

    assert load(tmp_path / "changes.json") == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"format": 2}',
        '{"repository": "r", "base": "HEAD", "head": "HEAD", "against": "", "total": 0}',
        f'{{"repository": "r", "base": "{SHA}", "head": "{SHA}", "against": "", "total": 0, "token": 1}}',
    ],
)
def test_what_somebody_else_made_up_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "changes.json"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(BadInput, match="is not what `kinlore check --save` writes"):
        load(file)
