"""Fault 30: hostile git and DVC repositories, a pickled model. Nothing that they hold is executed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from ingestors.loop import ingest
from ingestors.registry import build
from tests.cli.conftest import KINLORE
from tests.faults.conftest import Figure
from tests.faults.hostile import SECRET, Canary, bento_store, provoke, repository, unpickle
from tests.sources.repositories import AUTHOR, every


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "canary")


@pytest.fixture
def environ(tmp_path: Path, canary: Canary) -> dict[str, str]:
    """The canaries are on the PATH too, for what is only named."""
    path = f"{canary.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {
        **os.environ,
        **AUTHOR,
        "PATH": path,
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


@pytest.fixture
def hostile(tmp_path: Path, canary: Canary, environ: dict[str, str]) -> Path:
    """The repository; that its traps are set has been seen."""
    folder = repository(tmp_path / "hostile", canary).folder
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", str(folder), str(copy)], check=True)
    provoke(copy, environ)
    set_off = canary.sung()
    assert set(set_off) >= {
        "diff-external", "diff-text-textconv", "filter-trap-clean", "gpg-program", "included", "remote-url",
        "submodule-fsmonitor",
    }  # fmt: skip
    return folder


def held(store: SqliteStore) -> str:
    return json.dumps(
        [[str(n.id), n.properties] for kind in NodeKind for n in every(store, kind)], default=str
    )


@pytest.mark.parametrize("type_name", ["git", "dvc"])
@pytest.mark.parametrize("how", ["path", "url"])
def test_a_hostile_repository_is_read_and_runs_nothing(
    hostile: Path, canary: Canary, environ: dict[str, str], type_name: str, how: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: Figure,
) -> None:  # fmt: skip
    monkeypatch.setenv("PATH", environ["PATH"])
    monkeypatch.setenv("KINLORE_CACHE", str(tmp_path / "cache"))
    where = {"path": str(hostile)} if how == "path" else {"url": f"file://{hostile}"}
    store = SqliteStore(tmp_path / "kinlore.db")
    store.migrate()
    source = build({"type": type_name, "name": type_name, **where}, tmp_path)

    reports = [ingest(store, source, full=full) for full in (False, False, True)]
    source.check()

    assert [report.error for report in reports] == [None] * 3
    assert every(store, NodeKind.COMMIT)
    assert SECRET not in held(store)
    store.close()
    sung = canary.sung()
    figure("canaries", len(sung))
    assert sung == []


def test_kinlore_run_reads_a_hostile_repository_and_runs_nothing_but_the_command(
    hostile: Path, canary: Canary, environ: dict[str, str], tmp_path: Path, figure: Figure
) -> None:
    done = subprocess.run(
        [KINLORE, "run", "--input", "data.csv.dvc", "--output", "params.yaml", "--", "sh", "-c", "exit 4"],
        cwd=hostile, env={**environ, "DVC_STAGE": "train", "DVC_ROOT": str(hostile)},
        capture_output=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 4
    (file,) = (tmp_path / "state" / "kinlore" / "spool").glob("*.json")
    told = json.loads(file.read_text())
    assert told["code"]["dirty"] is True and len(told["code"]["commit"]) == 40
    assert "data.csv" in told["code"]["dvc"]
    assert [each["path"] for each in told["outputs"]] == ["params.yaml", "model.pkl"]
    assert SECRET not in file.read_text()
    sung = canary.sung()
    figure("canaries", len(sung))
    assert sung == []


def test_init_in_a_hostile_folder_runs_nothing(
    hostile: Path, canary: Canary, environ: dict[str, str], figure: Figure
) -> None:
    trap = f"!!python/object/apply:os.system ['{canary.named('catalog')}']"
    (hostile / "catalog-info.yaml").write_text(f"kind: Component\nmetadata: {trap}\n")
    (hostile / "mlruns" / "0").mkdir(parents=True)
    (hostile / "mlruns" / "0" / "meta.yaml").write_text(f"name: {trap}\n")
    bento_store(hostile / "bentoml", canary)

    done = subprocess.run(
        [KINLORE, "init"],
        cwd=hostile, env={**environ, "BENTOML_HOME": str(hostile / "bentoml")},
        capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "(git)" in done.stdout and "(dvc)" in done.stdout
    sung = canary.sung()
    figure("canaries", len(sung))
    assert sung == []


def test_a_pickled_model_is_not_unpickled(canary: Canary, tmp_path: Path, figure: Figure) -> None:
    home = bento_store(tmp_path / "bentoml", canary)
    unpickle(home / "models" / "churn" / "abc" / "saved_model.pkl")
    assert canary.sung() == ["bento-pickle"]
    store = SqliteStore(tmp_path / "kinlore.db")
    store.migrate()
    source = build({"type": "bentoml", "name": "serving", "home": str(home)}, tmp_path)

    report = ingest(store, source)

    assert report.error is None
    assert [node.name for node in every(store, NodeKind.MODEL_VERSION)]
    store.close()
    sung = canary.sung()
    figure("canaries", len(sung))
    assert sung == []


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c touch% leaked", "--upload-pack=touch leaked", "-u", "fd::17/x", "transport::address"],
)
def test_addresses_that_are_commands_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a git address"):
        build({"type": "git", "name": "g", "url": url}, tmp_path)
