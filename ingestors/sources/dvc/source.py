"""The DVC source: what changed in the history since the last pull, and what it claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from graph_schema.claims import Claim
from graph_schema.times import Micros, parse_time
from ingestors.git_objects import GitConfig, GitRepository, Ref, open_repository
from ingestors.source import Discovered, Item, Pulled, Source, SourceError
from ingestors.sources.dvc.claims import claims_of
from ingestors.sources.dvc.contents import Contents
from ingestors.sources.dvc.describe import Described, changed, describe, unused_states
from ingestors.sources.dvc.effective import Effective
from ingestors.sources.dvc.experiments import describe_experiments, experiment_refs
from ingestors.sources.dvc.history import History

_PAGE = 1_000
_PREFIXES = ("refs/heads", "refs/remotes", "refs/tags")
#: Unreadable files are shown, but so few that they never stop a pull.
_SHOWN_PROBLEMS = 10


class DvcSource(Source):
    """Data sets, their versions and how they were made. ``include`` and ``exclude`` are globs over the
    names of branches, tags and experiments; ``since`` leaves out older commits."""

    type: ClassVar[str] = "dvc"
    config_model = GitConfig
    retirable = ("dataset", "version", "stage", "commit", "experiment")

    def __init__(self, config: GitConfig) -> None:
        super().__init__(config)
        self.config: GitConfig = config
        self._present: dict[str, frozenset[str]] = {}

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        repository = open_repository(self.config)
        remote = repository.remote()
        refs, experiments = self._refs(repository)
        tips = {ref.name: ref.sha for ref in [*refs, *experiments]}
        choice = [*self.config.include, "!", *self.config.exclude, "!", self.config.since, remote]
        state = cursor if isinstance(cursor, dict) and cursor.get("choice") == choice else {}
        before: dict[str, str] = state.get("refs", {})
        full = bool(state.get("full")) or not before
        if before == tips and not full:
            return
        known = repository.existing(set(before.values()))
        since = None if self.config.since is None else parse_time(self.config.since) // 1_000_000

        history = History(repository, {*tips.values(), *known}, since)
        contents = Contents(repository)
        new = self._describe(repository, history, contents, tips, experiments, remote, since)
        old: Described = {}
        if before:
            gone_refs = [Ref(name, sha) for name, sha in before.items() if name.startswith("refs/exps/")]
            was = {name: sha for name, sha in before.items() if sha in known}
            old = self._describe(repository, history, contents, was, gone_refs, remote, since)
        vanished = [place for place in old if place not in new]
        fresh = new if full else changed(old, new)

        items = [Item(key, type_name, now, data) for (type_name, key), data in fresh.items()]
        items += [
            Item(oid, "file", now, {"path": path, "problem": problem})
            for oid, (path, problem) in sorted(history.problems.items())[:_SHOWN_PROBLEMS]
        ]
        lost = [key for type_name, key in vanished if type_name == "commit"]
        # What nobody refers to any more is taken back, after those who did have been written anew.
        items += [Item(key, "state", now, {"files": []}) for key in unused_states(old, new, lost)]
        complete = None
        if full or vanished or len(known) < len(set(before.values())):
            self._present = {t: frozenset(k for n, k in new if n == t) for t in self.retirable}
            complete = self._present
        going_on = {"choice": choice, "refs": before, "full": full}
        for start in range(0, max(len(items), 1), _PAGE):
            last = start + _PAGE >= len(items)
            yield Pulled(
                items[start : start + _PAGE],
                {"choice": choice, "refs": tips} if last else going_on,
                len(items),
                complete if last else None,
            )

    def restart(self, cursor: Any | None) -> Any | None:
        # Where the last pull ended tells which states have gone out of use.
        return {**cursor, "full": True} if isinstance(cursor, dict) else None

    def to_claims(self, item: Item) -> Sequence[Claim]:
        return claims_of(item)

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        # The complete walk was exact: nothing hides from it.
        present = self._present.get(type)
        return None if present is None else present.intersection(keys)

    def check(self) -> str:
        repository = open_repository(self.config)
        count = _tracked(repository)
        if not count:
            return f"{repository.remote()}: no dvc.lock and no .dvc file where HEAD is"
        return f"{repository.remote()}: {count} files of DVC where HEAD is"

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        try:
            repository = GitRepository(folder)
        except SourceError:
            return []
        top = repository.git_dir.parent if repository.git_dir.name == ".git" else repository.git_dir
        signs = [
            name
            for name in (".dvc", "dvc.lock", "dvc.yaml")
            if (folder / name).exists() or (top / name).exists()
        ]
        if not signs:
            return []
        path = "." if top.resolve() == folder.resolve() else str(top)
        return [
            Discovered(
                {"type": "dvc", "name": f"{repository.name}-data", "path": path},
                f"{signs[0]} in {repository.remote()}",
            )
        ]

    def _describe(
        self,
        repository: GitRepository,
        history: History,
        contents: Contents,
        tips: Mapping[str, str],
        experiments: Sequence[Ref],
        remote: str,
        since: int | None,
    ) -> Described:
        reached = {sha for sha, _ in repository.walk(set(tips.values()), (), since)}
        members = [sha for sha in history.order if sha in reached]
        described = describe(history, Effective(history, contents, members), members, remote)
        chosen = [ref for ref in experiments if ref.sha in reached]
        for place, data in describe_experiments(repository, history, chosen, described).items():
            described[place] = {"remote": remote, **data}
        return described

    def _refs(self, repository: GitRepository) -> tuple[list[Ref], list[Ref]]:
        refs = [
            ref
            for ref in repository.refs(*_PREFIXES)
            if ref.name != "refs/remotes/origin/HEAD" and self._wanted(ref.name)
        ]
        detached = repository.detached()
        if detached is not None and not self.config.include:
            refs.append(Ref("HEAD", detached))
        return refs, [ref for ref in experiment_refs(repository) if self._wanted(ref.name)]

    def _wanted(self, name: str) -> bool:
        short = name
        for prefix in _PREFIXES:
            short = short.removeprefix(f"{prefix}/")
        if name.startswith("refs/exps/"):
            short = name.split("/", 4)[-1]
        names = (name, short)
        include, exclude = self.config.include, self.config.exclude
        if include and not any(fnmatchcase(each, glob) for each in names for glob in include):
            return False
        return not any(fnmatchcase(each, glob) for each in names for glob in exclude)


def _tracked(repository: GitRepository) -> int:
    head = repository.commit_of("HEAD")
    if head is None:
        return 0
    tree = next(iter(repository.commits([head]))).tree
    specs = (":(glob)**/*.dvc", ":(glob)**/dvc.lock")
    changes = next(iter(repository.changes([(repository.empty_tree(), tree)], specs)))
    return sum(1 for change in changes if not change.is_tree)
