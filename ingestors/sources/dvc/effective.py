"""What a clean checkout of a commit reads at a path, once it is reproduced.

Data added with ``dvc add`` is what its ``.dvc`` file says. What a stage makes is what the lock says only
where the lock's own dependencies are those of the commit's tree; else what the nearest first-parent
descendant says whose lock fits this tree; else nobody knows. For the commit that a run is tagged with
usually comes before the one that holds its new dvc.lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from ingestors.sources.dvc import files
from ingestors.sources.dvc.contents import Contents
from ingestors.sources.dvc.files import Out
from ingestors.sources.dvc.history import Entry, History


class _Reading:
    """The work on one commit. ``looked_ahead``: the outcome depends on more than the tree."""

    def __init__(self, sha: str, view: int) -> None:
        self.sha = sha
        self.view = view
        self.found: dict[str, Out | None] = {}
        self.looked_ahead = False


class Effective:
    """The state of data per commit, judged by the commits in ``members`` alone."""

    def __init__(self, history: History, contents: Contents, members: Iterable[str]) -> None:
        self._history = history
        self._contents = contents
        chosen = set(members)
        self._members = [sha for sha in history.order if sha in chosen]
        #: Stage → the commits that brought it, seen from their first parents.
        self._brought: dict[int, list[str]] = {}
        #: Out → stages that make it, in order.
        self._makers: dict[str, dict[int, Out]] = {}
        #: Paths of dependencies → stages that have exactly these.
        self._groups: dict[tuple[str, ...], list[int]] = {}
        self._index: dict[tuple[tuple[str, ...], tuple[bool, ...]], dict[tuple[str, ...], list[int]]] = {}
        self._groups_of: dict[str, set[tuple[str, ...]]] = {}
        #: Whatever ``.dvc`` files track, in any tree.
        self._added: set[str] = set()
        self._fitting: dict[tuple[int, int], bool] = {}
        self._known: dict[int, dict[str, Out]] = {}
        self._params: dict[tuple[str, str], Any] = {}
        self._collect()
        self._number_descendants()

    def at(self, sha: str) -> dict[str, Out]:
        """Path → what a clean checkout reads there."""
        view = self._history.view_of[sha]
        known = self._known.get(view)
        if known is not None:
            return known
        reading = _Reading(sha, view)
        for path in self._makers:
            self._resolve(reading, path)
        state = {path: out for path, out in reading.found.items() if out is not None}
        state.update(self._history.held[view].plain)
        if not reading.looked_ahead:
            self._known[view] = state
        return state

    # --- preparation -----------------------------------------------------------------------------------

    def _collect(self) -> None:
        history = self._history
        for sha in self._members:
            held = history.held_at(sha)
            parents = history.parents[sha]
            before = history.held_at(parents[0]).stages if parents else {}
            if not parents or held.plain.keys() != history.held_at(parents[0]).plain.keys():
                self._added.update(held.plain)
            for number, outs in held.stages.items():
                if number in before:
                    continue
                self._brought.setdefault(number, []).append(sha)
                for out in outs:
                    self._makers.setdefault(out.path, {})[number] = out
        for number in self._brought:
            paths = tuple(dep.path for dep in history.stages[number].deps)
            self._groups.setdefault(paths, []).append(number)
            for out in history.stages[number].outs:
                self._groups_of.setdefault(out.path, set()).add(paths)
        deps = {path for paths in self._groups for path in paths}
        views = [history.views[view] for view in {history.view_of[sha] for sha in self._members}]
        entries = {entry for view in views for path in deps if (entry := view.get(path)) is not None}
        self._contents.prefetch(entry for entry in entries if not entry.is_tree)
        # Folders are dear: only those are read on which, all else being right, it depends.
        self._contents.prefetch(self._deciding_folders())
        params = {file for number in self._brought for file, _ in history.stages[number].params}
        oids: dict[str, set[str]] = {}
        for view in views:
            for file in params:
                if (entry := view.get(file)) is not None:
                    oids.setdefault(entry.oid, set()).add(file)
        for oid, _, content in history.repository.objects(sorted(oids)):
            for file in oids[oid]:
                self._params[file, oid] = files.values(file, content)

    def _number_descendants(self) -> None:
        """Number the first-parent forest, so that "descends from" is a comparison."""
        history = self._history
        children: dict[str, list[str]] = {}
        self._depth: dict[str, int] = {}
        roots = []
        members = set(self._members)
        for sha in self._members:
            parent = next(iter(history.parents[sha]), None)
            if parent is None or parent not in members:
                roots.append(sha)
                self._depth[sha] = 0
            else:
                children.setdefault(parent, []).append(sha)
                self._depth[sha] = self._depth[parent] + 1
        self._enter: dict[str, int] = {}
        self._leave: dict[str, int] = {}
        todo = [(sha, False) for sha in roots]
        clock = 0
        while todo:
            sha, leaving = todo.pop()
            clock += 1
            if leaving:
                self._leave[sha] = clock
                continue
            self._enter[sha] = clock
            todo.append((sha, True))
            todo.extend((child, False) for child in children.get(sha, ()))

    # --- what fits a tree ------------------------------------------------------------------------------

    def _told(self, view: int, path: str) -> frozenset[str] | None:
        """The md5s at a path that the tree itself tells; None where a stage has to make it first, and for a
        folder, which is compared on its own."""
        plain = self._history.held[view].plain.get(path)
        if plain is not None:
            return frozenset({plain.md5})
        entry = self._history.views[view].get(path)
        return None if entry is None or entry.is_tree else self._contents.md5s(entry)

    def _folder(self, view: int, path: str) -> Entry | None:
        """The folder of code at a path."""
        entry = self._history.views[view].get(path)
        return entry if entry is not None and entry.is_tree and self._history.is_code(view, path) else None

    def _agreeing(self, paths: tuple[str, ...], told: Sequence[frozenset[str] | None]) -> Iterator[int]:
        """Stages with these dependencies whose md5s are the told ones, wherever something is told."""
        mask = tuple(each is not None for each in told)
        index = self._index.get((paths, mask))
        if index is None:
            index = self._index[paths, mask] = {}
            for number in self._groups[paths]:
                deps = self._history.stages[number].deps
                key = tuple(dep.md5 for dep, here in zip(deps, mask, strict=True) if here)
                index.setdefault(key, []).append(number)
        for key in product(*(each for each in told if each is not None)):
            yield from index.get(key, ())

    def _obtainable(self, view: int, path: str) -> bool:
        """Whether something may be read at the path: it lies in the tree, or DVC can bring it."""
        if path in self._makers or self._told(view, path) is not None:
            return True
        return self._folder(view, path) is not None or bool(self._above(path))

    def _deciding_folders(self) -> set[Entry]:
        """Folders of code that a lock might fit, as far as files tell."""
        found: set[Entry] = set()
        for view in {self._history.view_of[sha] for sha in self._members}:
            for paths in self._groups:
                folders = {entry for path in paths if (entry := self._folder(view, path)) is not None}
                if folders <= found or not all(self._obtainable(view, path) for path in paths):
                    continue
                told = [self._told(view, path) for path in paths]
                if next(self._agreeing(paths, told), None) is not None:
                    found |= folders
        return found

    def _fits(self, view: int, number: int) -> bool:
        """Whether the folders of code and the parameters of a stage are this tree's."""
        known = self._fitting.get((view, number))
        if known is None:
            stage = self._history.stages[number]
            known = all(
                dep.md5 in self._contents.md5s(entry)
                for dep in stage.deps
                if (entry := self._folder(view, dep.path)) is not None
            ) and all(self._params_fit(view, number, *each) for each in stage.params)
            self._fitting[view, number] = known
        return known

    def _params_fit(self, view: int, number: int, file: str, wanted: str) -> bool:
        entry = self._history.views[view].get(file)
        if entry is None:
            return False
        tree = self._params.get((file, entry.oid))
        if tree is None:
            # Python parameters cannot be read without running them: the same file has the same.
            origin = self._history.view_of[self._brought[number][0]]
            return self._history.views[origin].get(file) == entry
        asked: Mapping[str, object] = json.loads(wanted)
        return all(files.pick(tree, key) == value for key, value in asked.items())

    # --- what a commit reads ---------------------------------------------------------------------------

    def _resolve(self, reading: _Reading, path: str) -> Out | None:
        if path in reading.found:
            return reading.found[path]
        # While it is being worked out it is nothing: stages that feed themselves never fit.
        reading.found[path] = None
        view = reading.view
        held = self._history.held[view]
        if path in held.plain or path in self._history.views[view]:
            reading.found[path] = held.plain.get(path)
            return reading.found[path]
        makers = self._makers[path]
        best: tuple[int, int, str] | None = None
        for number in self._candidates(reading, path):
            if number in held.stages:
                # The tree's own lock fits.
                reading.found[path] = makers[number]
                break
            reading.looked_ahead = True
            nearest = min(self._ahead(reading.sha, number), default=None)
            if nearest is not None and (best is None or nearest < best):
                best = nearest
                reading.found[path] = makers[number]
        return reading.found[path]

    def _candidates(self, reading: _Reading, path: str) -> Iterator[int]:
        """Stages that make it and whose dependencies and parameters are what the commit reads; those of the
        tree's own lock first."""
        own = self._history.held[reading.view].stages
        fitting = []
        for paths in self._groups_of[path]:
            told = self._read(reading, paths)
            if told is not None:
                fitting += [
                    number
                    for number in self._agreeing(paths, told)
                    if number in self._makers[path]
                    and self._fits(reading.view, number)
                    and self._insides_fit(reading, number)
                ]
        fitting.sort(key=lambda number: (number not in own, number))
        return iter(fitting)

    def _read(self, reading: _Reading, paths: tuple[str, ...]) -> list[frozenset[str] | None] | None:
        """The md5s that the commit reads at these paths; None in the list for what is compared otherwise,
        None at all where something is not to be had."""
        read: list[frozenset[str] | None] = []
        for path in paths:
            told = self._told(reading.view, path)
            if told is None and path in self._makers:
                made = self._resolve(reading, path)
                if made is None:
                    return None
                told = frozenset({made.md5})
            elif told is None and self._folder(reading.view, path) is None and not self._above(path):
                return None
            read.append(told)
        return read

    def _above(self, path: str) -> list[str]:
        """Folders that DVC may track and that the path lies in, the nearest first."""
        found = []
        parent = path.rpartition("/")[0]
        while parent:
            if parent in self._makers or parent in self._added:
                found.append(parent)
            parent = parent.rpartition("/")[0]
        return found

    def _insides_fit(self, reading: _Reading, number: int) -> bool:
        """Whether dependencies inside folders that DVC tracks fit: they do while the folder is the same."""
        for dep in self._history.stages[number].deps:
            if (
                dep.path in self._makers
                or self._told(reading.view, dep.path) is not None
                or self._folder(reading.view, dep.path) is not None
            ):
                continue
            there = self._history.held_at(self._brought[number][0]).outs
            pairs = [(self._data_at(reading, each), there.get(each)) for each in self._above(dep.path)]
            if not any(a is not None and b is not None and a.md5 == b.md5 for a, b in pairs):
                return False
        return True

    def _data_at(self, reading: _Reading, path: str) -> Out | None:
        plain = self._history.held[reading.view].plain.get(path)
        return plain if plain is not None or path not in self._makers else self._resolve(reading, path)

    def _ahead(self, sha: str, number: int) -> Iterator[tuple[int, int, str]]:
        """First-parent descendants that brought the stage: (steps, time, id)."""
        enter, leave = self._enter[sha], self._leave[sha]
        for other in self._brought[number]:
            if enter < self._enter[other] and self._leave[other] < leave:
                commit = self._history.commits[other]
                yield self._depth[other] - self._depth[sha], commit.committed, other
