"""Asking GitLab's REST API (v4), one project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from graph_schema.times import Micros, format_time, parse_time
from ingestors.http import HttpClient, NotThere
from ingestors.source import SourceError

PER_PAGE = 100
_PLACES = ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
_MOST_PAGES = 1_000

Raw = dict[str, Any]


class Batch(NamedTuple):
    """Things in the order of their last change, and the time of the newest."""

    items: list[Raw]
    newest: Micros


class Api:
    """Questions to one project. All methods raise SourceError, Unreachable and Refused."""

    def __init__(self, client: HttpClient, project: str) -> None:
        self._client = client
        self._base = f"/projects/{quote(project, safe='')}"

    def one(self, path: str) -> Raw:
        """A thing below the project."""
        answer = self._client.get(self._base + path)
        if not isinstance(answer, dict):
            raise SourceError(f"{path or 'the project'} is answered with no object; is url that of GitLab?")
        return answer

    def changed(self, path: str, params: Mapping[str, str], since: Micros) -> Iterator[Batch]:
        """A list in the order of last change, from a time on. Each page is asked for from where the last one
        ended in time, not by its number: what changes meanwhile comes again and pushes nothing out."""
        number = 1
        # A page begins with what the last one ended with.
        known: set[tuple[Any, Any]] = set()
        for _ in range(_MOST_PAGES):
            asked = {"order_by": "updated_at", "sort": "asc", "updated_after": format_time(since)}
            items = self._list(path, {**params, **asked, "page": str(number)})
            newest = max((parse_time(str(each["updated_at"])) for each in items), default=since)
            fresh = [each for each in items if (each.get("id"), each["updated_at"]) not in known]
            known = {(each.get("id"), each["updated_at"]) for each in items}
            if fresh:
                yield Batch(fresh, newest)
            if len(items) < PER_PAGE:
                return
            since, number = (newest, 1) if newest > since else (since, number + 1)
        raise SourceError(f"{path} goes on without an end; give since, and pull again")

    def all(self, path: str, params: Mapping[str, str]) -> list[Raw]:
        """A list as a whole."""
        found: list[Raw] = []
        for number in range(1, _MOST_PAGES):
            page = self._list(path, {**params, "page": str(number)})
            found += page
            if len(page) < PER_PAGE:
                break
        return found

    def owners(self) -> tuple[str | None, str]:
        """CODEOWNERS of the default branch: the first of GitLab's places where it lies, and its text."""
        for place in _PLACES:
            path = f"{self._base}/repository/files/{quote(place, safe='')}/raw"
            try:
                return place, self._client.text(path, {"ref": "HEAD"}, max_bytes=3 * 2**20)
            except NotThere:
                continue
        return None, ""

    def there(self, path: str) -> bool:
        """Whether a thing still exists."""
        try:
            self.one(path)
        except NotThere:
            return False
        return True

    def _list(self, path: str, params: Mapping[str, str]) -> list[Raw]:
        answer = self._client.get(self._base + path, {"per_page": str(PER_PAGE), **params})
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise SourceError(f"{path} is answered with no list; is url that of GitLab?")
        return answer
