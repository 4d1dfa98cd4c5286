"""The source oci and registries of other kinds, replayed: tokens, redirects, long lists, odd answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from graph_schema.errors import BadInput
from ingestors.source import Delivery, Item, Source, SourceError, Unreachable
from ingestors.sources.oci.registry import Registry
from tests.sources.oci_registry import DOCKER, OCI
from tests.sources.pushing import delivery, source_of

MISSING = "sha256:" + "0" * 64


class Replayed:
    """A registry that answers as told: (method, path) to (status, headers, body)."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        response = self.answer(request)
        assert isinstance(response, httpx.Response)
        return response


def opened(source: Source, answer: Any, environ: dict[str, str] | None = None) -> tuple[Registry, Replayed]:
    replayed = Replayed(answer)
    config = source.config
    registry = Registry(
        config.url, config, transport=httpx.MockTransport(replayed), environ=environ or {}, attempts=1
    )
    source._open = registry  # type: ignore[attr-defined]
    return registry, replayed


def test_a_registry_that_lists_nothing_is_read_by_the_names_given() -> None:
    def hub(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v2/_catalog":
            return httpx.Response(401, text="unauthorized")
        return httpx.Response(200, json={"name": "acme/churn", "tags": []})

    unnamed = source_of(type="oci", url="https://registry.example.com", include=["acme/*"])
    named = source_of(type="oci", url="https://registry.example.com", include=["acme/churn"])
    for source in (unnamed, named):
        opened(source, hub)

    with pytest.raises(SourceError, match=r"name them: include = \[.*Pushes .* are taken all the same"):
        unnamed.check()
    assert named.check() == "https://registry.example.com: 1 repository"


def test_long_lists_are_read_to_their_end_whatever_the_page_size() -> None:
    names = [f"acme/m{n:04}" for n in range(25)]

    def small_pages(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("last", "")
        return httpx.Response(200, json={"repositories": [n for n in names if n > after][:10]})

    source = source_of(type="oci", url="https://registry.example.com")
    registry, replayed = opened(source, small_pages)

    assert list(registry.repositories()) == names
    assert len(replayed.asked) == 4


def test_a_token_is_asked_for_where_the_registry_says_and_kept() -> None:
    def hub(request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.example.com":
            assert request.headers["authorization"].startswith("Basic ")
            assert dict(request.url.params) == {"service": "reg", "scope": "repository:acme/churn:pull"}
            return httpx.Response(200, json={"token": "short-lived"})
        if request.headers.get("authorization") != "Bearer short-lived":
            asked = 'Bearer realm="https://auth.example.com/token",service="reg",scope="repository:acme/churn:pull"'
            return httpx.Response(401, headers={"WWW-Authenticate": asked})
        return httpx.Response(200, json={"tags": ["1.0"]})

    source = source_of(
        type="oci", url="https://registry.example.com", user_env="REGISTRY_USER", password_env="REGISTRY_PASS"
    )
    registry, replayed = opened(source, hub, {"REGISTRY_USER": "ada", "REGISTRY_PASS": "pw"})

    assert (registry.tags("acme/churn"), registry.tags("acme/churn")) == (["1.0"], ["1.0"])
    assert [r.url.host.partition(".")[0] for r in replayed.asked].count("auth") == 1


@pytest.mark.parametrize(
    "realm", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://10.0.0.1/x"]
)
def test_credentials_do_not_follow_a_registry_into_the_network(realm: str) -> None:
    def hostile(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'})

    source = source_of(type="oci", url="https://registry.example.com", include=["acme/churn"])
    registry, replayed = opened(source, hostile)

    with pytest.raises(SourceError, match="credentials"):
        registry.manifest("acme/churn", "1.0")
    assert {r.url.host for r in replayed.asked} == {"registry.example.com"}


def test_a_blob_kept_elsewhere_is_fetched_there_without_credentials() -> None:
    def redirects(request: httpx.Request) -> httpx.Response:
        if request.url.host == "registry.example.com":
            return httpx.Response(307, headers={"Location": "https://blobs.example.net/x?signature=1"})
        assert "authorization" not in request.headers
        return httpx.Response(200, json={"created": "2026-11-01T00:00:00Z"})

    source = source_of(type="oci", url="https://registry.example.com", token_env="REGISTRY_TOKEN")
    registry, _ = opened(source, redirects, {"REGISTRY_TOKEN": "secret"})

    assert registry.config("acme/churn", MISSING) == {"created": "2026-11-01T00:00:00Z"}
    with pytest.raises(SourceError, match="redirects"):
        registry.manifest("acme/churn", "1.0")


def test_an_answer_with_other_content_than_the_digest_is_not_believed() -> None:
    source = source_of(type="oci", url="https://registry.example.com")
    registry, _ = opened(source, lambda request: httpx.Response(200, json={"mediaType": OCI}))

    with pytest.raises(SourceError, match="other content"):
        registry.manifest("acme/churn", MISSING)


@pytest.mark.parametrize("created", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "soon", None])
def test_a_reproducible_build_has_no_time(created: str | None) -> None:
    source = source_of(type="oci", url="http://127.0.0.1:1")
    data = {"repository": "r.example.com/acme/churn", "digest": MISSING, "created": created}

    claims = source.to_claims(Item("k", "image", 1, data))

    assert "createdAt" not in json.dumps([repr(claim) for claim in claims])


def test_a_bad_address_is_one_line() -> None:
    with pytest.raises(BadInput, match="url: give the registry's address as https://"):
        source_of(type="oci", url="registry.example.com")


def test_an_event_without_its_envelope_is_read_as_one() -> None:
    """As Azure's registry sends it."""
    source = source_of(type="oci", url="https://registry.example.com")
    target = {"mediaType": DOCKER, "repository": "acme/churn", "digest": MISSING, "tag": "1.0"}
    event = {"id": "cb8c3971", "timestamp": "2026-11-01T00:00:00.1Z", "action": "push", "target": target}
    came: Delivery = delivery(event)

    assert [item.type for item in source.receive(came)] == ["image", "tag", "push"]
    assert source.delivery_id(came) == "cb8c3971"


def test_while_the_registry_is_away_what_it_pushed_waits() -> None:
    source = source_of(type="oci", url="http://127.0.0.1:1")
    target = {"mediaType": OCI, "repository": "acme/churn", "digest": MISSING, "tag": "1.0"}
    event = {"id": "1", "timestamp": "2026-11-01T00:00:00Z", "action": "push", "target": target}
    items = source.receive(delivery({"events": [event]}))

    with pytest.raises(Unreachable, match="does not answer"):
        source.enrich(items)
