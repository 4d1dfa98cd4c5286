"""One pull: part by part, each with a state of its own in the cursor, so that any page may be the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from graph_schema.times import Micros, format_time, parse_time
from ingestors.http import HttpError, NotThere
from ingestors.source import Item, Pulled
from ingestors.sources.github import shape
from ingestors.sources.github.api import Api
from ingestors.sources.github.shape import Json, Seen

#: What was changed within this time before the newest change seen is asked for again: GitHub's times have a
#: resolution of a second, and its lists a delay.
OVERLAP = 120_000_000
#: Deployments and runs that are not over are asked for again, so many of them.
MOST_OPEN = 100
_CHUNK = 25
#: States of a deployment after which none comes.
_OVER = frozenset({"inactive", "failure", "error"})

State = dict[str, Any]


class Step(NamedTuple):
    """Items, the state of the part once they are written, and, at the end of a list that was read as a
    whole, the keys of all that is there."""

    items: Sequence[Item]
    state: State
    present: frozenset[str] | None = None


class Pull:
    """What is new since ``cursor``. ``since`` leaves out what was last changed before; ``choice`` is what the
    cursor was made under: another one begins anew."""

    def __init__(
        self, api: Api, parts: Sequence[str], cursor: Any, *, now: Micros, since: Micros | None, choice: Any
    ) -> None:
        self._api = api
        self._parts = parts
        self._since = since
        self._seen = Seen(now, asked=True)
        kept = cursor if isinstance(cursor, dict) and cursor.get("choice") == choice else {}
        self._cursor: State = {"choice": choice, "parts": dict(kept.get("parts") or {})}

    def pages(self) -> Iterator[Pulled]:
        """Pages; the last one says what is there as a whole, for the lists that were read as a whole."""
        complete: dict[str, frozenset[str]] = {}
        steps: dict[str, Callable[[State], Iterator[Step]]] = {
            "repository": self._repository,
            "codeowners": self._owners,
            "pulls": self._pulls,
            "issues": self._issues,
            "releases": self._releases,
            "deployments": self._deployments,
            "workflows": self._runs,
        }
        for part, pull in steps.items():
            if part != "repository" and part not in self._parts:
                continue
            steps_of = pull(self._cursor["parts"].get(part) or {})
            for step in steps_of if part == "repository" else self._offered(steps_of):
                before = self._cursor["parts"].get(part)
                self._cursor = {**self._cursor, "parts": {**self._cursor["parts"], part: step.state}}
                if step.items or step.state != before:
                    yield Pulled(step.items, self._cursor)
                if step.present is not None:
                    complete[_TYPES[part]] = step.present
        if complete:
            yield Pulled([], self._cursor, None, complete)

    def _offered(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The steps, none where the repository does without that list: its issues switched off, a server that
        has no deployments. That the repository itself is there was seen before."""
        began = False
        try:
            for step in steps:
                began = True
                yield step
        except HttpError as problem:
            if began or not (isinstance(problem, NotThere) or "disabled" in problem.body):
                raise

    # --- parts -----------------------------------------------------------------------------------------

    def _repository(self, state: State) -> Iterator[Step]:
        raw, etag = self._api.changed("", state.get("etag"))
        if raw is not None:
            yield Step([shape.repository(raw, self._seen)], {"etag": etag})

    def _owners(self, state: State) -> Iterator[Step]:
        held = self._api.owners(state.get("path"), state.get("etag"))
        if held is None:
            return
        # What was asked for stands until it is asked for again.
        item = shape.owners(held.path, held.text, self._seen.at)
        yield Step([item], {"path": held.path, "etag": held.etag})

    def _pulls(self, state: State) -> Iterator[Step]:
        yield from self._changing(
            "/pulls", {"state": "all"}, state, lambda raw: self.with_commits(shape.pull(raw, self._seen))
        )

    def _issues(self, state: State) -> Iterator[Step]:
        # GitHub lists pull requests among the issues.
        yield from self._changing(
            "/issues",
            {"state": "all"},
            state,
            lambda raw: [] if raw.get("pull_request") else [shape.issue(raw, self._seen)],
            by_since=True,
        )

    def with_commits(self, item: Item) -> list[Item]:
        """A pull request, and its commits."""
        commits = self._api.commits(item.data["number"])
        return [item, shape.pull_commits(item, commits)]

    def _releases(self, state: State) -> Iterator[Step]:
        first = self._api.page_if_changed("/releases", {}, state.get("etag"))
        if first is None:
            return
        raws = [raw for raw in first.items if not raw.get("draft")]
        if first.next is not None:
            for page in self._api.pages("/releases", first.next):
                raws += [raw for raw in page.items if not raw.get("draft")]
        tags = self._tags({str(raw.get("tag_name")) for raw in raws})
        items = [shape.release(raw, self._seen, sha=tags.get(str(raw.get("tag_name")))) for raw in raws]
        yield Step(items, {"etag": first.etag}, frozenset(item.key for item in items))

    def _tags(self, wanted: set[str]) -> dict[str, str]:
        """The commits that tags stand on: from their list, else asked for one by one."""
        found: dict[str, str] = {}
        if not wanted:
            return found
        for page in self._api.pages("/tags", {}):
            for raw in page.items:
                if raw.get("name") in wanted:
                    found[raw["name"]] = raw["commit"]["sha"]
            if len(found) == len(wanted):
                return found
        for tag in sorted(wanted.difference(found)):
            sha = self._api.commit_of(tag)
            if sha is not None:
                found[tag] = sha
        return found

    def _deployments(self, state: State) -> Iterator[Step]:
        yield from self._beginning("/deployments", None, state, self._deployment)

    def _deployment(self, raw: Json) -> tuple[list[Item], bool]:
        item = shape.deployment(raw, self._seen)
        items, states = [item], set()
        for page in self._api.pages(f"/deployments/{raw['id']}/statuses", {}):
            for status in page.items:
                items.append(shape.deployment_status(status, item, self._seen))
                states.add(str(status.get("state")))
        return items, not states & _OVER

    def _runs(self, state: State) -> Iterator[Step]:
        yield from self._beginning("/actions/runs", "workflow_runs", state, self._run)

    def _run(self, raw: Json) -> tuple[list[Item], bool]:
        return [shape.workflow_run(raw, self._seen)], raw.get("status") != "completed"

    # --- two kinds of lists ----------------------------------------------------------------------------

    def _changing(
        self,
        path: str,
        params: dict[str, str],
        state: State,
        items_of: Callable[[Json], list[Item]],
        *,
        by_since: bool = False,
    ) -> Iterator[Step]:
        """A list of what can be sorted by its last change. Read as a whole it goes by creation, which no
        change moves; later from the newest change back, and is written from the oldest on."""
        high = state.get("high")
        if high is None and self._since is None:
            yield from self._whole(path, params, state, items_of)
            return
        floor = max(high - OVERLAP if high is not None else 0, self._since or 0)
        asked = {**params, "sort": "updated", "direction": "desc"}
        if by_since:
            # The same while nothing changes, so that GitHub can say so.
            asked["since"] = format_time(floor // 1_000_000 * 1_000_000)
        first = self._api.page_if_changed(path, asked, state.get("etag"))
        if first is None:
            return
        raws: list[Json] = []
        page = first
        while True:
            raws += [raw for raw in page.items if _updated(raw) >= floor]
            if page.next is None or not page.items or _updated(page.items[-1]) < floor:
                break
            page = self._api.page(path, page.next)
        raws.sort(key=_updated)
        newest = _updated(raws[-1]) if raws else high
        for start in range(0, len(raws), _CHUNK):
            chunk = raws[start : start + _CHUNK]
            items = [item for raw in chunk for item in items_of(raw)]
            if start + _CHUNK < len(raws):
                yield Step(items, {**state, "high": _updated(chunk[-1]), "etag": None})
            else:
                yield Step(items, {"high": newest, "etag": self._kept(first.etag, newest)})
        if not raws and high is None:
            yield Step([], {"high": floor, "etag": None})

    def _kept(self, etag: str | None, newest: Micros | None) -> str | None:
        """The tag, unless the newest state may change within its second: then it is asked for once more."""
        return etag if newest is None or newest + shape.SETTLED <= self._seen.at else None

    def _whole(
        self, path: str, params: dict[str, str], state: State, items_of: Callable[[Json], list[Item]]
    ) -> Iterator[Step]:
        asked = state.get("next") or {**params, "sort": "created", "direction": "asc"}
        # Where an earlier pull ended on the way, what it saw is not known here any more.
        present: set[str] | None = None if state.get("next") else set()
        high = state.get("seen") or 0
        for page in self._api.pages(path, asked):
            for start in range(0, len(page.items), _CHUNK):
                chunk = page.items[start : start + _CHUNK]
                items = [item for raw in chunk for item in items_of(raw)]
                high = max([high, *(_updated(raw) for raw in chunk)])
                if present is not None:
                    present.update(item.key for item in items if item.type in _TYPES.values())
                yield Step(items, {**state, "next": asked, "seen": high})
            if page.next is None:
                break
            asked = page.next
        yield Step([], {"high": high}, None if present is None else frozenset(present))

    def _beginning(
        self,
        path: str,
        key: str | None,
        state: State,
        read: Callable[[Json], tuple[list[Item], bool]],
    ) -> Iterator[Step]:
        """A list that goes by creation only, newest first: what is new, and what is not over yet."""
        newest = state.get("newest")
        still: list[int] = [*(state.get("open") or ())]
        asked: dict[str, str] = state.get("next") or {}
        top = state.get("top") or 0
        present: set[str] | None = set() if newest is None and not asked and self._since is None else None
        for page in self._api.pages(path, asked, key=key):
            fresh = [raw for raw in page.items if newest is None or raw["id"] > newest]
            fresh = [
                raw for raw in fresh if self._since is None or parse_time(raw["created_at"]) >= self._since
            ]
            top = max([top, *(raw["id"] for raw in page.items)])
            for start in range(0, len(fresh), _CHUNK):
                chunk = fresh[start : start + _CHUNK]
                items, opened = self._read(chunk, read)
                still = _open(still, opened, chunk)
                if present is not None:
                    present.update(item.key for item in items if item.type in _TYPES.values())
                yield Step(items, {**state, "next": asked, "top": top, "open": still})
            if page.next is None or len(fresh) < len(page.items):
                break
            asked = page.next
        before = set(state.get("open") or ())
        for number in [each for each in still if each in before]:
            try:
                items, opened = self._read([self._api.get(f"{path}/{number}")], read)
            except NotThere:
                items, opened = [], set()
            still = still if opened else [each for each in still if each != number]
            if items:
                yield Step(items, {**state, "open": still})
        held = {"newest": max(top, newest or 0), "open": still}
        yield Step([], held, None if present is None else frozenset(present))

    def _read(
        self, raws: Sequence[Json], read: Callable[[Json], tuple[list[Item], bool]]
    ) -> tuple[list[Item], set[int]]:
        items: list[Item] = []
        opened: set[int] = set()
        for raw in raws:
            made, is_open = read(raw)
            items += made
            if is_open:
                opened.add(raw["id"])
        return items, opened


#: The type of record that a part lists, for retirement.
_TYPES = {
    "pulls": "pull",
    "issues": "issue",
    "releases": "release",
    "deployments": "deployment",
    "workflows": "workflow_run",
}


def _open(held: Sequence[int], opened: set[int], chunk: Sequence[Json]) -> list[int]:
    seen = {raw["id"] for raw in chunk}
    return sorted({*(number for number in held if number not in seen), *opened})[-MOST_OPEN:]


def _updated(raw: Json) -> Micros:
    return parse_time(str(raw["updated_at"]))
