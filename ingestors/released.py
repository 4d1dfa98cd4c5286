"""What a release says it consists of: images and models as people and tools spell them. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from graph_schema.claims import Claim, Finds, Keyed, Links, uses
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros

Thing = tuple[NodeKind, str]
"""A kind and an identifier: what was released."""

_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
_DIGEST = re.compile(r"(?:sha256:)?[0-9a-f]{64}", re.IGNORECASE)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_ALIAS = re.compile(r"models:/+([^/@]+)@([^/@]+)")
#: How the slots of aliases of registered models begin.
ALIAS = "mlflow:"
#: Where MLflow 3 keeps the files of a logged model, below whatever root.
_LOGGED_MODEL = re.compile(r"(?:^|/)(m-[0-9a-f]{32})(?:/|$)")


class Image(NamedTuple):
    """An image reference taken apart: ``registry/path`` in full, and what it names there."""

    repository: str
    tag: str | None
    digest: str | None

    @property
    def thing(self) -> Thing | None:
        """The image, where the reference says exactly which."""
        return None if self.digest is None else (NodeKind.ARTIFACT, identifier("oci.digest", self.digest))

    @property
    def slot(self) -> str | None:
        """Where to ask which image the tag stood for; None where a digest says so, or there is no tag."""
        if self.digest is not None or self.tag is None:
            return None
        return image_slot(self.repository, self.tag)


def image(text: str) -> Image:
    """``registry.example.com/acme/churn:1.0@sha256:…`` taken apart, completed as Docker does: no registry
    means Docker Hub, no path there means ``library/``, neither tag nor digest means ``latest``.

    Raises BadInput for what names no image.
    """
    rest, _, digest = text.strip().removeprefix("docker-pullable://").partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise BadInput(f"{text[:200]!r}: {digest[:80]!r} is not a digest sha256:…")
    head, slash, last = rest.rpartition("/")
    last, _, tag = last.partition(":")
    path = f"{head}{slash}{last}"
    if not last or (tag and not _TAG.fullmatch(tag)):
        raise BadInput(f"{text[:200]!r} is not an image; write registry/path:tag or registry/path@sha256:…")
    return Image(image_repository(path), tag or (None if digest else "latest"), digest.lower() or None)


def image_repository(path: str) -> str:
    """``registry/path`` in full, from what people leave out of it."""
    first, slash, rest = path.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "docker.io", path
    first = first.lower()
    if first in _DOCKER_HUB:
        first, rest = "docker.io", rest if "/" in rest else f"library/{rest}"
    return f"{first}/{rest.lower()}"


def image_slot(repository: str, tag: str) -> str:
    """The slot of a tag: what it stands for changes. ``repository`` as :func:`image_repository` spells it."""
    return f"oci:{repository}:{tag}"


def alias_slot(model: str, alias: str) -> str:
    """The slot of an alias of a registered model: which version has it changes. Servers are not told apart,
    as who names an alias does not say on which; where two have it, the rule joins nothing."""
    return f"{ALIAS}{model.strip()}@{alias.strip()}"


def alias(text: str) -> str | None:
    """The slot that ``models:/churn@champion`` names; None for all else."""
    named = _ALIAS.fullmatch(text.strip())
    return None if named is None else alias_slot(named[1], named[2])


def package(text: str) -> tuple[Thing | None, str | None]:
    """What an artifact id of CDEvents names: a thing, or a slot to ask.

    It is a package URL, ``pkg:oci/churn@sha256%3A…?repository_url=…&tag=…`` (a tag beside a digest is
    ignored: it says where the image was found, not which it is) or ``pkg:mlflow/churn@3``, or a bare digest.
    Other kinds of packages name nothing that the graph holds: (None, None).
    """
    text = text.strip()
    if _DIGEST.fullmatch(text):
        return (NodeKind.ARTIFACT, identifier("oci.digest", text)), None
    if not text.startswith("pkg:"):
        return None, None
    path, _, query = text.removeprefix("pkg:").partition("#")[0].partition("?")
    kind, _, named = path.strip("/").partition("/")
    name, _, version = named.rpartition("@") if "@" in named else (named, "", "")
    name, version = unquote(name), unquote(version)
    if kind == "mlflow" and name and version:
        # MLflow has no alias that reads like a version.
        if not version.removeprefix("v").isdecimal():
            return None, alias_slot(name, version)
        return (NodeKind.MODEL_VERSION, identifier("mlflow.model_version", f"{name}/{version}")), None
    if kind not in ("oci", "docker"):
        return None, None
    if _DIGEST.fullmatch(version):
        return (NodeKind.ARTIFACT, identifier("oci.digest", version)), None
    asked = parse_qs(query)
    tag = (asked.get("tag") or [version])[0]
    where = (asked.get("repository_url") or [""])[0].rpartition("://")[2].strip("/")
    # The address may be that of the registry or of the repository in it.
    path = where if where.rpartition("/")[2] == name.rpartition("/")[2] else f"{where}/{name}".strip("/")
    return None, image_slot(image_repository(path), tag) if tag and _TAG.fullmatch(tag) else None


def model(text: str) -> Thing | None:
    """The model version that a text names: ``churn/3``, ``models:/churn/3``, ``models:/m-…``, or a place in
    MLflow's artifact store that belongs to one logged model. None for aliases, stages, other addresses."""
    text = text.strip()
    scheme, colon, rest = text.partition(":/")
    if match := _LOGGED_MODEL.search(text):
        return NodeKind.MODEL_VERSION, identifier("mlflow.logged_model", match[1])
    name, slash, version = (rest if colon else text).strip("/").rpartition("/")
    if (colon and scheme != "models") or not slash or not name or not version or "@" in version:
        return None
    # A stage, as in models:/churn/Production, says no version.
    if colon and not version.isdecimal():
        return None
    return NodeKind.MODEL_VERSION, identifier("mlflow.model_version", f"{name}/{version}")


def traffic_share(said: Any, where: str) -> float | None:
    """A share of the traffic, 0 to 1, from a number or its text; None, for all of it, from None. Raises
    BadInput naming ``where`` it stood."""
    if said is None:
        return None
    if isinstance(said, str) and re.fullmatch(r"\d?\.?\d+", said.strip()):
        said = float(said)
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= 1:
        raise BadInput(f"{where} is a number between 0 and 1, not {str(said)[:40]!r}")
    return float(said)


def released_from(deployment: str, slot: str, at: Micros) -> list[Claim]:
    """What stood in a slot then (an image's tag, a model's alias) was released as a deployment: its edge has
    the times and shares of the deployment, as if the release had named it exactly."""
    return [
        Keyed("release", deployment, "of", None, None, at, data={"slot": slot}),
        uses(slot, deployment, at, EdgeKind.DEPLOYED_AS, {"rule": "release"}),
    ]


def contents(
    deployment: str,
    at: Micros,
    *,
    images: Iterable[str] = (),
    models: Iterable[str] = (),
    bentos: Iterable[str] = (),
    commit: str | None = None,
) -> tuple[list[Thing], list[Claim]]:
    """What texts in a deployment's description come to: the things that were released, and what is to be
    claimed beside them: images known by a tag and models by an alias are asked for, addresses of models find
    the deployment, the commit was its code. Raises BadInput."""
    things: list[Thing] = []
    claims: list[Claim] = []
    for read in dict.fromkeys(image(text) for text in images):
        if read.thing is not None:
            things.append(read.thing)
        elif read.slot is not None:
            claims.extend(released_from(deployment, read.slot, at))
    for text in dict.fromkeys(models):
        version = model(text)
        if version is not None:
            things.append(version)
        elif (slot := alias(text)) is not None:
            claims.extend(released_from(deployment, slot, at))
        if ":/" in text:
            claims.append(Finds("uri", text, deployment))
    things.extend((NodeKind.ARTIFACT, identifier("bentoml.bento", bento)) for bento in bentos)
    if commit is not None:
        claims.append(Links(EdgeKind.CODE_FOR, identifier("git.sha", commit), deployment, at))
    return list(dict.fromkeys(things)), claims
