"""What images and tags mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graph_schema.claims import Claim, Finds, Links, Names, Properties, States, occupies
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, parse_time
from ingestors.released import image_slot, model

_LABEL = "org.opencontainers.image."
#: Our own label: the model versions that an image serves, ``name/version``, separated by commas.
MODEL_LABEL = "dev.kinlore.model"
_LABELS = 100
_LONGEST = 2_000
_YEAR_2000 = 946_684_800_000_000


def image_claims(data: Mapping[str, Any]) -> list[Claim]:
    """An image, or an index of images for several platforms: its digest, its commit, its models."""
    me = identifier("oci.digest", data["digest"])
    labels = {str(k): str(v)[:_LONGEST] for k, v in list(data.get("labels", {}).items())[:_LABELS]}
    created = built_at(data.get("created"))
    path = str(data["repository"]).partition("/")[2]
    version = labels.get(f"{_LABEL}version")
    url = labels.get(f"{_LABEL}url") or labels.get(f"{_LABEL}source")
    properties: Properties = {
        "name": f"{path} {version or data['digest'].removeprefix('sha256:')[:12]}",
        "repository": data["repository"],
        "mediaType": data.get("mediaType"),
        "title": labels.get(f"{_LABEL}title"),
        "version": version,
        "revision": labels.get(f"{_LABEL}revision"),
        "createdAt": created,
        "url": url if url and url.startswith(("http://", "https://")) else None,
        "platforms": data.get("platforms"),
        "labels": labels,
    }
    claims: list[Claim] = [
        Names(NodeKind.ARTIFACT, (me,)),
        States(NodeKind.ARTIFACT, me, {k: v for k, v in properties.items() if v}, created),
        Finds("uri", f"{data['repository']}@{data['digest']}", me),
    ]
    commit = commit_of(data.get("revisions", ()))
    if commit is not None:
        claims.append(Links(EdgeKind.CODE_FOR, commit, me, created))
    for text in filter(None, labels.get(MODEL_LABEL, "").split(",")):
        named = model(text)
        if named is not None:
            claims.append(Links(EdgeKind.PACKAGED_IN, named[1], me, created))
    return claims


def commit_of(revisions: Sequence[str]) -> str | None:
    """The commit that an image was built from; None where its label is no full commit id, or where the images
    of an index were built from several."""
    if len(set(revisions)) != 1:
        return None
    try:
        return identifier("git.sha", revisions[0])
    except BadInput:
        return None


def built_at(text: Any) -> Micros | None:
    """When an image was built. Reproducible builds say 1970, and some tools the year 1: that is no time."""
    try:
        at = parse_time(text) if isinstance(text, str) else 0
    except BadInput:
        return None
    return at if at > _YEAR_2000 else None


def tag_claims(data: Mapping[str, Any]) -> list[Claim]:
    """A tag as it stands: an address to look the image up by. An image is there as long as its own record is,
    whatever tags it had."""
    me = identifier("oci.digest", data["digest"])
    return [Finds("uri", f"{data['repository']}:{data['tag']}", me)]


def push_claims(data: Mapping[str, Any]) -> list[Claim]:
    """A tag that was set: what it stands for from then on, until it is moved (or taken away)."""
    me = identifier("oci.digest", data["digest"])
    slot = image_slot(data["repository"], data["tag"])
    return [occupies(slot, me, data["since"], data.get("until"))]
