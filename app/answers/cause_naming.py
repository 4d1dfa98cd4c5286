"""Which changes a failure names in its own words, by files, columns, data, packages and settings.

What is named is held against what others of the sort have: a file that every commit touched tells no commit
from another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from app.answers.cause_code import subject_of
from app.answers.cause_evidence import Named, Setting
from app.answers.cause_places import Places
from app.answers.cause_pool import Pool
from app.answers.cause_statistics import StatisticsHistory
from app.answers.cause_words import Said, named_data, named_files, named_packages, named_words
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from graph_schema.values import Node

K = NodeKind
#: How often a change is on each level where it is not at fault (0, 1, 2), before anything is known of the
#: others, and for how many of them that counts.
_USUAL = {
    "files": (0.94, 0.03, 0.03),
    "message": (0.98, 0.0, 0.02),
    "data": (0.72, 0.25, 0.03),
    "runtime": (0.8, 0.0, 0.2),
    "setting": (0.92, 0.0, 0.08),
}
_ASSUMED = 2.0


class Level(NamedTuple):
    """2: the failure names what changed, 1: what may have, 0: what others have; and that in words."""

    level: int
    text: str


def files_level(said: Said, paths: Sequence[str]) -> Level:
    """What a failure says of a commit that touched these files."""
    files = named_files(said, paths)
    if not files:
        return Level(0, "it touched no file that the failure names")
    path, innermost = files[0]
    if innermost:
        return Level(2, f"it touched {path}, where the failure came from")
    return Level(1, f"it touched {path}, which the failure names")


def named_as(sort: str, own: Level, others: Sequence[int]) -> Named:
    """How unusual it is to be on a level. ``others`` are the levels of the other changes of this sort."""
    usual = (others.count(own.level) + _ASSUMED * _USUAL[sort][own.level]) / (len(others) + _ASSUMED)
    return Named(sort, own.level, usual, own.text)


class Naming:
    """What the words of one failure (``said``) name among the candidates. ``above`` has the names of what a
    data version is a state of. How usual it is to be named is told by the ``fresh`` ones, those that the last
    good state did without: a repository's first commit touched every file."""

    def __init__(
        self,
        said: Said,
        found: Pool,
        statistics: StatisticsHistory,
        above: Mapping[int, Sequence[str]],
        places: Places,
        fresh: Collection[int],
        at: Micros,
    ) -> None:
        self._said, self._places, self._at = said, places, at
        self._statistics, self._above, self._fresh = statistics, above, fresh
        self._sources = _sources(found, said.names)
        nodes = [found.nodes[handle] for handle in found.candidates]
        self._levels: dict[str, dict[int, Level]] = {
            "files": _levels([n for n in nodes if n.kind is K.COMMIT], self._files),
            "message": _levels([n for n in nodes if n.kind is K.COMMIT], self._message),
            "data": _levels([n for n in nodes if n.kind is K.DATASET_VERSION], self._data),
            "runtime": _levels([n for n in nodes if n.kind is K.RUNTIME], self._runtime),
        }

    def of(self, node: Node, settings: Sequence[Setting] | None) -> list[Named]:
        """What is said of one candidate, with what changed of its ``settings``."""
        found = []
        for sort, levels in self._levels.items():
            if node.handle in levels:
                others = [levels[h].level for h in levels.keys() & self._fresh if h != node.handle]
                found.append(named_as(sort, levels[node.handle], others))
        changed = [each.path for each in settings or () if self._is_setting(each.path)]
        if changed:
            found.append(named_as("setting", Level(2, f"the failure names {changed[0]}, which changed"), []))
        return found

    def _files(self, commit: Node) -> Level | None:
        paths = commit.properties.get("files")
        return files_level(self._said, [str(path) for path in paths]) if isinstance(paths, list) else None

    def _message(self, commit: Node) -> Level:
        spoken = named_words(self._said, subject_of(commit))
        if spoken:
            return Level(2, f"its message speaks of {spoken[0]}, which the failure names")
        return Level(0, "its message speaks of nothing that the failure names")

    def _data(self, version: Node) -> Level | None:
        columns, changed = self._statistics.columns(version.handle)
        for level, of, which in ((2, changed, ", which changed"), (1, columns, "")):
            for column in sorted(of, key=lambda name: (name.lower() not in self._said.names, name)):
                if column.lower() in self._said.names:
                    return Level(level, f"the failure names its column {column}{which}")
                made = self._sources.get(version.handle, {}).get(column.lower())
                if made is not None:
                    return Level(level, f"the failure names {made}, made from its column {column}{which}")
        called = next((n for n in self._above.get(version.handle, ()) if named_data(self._said, n)), None)
        if called is not None:
            return Level(1, f"the failure names {called}")
        return Level(0, "the failure names other data") if columns else None

    def _runtime(self, runtime: Node) -> Level | None:
        packages = self._places.packages(runtime, self._at)
        if packages is None:
            return None
        before, mine = packages
        moved = {name for name in {*before, *mine} if before.get(name) != mine.get(name)}
        named = named_packages(self._said, moved)
        if named:
            return Level(2, f"the failure names {named[0]}, which is another version")
        return Level(0, "the failure names another package") if self._said.packages else None

    def _is_setting(self, path: str) -> bool:
        return path.rpartition(".")[2].lower() in self._said.names


def _sources(found: Pool, names: Collection[str]) -> dict[int, dict[str, str]]:
    """Of states of data, the columns that go into one of these names, and into which: by the derivations
    that tell their columns. All in lower case."""
    sources: dict[int, dict[str, str]] = defaultdict(dict)
    made = {
        handle: [(link, pairs) for link in links if (pairs := link.edge.properties.get("columns"))]
        for handle, links in found.region.into.items()
        if handle in found.nodes and found.nodes[handle].kind is K.DATASET_VERSION
    }
    pending = [handle for handle, links in made.items() if links]
    while pending:
        handle = pending.pop()
        for link, pairs in made.get(handle, ()):
            for source, target in pairs:
                into = str(target).lower()
                named = into if into in names else sources[handle].get(into)
                if source is None or named is None or str(source).lower() in sources[link.src]:
                    continue
                sources[link.src][str(source).lower()] = named
                pending.append(link.src)
    return sources


def _levels(nodes: Sequence[Node], level: Callable[[Node], Level | None]) -> dict[int, Level]:
    """The level of each that something is said of; of none where nothing of the sort is named."""
    found = {node.handle: told for node in nodes if (told := level(node)) is not None}
    return found if any(told.level for told in found.values()) else {}
