"""From an empty folder to a graph on a real repository: init, ingest, sources, doctor; what goes wrong."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from app.cli import sources
from app.cli.init import settings_text
from app.container import Container
from app.settings import load
from graph_schema.store import GraphStore
from ingestors.report import DEAD_LETTERS, STATUS
from ingestors.sources.mlflow import MLflowSource
from tests.cli.conftest import KINLORE, Kinlore, environ, git, repository


def test_init_ingest_lineage(kinlore: Kinlore, folder: Path) -> None:
    repository(folder)
    head = git(folder, "rev-parse", "HEAD").strip()

    begun = kinlore("init")
    doctor, sources = kinlore("doctor"), kinlore("sources")
    assert doctor.code == 0 and "no graph yet at sqlite:///kinlore.db: kinlore ingest" in doctor.out
    assert sources.code == 0 and "not ingested yet" in sources.out and "no graph yet" in sources.err
    assert json.loads(kinlore("sources", "--json").out)[0]["enabled"]
    assert kinlore("sources", "work-code").code == 0 and not (folder / "kinlore.db").exists()
    first, second = kinlore("ingest"), kinlore("ingest", "--json")

    assert begun.code == 0 and "a git repository" in begun.out and "kinlore ingest" in begun.out
    assert tomllib.loads((folder / "kinlore.toml").read_text())["sources"][0]["type"] == "git"
    assert first.code == 0 and "new, 0 changed" in first.out
    (report,) = json.loads(second.out)
    assert report["new"] == report["changed"] == 0 and report["error"] is None
    assert head in kinlore("resolve", "git.sha", head[:8]).out
    assert "ok" in kinlore("sources").out
    doctor = kinlore("doctor")
    assert doctor.code == 0 and "all are answered" in doctor.out


def test_in_a_folder_with_nothing_it_says_what_to_do(
    kinlore: Kinlore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, doctor = kinlore("causes", "latest"), kinlore("doctor")

    assert asked.code == 5
    assert "name one with --config, or a server with KINLORE_URL" in asked.err
    assert "no graph yet at sqlite:///kinlore.db: kinlore init" in doctor.out
    monkeypatch.setenv("KINLORE_URL", "http://127.0.0.1:9")
    away = kinlore("doctor")
    assert away.code == 3 and "nothing answers at http://127.0.0.1:9" in away.out
    # What is here by default is not what the commands ask.
    assert "sqlite" not in away.out


def test_init_never_writes_over_a_file(kinlore: Kinlore, folder: Path) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text("# mine\n")

    refused = kinlore("init")

    assert refused.code == 2 and "--force" in refused.err
    assert (folder / "kinlore.toml").read_text() == "# mine\n"
    assert kinlore("init", "--force", "--json").code == 0
    assert "# mine" not in (folder / "kinlore.toml").read_text()


def test_init_where_there_is_nothing(kinlore: Kinlore, folder: Path) -> None:
    outcome = kinlore("init")

    assert outcome.code == 1 and "found nothing in" in outcome.err
    assert not (folder / "kinlore.toml").exists()


def test_init_writes_no_secrets_and_says_what_does_not_answer(
    kinlore: Kinlore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:swordfish@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "sesame-open")

    outcome = kinlore("init")

    text = (folder / "kinlore.toml").read_text()
    assert outcome.code == 0 and "not yet" in outcome.out
    assert "swordfish" not in text + outcome.out and "sesame" not in text + outcome.out
    assert 'token_env = "MLFLOW_TRACKING_TOKEN"' in text


def test_written_settings_are_read_back(tmp_path: Path) -> None:
    config = {
        "path": 'a "b" \\ ü\x7f',
        "type": "git",
        "include": ["x*"],
        "n": 3,
        "yes": True,
        "no": None,
        "name": "a",
    }
    file = tmp_path / "kinlore.toml"

    file.write_text(settings_text([config]))

    (read,) = load(file, environ={}).settings.sources
    assert read == {key: value for key, value in config.items() if value is not None}
    assert file.read_text().index('type = "git"') < file.read_text().index("path =")


CODE = '[[sources]]\ntype = "git"\nname = "code"\npath = "."\n'


@pytest.mark.parametrize(
    ("text", "words", "code", "said"),
    [
        ("", ["ingest"], 2, "no sources are configured: `kinlore init`"),
        (
            "[server]\nprot = 1\n",
            ["ingest"],
            2,
            "kinlore.toml: server.prot is no setting; did you mean port?",
        ),
        (CODE + "pth = 1\n", ["ingest"], 2, "kinlore.toml: source 'code': unknown key 'pth'; allowed are"),
        (CODE, ["ingest", "data"], 2, "no source is named 'data'; configured are: code"),
        ('[[sources]]\ntype = "gti"\nname = "x"\n', ["ingest"], 2, "unknown source type 'gti'; known are"),
        ('[[sources]]\nname = "x"\n', ["ingest"], 2, "a source needs a type; known are"),
        ('[[sources]]\ntype = "git"\npath = "."\n', ["ingest"], 2, "kinlore.toml: sources.0:"),
        (CODE, ["ingest"], 1, "is not in a git repository"),
        (CODE, ["lineage", "tag=x"], 5, "there is no graph at"),
        (CODE, ["doctor"], 3, "is not in a git repository"),
        (
            '[[sources]]\ntype = "mlflow"\nname = "runs"\ntracking_uri = "http://127.0.0.1:9"\n',
            ["doctor"],
            3,
            "http://127.0.0.1:9 does not answer",
        ),
        (
            '[[sources]]\ntype = "alertmanager"\nname = "alerts"\nsecret_env = "ALERTS_TOKEN"\n',
            ["doctor"],
            3,
            "the environment variable ALERTS_TOKEN is not set (secret_env): what is pushed is refused",
        ),
        ('[store]\nurl = "sqlite:///missing/kinlore.db"\n' + CODE, ["ingest"], 5, "its folder is missing"),
        ('[store]\nurl = "sqlite:///kinlore.toml"\n' + CODE, ["ingest"], 5, "not a readable SQLite database"),
        ('[store]\nurl = "sqlite:////dev/full"\n' + CODE, ["ingest"], 5, "/dev/full"),
        ("", ["--config", "none.toml", "sources"], 2, "--config names 'none.toml'"),
        ("", ["sources", "--config", "none.toml"], 2, "--config names 'none.toml'"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_exit_code(
    kinlore: Kinlore, folder: Path, text: str, words: list[str], code: int, said: str
) -> None:
    (folder / "kinlore.toml").write_text(text)

    outcome = kinlore(*words)

    assert outcome.code == code, outcome
    assert said in outcome.out + outcome.err
    if words != ["doctor"]:
        wrong = [line for line in outcome.err.splitlines() if said in line]
        assert len(wrong) == 1 and not outcome.out.replace(wrong[0], "").startswith("kinlore:")


def test_doctor_says_who_may_push(kinlore: Kinlore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_TOKEN", "0123456789abcdef")
    (folder / "kinlore.toml").write_text(
        '[[sources]]\ntype = "alertmanager"\nname = "alerts"\nsecret_env = "ALERTS_TOKEN"\n'
        '[[sources]]\ntype = "openlineage"\nname = "pipelines"\n'
    )

    outcome = kinlore("doctor")

    assert outcome.code == 0
    assert "source alerts: takes requests by the secret in ALERTS_TOKEN" in outcome.out
    assert "source pipelines: takes requests from this machine only" in outcome.out


def test_an_unreachable_source_does_not_stop_the_others(kinlore: Kinlore, folder: Path) -> None:
    repository(folder)
    gone = '[[sources]]\ntype = "git"\nname = "gone"\npath = "nowhere"\n'
    (folder / "kinlore.toml").write_text(gone + CODE)

    outcome = kinlore("ingest")

    assert outcome.code == 1
    assert "gone: error:" in outcome.err and "code: " in outcome.out and "gone: 0 items" not in outcome.out
    assert "failed" in kinlore("sources").out


def test_a_server_that_does_not_answer_is_given_up_soon(kinlore: Kinlore, folder: Path) -> None:
    (folder / "kinlore.toml").write_text(
        '[[sources]]\ntype = "mlflow"\nname = "runs"\ntracking_uri = "http://127.0.0.1:9"\n'
    )
    began = time.monotonic()

    outcome = kinlore("ingest")

    assert time.monotonic() - began < 30
    assert outcome.code == 1 and not outcome.out
    assert "runs: it does not answer; trying again in 1 s" in outcome.err
    assert outcome.err.count("error:") == 1


def test_a_missing_extra_disables_its_source_only(
    kinlore: Kinlore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MLflowSource, "extra_for", lambda config: ("mlflow", "a_module_that_is_not_there"))
    repository(folder)
    (folder / "mlflow.db").touch()

    begun, done = kinlore("init"), kinlore("ingest")

    assert begun.code == 0 and "pip install 'kinlore[mlflow]'" in begun.out
    assert done.code == 0 and "work-mlflow: disabled: this mlflow source needs the extra" in done.err
    assert "work-code: " in done.out
    assert kinlore("ingest", "work-mlflow").code == 1
    assert "disabled" in kinlore("sources").out and "needs the extra" in kinlore("sources").err
    doctor = kinlore("doctor")
    assert doctor.code == 0 and "warning  source work-mlflow: disabled" in doctor.out
    assert json.loads(kinlore("ingest", "--json").out)[0]["started"].endswith("Z")


def test_sources_shows_what_was_refused(kinlore: Kinlore, folder: Path) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text(CODE)
    kinlore("ingest")

    assert json.loads(kinlore("sources", "code", "--json").out)["refused"] == []
    unknown = kinlore("sources", "nobody")
    assert (unknown.code, unknown.err) == (4, "kinlore: no source is named 'nobody'; known are: code\n")


def test_sources_says_how_much_of_what_was_refused_is_shown(
    kinlore: Kinlore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "kinlore.toml").write_text(CODE)
    letters = [{"type": "commit", "key": str(number), "reason": "odd"} for number in range(3)]
    with Container(load(environ={})) as container:
        store = container.migrated()
        for letter in letters:
            put(store, DEAD_LETTERS, f"code/{letter['key']}", letter)
        put(store, STATUS, "code", {"name": "code", "type": "git", "dead_letters": 3})
    monkeypatch.setattr(sources, "_LETTERS", 2)

    outcome = kinlore("sources", "code")

    assert outcome.out.count("odd") == 2 and "2 of 3 refused items shown" in outcome.err


def put(store: GraphStore, collection: str, key: str, value: object) -> None:
    store.transact(lambda tx: tx.service_put(collection, key, value))


def wait_until_open(pid: int, path: Path) -> None:
    """Wait for a process to have a file open."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            if any(fd.resolve() == path.resolve() for fd in Path(f"/proc/{pid}/fd").iterdir()):
                return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} did not open {path} within 30 s")


def test_ctrl_c_ends_an_ingestion_cleanly(folder: Path) -> None:
    repository(folder)
    (folder / "kinlore.toml").write_text(CODE)
    # The lock is held by somebody else, so that there is time to press Ctrl-C.
    subprocess.run([KINLORE, "migrate"], cwd=folder, check=True, capture_output=True, env=environ())
    import sqlite3

    holder = sqlite3.connect(folder / "kinlore.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    process = subprocess.Popen(
        [KINLORE, "ingest"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ(),
    )
    # It minds signals from before it opens the store.
    wait_until_open(process.pid, folder / "kinlore.db")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    holder.execute("ROLLBACK")
    _, err = process.communicate(timeout=30)
    holder.close()

    assert process.returncode in (0, 1) and "Traceback" not in err
    assert "stopping after the page at hand" in err and "stopped; the next ingestion goes on from here" in err
