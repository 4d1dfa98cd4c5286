"""Sources whose records are files below a folder, each one result of a check: read when they have changed.

A source says how a file is read (:meth:`ResultFiles.read`); listing, increments and deletions are here.
"""

from __future__ import annotations

import json
import os
import stat
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
from pydantic import Field, field_validator

from graph_schema.claims import Claim
from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import identifier
from graph_schema.times import Micros, parse_time
from graph_schema.wording import counted
from ingestors.checks import Examination, claims_of
from ingestors.paths import LocalPath
from ingestors.source import Item, Pulled, Source, SourceConfig, SourceError
from ingestors.subjects import checked_subjects, configured

_PAGE = 100
#: A larger file is no result of a check; what Evidently draws makes megabytes.
_LARGEST = 64_000_000
_DEEPEST = 12
#: A key that JSON objects come under where a file holds several things.
Json = Mapping[str, Any]


class ResultFilesConfig(SourceConfig):
    """``path`` is the folder; ``subjects`` says by name what was checked, where the files do not."""

    path: LocalPath
    subjects: dict[str, str] = Field(
        default_factory=dict,
        description="what was checked, by globs on names of files and checks: dataset=…, dvc.md5=…",
    )

    @field_validator("subjects")
    @classmethod
    def _subjects(cls, given: dict[str, str]) -> dict[str, str]:
        return dict(checked_subjects(given))


class NoResult(Exception):
    """A file that lies there and is none of this tool's results."""


class _Entry(NamedTuple):
    """``key`` is the path below the folder, with slashes; ``stamp`` changes when the file does."""

    key: str
    file: Path
    stamp: str


class ResultFiles(Source):
    """Base of the sources that read result files. ``include`` and ``exclude`` are globs on paths below
    ``path``; ``since`` leaves out older results."""

    config_model = ResultFilesConfig
    retirable = ("check",)
    #: How the names of result files end, and what messages call one.
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    what: ClassVar[str] = "result"
    tool: ClassVar[str]

    def __init__(self, config: ResultFilesConfig) -> None:
        super().__init__(config)
        self.config: ResultFilesConfig = config
        self._present: frozenset[str] | None = None

    @abstractmethod
    def read(self, file: Path, key: str, content: bytes) -> Examination:
        """What a file says. Raises NoResult where it is something else, BadInput where it is broken."""

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        held = cursor if isinstance(cursor, dict) else {}
        choice = [
            str(self.config.path),
            list(self.config.include),
            list(self.config.exclude),
            self.config.since,
        ]
        known: dict[str, str] = held.get("seen", {}) if held.get("choice") == choice else {}
        none: set[str] = set(held.get("none", ())) if known else set()
        entries = self._entries()
        seen = {e.key: e.stamp for e in entries if known.get(e.key) == e.stamp}
        none &= seen.keys()
        fresh = [e for e in entries if e.key not in seen]
        since = None if self.config.since is None else parse_time(self.config.since)
        for start in range(0, len(fresh), _PAGE):
            items: list[Item] = []
            for entry in fresh[start : start + _PAGE]:
                item = self._item(entry, now, since)
                seen[entry.key] = entry.stamp
                if item is None:
                    none.add(entry.key)
                else:
                    items.append(item)
            yield Pulled(items, {"choice": choice, "seen": dict(seen), "none": sorted(none)}, len(fresh))
        self._present = frozenset(seen.keys() - none)
        cursor = {"choice": choice, "seen": seen, "none": sorted(none)}
        yield Pulled([], cursor, len(fresh), {"check": self._present})

    def to_claims(self, item: Item) -> Sequence[Claim]:
        data = item.data
        if "problem" in data:
            raise BadInput(f"{item.key}: {data['problem']}")
        found = msgspec.convert(data, Examination)
        named = configured(self.config.subjects, item.key, found.name, found.stream)
        said = {**named, **found.said}
        found = msgspec.structs.replace(
            found,
            said=said,
            stream=said.get("kinlore.stream", found.stream),
            segment=said.get("kinlore.segment", found.segment),
        )
        return claims_of(found, item.key, self.tool, self.config.scope)

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        # The listing was exact: nothing hides from it.
        return None if self._present is None else self._present.intersection(keys)

    def check(self) -> str:
        return f"{self.config.path}: {counted(len(self._entries()), 'file')} to read {self.what}s from"

    # --- files -----------------------------------------------------------------------------------------

    def _entries(self) -> list[_Entry]:
        root = self.config.path
        if not root.is_dir():
            raise SourceError(f"path {root} is no folder; it is where the {self.what}s lie")
        return sorted(self._walk(root, "", 0))

    def _walk(self, folder: Path, prefix: str, depth: int) -> Iterator[_Entry]:
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as problem:
            raise SourceError(f"{folder} cannot be read: {problem.strerror}") from None
        for each in entries:
            key = f"{prefix}{each.name}"
            if each.is_dir(follow_symlinks=False):
                if depth < _DEEPEST and not each.name.startswith("."):
                    yield from self._walk(Path(each.path), f"{key}/", depth + 1)
                continue
            is_wanted = each.name.endswith(self.suffixes) and self.config.wants(key)
            if is_wanted and each.is_file(follow_symlinks=False):
                about = each.stat(follow_symlinks=False)
                yield _Entry(key, Path(each.path), f"{about.st_mtime_ns}-{about.st_size}-{about.st_ino}")

    def _item(self, entry: _Entry, now: Micros, since: Micros | None) -> Item | None:
        try:
            found = self.read(entry.file, entry.key, _content(entry.file))
            identifier("check", entry.key, self.config.scope)
        except NoResult:
            return None
        except (BadInput, BadIdentifier) as problem:
            return Item(entry.key, "check", now, {"problem": str(problem)})
        except OSError as problem:
            return Item(entry.key, "check", now, {"problem": f"cannot be read: {problem.strerror}"})
        if since is not None and found.at < since:
            return None
        return Item(entry.key, "check", now, msgspec.to_builtins(found))


def _content(file: Path) -> bytes:
    """A regular file; never a link, a pipe or a device."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as opened:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST:
            raise BadInput(f"is no plain file, or larger than {_LARGEST:,} bytes")
        return opened.read(_LARGEST)


def json_object(content: bytes) -> Json:
    """The JSON object that a file holds. Raises NoResult where it holds a list or a single value, BadInput
    where it is no JSON."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise BadInput(f"is no JSON: {str(problem)[:200]}") from None
    if not isinstance(said, dict):
        raise NoResult
    return said


def told(value: Any, longest: int = 500) -> str | None:
    """A text of one line, not too long; None where there is none."""
    if not isinstance(value, str) or not value.strip():
        return None
    return " ".join(value.split())[:longest]
