"""Sources that are pushed to, on the command line: where to send to, and what waits is applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.container import Container
from app.jobs.leases import Leases
from app.settings import load
from graph_schema.kinds import NodeKind
from ingestors.inbox import waiting
from ingestors.source import Item
from tests.bell import hang_up
from tests.cli.conftest import Kinlore, git, repository

BELL = '[[sources]]\ntype = "bell"\nname = "bell"\n'


@pytest.fixture(autouse=True)
def bell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang_up(monkeypatch)
    (folder / "kinlore.toml").write_text(BELL)


def ring(*keys: str) -> None:
    with Container(load(environ={})) as container:
        container.migrated()
        items = [Item(key, "run", 1, {"key": key, "broken": key == "bad"}) for key in keys]
        container.inbox.put("bell", items).result(10)


def runs() -> set[str]:
    with Container(load(environ={})) as container:
        return {node.name for node in container.store.find(NodeKind.RUN).items}


def test_it_says_where_to_send_to(kinlore: Kinlore) -> None:
    outcome = kinlore("ingest", "bell")

    assert outcome.code == 0
    assert "bell is pushed: its requests go to http://127.0.0.1:8420/hooks/bell" in outcome.err
    assert "bell: 0 items" in outcome.out


def test_nothing_is_missed_where_there_is_nothing_to_pull(kinlore: Kinlore) -> None:
    """Before there is a graph, and after."""
    shown = [kinlore("sources")]
    ring("a")
    shown.append(kinlore("sources"))

    for each in shown:
        assert each.code == 0
        assert "pushed" in each.out
        assert "nothing pulls it" not in each.err


def test_a_schedule_for_it_is_refused_in_one_line(kinlore: Kinlore, folder: Path) -> None:
    (folder / "kinlore.toml").write_text(f'{BELL}every = "5m"\n', encoding="utf-8")

    outcome = kinlore("sources")

    assert outcome.code == 2 and not outcome.out
    assert outcome.err == (
        "kinlore: kinlore.toml: source 'bell': every: a source of type 'bell' is pushed to, and there is "
        "nothing to pull; take every out\n"
    )


def test_what_waits_is_applied(kinlore: Kinlore) -> None:
    ring("a", "b", "bad")

    outcome = kinlore("ingest", "bell", "--json")

    (report,) = json.loads(outcome.out)
    assert (outcome.code, report["items"], report["new"], report["dead_letters"]) == (0, 3, 2, 1)
    assert runs() == {"a", "b"}
    shown = kinlore("sources", "bell")
    assert "run bad: KeyError" in shown.out


def test_it_goes_beside_sources_that_are_pulled(kinlore: Kinlore, folder: Path) -> None:
    repository(folder)
    ring("a")
    (folder / "kinlore.toml").write_text(f'[[sources]]\ntype = "git"\nname = "code"\npath = "."\n{BELL}')

    outcome = kinlore("ingest")

    assert outcome.code == 0 and "code: " in outcome.out and "bell: 1 item" in outcome.out
    assert runs() == {"a"}
    assert git(folder, "rev-parse", "HEAD").strip() in kinlore("find", "commit").out


def test_while_a_server_applies_it_the_command_leaves_it_to_the_server(
    kinlore: Kinlore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring("a")
    monkeypatch.setattr("app.jobs.consumer.PATIENCE", 0.3)
    with Container(load(environ={})) as container:
        leases = Leases(container.store)
        assert leases.acquire("inbox/consumer") is not None

        outcome = kinlore("ingest", "bell")

        leases.close()
        left = waiting(container.store, "bell")
    assert outcome.code == 0 and "a server that runs on this store applies what is pushed" in outcome.err
    assert left == 1 and runs() == set()
