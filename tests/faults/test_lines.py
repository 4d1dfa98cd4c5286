"""What goes wrong is said in one clear line, with the exit code as designed, and nothing is half-written.

0 ok · 1 failure · 2 usage, settings · 5 store unreachable. The real command, as a process of its own.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from ingestors.report import CURSOR, statuses
from tests.cli.conftest import KINLORE, Outcome, environ, git, repository
from tests.contract.harness import clean_neo4j
from tests.faults.conftest import Figure
from tests.neo4j_server import Neo4jServer
from tests.tool_venvs import free_port

OK, FAILURE, USAGE, UNREACHABLE = 0, 1, 2, 5


def kinlore(folder: Path, *words: str, largest_file: int | None = None, **env: str) -> Outcome:
    """Run the command. ``largest_file``: bytes beyond which no file of it may grow."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    done = subprocess.run(
        [KINLORE, *words], cwd=folder, env=environ(**env), capture_output=True, text=True, timeout=120,
        preexec_fn=limit,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def only_line(outcome: Outcome) -> str:
    """The one line that tells what is wrong; that it will be tried again may have been said before."""
    assert "Traceback" not in outcome.err + outcome.out
    lines = [line for line in outcome.err.splitlines() if "trying again" not in line]
    assert len(lines) == 1, outcome
    return lines[0]


def settings(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kinlore.toml").write_text(text)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return settings(tmp_path / "work", "")


def held(folder: Path) -> tuple[int, object]:
    """How many records a folder's graph has, and its cursors."""
    store = SqliteStore(folder / "kinlore.db")
    found = store.counts().records, dict(store.service(CURSOR))
    store.close()
    return found


def digest(folder: Path) -> str:
    store = SqliteStore(folder / "kinlore.db")
    found = store.digest()
    store.close()
    return found


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[store]\nurll = "sqlite:///k.db"\n', "store.urll"),
        ("[serverr]\nport = 1\n", "serverr"),
        ('[server]\nport = "many"\n', "server.port"),
        ('[[sources]]\ntype = "git"\nname = "code"\npath = "."\npaht = "."\n', "paht"),
        ('[[sources]]\ntype = "gti"\nname = "code"\n', "gti"),
        ('[[sources]]\ntype = "mlflow"\nname = "t"\ntracking_uri = "http://"\n', "tracking_uri"),
        ('[store]\nurl = "mysql://x"\n', "store.url"),
        ("[store\n", "kinlore.toml"),
        ("\x00\xff", "kinlore.toml"),
    ],
    ids=["key", "table", "value", "key of a source", "type", "address", "engine", "syntax", "bytes"],
)
def test_wrong_settings(folder: Path, text: str, named: str) -> None:
    settings(folder, text)

    outcome = kinlore(folder, "ingest")

    assert outcome.code == USAGE and outcome.out == ""
    said = only_line(outcome)
    assert named in said and "kinlore.toml" in said
    assert [path.name for path in folder.iterdir()] == ["kinlore.toml"]


def test_a_tracking_server_that_is_not_there(folder: Path, figure: Figure) -> None:
    port = free_port()
    repository(folder / "repo", 2)
    settings(
        folder,
        f'[[sources]]\ntype = "mlflow"\nname = "tracking"\ntracking_uri = "http://127.0.0.1:{port}"\n'
        '[[sources]]\ntype = "git"\nname = "code"\npath = "repo"\n',
    )

    began = time.monotonic()
    outcome = kinlore(folder, "ingest")

    figure("an unreachable tracking server is given up after", f"{time.monotonic() - began:.0f} s")
    assert outcome.code == FAILURE
    said = only_line(outcome)
    assert "tracking" in said and f"http://127.0.0.1:{port} does not answer" in said
    # The other source went on, and of this one nothing is there but that it failed.
    store = SqliteStore(folder / "kinlore.db")
    status = {each.name: each for each in statuses(store)}
    assert list(dict(store.service(CURSOR))) == ["code"]
    assert status["tracking"].last_error in said and status["code"].last_error is None
    store.close()


@pytest.mark.parametrize("kind", ["git", "dvc"])
@pytest.mark.parametrize("there", ["nothing", "a folder", "a file", "an empty repository folder"])
def test_a_path_that_is_no_repository(folder: Path, kind: str, there: str) -> None:
    place = folder / "place"
    if there == "a file":
        place.write_text("x")
    elif there != "nothing":
        place.mkdir()
    if there == "an empty repository folder":
        (place / ".git").mkdir()
    settings(folder, f'[[sources]]\ntype = "{kind}"\nname = "code"\npath = "place"\n')

    outcome = kinlore(folder, "ingest")

    assert outcome.code == FAILURE
    said = only_line(outcome)
    assert "code" in said and str(place) in said
    assert held(folder) == (0, {})


def test_a_neo4j_with_a_wrong_password(folder: Path, neo4j_server: Neo4jServer) -> None:
    clean_neo4j(neo4j_server)
    repository(folder / "repo", 1)
    settings(
        folder,
        f'[store]\nurl = "{neo4j_server.url}"\n[[sources]]\ntype = "git"\nname = "code"\npath = "repo"\n',
    )

    outcome = kinlore(folder, "ingest", KINLORE_STORE__PASSWORD="swordfish")

    assert outcome.code == UNREACHABLE and outcome.out == ""
    said = only_line(outcome)
    assert "password" in said and "KINLORE_STORE__PASSWORD" in said
    assert "swordfish" not in said
    with neo4j_server.driver() as driver, driver.session() as session:
        assert session.run("MATCH (n) RETURN count(n)").values() == [[0]]


def test_a_neo4j_that_is_not_there(folder: Path, figure: Figure) -> None:
    port = free_port()
    settings(folder, f'[store]\nurl = "neo4j://neo4j@127.0.0.1:{port}"\n')

    began = time.monotonic()
    outcome = kinlore(folder, "find", "run", KINLORE_STORE__PASSWORD="x")

    figure("an unreachable Neo4j is given up after", f"{time.monotonic() - began:.1f} s")
    assert (outcome.code, outcome.out) == (UNREACHABLE, "")
    assert f"127.0.0.1:{port} does not answer" in only_line(outcome)


def test_a_store_that_is_no_database(folder: Path) -> None:
    settings(folder, '[store]\nurl = "sqlite:///kinlore.toml"\n')

    outcome = kinlore(folder, "find", "run")

    assert (outcome.code, outcome.out) == (UNREACHABLE, "")
    assert "kinlore.toml" in only_line(outcome)
    assert (folder / "kinlore.toml").read_text().startswith("[store]")


@pytest.mark.parametrize("when", ["from the beginning", "later"])
def test_a_full_disk(folder: Path, when: str) -> None:
    repo = repository(folder / "repo", 3)
    settings(folder, '[[sources]]\ntype = "git"\nname = "code"\npath = "repo"\n')
    limit = 50_000
    before = 0
    if when == "later":
        assert kinlore(folder, "ingest").code == OK
        before, _ = held(folder)
        limit = max(path.stat().st_size for path in folder.iterdir() if path.is_file())
        fast_commits(repo, 300)

    outcome = kinlore(folder, "ingest", largest_file=limit)

    assert outcome.code == UNREACHABLE
    said = only_line(outcome)
    assert "full" in said and str(folder / "kinlore.db") in said
    # A page is written in several transactions: those before the disk was full stay.
    if before:
        assert held(folder)[0] >= before
    with closing(sqlite3.connect(folder / "kinlore.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert kinlore(folder, "ingest").code == OK
    other = settings(folder / "other", f'[[sources]]\ntype = "git"\nname = "code"\npath = "{repo}"\n')
    assert kinlore(other, "ingest").code == OK
    assert digest(folder) == digest(other)


def fast_commits(repo: Path, count: int) -> None:
    """Many commits at once, through ``git fast-import``."""
    head = git(repo, "rev-parse", "HEAD").strip()
    lines = []
    for number in range(count):
        start = f"from {head}\n" if number == 0 else ""
        words = f"commit number {number}"
        lines.append(
            "commit refs/heads/main\n"
            f"committer Ada <ada@example.com> {1_790_000_000 + number} +0000\n"
            f"data {len(words)}\n{words}\n{start}M 644 inline file.txt\ndata {len(words)}\n{words}\n"
        )
    subprocess.run(
        ["git", "-C", str(repo), "fast-import", "--quiet", "--force"],
        input="\n".join(lines),
        text=True,
        check=True,
    )
