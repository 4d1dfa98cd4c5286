"""Reading an OCI registry over HTTP: its repositories, tags, manifests and image configs."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from ingestors.http import HttpClient, HttpConfig, NotThere
from ingestors.source import SourceError, Unreachable

IMAGES = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
INDEXES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
_CONFIGS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_PAGE = 500
_REDIRECTS = 3


class Manifest(msgspec.Struct, frozen=True):
    """What stands under a digest: the content type and the JSON."""

    digest: str
    media_type: str
    content: Mapping[str, Any]

    @property
    def config(self) -> str | None:
        """Digest of the image's config, None for an index and for what is no image."""
        config = self.content.get("config")
        if not isinstance(config, Mapping) or config.get("mediaType") not in _CONFIGS:
            return None
        digest = config.get("digest")
        return digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else None


class Registry(HttpClient):
    """One registry. All methods raise SourceError, Unreachable and Refused as :class:`HttpClient` does."""

    def __init__(self, url: str, config: HttpConfig, **options: Any) -> None:
        # Without the manifest types a registry answers in a form that long predates labels, or with 404.
        accept = ", ".join(sorted(IMAGES | INDEXES)) + ", application/json"
        super().__init__(url, config, headers={"Accept": accept}, max_bytes=8 * 2**20, **options)
        self._tokens: dict[str, str] = {}

    def repositories(self) -> Iterator[str]:
        """Every repository's name. Raises SourceError where the registry does not list them."""
        yield from self._listed("/v2/_catalog", "repositories")

    def tags(self, repository: str) -> list[str]:
        """A repository's tags; none where it is empty or gone."""
        try:
            return list(self._listed(f"/v2/{repository}/tags/list", "tags"))
        except NotThere:
            return []

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest under a tag or a digest; None where there is none."""
        path = f"/v2/{repository}/manifests/{quote(reference, safe=':')}"
        try:
            content, got, _ = self._send("GET", path, None, None, self._max_bytes, cut=False)
        except NotThere:
            return None
        digest = f"sha256:{sha256(content).hexdigest()}"
        if DIGEST.fullmatch(reference) and digest != reference:
            raise Unreachable(f"{self._where}{path} answers with other content than that digest's")
        kind = got.get("content-type", "")
        held = self._object(content, kind, path)
        return Manifest(digest, held.get("mediaType") or kind.partition(";")[0].strip(), held)

    def config(self, repository: str, digest: str) -> Mapping[str, Any] | None:
        """An image's config; None where it is not there."""
        path = f"/v2/{repository}/blobs/{digest}"
        try:
            content, got, _ = self._send("GET", path, None, None, self._max_bytes, cut=False)
        except NotThere:
            return None
        return self._object(content, got.get("content-type", ""), path)

    def _object(self, content: bytes, kind: str, path: str) -> Mapping[str, Any]:
        held = self._decoded(content, kind, path)
        if not isinstance(held, dict):
            raise SourceError(f"{self._where}{path} answers with what is no JSON object")
        return held

    def _listed(self, path: str, key: str) -> Iterator[str]:
        """Names, page by page. How many come at once is the registry's choice, and not all of them page: one
        asks on until nothing new comes."""
        seen: set[str] = set()
        last: str | None = None
        while True:
            page = self.get(path, {"n": _PAGE} if last is None else {"n": _PAGE, "last": last})
            names = page.get(key) if isinstance(page, dict) else None
            fresh = [n for n in names or () if isinstance(n, str) and n not in seen]
            if not fresh:
                return
            yield from fresh
            seen.update(fresh)
            last = fresh[-1]

    def _auth(self) -> tuple[httpx.Auth | None, dict[str, str]]:
        auth, headers = super()._auth()
        return _RegistryAuth(auth, self._tokens), headers


class _RegistryAuth(httpx.Auth):
    """Credentials as registries want them: at once, or for a token from the service that their 401 names.

    Blobs are often kept elsewhere: such a redirect is followed, without credentials.
    """

    def __init__(self, inner: httpx.Auth | None, tokens: dict[str, str]) -> None:
        self._inner = inner
        self._tokens = tokens

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        own = "authorization" in request.headers
        # One token is good for one repository.
        known = self._tokens.get(_repository(request.url.path))
        if known is not None:
            request.headers["Authorization"] = f"Bearer {known}"
        else:
            request = self._dressed(request)
        response = yield request
        if response.status_code == 401 and not own:
            asked = self._asked(response, request.url)
            if asked is not None:
                answer = yield self._dressed(asked)
                token = _token(answer)
                if token is not None:
                    self._tokens[_repository(request.url.path)] = token
                    request.headers["Authorization"] = f"Bearer {token}"
                response = yield request
        for _ in range(_REDIRECTS):
            target = _redirected(response, request.url)
            if target is None:
                return
            response = yield httpx.Request("GET", target, headers={"Accept": "*/*"})

    def _dressed(self, request: httpx.Request) -> httpx.Request:
        return request if self._inner is None else next(self._inner.auth_flow(request))

    def _asked(self, response: httpx.Response, url: httpx.URL) -> httpx.Request | None:
        kind, _, rest = response.headers.get("www-authenticate", "").partition(" ")
        said = dict(_CHALLENGE.findall(rest))
        realm = said.pop("realm", "")
        if kind.lower() != "bearer" or not realm:
            return None
        try:
            where = url.join(realm)
        except httpx.InvalidURL:
            return None
        if not _may_be_asked(where, url):
            return None
        named = {key: value for key, value in said.items() if key in ("service", "scope")}
        return httpx.Request("GET", where.copy_merge_params(named))


def _repository(path: str) -> str:
    return re.split(r"/(?:manifests|blobs|tags)/", path)[0]


def _token(answer: httpx.Response) -> str | None:
    if answer.status_code != 200:
        return None
    try:
        held = msgspec.json.decode(answer.read())
    except (msgspec.DecodeError, RecursionError):
        return None
    token = (held.get("token") or held.get("access_token")) if isinstance(held, dict) else None
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else None


def _redirected(response: httpx.Response, url: httpx.URL) -> httpx.URL | None:
    if response.status_code not in (301, 302, 303, 307, 308):
        return None
    try:
        target = response.request.url.join(response.headers.get("location", ""))
    except httpx.InvalidURL:
        return None
    return target if "/blobs/" in url.path and _may_be_asked(target, url) else None


def _may_be_asked(target: httpx.URL, registry: httpx.URL) -> bool:
    """A registry may send us over TLS anywhere, else only to itself: not to what listens on our network."""
    return target.scheme == "https" or (target.scheme, target.host) == (registry.scheme, registry.host)
