"""The source ``backstage``: who owns what, out of ``catalog-info.yaml`` files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, model_validator

from graph_schema.claims import Claim
from graph_schema.errors import BadInput
from graph_schema.times import Micros
from graph_schema.wording import counted
from ingestors.http import HttpClient, HttpConfig
from ingestors.paths import LocalPath
from ingestors.source import Discovered, Item, Pulled, Source, SourceError
from ingestors.sources.backstage.entities import DESCRIBED, Catalog, Entity, claims_of, entity
from ingestors.yaml_depth import check_depth

if TYPE_CHECKING:
    import httpx

_NAMES = ("catalog-info.yaml", "catalog-info.yml")
_LARGEST = 4 * 2**20
_MOST_FILES = 20_000
_MOST_ENTITIES = 100_000
_SKIPPED = frozenset({".git", "node_modules", ".venv", "__pycache__"})
#: All values stay texts: no dates, numbers or objects are made of them.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class BackstageConfig(HttpConfig):
    """Keys of a ``backstage`` source: one of ``path`` and ``url``. ``include`` and ``exclude`` are globs on
    files below the folder."""

    path: LocalPath | None = Field(default=None, description="a catalog file, or a folder to look in")
    url: str | None = Field(default=None, description="address of a catalog file, as it is (raw)")

    @model_validator(mode="after")
    def _one_place(self) -> BackstageConfig:
        if (self.path is None) == (self.url is None):
            raise ValueError("give path or url, one of them")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url: write it as https://…")
        return self


class BackstageSource(Source):
    """Entities of one catalog. ``transport`` replaces the network."""

    type = "backstage"
    config_model = BackstageConfig
    retirable = ("entity",)
    config: BackstageConfig

    def __init__(self, config: BackstageConfig, *, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(config)
        self._client = None if config.url is None else HttpClient(config.url, config, transport=transport)

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        catalog, refused = self._read()
        items = [Item(each.ref, "entity", now, _data(catalog, each)) for each in catalog.entities]
        items += [Item(f"file:{name}", "file", now, {"problem": problem}) for name, problem in refused]
        # What stands in a file that cannot be read is not known to be gone.
        complete = None if refused else {"entity": frozenset(each.ref for each in catalog.entities)}
        yield Pulled(items, {"entities": len(catalog.entities)}, len(items), complete)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        if "problem" in item.data:
            raise BadInput(str(item.data["problem"]))
        return claims_of(item.data)

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        # The whole catalog was read: nothing hides from it.
        catalog, refused = self._read()
        return None if refused else frozenset(each.ref for each in catalog.entities).intersection(keys)

    def check(self) -> str:
        catalog, refused = self._read()
        place = self.config.url or self.config.path
        broken = f", {counted(len(refused), 'file')} cannot be read: {refused[0][1]}" if refused else ""
        return f"{place}: {counted(len(catalog.entities), 'entity', 'entities')}{broken}"

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        for name in _NAMES:
            if (folder / name).is_file():
                config = {"type": cls.type, "name": f"{folder.resolve().name}-catalog", "path": name}
                return [Discovered(config, f"{name} lies in this folder")]
        return []

    # --- reading ---------------------------------------------------------------------------------------

    def _read(self) -> tuple[Catalog, list[tuple[str, str]]]:
        """Everything in the catalog, and the files that cannot be read with the reason."""
        found: dict[str, Entity] = {}
        refused: list[tuple[str, str]] = []
        for name, text in self._files():
            try:
                for each in _entities(name, text):
                    # Backstage keeps the first of two that have one name.
                    found.setdefault(each.ref, each)
            except BadInput as problem:
                refused.append((name, f"{name}: {problem}"))
            if len(found) > _MOST_ENTITIES:
                raise SourceError(f"{self.config.name} has more than {_MOST_ENTITIES:,} entities")
        return Catalog(found), refused

    def _files(self) -> Iterator[tuple[str, str]]:
        if self._client is not None:
            text = self._client.text("", max_bytes=_LARGEST + 1)
            yield str(self.config.url).rpartition("/")[2], text
            return
        root = self.config.path
        if root is None or not root.exists():
            raise SourceError(f"{root} does not exist")
        files = [root] if root.is_file() else sorted(self._below(root))
        for file in files:
            try:
                with file.open("rb") as opened:
                    raw = opened.read(_LARGEST + 1)
            except OSError as problem:
                raise SourceError(f"{file} cannot be read: {problem.strerror}") from None
            yield (
                (file.name if root.is_file() else file.relative_to(root).as_posix()),
                raw.decode(errors="replace"),
            )

    def _below(self, root: Path) -> Iterator[Path]:
        count = 0
        # Links are not followed: they may lead out of the folder, or round in it.
        for folder, folders, names in os.walk(root, followlinks=False):
            folders[:] = sorted(name for name in folders if name not in _SKIPPED)
            for name in names:
                file = Path(folder, name)
                if self._wanted(file.relative_to(root).as_posix(), name) and not file.is_symlink():
                    count += 1
                    if count > _MOST_FILES:
                        raise SourceError(f"{root} has more than {_MOST_FILES:,} catalog files")
                    yield file

    def _wanted(self, path: str, name: str) -> bool:
        include = self.config.include
        wanted = any(fnmatchcase(path, glob) for glob in include) if include else name in _NAMES
        return wanted and not any(fnmatchcase(path, glob) for glob in self.config.exclude)


def _data(catalog: Catalog, of: Entity) -> dict[str, Any]:
    try:
        return catalog.item(of)
    except BadInput as problem:
        return {"problem": f"{of.file}: {problem}"}


def _entities(name: str, text: str) -> list[Entity]:
    """The entities of a file, which may hold several documents. Raises BadInput."""
    if len(text) > _LARGEST:
        raise BadInput(f"is larger than {_LARGEST // 2**20} MB")
    try:
        check_depth(text)
        documents = [each for each in yaml.load_all(text, Loader=_LOADER) if each]
    except yaml.YAMLError as problem:
        said = " ".join(str(problem).split())[:200]
        raise BadInput(f"is no YAML: {said}") from None
    return [
        entity(each, name) for each in documents if isinstance(each, Mapping) and _kind(each) in DESCRIBED
    ]


def _kind(document: Mapping[Any, Any]) -> str:
    return str(document.get("kind", "")).lower()
