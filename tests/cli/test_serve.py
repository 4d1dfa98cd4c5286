"""What serves: as the processes that users run, asked over HTTP and ended by signals."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.cli.demo import _place
from tests.cli.conftest import KINLORE, Kinlore, environ
from tests.waiting import soon


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    folder: Path, *words: str, **more: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A serving process and the JSON that it said, once it listens."""
    process = subprocess.Popen(
        [KINLORE, *words, "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ(**more),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield process, json.loads(line)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], by: signal.Signals) -> int:
    process.send_signal(by)
    return process.wait(timeout=20)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_serve(folder: Path, by: signal.Signals) -> None:
    with started(folder, "serve", "--port", str(free_port())) as (process, said):
        assert "open to the users of this machine" in str(said["openness"])
        assert httpx.get(f"{said['address']}/readyz").text == "ready\n"

        assert ended(process, by) == 0


def test_serve_refuses_to_be_open_to_strangers(kinlore: Kinlore) -> None:
    outcome = kinlore("serve", "--host", "0.0.0.0")

    assert outcome.code == 2 and "KINLORE_SERVER__TOKEN" in outcome.err and not outcome.out


def test_serve_with_a_token(folder: Path) -> None:
    token = "0123456789abcdef0123456789abcdef"
    port = str(free_port())
    with started(folder, "serve", "--port", port, KINLORE_SERVER__TOKEN=token) as (process, said):
        url = f"{said['address']}/graphql"
        asked = {"query": "{ __typename }"}

        assert httpx.post(url, json=asked).status_code == 401
        assert httpx.post(url, json=asked, headers={"authorization": f"Bearer {token}"}).status_code == 200
        for given, code in ((token, 0), ("wrong", 1)):
            done = subprocess.run(
                [KINLORE, "sources"],
                cwd=folder,
                env=environ(KINLORE_URL=str(said["address"]), KINLORE_TOKEN=given),
                capture_output=True,
                text=True,
            )
            assert done.returncode == code, done.stderr
        assert "set KINLORE_TOKEN" in done.stderr
        looked = subprocess.run(
            [KINLORE, "doctor"],
            cwd=folder,
            env=environ(KINLORE_URL=str(said["address"]), KINLORE_TOKEN="wrong"),
            capture_output=True,
            text=True,
        )
        assert looked.returncode == 3 and "failed   server: " in looked.stdout, looked.stderr
        assert ended(process, signal.SIGINT) == 0


def test_a_port_in_use_gets_one_line(kinlore: Kinlore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        outcome = kinlore("serve", "--port", str(port))

    assert outcome.code == 1
    assert (
        outcome.err.strip()
        == f"kinlore: port {port} is in use on 127.0.0.1: choose another with --port (or [server] port)"
    )


def test_demo_serves_answers_its_questions_and_cleans_up(folder: Path) -> None:
    with started(folder, "demo", "--port", str(free_port())) as (process, said):
        place, address = Path(str(said["folder"])), str(said["address"])
        questions = said["questions"]
        assert isinstance(questions, list) and len(questions) >= 5
        for question in questions:
            words = shlex.split(question["command"])
            assert words[0] == "kinlore"
            done = subprocess.run(
                [KINLORE, *words[1:]],
                cwd=folder,
                env=environ(KINLORE_URL=address),
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0 and len(done.stdout.splitlines()) > 3, done.stderr
            body = httpx.post(f"{address}/graphql", json={"query": question["graphql"]}).json()
            assert "errors" not in body
        champion = httpx.post(f"{address}/graphql", json={"query": questions[0]["graphql"]}).json()
        kinds = {each["node"]["kind"] for each in champion["data"]["lineage"]["nodes"]}
        assert {"MODEL_VERSION", "RUN", "COMMIT", "DATASET_VERSION"} <= kinds
        incident = httpx.post(f"{address}/graphql", json={"query": questions[1]["graphql"]}).json()
        assert all(incident["data"].values())
        assert place.exists()
        latest = next(question for question in questions if question["command"].endswith("causes latest"))
        body = httpx.post(f"{address}/graphql", json={"query": latest["graphql"]}).json()
        assert body["data"]["rootCauses"]["candidates"][0]["node"]["name"] == "raw.csv@333a0ce"
        # What is sent to it is taken in, as by any server.
        mine = environ(KINLORE_URL=address, XDG_STATE_HOME=str(folder / "state"))
        ran = subprocess.run(
            [KINLORE, "run", "--", "true"], cwd=folder, env=mine, capture_output=True, text=True
        )
        (recorded,) = re.findall(r"kinlore\.run=[0-9a-f-]{36}", ran.stderr)
        found = {"query": f'{{ resolve(scheme: "kinlore.run", value: "{recorded[12:]}") {{ stub }} }}'}
        assert soon(lambda: httpx.post(f"{address}/graphql", json=found).json()["data"]["resolve"])
        shutil.rmtree(folder / "state")

        assert ended(process, signal.SIGINT) == 0

    assert not place.exists()
    assert not list(folder.iterdir()), "nothing is left where one stood"


def test_the_demo_s_last_incident_leads_from_the_alert_to_the_commit(kinlore: Kinlore) -> None:
    """Six lines, each with its time and its tool; and the check that said so before."""
    assert kinlore("demo", "--no-serve", "--folder", "here").code == 0

    causes = kinlore("--config", "here/kinlore.toml", "causes", "latest").out.splitlines()
    checks = kinlore("--config", "here/kinlore.toml", "checks", "--failed", "--downstream", "Run").out
    bound = kinlore("--config", "here/kinlore.toml", "find", "Incident", "--where", "status=OPEN").out

    way = causes[: causes.index("")]
    assert [line[18:48].split() for line in way] == [
        ["kinlore", "Incident"], ["mlflow", "Run"], ["dvc", "DatasetVersion"], ["dvc", "DatasetVersion"],
        ["dvc", "DatasetVersion"], ["git", "Commit"],
    ]  # fmt: skip
    times = [line[:16] for line in way]
    assert times == sorted(times, reverse=True) and all(len(time.split()) == 2 for time in times)
    assert way[4].endswith("raw.csv@333a0ce  ← cause")
    assert "raw_extract failed at 2026-11-10T02:10:00Z, before the data was read" in checks
    assert "every price is known: monthly.nullFraction of churn" in bound and "OPEN" in bound


def test_demo_ends_cleanly_on_sigterm_too(folder: Path) -> None:
    with started(folder, "demo", "--port", str(free_port())) as (process, said):
        assert ended(process, signal.SIGTERM) == 0
        assert not Path(str(said["folder"])).exists()


def test_demo_without_serving_into_a_folder(kinlore: Kinlore, folder: Path) -> None:
    outcome = kinlore("demo", "--no-serve", "--folder", "here")

    assert outcome.code == 0, outcome.err
    assert outcome.out.rstrip().endswith("Now yours: cd your-repo && kinlore init")
    lines = [line.strip() for line in outcome.out.splitlines() if line.strip().startswith("kinlore --config")]
    for line in lines:
        assert kinlore(*shlex.split(line)[1:]).code == 0, line
    assert len(lines) >= 5
    again = kinlore("demo", "--no-serve", "--folder", "here")
    assert again.code == 1 and "name an empty folder" in again.err


def test_demo_calls_the_command_so_that_it_is_found(folder: Path) -> None:
    """After `make demo` the shell knows no `kinlore`: it lies in .venv/bin."""
    (folder / "bin").mkdir()
    (folder / "bin" / "kinlore").symlink_to(KINLORE)
    path = os.pathsep.join(
        part for part in os.environ["PATH"].split(os.pathsep) if not Path(part, "kinlore").exists()
    )
    words = ["bin/kinlore", "demo", "--no-serve", "--folder", "here"]

    done = subprocess.run(words, cwd=folder, env=environ(PATH=path), capture_output=True, text=True)

    line = next(line for line in done.stdout.splitlines() if "--config" in line)
    assert line.strip().startswith("bin/kinlore --config ")
    assert done.stdout.rstrip().endswith(f"Now yours: cd your-repo && {folder}/bin/kinlore init")
    asked = subprocess.run(["sh", "-c", line], cwd=folder, env=environ(PATH=path), capture_output=True)
    assert asked.returncode == 0, asked.stderr


def test_demo_without_serving_keeps_what_its_commands_ask(
    kinlore: Kinlore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    outcome = kinlore("demo", "--no-serve")

    (place,) = tmp_path.glob("kinlore-demo-*")
    lines = [line.strip() for line in outcome.out.splitlines() if line.strip().startswith("kinlore --config")]
    assert outcome.code == 0 and f"The demo stays in {place}" in outcome.err and len(lines) >= 5
    assert kinlore(*shlex.split(lines[0])[1:]).code == 0


def test_demo_finds_another_port_by_itself(folder: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8420))
            taken.listen()
        except OSError:
            # Somebody else has it, which is what is wanted here.
            pass
        with started(folder, "demo") as (process, said):
            assert said["address"] != "http://127.0.0.1:8420"
            assert ended(process, signal.SIGINT) == 0


def test_a_demo_with_a_store_nobody_answers_at(kinlore: Kinlore) -> None:
    outcome = kinlore("demo", "--no-serve", "--store", "bolt://neo4j@127.0.0.1:9")

    assert outcome.code == 5 and "127.0.0.1:9" in outcome.err


@pytest.mark.parametrize("keep", [True, False])
def test_the_temporary_folder_goes_whatever_happens(keep: bool) -> None:
    with pytest.raises(RuntimeError), _place(None, keep=keep) as place:
        (place / "file").write_text("x")
        raise RuntimeError
    assert not place.exists()


#: Takes a module away from a server that is asked for it.
BROKEN = """
import importlib.abc, sys

class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "app.answers.impact":
            raise RuntimeError("swordfish")

sys.meta_path.insert(0, Gone())
"""


@pytest.mark.parametrize("words", [("serve",), ("demo",)])
def test_what_fails_while_serving_is_in_the_log(folder: Path, words: tuple[str, ...]) -> None:
    (folder / "sitecustomize.py").write_text(BROKEN)
    with started(folder, *words, "--port", str(free_port()), PYTHONPATH=str(folder)) as (process, said):
        query = {"query": '{ impact(ids: ["mlflow.run_id=none"]) { score } }'}
        (error,) = httpx.post(f"{said['address']}/graphql", json=query, timeout=30).json()["errors"]
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=20)

    assert "swordfish" not in str(error)
    assert "swordfish" in log and f"request {error['extensions']['requestId']} failed" in log
