"""What DVC's files say in every commit's tree, without a checkout; every distinct file is parsed once."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ingestors.git_format import Commit
from ingestors.git_objects import GitRepository
from ingestors.sources.dvc import files
from ingestors.sources.dvc.files import BadFile, Out, Recipe, Stage

_SPECS = (":(glob)**/*.dvc", ":(glob)**/dvc.lock", ":(glob)**/dvc.yaml")
#: Above this many watched paths git is asked for all changes: a command line has an end.
_LONGEST_LIST = 300


class Entry(NamedTuple):
    """A file or folder in a tree."""

    oid: str
    is_tree: bool


View = Mapping[str, Entry]
"""Path → what lies there, for the files that matter, in one tree."""


class Held(NamedTuple):
    """What DVC holds in one tree. ``plain``: by ``.dvc`` files; ``stages``: ids of the locked stages with the
    outs that DVC keeps of each; ``outs``: all of it, path → what."""

    plain: dict[str, Out]
    stages: dict[int, tuple[Out, ...]]
    outs: dict[str, Out]
    recipes: tuple[Recipe, ...]


_NOTHING = Recipe({}, frozenset(), (), ())


class History:
    """The commits that some tips reach, with a view of each tree. Commits with one view share its number.

    ``cut`` are those not known whole: what they brought, and what was there before, cannot be told.
    ``problems`` are files that could not be read, object id → (path, reason); the last good state stands.
    """

    def __init__(self, repository: GitRepository, tips: Iterable[str], since: int | None) -> None:
        self.repository = repository
        self.problems: dict[str, tuple[str, str]] = {}
        self.stages: list[Stage] = []
        self._stage_ids: dict[Stage, int] = {}
        walked = repository.walk(tips, (), since)
        self.commits: dict[str, Commit] = {
            commit.sha: commit for commit in repository.commits([sha for sha, _ in walked])
        }
        known = self.commits
        self.order = [sha for sha, _ in walked if sha in known]
        self.parents = {
            sha: tuple(p for p in parents if p in known) for sha, parents in walked if sha in known
        }
        shallow = repository.shallow()
        self.cut = {sha for sha, ps in walked if sha in shallow or any(p not in known for p in ps)}
        self._pairs = self._tree_pairs()

        first, _ = self._views(_SPECS, _is_dvc_file)
        self._blobs: dict[str, bytes] = {}
        self._pointers: dict[tuple[str, str], tuple[list[Out], list[Stage]]] = {}
        self._recipes: dict[tuple[str, str], Recipe] = {}
        self._locks: dict[tuple[str, str, str], list[Stage]] = {}
        self._parse(first)
        watched = self._watched(first)
        few = len(watched) <= _LONGEST_LIST
        specs = (*_SPECS, *(f":(literal){path}" for path in sorted(watched))) if few else ()
        self.views, self.view_of = self._views(specs, lambda path: path in watched or _is_dvc_file(path))
        self.held = self._hold_all()

    def held_at(self, sha: str) -> Held:
        """What DVC holds in a commit's tree."""
        return self.held[self.view_of[sha]]

    def is_code(self, view: int, path: str) -> bool:
        """Whether git keeps what lies at the path: a file, or a folder without any of DVC's data in it."""
        entry = self.views[view].get(path)
        if entry is None:
            return False
        return not entry.is_tree or not any(p.startswith(f"{path}/") for p in self.held[view].outs)

    # --- trees -----------------------------------------------------------------------------------------

    def _tree_pairs(self) -> list[tuple[str, str]]:
        empty = self.repository.empty_tree()
        return [
            (self.commits[self.parents[sha][0]].tree if self.parents[sha] else empty, self.commits[sha].tree)
            for sha in self.order
        ]

    def _views(
        self, specs: Iterable[str], wanted: Callable[[str], bool]
    ) -> tuple[list[dict[str, Entry]], dict[str, int]]:
        views: list[dict[str, Entry]] = [{}]
        # How each view came about: from which one, and by which paths.
        self._steps: list[tuple[int | None, list[str]]] = [(None, [])]
        view_of: dict[str, int] = {}
        for sha, changes in zip(self.order, self.repository.changes(self._pairs, tuple(specs)), strict=True):
            parents = self.parents[sha]
            base = view_of[parents[0]] if parents else 0
            # A file that cannot be read leaves what was there before.
            found = [c for c in changes if wanted(c.path) and c.oid not in self.problems]
            if not found:
                view_of[sha] = base
                continue
            view = dict(views[base])
            for change in found:
                if change.oid is None:
                    view.pop(change.path, None)
            for change in found:
                if change.oid is not None:
                    view[change.path] = Entry(change.oid, change.is_tree)
            view_of[sha] = len(views)
            views.append(view)
            self._steps.append((base, [change.path for change in found]))
        return views, view_of

    # --- files -----------------------------------------------------------------------------------------

    def _parse(self, views: list[dict[str, Entry]]) -> None:
        places = {(p, e.oid) for view in views for p, e in view.items() if not e.is_tree}
        self._blobs = {
            oid: content for oid, _, content in self.repository.objects(sorted({o for _, o in places}))
        }
        for path, oid in sorted(places):
            content = self._blobs.get(oid)
            try:
                if content is None:
                    raise BadFile("is too large to be read")
                if path.endswith(".dvc"):
                    self._pointers[path, oid] = files.pointer(path, content)
                elif posixpath.basename(path) == "dvc.yaml":
                    self._recipes[path, oid] = files.recipe(path, content)
                else:
                    self._locks[path, oid, ""] = files.lock(path, content, {})
            except BadFile as problem:
                self.problems[oid] = (path, f"{path} {problem}")

    def _lock(self, path: str, entry: Entry, view: View) -> list[Stage]:
        place = posixpath.join(posixpath.dirname(path), "dvc.yaml")
        beside = view.get(place)
        recipe = self._recipes.get((place, beside.oid), _NOTHING) if beside is not None else _NOTHING
        if not recipe.wdirs or beside is None:
            return self._locks.get((path, entry.oid, ""), [])
        key = (path, entry.oid, beside.oid)
        if key not in self._locks:
            content = self._blobs.get(entry.oid)
            self._locks[key] = [] if content is None else files.lock(path, content, recipe.wdirs)
        return self._locks[key]

    def _hold(self, view: View) -> Held:
        plain: dict[str, Out] = {}
        stages: list[Stage] = []
        recipes: list[Recipe] = []
        for path, entry in view.items():
            if entry.is_tree or not _is_dvc_file(path):
                continue
            if path.endswith(".dvc"):
                tracked, old_stages = self._pointers.get((path, entry.oid), ((), ()))
                plain.update((out.path, out) for out in tracked)
                stages += old_stages
            elif posixpath.basename(path) == "dvc.lock":
                stages += self._lock(path, entry, view)
            elif (path, entry.oid) in self._recipes:
                recipes.append(self._recipes[path, entry.oid])
        uncached = frozenset().union(*(recipe.uncached for recipe in recipes))
        kept: dict[int, tuple[Out, ...]] = {}
        outs: dict[str, Out] = {}
        for stage in stages:
            # What git keeps, though a stage made it (metrics, mostly), is no data version.
            mine = tuple(o for o in stage.outs if o.path not in uncached and o.path not in view)
            kept[self._number(stage)] = mine
            outs.update((out.path, out) for out in mine)
        return Held(plain, kept, {**outs, **plain}, tuple(recipes))

    def _hold_all(self) -> list[Held]:
        """What is held in every view; views with the same of DVC's files and outs share one object."""
        outs = {out.path for stage in self.stages for out in stage.outs}
        held: list[Held] = []
        for view, (base, paths) in zip(self.views, self._steps, strict=True):
            same = base is not None and not any(path in outs or _is_dvc_file(path) for path in paths)
            held.append(held[base] if same and base is not None else self._hold(view))
        return held

    def _number(self, stage: Stage) -> int:
        number = self._stage_ids.get(stage)
        if number is None:
            number = self._stage_ids[stage] = len(self.stages)
            self.stages.append(stage)
        return number

    def _watched(self, views: list[dict[str, Entry]]) -> set[str]:
        """Paths whose content decides whether a lock fits a tree: dependencies, outs and parameter files."""
        found: set[str] = set()
        for held in map(self._hold, views):
            for number in held.stages:
                stage = self.stages[number]
                found.update(dep.path for dep in stage.deps)
                found.update(out.path for out in stage.outs)
                found.update(file for file, _ in stage.params)
        return found


def _is_dvc_file(path: str) -> bool:
    return path.endswith((".dvc", "/dvc.lock", "/dvc.yaml")) or path in ("dvc.lock", "dvc.yaml")
