"""PagerDuty's REST API (version 2), as far as incidents go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graph_schema.times import Micros, format_time, parse_time
from ingestors.http import HttpClient, HttpConfig, NotThere
from ingestors.source import Item, SourceError
from ingestors.sources.pagerduty.shape import alert_item, note_item

if TYPE_CHECKING:
    import httpx

_PAGE = 100
#: Beyond this offset the API refuses to go; what comes after is asked for by its time.
_FARTHEST = 9_900
OPEN = ("triggered", "acknowledged")

Incident = Mapping[str, Any]


class _Client(HttpClient):
    """Keys of the API go by another word than bearer tokens."""

    def _auth(self) -> tuple[httpx.Auth | None, dict[str, str]]:
        auth, headers = super()._auth()
        word, _, token = headers.get("Authorization", "").partition(" ")
        return auth, {"Authorization": f"Token token={token}"} if word == "Bearer" else headers


class Api:
    """Incidents, their alerts and notes. ``services``: ids of services, none for all."""

    def __init__(
        self,
        url: str,
        config: HttpConfig,
        services: Sequence[str],
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        accept = {"Accept": "application/vnd.pagerduty+json;version=2"}
        self._client = _Client(url, config, headers=accept, transport=transport)
        self._only = {"service_ids[]": list(services)} if services else {}

    def created(self, since: Micros, until: Micros) -> Iterator[list[Incident]]:
        """Pages of incidents that were created in a span of at most six months, by time."""
        while True:
            span = {"since": format_time(since), "until": format_time(until), "sort_by": "created_at:asc"}
            last: Incident | None = None
            for page in self._pages("/incidents", "incidents", {**span, **self._wanted()}):
                last = page[-1] if page else last
                yield page
            if last is None or not self._cut:
                return
            after = parse_time(str(last["created_at"]))
            if after <= since:
                raise SourceError(
                    "PagerDuty has more than 10,000 incidents of one second; they cannot be read"
                )
            since = after

    def open(self) -> Iterator[list[Incident]]:
        """Pages of incidents that are open now, whenever they were created."""
        return self._pages(
            "/incidents", "incidents", {"statuses[]": list(OPEN), "date_range": "all", **self._wanted()}
        )

    def incident(self, incident: str) -> Incident | None:
        """One incident, or None where it is not there."""
        try:
            found = self._client.get(f"/incidents/{incident}", self._included())["incident"]
        except NotThere:
            return None
        return found if isinstance(found, dict) else None

    def alerts(self, incident: str, version: Micros) -> list[Item]:
        """The alerts in an incident, as items; none where it is not there."""
        try:
            pages = list(self._pages(f"/incidents/{incident}/alerts", "alerts", {}))
        except NotThere:
            return []
        return [alert_item(incident, alert, version) for page in pages for alert in page]

    def notes(self, incident: str) -> list[Item]:
        """The notes on an incident, as items; none where it is not there."""
        try:
            answer = self._client.get(f"/incidents/{incident}/notes")
        except NotThere:
            return []
        return [note_item(incident, note) for note in _listed(answer, "notes")]

    def count_open(self) -> int:
        """How many incidents are open now."""
        return sum(len(page) for page in self.open())

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _wanted(self) -> dict[str, Any]:
        return {**self._included(), **self._only}

    def _included(self) -> dict[str, Any]:
        # Without it an assignee has a name and no address.
        return {"include[]": ["assignees"]}

    def _pages(self, path: str, name: str, params: Mapping[str, Any]) -> Iterator[list[Incident]]:
        self._cut = False
        offset = 0
        while True:
            answer = self._client.get(path, {**params, "limit": _PAGE, "offset": offset})
            page = _listed(answer, name)
            yield page
            if not page or not answer.get("more"):
                return
            offset += len(page)
            if offset > _FARTHEST:
                self._cut = True
                return


def _listed(answer: Any, name: str) -> list[Incident]:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise SourceError(f"PagerDuty answers without a list {name!r}; is the address right?")
    return found
