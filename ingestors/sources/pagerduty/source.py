"""The source pagerduty: told by webhooks, and reading the API, which alone knows an incident's alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from pydantic import Field, field_validator

from graph_schema.claims import Claim
from graph_schema.errors import BadInput
from graph_schema.times import Micros
from graph_schema.wording import counted
from ingestors import alerts, signatures
from ingestors.http import HttpConfig
from ingestors.source import Delivery, Item, Pulled, PushedConfig, Source, SourceError
from ingestors.sources.pagerduty.api import Api
from ingestors.sources.pagerduty.claims import Place, claims
from ingestors.sources.pagerduty.pulling import pages
from ingestors.sources.pagerduty.shape import event_items

if TYPE_CHECKING:
    import httpx

_EU = "https://api.eu.pagerduty.com"


class PagerDutyConfig(HttpConfig, PushedConfig):
    """Keys of a PagerDuty account."""

    url: str = Field(default="https://api.pagerduty.com", description=f"address of the API; in Europe {_EU}")
    services: tuple[str, ...] = Field(default=(), description="ids of services; default: all")
    labels: dict[str, tuple[str, ...]] = Field(
        default_factory=lambda: dict(alerts.LABELS), description="what each label or detail of an alert names"
    )

    deployments: dict[str, tuple[Place, ...]] = Field(
        default={}, description="what stands behind each service, by its id or name: environment/name"
    )

    environments: dict[str, str] = Field(default={}, description="what an environment is called elsewhere")

    @field_validator("labels", mode="before")
    @classmethod
    def _labels(cls, given: Any) -> dict[str, tuple[str, ...]]:
        return alerts.checked_labels(given)

    @field_validator("deployments", mode="before")
    @classmethod
    def _deployments(cls, given: Any) -> dict[str, tuple[Place, ...]]:
        if not isinstance(given, Mapping):
            raise ValueError('deployments is a table, such as deployments = {PF9KMXH = "prod/churn"}')
        return {str(service): tuple(_places(str(service), said)) for service, said in given.items()}


def _places(service: str, said: Any) -> Iterator[Place]:
    for each in (said,) if isinstance(said, str) else said if isinstance(said, list | tuple) else (None,):
        environment, slash, name = each.strip().rpartition("/") if isinstance(each, str) else ("", "", "")
        if not name or (slash and not environment):
            raise ValueError(f'{service} takes environment/name or a name, such as {service} = "prod/churn"')
        yield environment or None, name


class PagerDutySource(Source):
    """Webhooks are signed with the secret. Without ``token_env`` nothing is asked for: then incidents have no
    alerts, and are joined only with what their service stands for."""

    type: ClassVar[str] = "pagerduty"
    config_model = PagerDutyConfig
    accepts = True

    def __init__(self, config: PagerDutyConfig, *, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(config)
        self.config: PagerDutyConfig = config
        self._transport = transport
        self._open: Api | None = None

    # --- pushed ----------------------------------------------------------------------------------------

    def verify(self, delivery: Delivery, secret: bytes) -> None:
        signatures.pagerduty(delivery, secret)

    def delivery_id(self, delivery: Delivery) -> str | None:
        return delivery.headers.get("x-webhook-id")

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        try:
            body = msgspec.json.decode(delivery.body)
        except (msgspec.DecodeError, RecursionError) as problem:
            raise BadInput(f"the body is not JSON: {problem}") from None
        event = body.get("event") if isinstance(body, dict) else None
        if not isinstance(event, Mapping):
            raise BadInput('the body is not a V3 webhook of PagerDuty: it has no object "event"')
        return event_items(event) if self._wanted(event) else []

    def _wanted(self, event: Mapping[str, Any]) -> bool:
        data = event.get("data")
        service = data.get("service") if isinstance(data, Mapping) else None
        known = service.get("id") if isinstance(service, Mapping) else None
        return not self.config.services or known is None or known in self.config.services

    def enrich(self, items: Sequence[Item]) -> Sequence[Item]:
        if self.config.token_env is None:
            return items
        # Once for each incident, at its last turn.
        turned = {str(item.data["id"]): item.version for item in items if item.type == "status"}
        found = [alert for incident, at in turned.items() for alert in self._api().alerts(incident, at)]
        return [*items, *found]

    # --- pulled ----------------------------------------------------------------------------------------

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        if self.config.token_env is None:
            return iter(())
        return pages(self._api(), cursor, since=self.config.since, now=now)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        config = self.config
        return claims(item, config.labels, config.environments, config.deployments)

    def check(self) -> str:
        if self.config.token_env is None:
            return "webhooks only: without token_env nothing is read"
        return f"{self.config.url}: {counted(self._api().count_open(), 'incident is', 'incidents are')} open"

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _api(self) -> Api:
        if self._open is None:
            if self.config.token_env is None:
                raise SourceError(f"{self.config.name} needs token_env to read {self.config.url}")
            self._open = Api(self.config.url, self.config, self.config.services, transport=self._transport)
        return self._open
