"""What serves pulls too: as processes that users run, beside kinlore ingest and kinlore sources."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.container import Container
from app.jobs.leases import Leases
from app.jobs.runs import PREFIX, Runs
from app.settings import load
from tests.cli.conftest import KINLORE, Kinlore, environ, git, repository
from tests.cli.test_serve import ended, free_port, soon, started

CODE = '[[sources]]\ntype = "git"\nname = "code"\npath = "."\n'
EVERY = CODE + 'every = "1s"\n'


def asked(address: object, query: str) -> dict[str, Any]:
    body = httpx.post(f"{address}/graphql", json={"query": query}, timeout=30).json()
    assert "errors" not in body, body
    found: dict[str, Any] = body["data"]
    return found


def ingesting(folder: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [KINLORE, "ingest", *words],
        cwd=folder,
        env=environ(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_serve_brings_in_a_commit_by_itself(folder: Path, kinlore: Kinlore) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text(EVERY)
    with started(folder, "serve", "--port", str(free_port())) as (process, said):
        git(folder, "commit", "--quiet", "--allow-empty", "-m", "later")
        head = git(folder, "rev-parse", "HEAD").strip()
        query = f'{{ resolve(scheme: "git.sha", value: "{head}") {{ id stub }} }}'
        soon(lambda: [n for n in asked(said["address"], query)["resolve"] if not n["stub"]])

        (source,) = asked(
            said["address"],
            "{ sources { schedule interval nextRun history(first: 3) { run duration error } } }",
        )["sources"]
        table, one = kinlore("sources"), kinlore("sources", "code")
        assert ended(process, signal.SIGTERM) == 0

    assert source["schedule"] == "1s" and source["interval"] == 1.0 and source["nextRun"]
    runs = [line["run"] for line in source["history"]]
    assert runs == sorted(runs, reverse=True) and all(line["error"] is None for line in source["history"])
    assert "1s" in table.out and ("in " in table.out or "running" in table.out)
    assert one.out.count(" ok") >= 2 and "outcome" in one.out
    after = kinlore("sources")
    assert "no `kinlore serve` runs on this store" in after.err


def test_serve_without_jobs_pulls_nothing_and_says_so(folder: Path) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text(EVERY)
    with started(folder, "serve", "--no-jobs", "--port", str(free_port())) as (process, said):
        query = {"query": 'mutation { ingest(names: ["code"]) { run } }'}
        refused = httpx.post(f"{said['address']}/graphql", json=query).json()
        time.sleep(1.5)
        (source,) = asked(said["address"], "{ sources { lastStarted nextRun schedule } }")["sources"]
        assert ended(process, signal.SIGINT) == 0

    assert "--no-jobs" in refused["errors"][0]["message"]
    assert source == {"lastStarted": None, "nextRun": None, "schedule": "1s"}


def test_a_wrong_interval_is_one_line(kinlore: Kinlore, folder: Path) -> None:
    (folder / "kinlore.toml").write_text(CODE + 'every = "often"\n')

    outcome = kinlore("sources")

    assert outcome.code == 2 and outcome.err.count("\n") == 1
    assert "kinlore.toml: source 'code': every: 'often' is no interval; allowed are 30s, 5m" in outcome.err


@pytest.mark.parametrize("key", ['lease = "1s"', 'lease = "x"', "share = 0", "share = 1.5"])
def test_a_wrong_setting_is_one_line(kinlore: Kinlore, folder: Path, key: str) -> None:
    (folder / "kinlore.toml").write_text(f"[jobs]\n{key}\n")

    outcome = kinlore("sources")

    assert outcome.code == 2 and outcome.err.startswith(f"kinlore: kinlore.toml: jobs.{key[:5]}")
    assert outcome.err.count("\n") == 1


def test_ingest_asks_the_server_that_is_named(folder: Path, tmp_path: Path) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text(CODE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with started(folder, "serve", "--port", str(free_port())) as (process, said):
        url = str(said["address"])
        first = ingesting(elsewhere, "code", KINLORE_URL=url).communicate(timeout=60)
        second = ingesting(elsewhere, "--json", "--full", KINLORE_URL=url).communicate(timeout=60)
        wrong = ingesting(elsewhere, "data", KINLORE_URL=url)
        _, complaint = wrong.communicate(timeout=60)
        assert ended(process, signal.SIGINT) == 0

    assert "code: " in first[0] and "new, 0 changed" in first[0] and not first[1]
    (report,) = json.loads(second[0])
    assert report["new"] == report["changed"] == 0 and report["items"] > 3 and report["run"] == 2
    assert wrong.returncode == 2 and "no source is named 'data'" in complaint
    assert not list(elsewhere.iterdir())


def test_ingest_waits_for_whoever_is_at_it(folder: Path, kinlore: Kinlore) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text(CODE)
    with Container(load(environ={})) as container:
        leases = Leases(container.migrated(), holder="the other machine, process 7", place="")
        source = container.source("code").source
        assert source is not None
        begun = Runs(container.store, leases).begin(source)
        assert begun is not None
        process = ingesting(folder)
        assert process.stderr is not None

        line = process.stderr.readline()
        leases.release(begun.held)
        out, _ = process.communicate(timeout=60)
        leases.close()

    assert line == "code is being ingested by the other machine, process 7; waiting (Ctrl-C ends it)\n"
    assert process.returncode == 0 and "new, 0 changed" in out


def test_ctrl_c_ends_the_waiting(folder: Path) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text(CODE)
    with Container(load(environ={})) as container:
        leases = Leases(container.migrated(), place="")
        assert leases.acquire(f"{PREFIX}code") is not None
        process = ingesting(folder)
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()

        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        leases.close()

    assert process.returncode == 1 and "Traceback" not in err


def test_a_server_and_ingest_at_once_never_overlap(folder: Path, kinlore: Kinlore) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text(EVERY)
    with started(folder, "serve", "--port", str(free_port())) as (process, said):
        soon(lambda: asked(said["address"], "{ sources { history { run } } }")["sources"][0]["history"])
        done = [kinlore("ingest") for _ in range(3)]
        lines = asked(said["address"], "{ sources { history(first: 100) { run error stopped } } }")
        assert ended(process, signal.SIGINT) == 0

    assert [outcome.code for outcome in done] == [0, 0, 0]
    runs = [line["run"] for line in lines["sources"][0]["history"]]
    assert len(set(runs)) == len(runs) and all(not line["error"] for line in lines["sources"][0]["history"])
