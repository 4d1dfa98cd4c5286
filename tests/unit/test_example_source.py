"""The source that docs/add-a-source.md explains: found by its entry point, ingested like any other."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.init import discover
from app.lineage.lookup import find_one
from app.lineage.walk import lineage
from app.store.sqlite import SqliteStore
from graph_schema.claims import Record, States
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import Source as Writer
from ingestors import joins, registry
from ingestors.loop import ingest
from ingestors.report import Report

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "add-a-source.md").read_text(encoding="utf-8")
EXAMPLE = DOCS / "examples" / "deploy_log.py"


def block(language: str, beginning: str = "") -> str:
    """The first block of a language in the page whose text begins so."""
    for part in PAGE.split(f"```{language}")[1:]:
        text = part.partition("\n")[2].partition("```")[0]
        if text.startswith(beginning):
            return text
    raise AssertionError(f"no block of {language} begins with {beginning!r}")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution with the example in it, as pip would leave it: a module and its metadata."""
    site = tmp_path / "site"
    project = tomllib.loads(block("toml", "[project]"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    entries = "".join(
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
        for group, points in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(entries)
    shutil.copy(EXAMPLE, site)
    monkeypatch.syspath_prepend(str(site))
    return "deploy_log"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "graph.db")
    opened.migrate()
    # A tracking server that another source has read.
    version = "mlflow.model_version@tracking=churn/4"
    record = Record(
        "v4", "model_version", 1, (States(NodeKind.MODEL_VERSION, version, {"name": "churn v4"}),)
    )
    opened.transact(lambda tx: joins.apply(tx, Writer("tracking", "mlflow"), [record]))
    yield opened
    opened.close()


def pull(store: SqliteStore, folder: Path) -> Report:
    table = tomllib.loads(block("toml", "[[sources]]"))["sources"][0]
    return ingest(store, registry.build(table, folder))


def test_the_page_shows_the_code_that_is_tested() -> None:
    assert block("python") == EXAMPLE.read_text(encoding="utf-8")


def test_it_is_known_by_its_entry_point(installed: str) -> None:
    assert installed in registry.known_types()
    assert registry.source_class(installed).__module__ == "deploy_log"
    assert registry.disabled_because(installed) is None


def test_init_finds_it(installed: str, tmp_path: Path) -> None:
    (tmp_path / "deployments.jsonl").write_text("")

    found = discover(tmp_path)

    assert [each["config"]["path"] for each in found if each["config"]["type"] == installed] == [
        "deployments.jsonl"
    ]


def test_what_it_writes_joins_the_lineage(installed: str, store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "deployments.jsonl").write_text(block("json"))

    report = pull(store, tmp_path)

    assert (report.error, report.new, report.dead_letters) == (None, 2, 0)
    graph = lineage(store, find_one(store, "mlflow.model_version=churn/4"))
    assert [(hops, label.id) for hops, label in zip(graph.hops, graph.labels, strict=True)] == [
        (0, "mlflow.model_version@tracking=churn/4"),
        (1, "deployment@releases=prod/churn@7"),
    ]


def test_a_second_pull_reads_only_what_was_appended(
    installed: str, store: SqliteStore, tmp_path: Path
) -> None:
    log = tmp_path / "deployments.jsonl"
    log.write_text(block("json"))
    pull(store, tmp_path)
    before = store.digest()

    again = pull(store, tmp_path)
    unchanged = store.digest()
    with log.open("a") as file:
        line = {"environment": "prod", "name": "churn", "revision": "8", "model": "churn/4"}
        file.write(json.dumps({**line, "at": "2026-11-09T08:00:00Z"}) + "\n")
    more = pull(store, tmp_path)

    assert (again.items, again.changes, unchanged) == (0, 0, before)
    assert (more.items, more.new) == (1, 1)


def test_a_bad_line_is_kept_aside_and_the_rest_lands(
    installed: str, store: SqliteStore, tmp_path: Path
) -> None:
    (tmp_path / "deployments.jsonl").write_text(block("json") + "not JSON\n")

    report = pull(store, tmp_path)

    assert (report.error, report.new, report.dead_letters) == (None, 2, 1)


def test_what_left_the_file_is_gone_at_the_source(installed: str, store: SqliteStore, tmp_path: Path) -> None:
    log = tmp_path / "deployments.jsonl"
    log.write_text(block("json"))
    pull(store, tmp_path)
    log.write_text(block("json").splitlines(keepends=True)[0])

    # Missing once may be an accident; missing twice is believed.
    first, second = pull(store, tmp_path), pull_again(store, tmp_path)

    assert (first.retired, second.retired) == (0, 1)


def pull_again(store: SqliteStore, folder: Path) -> Report:
    table = tomllib.loads(block("toml", "[[sources]]"))["sources"][0]
    return ingest(store, registry.build(table, folder), full=True)


def test_a_wrong_key_is_one_clear_line(installed: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"source 'releases': unknown key 'file'; allowed are .*path"):
        registry.build({"type": installed, "name": "releases", "path": "x", "file": "y"}, tmp_path)
