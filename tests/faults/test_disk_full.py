"""Row 12: the disk is full. One clear line, nothing half-written, and on it goes when there is room."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import StoreUnavailable
from ingestors.loop import ingest
from tests.faults.conftest import Figure
from tests.faults.synthetic import Synthetic
from tests.faults.test_killed import ahead
from tests.faults.victim import SHORT


def may_mount() -> bool:
    """Whether this process may mount a small disk of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


class Disk(ABC):
    """A place for files that can be filled up and freed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def fill(self, spare: int) -> None:
        """From now on only ``spare`` bytes more."""

    @abstractmethod
    def free(self) -> None:
        """Room again."""


class SmallDisk(Disk):
    """A file system of its own, of a few megabytes."""

    def fill(self, spare: int) -> None:
        there = os.statvfs(self.folder)
        with (self.folder / "ballast").open("wb") as ballast:
            ballast.write(bytes(max(0, there.f_bavail * there.f_frsize - spare)))

    def free(self) -> None:
        (self.folder / "ballast").unlink()


class Limited(Disk):
    """No file of this process may grow further: what an unprivileged user can do."""

    def fill(self, spare: int) -> None:
        largest = max(path.stat().st_size for path in self.folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + spare, resource.RLIM_INFINITY))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.fixture(params=["limit", *(["disk"] if may_mount() else [])])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limit":
        limited = Limited(folder)
        yield limited
        limited.free()
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("spare", [0, 100_000, 600_000])
def test_a_full_disk_is_said_in_a_line_and_loses_nothing(disk: Disk, spare: int, figure: Figure) -> None:
    path = disk.folder / "kinlore.db"
    source, beginning = Synthetic(400), Synthetic(400)
    beginning.pages = beginning.pages[:2]
    clean = SqliteStore(disk.folder.parent / "clean.db")
    clean.migrate()
    ingest(clean, source)
    store = SqliteStore(path)
    store.migrate()
    ingest(store, beginning)
    digest, held = store.digest(), store.counts().records

    disk.fill(spare)
    said = []
    for _ in range(3):
        with pytest.raises(StoreUnavailable) as caught:
            ingest(store, source, policy=SHORT)
        said.append(str(caught.value))
    full = store.counts().records
    unmoved = store.digest() == digest
    disk.free()
    missing = ahead(store, source)
    report = ingest(store, source)
    store.close()

    with closing(sqlite3.connect(path)) as db:
        sound = db.execute("PRAGMA integrity_check").fetchone()[0]
    again = SqliteStore(path)
    figure(
        f"disk full with {spare} bytes left: corruption",
        f"{int(sound != 'ok')}, {full - held} records more went in, cursor ahead by {len(missing)}",
    )
    assert all("\n" not in line and str(path) in line and "full" in line for line in said), said
    assert full >= held and (unmoved or full > held or spare)
    assert missing == []
    assert (report.error, sound) == (None, "ok")
    assert again.digest() == clean.digest()
    again.close()
    clean.close()
