"""The source: which versions a BentoML store has, and which of them are new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from graph_schema.claims import Claim
from graph_schema.errors import BadInput
from graph_schema.times import Micros, parse_time
from graph_schema.wording import counted
from ingestors.paths import LocalPath
from ingestors.source import Discovered, Item, Pulled, Source, SourceConfig, SourceError
from ingestors.sources.bentoml.claims import bento_claims, model_claims
from ingestors.sources.bentoml.store import STORES, Entry, folders, item, stamp

_PAGE = 200


class BentoMLConfig(SourceConfig):
    """``home`` is the store: the folder that holds ``models`` and ``bentos``."""

    home: LocalPath


class BentoMLSource(Source):
    """Every version of every model and bento in a store. ``include`` and ``exclude`` are globs over their
    names; ``since`` leaves out older ones."""

    type: ClassVar[str] = "bentoml"
    config_model = BentoMLConfig
    retirable = ("model", "bento")

    def __init__(self, config: BentoMLConfig) -> None:
        super().__init__(config)
        self.config: BentoMLConfig = config
        self._present: frozenset[str] | None = None

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        config = self.config
        choice = [str(config.home), list(config.include), list(config.exclude), config.since]
        held = cursor if isinstance(cursor, dict) and cursor.get("choice") == choice else {}
        entries = self._entries()
        seen: dict[str, str] = {}
        fresh: list[Entry] = []
        for entry in entries:
            if held.get("seen", {}).get(entry.key) == entry.stamp:
                seen[entry.key] = entry.stamp
            else:
                fresh.append(entry)
        since = None if self.config.since is None else parse_time(self.config.since)
        for start in range(0, len(fresh), _PAGE):
            chunk = fresh[start : start + _PAGE]
            items = [item(entry, now) for entry in chunk]
            seen |= {entry.key: entry.stamp for entry in chunk}
            yield Pulled(
                [each for each in items if not _before(each, since)],
                {"choice": choice, "seen": dict(seen)},
                len(fresh),
            )
        self._present = frozenset(entry.key for entry in entries)
        complete = {
            type_name: frozenset(entry.key for entry in entries if entry.type == type_name)
            for type_name in STORES
        }
        yield Pulled([], {"choice": choice, "seen": seen}, len(fresh), complete)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        data = item.data
        if "problem" in data:
            raise BadInput(f"{item.key}: {data['problem']}")
        claims = model_claims if item.type == "model" else bento_claims
        return claims(data, self.config.scope)

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        # The listing was exact: nothing hides from it.
        return None if self._present is None else self._present.intersection(keys)

    def check(self) -> str:
        entries = self._entries()
        models = sum(entry.type == "model" for entry in entries)
        of_each = f"{counted(models, 'model')}, {counted(len(entries) - models, 'bento')}"
        return f"BentoML's store at {self.config.home}: {of_each}"

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        named = environ.get("BENTOML_HOME", "").strip()
        if named:
            home, because = Path(named), "BENTOML_HOME is set"
        elif environ.get("HOME"):
            home, because = Path(environ["HOME"], "bentoml"), "~/bentoml is a BentoML store"
        else:
            return []
        if not any(next((home / place).glob(f"*/*/{file}"), None) for place, file in STORES.values()):
            return []
        return [Discovered({"home": str(home) if named else "~/bentoml"}, because)]

    def _entries(self) -> list[Entry]:
        if not self.config.home.is_dir():
            raise SourceError(
                f"{self.config.home} is no folder; home is where BentoML keeps models and bentos"
            )
        return [entry for type_name in STORES for entry in self._of_type(type_name)]

    def _of_type(self, type_name: str) -> Iterator[Entry]:
        place, file = STORES[type_name]
        for name in folders(self.config.home / place):
            if not self._wanted(name.name):
                continue
            for version in folders(name):
                yield Entry(type_name, name.name, version.name, version, stamp(version, file))

    def _wanted(self, name: str) -> bool:
        include, exclude = self.config.include, self.config.exclude
        if include and not any(fnmatchcase(name, glob) for glob in include):
            return False
        return not any(fnmatchcase(name, glob) for glob in exclude)


def _before(item: Item, since: Micros | None) -> bool:
    at = item.data.get("createdAt")
    return since is not None and at is not None and at < since
