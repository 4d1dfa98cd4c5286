"""Git: a repository, its commits and their order, its branches and tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from graph_schema.claims import Claim, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, checked, format_time, parse_time
from graph_schema.wording import counted
from ingestors.git_format import Commit, Touched
from ingestors.git_objects import GitConfig, GitRepository, Ref, open_repository
from ingestors.source import Discovered, Item, Pulled, Source, SourceError

_PAGE = 1_000
_LONGEST_MESSAGE = 20_000
#: Branches and tags that a repository's node lists by name; beyond this only their number.
_NAMED_REFS = 2_000
_PREFIXES = ("refs/heads", "refs/remotes", "refs/tags")


class GitSource(Source):
    """Commits that the chosen branches and tags reach. ``include`` and ``exclude`` are globs over
    their names (``main``, ``release/*``, ``origin/main``); ``since`` leaves out older commits."""

    type: ClassVar[str] = "git"
    config_model = GitConfig
    retirable = ("commit",)

    def __init__(self, config: GitConfig) -> None:
        super().__init__(config)
        self.config: GitConfig = config
        self._present: frozenset[str] | None = None

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        repository = open_repository(self.config)
        refs = self._refs(repository)
        tips = {ref.name: ref.sha for ref in refs}
        since = None if self.config.since is None else parse_time(self.config.since) // 1_000_000
        # A wider choice of branches or an earlier start brings commits that no tip has moved for.
        choice = [*self.config.include, "!", *self.config.exclude, "!", since, repository.remote()]
        state = cursor if isinstance(cursor, dict) and cursor.get("choice") == choice else {}
        before: dict[str, str] = state.get("refs", {})
        here = repository.existing(set(before.values()))
        known = {sha for sha in before.values() if sha in here}

        commits = repository.walk(set(tips.values()), known, since)
        # The same tips give the same order, so that a long first walk goes on where it stopped.
        done = int(state.get("done", 0)) if state.get("target") == tips else 0
        summary = self._repository_item(repository, refs, now)
        moved = not before or len(known) < len(set(before.values()))
        whole = moved or bool(repository.walk(known - set(tips.values()), set(tips.values())))
        end = {"choice": choice, "refs": tips}
        total = len(commits) + 1
        for start in range(done, len(commits), _PAGE):
            chunk = commits[start : start + _PAGE]
            parents = dict(chunk)
            shas = [sha for sha, _ in chunk]
            touched = repository.touched(shas)
            items = [
                Item(
                    commit.sha,
                    "commit",
                    now,
                    _commit_data(commit, parents[commit.sha], summary.data, touched.get(commit.sha)),
                )
                for commit in repository.commits(shas)
            ]
            yield Pulled(
                items, {"choice": choice, "refs": before, "target": tips, "done": start + len(chunk)}, total
            )
        complete = None
        if whole:
            reached = repository.walk(set(tips.values()), (), since) if before else commits
            self._present = frozenset(sha for sha, _ in reached)
            complete = {"commit": self._present}
        yield Pulled([summary], end, total, complete)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        data = item.data
        repository = identifier("git.remote", data["repository"])
        if item.type == "repository":
            return _repository_claims(repository, data)
        sha = identifier("git.sha", item.key)
        at = _micros(data["committed"])
        message = str(data["message"])
        properties: dict[str, Any] = {
            "name": f"{item.key[:7]} {data['subject']}".strip(),
            "author": data["author"],
            "authorEmail": data["email"],
            "committedAt": _written(at),
            "authoredAt": _written(_micros(data["authored"])),
            "message": message,
            "createdAt": at,
            "url": _web(data["repository"], "commit", item.key),
            **{key: data.get(key) for key in ("files", "folders", "fileCount")},
        }
        claims: list[Claim] = [
            Names(NodeKind.COMMIT, (sha,)),
            States(NodeKind.COMMIT, sha, {k: v for k, v in properties.items() if v is not None}, at),
            Links(EdgeKind.HAS, repository, sha, at),
        ]
        # One edge for a parent that is named twice.
        for parent in dict.fromkeys(data["parents"]):
            claims.append(Links(EdgeKind.PRECEDES, identifier("git.sha", parent), sha, at))
        return claims

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        # The complete walk was exact: nothing hides from it.
        return None if self._present is None else self._present.intersection(keys)

    def check(self) -> str:
        repository = open_repository(self.config)
        refs = self._refs(repository)
        if not refs:
            return f"{repository.remote()}: no commits yet"
        return f"{repository.remote()}: {counted(len(refs), 'branch or tag', 'branches and tags')}"

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        try:
            repository = GitRepository(folder)
        except SourceError:
            return []
        if repository.git_dir.name != ".git":
            place = repository.git_dir
        else:
            place = repository.git_dir.parent
        path = "." if place.resolve() == folder.resolve() else str(place)
        remote = repository.remote()
        return [
            Discovered(
                {"type": "git", "name": f"{repository.name}-code", "path": path},
                f"a git repository, {remote}",
            )
        ]

    def _refs(self, repository: GitRepository) -> list[Ref]:
        refs = [
            ref
            for ref in repository.refs(*_PREFIXES)
            if ref.name != "refs/remotes/origin/HEAD" and self._wanted(ref)
        ]
        # A checkout by commit id (a build machine's) has its history all the same.
        detached = repository.detached()
        if detached is not None and not self.config.include:
            refs.append(Ref("HEAD", detached))
        return refs

    def _wanted(self, ref: Ref) -> bool:
        names = (ref.name, _short(ref.name))
        include, exclude = self.config.include, self.config.exclude
        if include and not any(fnmatchcase(name, glob) for name in names for glob in include):
            return False
        return not any(fnmatchcase(name, glob) for name in names for glob in exclude)

    def _repository_item(self, repository: GitRepository, refs: Sequence[Ref], now: Micros) -> Item:
        branches = {
            _short(r.name): r.sha for r in refs if r.name.startswith(("refs/heads/", "refs/remotes/"))
        }
        tags = {_short(r.name): r.sha for r in refs if r.name.startswith("refs/tags/")}
        data = {
            "repository": repository.remote(),
            "defaultBranch": repository.head(),
            "branches": sorted(branches.items())[:_NAMED_REFS],
            "tags": sorted(tags.items())[:_NAMED_REFS],
            "branchCount": len(branches),
            "tagCount": len(tags),
        }
        return Item("repository", "repository", now, data)


def _short(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(f"{prefix}/")
    return name


def _commit_data(
    commit: Commit, parents: Sequence[str], repository: Mapping[str, Any], touched: Touched | None
) -> dict[str, Any]:
    message = commit.message.strip()
    changed = (
        {}
        if touched is None
        else {"fileCount": touched.count, "files": touched.files, "folders": touched.folders}
    )
    return {
        **{key: value for key, value in changed.items() if value},
        "repository": repository["repository"],
        "parents": list(parents),
        "author": commit.author,
        "email": commit.author_email,
        "authored": commit.authored,
        "committed": commit.committed,
        "subject": message.partition("\n")[0][:200],
        "message": message[:_LONGEST_MESSAGE],
    }


def _repository_claims(repository: str, data: Mapping[str, Any]) -> list[Claim]:
    properties = {
        "name": data["repository"].rpartition("/")[2] or data["repository"],
        "url": _web(data["repository"]),
        **{k: data[k] for k in ("defaultBranch", "branchCount", "tagCount")},
        # Pairs until here: to redaction, the name of a branch is no key.
        "branches": dict(data["branches"]),
        "tags": dict(data["tags"]),
    }
    return [
        Names(NodeKind.REPOSITORY, (repository,)),
        States(NodeKind.REPOSITORY, repository, {k: v for k, v in properties.items() if v is not None}),
    ]


def _web(remote: str, *below: str) -> str | None:
    """The page of a repository or a commit on the hosts whose addresses are known."""
    host = remote.partition("/")[0]
    if not host.startswith(("github.", "gitlab.", "codeberg.")) or remote.startswith("file:"):
        return None
    dash = ("-",) if host.startswith("gitlab.") and below else ()
    return "/".join((f"https://{remote}", *dash, *below))


def _micros(seconds: int) -> Micros | None:
    """Git takes any number for a time; what lies outside the calendar is none."""
    try:
        return checked(seconds * 1_000_000)
    except BadInput:
        return None


def _written(at: Micros | None) -> str | None:
    return None if at is None else format_time(at)
