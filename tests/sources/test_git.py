"""The source git against the real git: what it says, what is new, what went, and what must never run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from graph_schema.values import Node
from ingestors.git_objects import GitRepository
from ingestors.loop import ingest
from ingestors.registry import build
from ingestors.source import SourceError
from ingestors.sources.git import GitSource
from tests.sources.repositories import Repository, edges, every, ingested, truth


def commits(store: SqliteStore) -> dict[str, Node]:
    return {node.id.removeprefix("git.sha="): node for node in every(store, NodeKind.COMMIT)}


def gone(store: SqliteStore) -> set[str]:
    return {sha for sha, node in commits(store).items() if node.gone_at is not None}


def test_commits_and_their_order(repository: Repository, store: SqliteStore) -> None:
    first = repository.commit("Add features\n\nWhy: because", {"a": "1"})
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit("Side", {"b": "1"})
    repository.git("checkout", "--quiet", "main")
    repository.commit("Main", {"c": "1"})
    repository.git("merge", "--quiet", "--no-ff", "-m", "Merge side", "side")
    repository.git("tag", "-a", "v1", "-m", "Release")

    report = ingested(store, "git", repository.folder)

    assert edges(store) == truth(repository)
    assert report.new == 5
    held = commits(store)[first]
    assert held.name == f"{first[:7]} Add features"
    assert held.properties["author"] == "Ada" and held.properties["authorEmail"] == "ada@example.com"
    assert held.properties["message"] == "Add features\n\nWhy: because"
    assert held.properties["committedAt"] == "2026-01-01T00:01:00Z"
    assert held.created_at == 1_767_225_660_000_000
    (home,) = every(store, NodeKind.REPOSITORY)
    assert home.name == "churn" and home.properties["defaultBranch"] == "main"
    assert home.properties["branches"] == {"main": repository.head(), "side": side}
    assert home.properties["tags"] == {"v1": repository.head()}


def test_what_a_commit_touched_is_told(repository: Repository, store: SqliteStore) -> None:
    first = repository.commit("One", {"churn/train.py": "1", "README.md": "1"})
    second = repository.commit("Two", {"churn/train.py": "2"})
    repository.git("checkout", "--quiet", "-b", "side", first)
    repository.commit("Side", {"docs/é b.md": "1"})
    side = repository.head()
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "-m", "Merge side", "side")
    merge = repository.head()
    many = repository.commit("Move", {f"part{n % 60}/sub{n % 4}/f{n}.py": "1" for n in range(120)})
    deep = repository.commit("Grow", {f"lib/part{n % 3}/f{n}.py": "1" for n in range(60)})

    ingested(store, "git", repository.folder)

    told = {sha: node.properties for sha, node in commits(store).items()}
    assert told[first]["files"] == ["README.md", "churn/train.py"]
    assert (told[second]["files"], told[second]["fileCount"]) == (["churn/train.py"], 1)
    assert told[side]["files"] == ["docs/é b.md"]
    assert "files" not in told[merge] and "fileCount" not in told[merge]
    assert told[many]["fileCount"] == 120 and not {"files", "folders"} & told[many].keys()
    assert told[deep]["folders"] == ["lib/part0/", "lib/part1/", "lib/part2/"]


def test_at_the_edge_of_a_shallow_clone_nothing_is_told_of_files(
    repository: Repository, store: SqliteStore, tmp_path: Path
) -> None:
    for number in range(3):
        repository.commit(f"Commit {number}", {f"f{number}": "1"})
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "2", repository.folder.as_uri(), tmp_path / "shallow"],
        check=True,
    )

    ingested(store, "git", tmp_path / "shallow")

    told = {node.name[8:]: node.properties.get("files") for node in commits(store).values()}
    assert told == {"Commit 2": ["f2"], "Commit 1": None}


def test_nothing_new_changes_nothing_even_in_full(repository: Repository, store: SqliteStore) -> None:
    repository.commit("One", {"a": "1"})
    ingested(store, "git", repository.folder)
    before = store.digest()

    again = ingested(store, "git", repository.folder)
    full = ingested(store, "git", repository.folder, full=True)

    assert (again.changes, full.changes, full.unchanged) == (0, 0, 2)
    assert store.digest() == before


def test_only_what_is_new_is_read(repository: Repository, store: SqliteStore) -> None:
    for number in range(5):
        repository.commit(f"Commit {number}")
    ingested(store, "git", repository.folder)
    repository.commit("New")
    repository.git("tag", "later", "HEAD~3")

    report = ingested(store, "git", repository.folder)

    # The commit, and the repository with its branches and tags.
    assert (report.items, report.new, report.changed, report.complete) == (2, 1, 1, False)
    assert edges(store) == truth(repository)


def test_commits_that_were_pushed_away_are_gone_and_keep_their_edges(
    repository: Repository, store: SqliteStore
) -> None:
    for number in range(12):
        repository.commit(f"Commit {number}")
    ingested(store, "git", repository.folder)
    before = edges(store)
    lost = set(repository.git("rev-list", "HEAD~2..HEAD").split())
    repository.git("reset", "--quiet", "--hard", "HEAD~2")
    repository.commit("Instead")

    report = ingested(store, "git", repository.folder)

    assert (report.retired, gone(store)) == (2, lost)
    assert edges(store) == truth(repository) | before
    # And they are back when somebody finds them again.
    repository.git("branch", "found", lost.pop())
    assert ingested(store, "git", repository.folder).returned >= 1


def test_commits_that_were_collected_are_gone_too(repository: Repository, store: SqliteStore) -> None:
    for number in range(12):
        repository.commit(f"Commit {number}")
    ingested(store, "git", repository.folder)
    lost = repository.head()
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "--quiet", "--prune=now")

    ingested(store, "git", repository.folder)

    assert gone(store) == {lost}


def test_a_suddenly_empty_repository_is_not_believed(repository: Repository, store: SqliteStore) -> None:
    repository.commit("One")
    ingested(store, "git", repository.folder)
    repository.git("update-ref", "-d", "refs/heads/main")

    report = ingested(store, "git", repository.folder)

    assert gone(store) == set()
    assert "--accept-retirement" in report.warnings[0]


def test_branches_are_chosen_by_globs(repository: Repository, store: SqliteStore) -> None:
    repository.commit("Base")
    for branch in ("release/1", "release/2", "wip/x"):
        repository.git("checkout", "--quiet", "-b", branch, "main")
        repository.commit(branch)

    ingested(store, "git", repository.folder, include=["main", "release/*"], exclude=["*/2"])

    assert {node.name[8:] for node in commits(store).values()} == {"Base", "release/1"}
    # A wider choice brings what no branch has moved for.
    ingested(store, "git", repository.folder, include=["main", "release/*"])
    assert {node.name[8:] for node in commits(store).values()} == {"Base", "release/1", "release/2"}


def test_older_commits_are_left_out(repository: Repository, store: SqliteStore) -> None:
    repository.commit("Old")
    repository._clock += 86_400 * 30
    new = repository.commit("New")

    ingested(store, "git", repository.folder, since="2026-01-15")

    held = commits(store)
    assert [node.id for node in held.values() if not node.stub] == [f"git.sha={new}"]


def test_shallow_clones_invent_no_parents(repository: Repository, store: SqliteStore, tmp_path: Path) -> None:
    for number in range(5):
        repository.commit(f"Commit {number}")
    shallow = tmp_path / "shallow"
    repository.git("clone", "--quiet", "--depth", "2", f"file://{repository.folder}", str(shallow))

    ingested(store, "git", shallow)

    held = commits(store)
    assert len(held) == 2 and not any(node.stub for node in held.values())
    assert sum(kind == "PRECEDES" for _, kind, _ in edges(store)) == 1


def test_a_remote_is_mirrored_into_the_cache(
    repository: Repository, store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINLORE_CACHE", str(tmp_path / "cache"))
    first = repository.commit("One")
    source = build({"type": "git", "name": "git", "url": f"file://{repository.folder}"}, tmp_path)

    assert ingest(store, source).error is None
    second = repository.commit("Two")
    assert ingest(store, source).error is None

    assert set(commits(store)) == {first, second}
    assert edges(store) == truth(repository)
    repository.folder.rename(tmp_path / "away")
    assert "does not appear to be a git repository" in (ingest(store, source).error or "")


def test_the_remote_names_the_repository(repository: Repository) -> None:
    folder = repository.folder
    assert GitRepository(folder).remote() == f"file://{folder}"

    repository.git("remote", "add", "upstream", "https://github.com/other/churn")
    assert GitRepository(folder).remote() == "github.com/other/churn"
    repository.git("remote", "add", "origin", "ssh://git@github.com:22/acme/churn.git/")
    assert GitRepository(folder / ".git").remote() == "github.com/acme/churn"


def test_odd_commits_are_read(repository: Repository, store: SqliteStore) -> None:
    repository.commit("Base")
    tree = repository.git("rev-parse", "HEAD^{tree}")
    raw = (
        f"tree {tree}\nauthor J\xfcrgen <j@x> 99999999999999 +0000\n"
        f"committer J\xfcrgen <j@x> 99999999999999 +0000\nencoding ISO-8859-1\n"
        "gpgsig -----BEGIN PGP SIGNATURE-----\n tree 0000\n -----END PGP SIGNATURE-----\n\n\xdcber\n"
    ).encode("latin-1")
    (repository.folder.parent / "raw").write_bytes(raw)
    sha = repository.git(
        "hash-object", "-w", "-t", "commit", "--literally", str(repository.folder.parent / "raw")
    )
    repository.git("update-ref", "refs/heads/odd", sha)

    report = ingested(store, "git", repository.folder)

    held = commits(store)[sha]
    assert report.dead_letters == 0
    assert (held.properties["author"], held.properties["message"]) == ("Jürgen", "Über")
    assert "committedAt" not in held.properties and held.created_at is None


def test_secrets_in_messages_are_taken_out(repository: Repository, store: SqliteStore) -> None:
    sha = repository.commit("Use AKIAIOSFODNN7EXAMPLQ for now")

    ingested(store, "git", repository.folder)

    assert "AKIA" not in commits(store)[sha].properties["message"]


@pytest.mark.parametrize("place", ["nowhere", "plain"])
def test_what_is_no_repository_is_one_clear_line(tmp_path: Path, store: SqliteStore, place: str) -> None:
    (tmp_path / "plain").mkdir()
    source = build({"type": "git", "name": "git", "path": str(tmp_path / place)}, tmp_path)

    error = ingest(store, source).error

    assert error in (f"{tmp_path / place} does not exist", f"{tmp_path / place} is not in a git repository")
    with pytest.raises(SourceError):
        source.check()


def test_an_empty_repository_is_none_the_less_one(repository: Repository, store: SqliteStore) -> None:
    report = ingested(store, "git", repository.folder)

    assert (report.new, len(every(store, NodeKind.REPOSITORY))) == (1, 1)


def test_it_is_found_in_a_folder(repository: Repository, tmp_path: Path) -> None:
    repository.commit("One")
    (repository.folder / "below").mkdir()

    (found,) = GitSource.discover(repository.folder, {})
    (from_below,) = GitSource.discover(repository.folder / "below", {})

    assert found.config == {"type": "git", "name": "churn-code", "path": "."}
    assert from_below.config["path"] == str(repository.folder)
    assert GitSource.discover(tmp_path, {}) == []
    source = build(dict(found.config), repository.folder)
    assert source.check() == f"file://{repository.folder}: 1 branch or tag"


def hostile(repository: Repository, canary: Path) -> None:
    """Whatever a repository's own config can make git run."""
    script = repository.folder.parent / "evil.sh"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >> {canary}\ncat\n', encoding="utf-8")
    script.chmod(0o755)
    for key in (
        "core.fsmonitor", "diff.external", "gpg.program", "gpg.ssh.program", "core.pager", "pager.log",
        "pager.rev-list", "core.editor", "core.sshCommand", "core.askPass", "credential.helper",
        "diff.evil.textconv", "diff.evil.command", "filter.evil.clean", "filter.evil.smudge",
        "filter.evil.process", "merge.evil.driver", "uploadpack.packObjectsHook", "core.gitProxy",
        "remote.origin.uploadpack", "remote.origin.vcs", "core.alternateRefsCommand", "alias.rev-list",
        "trailer.evil.command", "interactive.diffFilter", "sequence.editor",
    ):  # fmt: skip
        value = f"!{script}" if key.startswith("alias.") else str(script)
        repository.git("config", key, value)
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "remote.origin.url", f"ext::{script} %S")
    repository.git("config", "remote.origin.promisor", "true")
    repository.git("config", "extensions.partialClone", "origin")
    hooks = repository.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in (
        "post-checkout",
        "reference-transaction",
        "post-index-change",
        "fsmonitor-watchman",
        "pre-auto-gc",
    ):
        (hooks / hook).write_text(script.read_text(encoding="utf-8"), encoding="utf-8")
        (hooks / hook).chmod(0o755)


def test_nothing_of_a_hostile_repository_runs(
    repository: Repository, store: SqliteStore, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    repository.write(
        {".gitattributes": "* diff=evil filter=evil merge=evil\n", "a.txt": "1", "data.dvc": "outs: []\n"}
    )
    repository.commit("One")
    repository.commit("Two", {"a.txt": "2", "dvc.lock": "schema: '2.0'\nstages: {}\n"})
    # A commit with a signature, and a missing object that git would fetch.
    signed = repository.git("cat-file", "commit", "HEAD").replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n", 1
    )
    repository.git(
        "update-ref",
        "HEAD",
        repository.git("hash-object", "-w", "-t", "commit", "--stdin", stdin=signed + "\n"),
    )
    blob = repository.git("rev-parse", "HEAD:a.txt")
    (repository.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    hostile(repository, canary)

    for type_name in ("git", "dvc"):
        source = build({"type": type_name, "name": type_name, "path": str(repository.folder)}, tmp_path)
        type(source).discover(repository.folder, {})
        source.check()
        assert ingest(store, source).error is None
        assert ingest(store, source, full=True).error is None

    assert not canary.exists(), canary.read_text(encoding="utf-8")
    # The trap works: plain git falls into it.
    subprocess.run(["git", "-C", str(repository.folder), "status"], capture_output=True, check=False)
    assert canary.exists()


def test_names_that_look_like_options_are_names(repository: Repository, store: SqliteStore) -> None:
    sha = repository.commit("One", {"--output=x": "1", "-r": "2", "a\nb": "3", "ü\t.txt": "4"})
    repository.git("update-ref", "refs/heads/--exec=touch", sha)

    report = ingested(store, "git", repository.folder)

    assert report.new == 2
    assert ingested(store, "dvc", repository.folder).error is None
