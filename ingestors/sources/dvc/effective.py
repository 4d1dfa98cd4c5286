"""What a clean checkout of a commit reads at a path, once it is reproduced.

Data added with ``dvc add`` is what its ``.dvc`` file says. What a stage makes is what the lock says only
where the lock's own dependencies are those of the commit's tree; else what the nearest first-parent
descendant says whose lock fits this tree; else nobody knows. For the commit that a run is tagged with
usually comes before the one that holds its new dvc.lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from ingestors.sources.dvc import files
from ingestors.sources.dvc.contents import Contents
from ingestors.sources.dvc.files import Dep, Out
from ingestors.sources.dvc.history import History


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
        self._fits: dict[int, dict[str, list[int]]] = {}
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
        looked_ahead = [False]
        found: dict[str, Out | None] = {}
        for path in self._makers:
            self._resolve(sha, view, path, found, looked_ahead)
        state = {path: out for path, out in found.items() if out is not None}
        state.update(self._history.held[view].plain)
        if not looked_ahead[0]:
            self._known[view] = state
        return state

    # --- preparation -----------------------------------------------------------------------------------

    def _collect(self) -> None:
        history = self._history
        for sha in self._members:
            held = history.held_at(sha)
            parents = history.parents[sha]
            before = history.held_at(parents[0]).stages if parents else {}
            for number, outs in held.stages.items():
                if number in before:
                    continue
                self._brought.setdefault(number, []).append(sha)
                for out in outs:
                    self._makers.setdefault(out.path, {})[number] = out
        for number in self._brought:
            paths = tuple(dep.path for dep in history.stages[number].deps)
            self._groups.setdefault(paths, []).append(number)
        deps = {path for paths in self._groups for path in paths}
        views = [history.views[view] for view in {history.view_of[sha] for sha in self._members}]
        self._contents.prefetch({entry for v in views for path in deps if (entry := v.get(path)) is not None})
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

    def _fitting(self, view: int) -> dict[str, list[int]]:
        """Out → stages whose dependencies and parameters are this tree's, as far as the tree alone tells."""
        found = self._fits.get(view)
        if found is None:
            found = {}
            for paths in self._groups:
                for number in self._same(view, paths):
                    if all(
                        self._params_fit(view, number, *each) for each in self._history.stages[number].params
                    ):
                        for out in self._history.stages[number].outs:
                            found.setdefault(out.path, []).append(number)
            self._fits[view] = found
        return found

    def _same(self, view: int, paths: tuple[str, ...]) -> Iterator[int]:
        told = [self._told(view, path) for path in paths]
        mask = tuple(each is not None for each in told)
        index = self._index.get((paths, mask))
        if index is None:
            index = {}
            for number in self._groups[paths]:
                deps = self._history.stages[number].deps
                key = tuple(dep.md5 for dep, told_here in zip(deps, mask, strict=True) if told_here)
                index.setdefault(key, []).append(number)
            self._index[paths, mask] = index
        for key in product(*(each for each in told if each is not None)):
            yield from index.get(key, ())

    def _told(self, view: int, path: str) -> frozenset[str] | None:
        """The md5s at a path that the tree itself tells; None where a stage has to make it first."""
        plain = self._history.held[view].plain.get(path)
        if plain is not None:
            return frozenset({plain.md5})
        if self._history.is_code(view, path):
            return self._contents.md5s(self._history.views[view][path])
        return None

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

    def _resolve(
        self, sha: str, view: int, path: str, found: dict[str, Out | None], looked_ahead: list[bool]
    ) -> Out | None:
        if path in found:
            return found[path]
        # While it is being worked out it is nothing: stages that feed themselves never fit.
        found[path] = None
        held = self._history.held[view]
        if path in held.plain or path in self._history.views[view]:
            found[path] = held.plain.get(path)
            return found[path]
        makers = self._makers.get(path, {})
        fitting = [number for number in self._fitting(view).get(path, ()) if number in makers]
        best: tuple[int, int, str] | None = None
        # What the tree's own lock has comes first, then others that somebody made later.
        for number in sorted(fitting, key=lambda n: n not in held.stages):
            own = number in held.stages
            if best is not None and best[0] == 0:
                break
            if not own:
                looked_ahead[0] = True
            places = [(0, 0, sha)] if own else list(self._ahead(sha, number))
            if not places or (best is not None and min(places) >= best):
                continue
            stage = self._history.stages[number]
            if all(self._dep_fits(sha, view, number, dep, found, looked_ahead) for dep in stage.deps):
                best = min(places)
                found[path] = makers[number]
        return found[path]

    def _ahead(self, sha: str, number: int) -> Iterator[tuple[int, int, str]]:
        """First-parent descendants that brought the stage: (steps, time, id)."""
        enter, leave = self._enter[sha], self._leave[sha]
        for other in self._brought[number]:
            if enter < self._enter[other] and self._leave[other] < leave:
                commit = self._history.commits[other]
                yield self._depth[other] - self._depth[sha], commit.committed, other

    def _dep_fits(
        self,
        sha: str,
        view: int,
        number: int,
        dep: Dep,
        found: dict[str, Out | None],
        looked_ahead: list[bool],
    ) -> bool:
        if self._told(view, dep.path) is not None:
            return True  # told by the tree, and compared already
        if dep.path in self._makers:
            made = self._resolve(sha, view, dep.path, found, looked_ahead)
            return made is not None and made.md5 == dep.md5
        # A file below a folder that DVC tracks is the same as long as the folder is.
        parent = dep.path.rpartition("/")[0]
        while parent:
            there = self._history.held_at(self._brought[number][0]).outs.get(parent)
            if there is not None:
                here = self._history.held[view].plain.get(parent) or self._resolve(
                    sha, view, parent, found, looked_ahead
                )
                return here is not None and here.md5 == there.md5
            parent = parent.rpartition("/")[0]
        return False
