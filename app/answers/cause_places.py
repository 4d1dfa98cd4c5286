"""Whose code a commit touched, and what a runtime changed: read off the graph around a failure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.answers.cause_code import Place, Touch, entry_of, mends, paths_of, touch, words_of
from app.answers.cause_graph import Region
from app.answers.cause_pool import Pool
from app.answers.last_good import time_of
from app.lineage.runtimes import packages_of
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from graph_schema.values import Node

E, K = EdgeKind, NodeKind


class Places:
    """Where the code of runs, job runs and images lies. ``users`` are these by handle, ``above`` the names of
    the groups that each belongs to."""

    def __init__(
        self, found: Pool, region: Region, users: Mapping[int, Node], above: Mapping[int, list[str]]
    ) -> None:
        self._pool, self._region = found, region
        self._lies: dict[int, Place] = {}
        self._beside: dict[int, set[Place]] = {}
        short = {home: [name.rpartition("/")[2]] for home, name in found.code.names.items()}
        for held in (region, found.region):
            for handle, home in found.code.homes.items():
                for link in held.out.get(handle, ()):
                    user = users.get(link.dst) or found.nodes.get(link.dst)
                    if link.edge.kind is E.CODE_FOR and user is not None:
                        words = words_of(user.name, *above.get(link.dst, ()))
                        place = Place(entry_of(user, short.get(home, [])), words)
                        self._lies[link.dst] = place
                        self._beside.setdefault(home, set()).add(place)
        runs = {h for h, user in users.items() if user.kind is K.RUN and h in found.paths}
        led = {self._lies[handle] for handle in runs if handle in self._lies}
        self._leading = {place for place in led if place.entry is not None or place.words}

    def touched(self, commit: Node) -> tuple[Touch | None, set[int], bool]:
        """How near a commit's files are to what led to the failure, what was made without them, and whether
        all that led there had a later commit that mends it."""
        paths = paths_of(commit) if commit.kind is K.COMMIT else None
        if paths is None:
            return None, set(), False
        beside = self._beside.get(self._pool.code.homes.get(commit.handle, 0), set())
        users = self._users(commit.handle, ())
        known = {place: touch(paths, place, beside) for place in {self._lies[user] for user in users}}
        near = [known[self._lies[user]] for user in users if user in self._pool.paths]
        spared = {user for user in users if known[self._lies[user]] is Touch.OTHERS}
        nodes = self._pool.nodes
        later = [h for h in self._after(commit.handle) if h in nodes and mends(nodes[h], paths)]
        left = self._users(commit.handle, later) if later else users
        return (
            max(near, default=None),
            spared,
            bool(near) and not any(user in self._pool.paths for user in left),
        )

    def beside(self, run: int) -> bool:
        """Whether the code of a run lies where that of one does which led to the failure."""
        return run in self._lies and self._lies[run] in self._leading

    def _after(self, commit: int, without: Collection[int] = ()) -> list[int]:
        """A commit's successors, itself left out, along ways that lead through none of ``without``."""
        seen, pending = {commit}, [commit]
        for handle in pending:
            for link in self._region.out.get(handle, ()):
                if link.edge.kind is E.PRECEDES and link.dst not in without and link.dst not in seen:
                    seen.add(link.dst)
                    pending.append(link.dst)
        return pending[1:]

    def _users(self, commit: int, without: Collection[int]) -> set[int]:
        """What runs or was made with a commit or one after it."""
        return {
            link.dst
            for handle in (commit, *self._after(commit, without))
            for link in self._region.out.get(handle, ())
            if link.edge.kind is E.CODE_FOR and link.dst in self._lies
        }

    def packages(self, runtime: Node, at: Micros) -> tuple[dict[str, str], dict[str, str]] | None:
        """The packages of the runtime that was used for the like before, and those of this one."""
        if runtime.kind is not K.RUNTIME:
            return None
        made, used = time_of(runtime) or at, self._used_in(runtime.handle)
        before = [
            other
            for other in self._pool.nodes.values()
            if other.kind is K.RUNTIME
            and (time_of(other) or at) < made
            and self._used_in(other.handle) & used
        ]
        mine = packages_of(runtime)
        if not mine or not before:
            return None
        last = max(before, key=lambda other: (time_of(other) or 0, other.id))
        return packages_of(last), mine

    def _used_in(self, runtime: int) -> set[NodeKind]:
        nodes = self._pool.nodes
        return {nodes[x.dst].kind for x in self._pool.region.out.get(runtime, ()) if x.dst in nodes}
