"""The source oci: notified of pushes, and reading what the registry lists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, field_validator

from graph_schema.claims import Claim
from graph_schema.errors import BadInput
from graph_schema.times import Micros, parse_time
from graph_schema.wording import counted
from ingestors.http import HttpConfig, HttpError, shown
from ingestors.released import image_repository
from ingestors.source import Delivery, Item, Pulled, PushedConfig, Refused, Source, SourceError
from ingestors.sources.oci.claims import built_at, image_claims, push_claims, tag_claims
from ingestors.sources.oci.registry import DIGEST, IMAGES, INDEXES, REPOSITORY, Manifest, Registry

_PAGE = 200
_GLOB = re.compile(r"[*?\[]")
#: Signatures and SBOMs that cosign keeps beside an image, under a tag made of its digest.
_BESIDE = re.compile(r"sha256-[0-9a-f]{64}(?:\.\w+)?")
_REVISION = "org.opencontainers.image.revision"
_REFERENCE = "vnd.docker.reference.type"

Tags = dict[str, tuple[str, Micros]]
"""What a repository's tags stood for when they were last read, and since when."""


class OciConfig(HttpConfig, PushedConfig):
    """Keys of a registry."""

    url: str = Field(description="address of the registry, http(s)://host:port")
    registry: str | None = Field(default=None, description="what stands before the path in image names")
    fixed_tags: tuple[str, ...] = Field(default=(), description="globs of tags that are never moved")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError("give the registry's address as https://registry.example.com")
        return url.rstrip("/").removesuffix("/v2")


class OciSource(Source):
    """``include`` and ``exclude`` are globs over repositories (``acme/*``); without a glob in ``include`` the
    repositories are taken as named, from a registry that does not list them."""

    type: ClassVar[str] = "oci"
    config_model = OciConfig
    retirable = ("image",)
    accepts = True

    def __init__(self, config: OciConfig) -> None:
        super().__init__(config)
        self.config: OciConfig = config
        self._open: Registry | None = None

    # --- pushed ----------------------------------------------------------------------------------------

    def delivery_id(self, delivery: Delivery) -> str | None:
        try:
            ids = [str(event["id"]) for event in _events(delivery.body)]
        except (BadInput, KeyError):
            return None
        # An envelope has no name of its own; with many events it is let through, and changes nothing again.
        return ids[0] if len(ids) == 1 else None

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        items: list[Item] = []
        for event in _events(delivery.body):
            target = event.get("target")
            # Blobs notify too, and what reads a manifest, as we do next, notifies of a pull.
            if event.get("action") != "push" or not isinstance(target, Mapping):
                continue
            if target.get("mediaType") not in IMAGES | INDEXES:
                continue
            repository, digest, tag = (str(target.get(k) or "") for k in ("repository", "digest", "tag"))
            if not REPOSITORY.fullmatch(repository) or not DIGEST.fullmatch(digest):
                raise BadInput("a push needs target.repository and target.digest, sha256:…")
            if self.config.wants(repository) and not _BESIDE.fullmatch(tag):
                at = parse_time(str(event.get("timestamp") or ""))
                items.extend(self._pushed(repository, digest, tag, at, target["mediaType"]))
        return items

    def _pushed(self, repository: str, digest: str, tag: str, at: Micros, media_type: str) -> Iterator[Item]:
        about = {"repository": self._full(repository), "digest": digest}
        yield Item(f"{repository}@{digest}", "image", at, {**about, "mediaType": media_type, "unread": True})
        if tag:
            yield from self._tagged(repository, digest, tag, at, at)

    def _tagged(self, repository: str, digest: str, tag: str, since: Micros, version: Micros) -> list[Item]:
        data = {"repository": self._full(repository), "digest": digest, "tag": tag, "since": since}
        return [
            Item(f"{repository}:{tag}", "tag", version, data),
            Item(f"{repository}:{tag} since {since}", "push", version, data),
        ]

    def enrich(self, items: Sequence[Item]) -> Sequence[Item]:
        done: list[Item] = []
        for item in items:
            if item.type != "image" or not item.data.get("unread"):
                done.append(item)
                continue
            repository, _, digest = item.key.partition("@")
            manifest = self._registry().manifest(repository, digest)
            if manifest is None:
                # Deleted since: what the notification said is what there is.
                done.append(item)
            elif not _is_beside(manifest):
                done.extend(self._images(repository, manifest, item.version))
        return done

    # --- pulled ----------------------------------------------------------------------------------------

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        state = cursor if isinstance(cursor, dict) else {}
        tags: dict[str, Any] = dict(state.get("tags", {}))
        again = bool(state.get("again"))
        present: set[str] = set()
        names = self._repositories()
        items: list[Item] = []
        for name in names:
            before: Tags = {tag: (d, s) for tag, (d, s) in tags.get(name, {}).items()}
            found, now_there = self._repository(name, before, again, now, present)
            items.extend(found)
            tags = {**tags, name: now_there}
            if len(items) >= _PAGE:
                yield Pulled(items, {"tags": tags, "again": again}, len(items))
                items = []
        for name in sorted(set(tags) - set(names)):
            # What the configuration leaves out now is not gone.
            if self.config.wants(name) and not self._registry().tags(name):
                items.extend(self._ended(name, tags[name], now))
                tags = {other: held for other, held in tags.items() if other != name}
        yield Pulled(items, {"tags": tags}, len(items), {"image": frozenset(present)})

    def restart(self, cursor: Any | None) -> Any | None:
        # Since when a tag stood for what it stands for is known from earlier pulls only.
        return {**cursor, "again": True} if isinstance(cursor, dict) else None

    def _repositories(self) -> list[str]:
        named = [name for name in self.config.include if not _GLOB.search(name)]
        if named and len(named) == len(self.config.include):
            return [name for name in named if self.config.wants(name)]
        try:
            return [name for name in self._registry().repositories() if self.config.wants(name)]
        except (HttpError, Refused) as problem:
            raise SourceError(
                f"{problem}. Without leave to list its repositories, name them: include = "
                '["acme/churn"]. Pushes that the registry notifies of are taken all the same'
            ) from None

    def _repository(
        self, name: str, before: Tags, again: bool, now: Micros, present: set[str]
    ) -> tuple[list[Item], Tags]:
        """What is new in a repository, and what its tags stand for now."""
        items: list[Item] = []
        there: Tags = {}
        known = {digest for digest, _ in before.values()}
        for tag in self._registry().tags(name):
            manifest = None if _BESIDE.fullmatch(tag) else self._registry().manifest(name, tag)
            if manifest is None or _is_beside(manifest):
                continue
            digest = manifest.digest
            held = before.get(tag)
            moved = held is None or held[0] != digest
            new = again or digest not in known
            read = self._images(name, manifest, now) if new else []
            since = now if held is None or moved else held[1]
            if moved and self._is_fixed(tag):
                image = read[0] if read else self._images(name, manifest, now)[0]
                since = built_at(image.data.get("created")) or now
            there[tag] = (digest, since)
            known.add(digest)
            items.extend(read)
            if moved or again:
                items.extend(self._tagged(name, digest, tag, since, now))
            present.update(f"{name}@{d}" for d in (digest, *(c["digest"] for c in _children(manifest))))
        # What a tag stood for would show through again when it is taken away.
        ended = {tag: held for tag, held in before.items() if there.get(tag) != held}
        items.extend(self._ended(name, ended, now))
        return items, there

    def _ended(self, name: str, tags: Mapping[str, tuple[str, Micros]], now: Micros) -> list[Item]:
        items: list[Item] = []
        for tag, (digest, since) in tags.items():
            push = self._tagged(name, digest, tag, since, now)[1]
            items.append(msgspec.structs.replace(push, data={**push.data, "until": max(now, since + 1)}))
        return items

    # --- what an image is ------------------------------------------------------------------------------

    def _images(self, repository: str, manifest: Manifest, version: Micros) -> list[Item]:
        """An image, and the images of an index."""
        children = [
            (child, self._registry().manifest(repository, child["digest"])) for child in _children(manifest)
        ]
        parts = [self._image(repository, held, version, ()) for _, held in children if held is not None]
        revisions = [r for part in parts for r in part.data["revisions"]]
        whole = self._image(repository, manifest, version, revisions)
        platforms = [dict(child) for child, _ in children]
        if platforms:
            whole = msgspec.structs.replace(whole, data={**whole.data, "platforms": platforms})
        return [whole, *parts]

    def _image(self, repository: str, manifest: Manifest, version: Micros, revisions: Sequence[str]) -> Item:
        config = manifest.config and self._registry().config(repository, manifest.config)
        inner = config.get("config") if config else None
        labels = {**_texts(manifest.content.get("annotations"))}
        labels |= _texts(inner.get("Labels") if isinstance(inner, Mapping) else None)
        own = labels.get(_REVISION)
        data = {
            "repository": self._full(repository),
            "digest": manifest.digest,
            "mediaType": manifest.media_type,
            "labels": labels,
            "created": (config or {}).get("created") or labels.get("org.opencontainers.image.created"),
            "revisions": [own] if own else sorted(set(revisions)),
        }
        return Item(f"{repository}@{manifest.digest}", "image", version, data)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        if item.type == "image":
            return image_claims(item.data)
        return tag_claims(item.data) if item.type == "tag" else push_claims(item.data)

    # --- the rest --------------------------------------------------------------------------------------

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        # An image without a tag is listed nowhere, and may be there all the same.
        return frozenset(key for key in keys if self._registry().manifest(*key.split("@")) is not None)

    def check(self) -> str:
        found = counted(len(self._repositories()), "repository", "repositories")
        return f"{shown(self.config.url)}: {found}"

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _registry(self) -> Registry:
        if self._open is None:
            self._open = Registry(self.config.url, self.config)
        return self._open

    def _full(self, repository: str) -> str:
        """The repository with the registry before it, as deployments spell images."""
        registry = self.config.registry or urlsplit(self.config.url).netloc.rpartition("@")[2]
        return image_repository(f"{registry}/{repository}")

    def _is_fixed(self, tag: str) -> bool:
        return any(fnmatchcase(tag, glob) for glob in self.config.fixed_tags)


def _events(body: bytes) -> list[Mapping[str, Any]]:
    """The events of an envelope. Some registries send each by itself. Raises BadInput."""
    try:
        held = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        held = None
    events = held.get("events", [held]) if isinstance(held, dict) else None
    if not isinstance(events, list) or not all(isinstance(e, dict) and "action" in e for e in events):
        raise BadInput(
            'not a notification of a registry: {"events": [{"action": …, "target": …}]} is expected'
        )
    return events


def _texts(labels: Any) -> dict[str, str]:
    if not isinstance(labels, Mapping):
        return {}
    return {k: v for k, v in labels.items() if isinstance(k, str) and isinstance(v, str)}


def _children(manifest: Manifest) -> list[dict[str, str]]:
    """The images of an index: platform and digest. Attestations in it are no images."""
    if manifest.media_type not in INDEXES:
        return []
    found = []
    for child in manifest.content.get("manifests") or ():
        if not isinstance(child, Mapping) or child.get("mediaType") not in IMAGES:
            continue
        platform = child.get("platform")
        digest = str(child.get("digest"))
        if _REFERENCE in _texts(child.get("annotations")) or not DIGEST.fullmatch(digest):
            continue
        parts = (
            [platform.get(k) for k in ("os", "architecture", "variant")]
            if isinstance(platform, Mapping)
            else []
        )
        found.append({"platform": "/".join(str(p) for p in parts if p) or "unknown", "digest": digest})
    return found


def _is_beside(manifest: Manifest) -> bool:
    """Whether it only speaks of another image: a signature, an SBOM, an attestation."""
    return isinstance(manifest.content.get("subject"), Mapping)
