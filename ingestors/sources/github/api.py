"""Asking GitHub's REST API: lists page by page, conditional requests. Nothing is asked of any other host."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from ingestors.http import Answer, HttpClient, HttpError, NotThere
from ingestors.source import SourceError

PER_PAGE = 100
#: GitHub lists at most so many commits of a pull request.
MOST_COMMITS = 250
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?')
_PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")

Params = Mapping[str, str]


class ListPage(NamedTuple):
    """A page of a list, and the parameters that ask for the next one; None at the end. ``etag`` is the
    page's, to ask later whether it has changed."""

    items: list[dict[str, Any]]
    next: dict[str, str] | None
    etag: str | None


class Owners(NamedTuple):
    """CODEOWNERS as it stands on the default branch: where it lies, its text, its tag for the next time."""

    path: str | None
    text: str
    etag: str | None


class Api:
    """Questions to one repository. All methods raise SourceError, Unreachable and Refused."""

    def __init__(self, client: HttpClient, repository: str) -> None:
        self._client = client
        self._base = f"/repos/{quote(repository)}"
        self._repository = repository

    def get(self, path: str) -> dict[str, Any]:
        """One thing below the repository."""
        return self._object(self._client.answer(self._base + path, None, _HEADERS).json, path)

    def changed(self, path: str, etag: str | None) -> tuple[dict[str, Any] | None, str | None]:
        """One thing and its tag; None where it is as it was under that tag."""
        answer = self._client.answer(self._base + path, None, _conditional(etag))
        if not answer.fresh:
            return None, etag
        return self._object(answer.json, path), answer.headers.get("etag")

    def page(self, path: str, params: Params, *, key: str | None = None) -> ListPage:
        """A page of the list at a path, which stands under ``key`` where the answer is wrapped."""
        answer = self._client.answer(self._base + path, {"per_page": str(PER_PAGE), **params}, _HEADERS)
        return self._listed(answer, path, key)

    def page_if_changed(self, path: str, params: Params, etag: str | None) -> ListPage | None:
        """A page, or None where it is as it was under that tag."""
        asked = {"per_page": str(PER_PAGE), **params}
        answer = self._client.answer(self._base + path, asked, _conditional(etag))
        return self._listed(answer, path, None) if answer.fresh else None

    def _listed(self, answer: Answer, path: str, key: str | None) -> ListPage:
        listed = answer.json
        if key is not None and isinstance(listed, dict):
            listed = listed.get(key)
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise SourceError(self._strange(path, "list"))
        return ListPage(listed, _next(answer.headers.get("link")), answer.headers.get("etag"))

    def pages(self, path: str, params: Params, *, key: str | None = None) -> Iterator[ListPage]:
        """All pages of a list, from the one that ``params`` ask for on."""
        asked: dict[str, str] | None = dict(params)
        seen: set[tuple[tuple[str, str], ...]] = set()
        while asked is not None:
            page = self.page(path, asked, key=key)
            yield page
            seen.add(tuple(sorted(asked.items())))
            asked = page.next
            if asked is not None and tuple(sorted(asked.items())) in seen:
                raise SourceError(
                    f"{self._repository}{path} names a page as its own next; the pull was ended"
                )

    def commits(self, number: int) -> list[dict[str, Any]]:
        """The commits of a pull request, as many as GitHub lists."""
        found: list[dict[str, Any]] = []
        for page in self.pages(f"/pulls/{number}/commits", {}):
            found += page.items
            if len(found) >= MOST_COMMITS:
                break
        return found

    def commit_of(self, tag: str) -> str | None:
        """The commit that a tag stands on, None where there is no such tag."""
        try:
            sha = self.get(f"/commits/tags/{quote(tag)}").get("sha")
        except NotThere:
            return None
        except HttpError as problem:
            # 422: no commit is found for this name.
            if "No commit found" in problem.body:
                return None
            raise
        return sha if isinstance(sha, str) else None

    def owners(self, path: str | None = None, etag: str | None = None) -> Owners | None:
        """CODEOWNERS from the first of the places where GitHub looks; None where it is as it was."""
        for place in _PLACES:
            try:
                held, tag = self.changed(f"/contents/{place}", etag if place == path else None)
            except NotThere:
                continue
            if held is None:
                return None
            content = held.get("content")
            if held.get("encoding") == "base64" and isinstance(content, str):
                return Owners(place, base64.b64decode(content).decode(errors="replace"), tag)
        return Owners(None, "", None)

    def there(self, path: str) -> bool:
        """Whether a thing still exists; one that moved to another repository does not."""
        try:
            self.get(path)
        except NotThere:
            return False
        except HttpError as problem:
            if "answers 410" in str(problem):
                return False
            raise
        except SourceError as problem:
            if "redirects" in str(problem):
                return False
            raise
        return True

    def _object(self, answer: Any, path: str) -> dict[str, Any]:
        if not isinstance(answer, dict):
            raise SourceError(self._strange(path, "object"))
        return answer

    def _strange(self, path: str, wanted: str) -> str:
        return f"{self._repository}{path} is answered with no {wanted}; is api_url that of GitHub's API?"


def _conditional(etag: str | None) -> dict[str, str]:
    return _HEADERS if etag is None else {**_HEADERS, "If-None-Match": etag}


def _next(link: str | None) -> dict[str, str] | None:
    """The parameters of the next page. Its address is not followed: the token goes nowhere else."""
    match = _NEXT.search(link or "")
    return dict(parse_qsl(urlsplit(match[1]).query)) if match else None
