"""From the spool to the graph: captures wait until somebody takes them, and nothing that fails is felt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import Commands
from tests.cli.test_serve import free_port, started


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Commands:
    return Commands(folder, tmp_path / "state")


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_what_waits_is_taken_by_the_next_run(run: Commands) -> None:
    run("--quiet", "--name", "offline", "--", "true")
    run.configure()

    done = run("--name", "online", "--", "true")

    assert done.err.rstrip().endswith("is recorded in sqlite:///kinlore.db")
    assert {found.name for found in run.runs()} == {"offline", "online"}
    assert run.files() == []


@pytest.mark.parametrize("words", [["ingest", "capture"], ["ingest", "capture", "--json"]])
def test_what_waits_is_taken_by_ingest(run: Commands, words: list[str]) -> None:
    run("--quiet", "--", "true")
    run("--quiet", "--", "false")
    run.configure()

    done = run.kinlore(*words)

    assert done.code == 0
    if "--json" in words:
        assert json.loads(done.out)["delivered"] == 2
    else:
        assert done.out == b"capture: 2 delivered to sqlite:///kinlore.db, 0 refused\n"
    assert sorted(found.properties["status"] for found in run.runs()) == ["FAILED", "FINISHED"]
    assert run.kinlore(*words).code == 0
    assert len(run.runs()) == 2


def test_a_server_that_is_away_changes_nothing(run: Commands) -> None:
    url = nowhere()

    done = run("--", "sh", "-c", "echo out; exit 3", KINLORE_URL=url)
    taken = run.kinlore("ingest", "capture", KINLORE_URL=url)

    assert (done.code, done.out) == (3, b"out\n")
    assert done.err.startswith("kinlore: exit code 3: kinlore.run=")
    assert f"{url} cannot be reached" in done.err and "1 capture waits in" in done.err
    assert taken.code == 5
    assert len(run.files()) == 1


def test_a_server_takes_captures_once(run: Commands) -> None:
    run.configure()
    port = str(free_port())
    with started(run.folder, "serve", "--port", port) as (_, said):
        url = str(said["address"])

        done = run("--name", "told", "--", "false", KINLORE_URL=url)
        again = run.spooled()
        run("--quiet", "--", "true", KINLORE_URL=nowhere())
        (file,) = run.files()
        body = file.read_bytes()
        first = run.kinlore("ingest", "capture", KINLORE_URL=url)
        file.write_bytes(body)
        second = run.kinlore("ingest", "capture", KINLORE_URL=url)
        run_id = json.loads(body)["run"]
        for _ in range(100):
            found = run.kinlore("resolve", "kinlore.run", run_id, "--json", KINLORE_URL=url)
            if found.code == 0:
                break

    assert (done.code, again) == (1, [])
    assert f"is recorded in {url}" in done.err
    assert (first.code, second.code, found.code) == (0, 0, 0)
    assert sorted(node.name for node in run.runs()) == ["told", "true"]


def test_what_a_server_refuses_for_good_is_put_aside(run: Commands) -> None:
    run("--quiet", "--", "true")
    (file,) = run.files()
    file.write_text('{"format": 2}')
    run.configure()

    done = run.kinlore("ingest", "capture")

    assert done.out == b"capture: 0 delivered to sqlite:///kinlore.db, 1 refused\n"
    assert [f.name for f in (file.parent / "refused").iterdir()] == [file.name]


def test_a_spool_that_cannot_be_written_changes_no_exit_code(run: Commands) -> None:
    run.state.write_text("a file, not a folder")

    done = run("--", "sh", "-c", "echo out; exit 9")

    assert (done.code, done.out) == (9, b"out\n")
    assert done.err.startswith("kinlore: not recorded: ")
    assert "Traceback" not in done.err


def test_a_broken_configuration_changes_no_exit_code(run: Commands) -> None:
    (run.folder / "kinlore.toml").write_text("[stroe]\n")

    done = run("--", "sh", "-c", "exit 9")

    assert done.code == 9
    assert "stroe" in done.err and "Traceback" not in done.err
    assert len(run.files()) == 1


def test_captures_are_for_their_owner_only(run: Commands) -> None:
    run("--quiet", "--", "true")

    (file,) = run.files()
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_a_configuration_with_a_mistake_keeps_what_ran(run: Commands) -> None:
    (run.folder / "kinlore.toml").write_text("[[source]]\n")

    done = run("--", "sh", "-c", "echo out; exit 3")

    assert (done.code, done.out) == (3, b"out\n")
    assert "is kept; 1 capture waits in" in done.err and "source is no setting" in done.err
    run.configure()
    assert run.kinlore("ingest", "capture").code == 0
    assert [node.properties["exitCode"] for node in run.runs()] == [3]
