"""Picks the concrete classes: the store by its URL, the sources by their type. Nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from app.embeddings.background import Background, Model
from app.errors import ConfigError, NoGraphYet
from app.settings import Loaded, Settings, StoreSettings
from graph_schema.errors import BadInput
from graph_schema.store import GraphStore
from ingestors import registry
from ingestors.bounds import Bound
from ingestors.inbox import Inbox
from ingestors.series import CHECK, EXPERIMENT, MODEL
from ingestors.settling import settle
from ingestors.source import Source

if TYPE_CHECKING:
    from app.answers.adjacencies import Adjacencies

#: Sources that need no settings: what they take is for every Kinlore.
IMPLICIT = ("capture",)


class Configured(msgspec.Struct, frozen=True):
    """A source as the settings name it. ``disabled`` says why this installation cannot use it."""

    name: str
    type: str
    space: str
    source: Source | None
    disabled: str | None = None


class Container:
    """The parts of one process: settings, store, sources. Closing it closes them.

    Raises ConfigError for a wrong source; one that lacks an extra is disabled, and the others work. The
    store is opened when first asked for.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.sources = [self._source(number, table) for number, table in enumerate(self.settings.sources)]
        named = {configured.name for configured in self.sources}
        self.implicit = [
            self._source(0, {"type": name, "name": name})
            for name in IMPLICIT
            if name in registry.BUILT_IN and name not in named
        ]
        self._store: GraphStore | None = None
        self._inbox: Inbox | None = None
        self._adjacencies: Adjacencies | None = None
        self._model: Model | None = None

    @property
    def settings(self) -> Settings:
        """What is set."""
        return self.loaded.settings

    @property
    def store(self) -> GraphStore:
        """The graph. A SQLite file is made only by :meth:`migrated`."""
        if self._store is None:
            self._store = open_store(self.settings.store, self.loaded.folder)
        return self._store

    def migrated(self) -> GraphStore:
        """The graph, made if it is not there, its schema brought to this version, and the bounds of the
        settings those that hold. Raises StoreError."""
        if self._store is None:
            self._store = open_store(self.settings.store, self.loaded.folder, create=True)
        self._store.migrate()
        settle(self._store, bounds_of(self.settings))
        return self._store

    @property
    def inbox(self) -> Inbox:
        """Where what is pushed is kept until it is applied."""
        if self._inbox is None:
            self._inbox = Inbox(self.store)
        return self._inbox

    @property
    def adjacencies(self) -> Adjacencies:
        """The graph in memory, for questions that go over much of it."""
        if self._adjacencies is None:
            from app.answers.adjacencies import Adjacencies

            self._adjacencies = Adjacencies(self.store)
        return self._adjacencies

    @property
    def model(self) -> Model:
        """What compares meanings. It is loaded when somebody wants it, never by looking at it."""
        if self._model is None:
            self._model = Model(self._embedding_model())
        return self._model

    def embedding(self) -> Background:
        """What keeps failures at hand and embeds them, and what search looks for; to be started."""
        from app.embeddings.vectors import NodeVectors
        from app.learnings.keeping import FailureVectors

        failures = FailureVectors(self.store)
        nodes = NodeVectors(self.store, self.settings.embeddings.nodes)
        return Background(self.model, (failures, nodes), failures.prepare)

    def _embedding_model(self) -> str | None:
        name = self.settings.embeddings.model
        folder = self.loaded.folder / name
        # A path is relative to the settings; a name is the model's own.
        return str(folder) if name and folder.is_dir() else name or None

    @property
    def receivers(self) -> list[Source]:
        """The sources that take requests."""
        found = (configured.source for configured in (*self.sources, *self.implicit))
        return [source for source in found if source is not None and source.accepts]

    def source(self, name: str) -> Configured:
        """The source of this name. Raises BadInput naming those there are."""
        for configured in (*self.sources, *self.implicit):
            if configured.name == name:
                return configured
        known = ", ".join(c.name for c in self.sources) or "none; `kinlore init` finds some"
        raise BadInput(f"no source is named {name!r}; configured are: {known}")

    def _source(self, number: int, table: dict[str, object]) -> Configured:
        try:
            config = registry.checked(table, self.loaded.folder)
            disabled = registry.disabled_because(config.type, config)
            source = None if disabled is not None else registry.build(table, self.loaded.folder)
        except BadInput as problem:
            where = "" if isinstance(table.get("name"), str) else f"sources.{number}: "
            raise ConfigError(f"{self.loaded.where}: {where}{problem}") from None
        type_name = config.type if source is None else source.type
        return Configured(config.name, type_name, config.space, source, disabled)

    def close(self) -> None:
        """Release what is open; what was taken in is stored before."""
        if self._inbox is not None:
            self._inbox.close()
        for configured in self.sources:
            if configured.source is not None:
                configured.source.close()
        if self._model is not None:
            self._model.close()
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def bounds_of(settings: Settings) -> list[Bound]:
    """The bounds on metrics that are set."""
    return [
        Bound(
            name=each.called,
            of=MODEL if each.model else EXPERIMENT if each.experiment else CHECK,
            which=each.model or each.experiment or each.check or "",
            metric=each.metric,
            least=each.min,
            most=each.max,
            tolerance=each.tolerance,
            against=each.against,
            higher=each.better == "higher",
            kind=each.kind or ("data_quality" if each.check else "model_quality"),
            severity=each.severity,
            incident=each.incident,
            aliases=settings.models.champion if each.against == "champion" else (),
        )
        for each in settings.bounds
    ]


def open_store(settings: StoreSettings, folder: Path, *, create: bool = False) -> GraphStore:
    """The store that a URL names, not yet migrated. Paths are relative to ``folder``.

    Raises NoGraphYet where there is no such file and ``create`` is not set.
    """
    return _OPENERS[urlsplit(settings.url).scheme](settings, folder, create)


def _sqlite(settings: StoreSettings, folder: Path, create: bool) -> GraphStore:
    from app.store.sqlite import SqliteStore

    path = folder / unquote(urlsplit(settings.url).path[1:])
    if not create and not path.exists():
        raise NoGraphYet(f"there is no graph at {path} yet: `kinlore ingest` makes it")
    return SqliteStore(path)


def _neo4j(settings: StoreSettings, folder: Path, create: bool) -> GraphStore:
    from app.store.neo4j import Neo4jStore

    password = settings.password
    return Neo4jStore(settings.url, None if password is None else password.get_secret_value())


_OPENERS: dict[str, Callable[[StoreSettings, Path, bool], GraphStore]] = {
    "sqlite": _sqlite,
    **dict.fromkeys(("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc"), _neo4j),
}
