"""Backstage's entities: what a descriptor says, and who is meant by an owner. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from graph_schema.claims import Claim, Links, Names, Properties, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import head_of, identifier, kind_of
from graph_schema.kinds import NodeKind
from graph_schema.schemes import SCHEMES
from ingestors.deployments import owned

#: Kinds of entities that are read, in lower case.
DESCRIBED = frozenset({"component", "system", "domain", "resource", "api", "group", "user"})
#: Annotations ``kinlore.dev/<scheme>`` name what an entity is in the graph.
OURS = "kinlore.dev/"
ROLE = "owner"

_SLUG = re.compile(r"[\w.-]+(?:/[\w.-]+)+")
_REF = re.compile(r"(?:(?P<kind>[A-Za-z]+):)?(?:(?P<namespace>[\w.-]+)/)?(?P<name>[\w.-]+)")
_LONGEST = 4_000


class Entity(msgspec.Struct, frozen=True):
    """A descriptor. ``ref`` is its full name in lower case: ``component:default/churn``."""

    ref: str
    kind: str
    namespace: str
    name: str
    file: str
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations that are texts."""
        held = self.metadata.get("annotations")
        items = held.items() if isinstance(held, Mapping) else ()
        return {str(key): value.strip() for key, value in items if isinstance(value, str) and value.strip()}

    def text(self, key: str) -> str | None:
        """A text of the metadata."""
        return _text(self.metadata.get(key))

    def said(self, key: str) -> str | None:
        """A text of the spec."""
        return _text(self.spec.get(key))


def entity(document: Mapping[Any, Any], file: str) -> Entity:
    """A document as an entity. Raises BadInput where it has no name."""
    metadata, spec = document.get("metadata"), document.get("spec")
    if not isinstance(metadata, Mapping) or not _text(metadata.get("name")):
        raise BadInput(f"a {document.get('kind')} without metadata.name")
    kind = str(document["kind"]).lower()
    namespace = (_text(metadata.get("namespace")) or "default").lower()
    name = str(metadata["name"]).strip()
    if not re.fullmatch(r"[\w.-]{1,200}", name):
        raise BadInput(f"metadata.name is {name[:80]!r}; allowed are letters, digits, '-', '_' and '.'")
    ref = f"{kind}:{namespace}/{name.lower()}"
    return Entity(ref, kind, namespace, name, file, metadata, spec if isinstance(spec, Mapping) else {})


class Catalog:
    """All entities of a source, by their full names."""

    def __init__(self, entities: Mapping[str, Entity]) -> None:
        self._by_ref = dict(entities)

    @property
    def entities(self) -> list[Entity]:
        """In the order of their names."""
        return [self._by_ref[ref] for ref in sorted(self._by_ref)]

    def item(self, of: Entity) -> dict[str, Any]:
        """What an entity says, with what it needs of others looked up."""
        data: dict[str, Any] = {
            "ref": of.ref,
            "kind": of.kind,
            "namespace": of.namespace,
            "name": of.name,
            "file": of.file,
            "title": of.text("title"),
            "description": of.text("description"),
        }
        if of.kind == "group":
            return data | {"identifiers": _team_ids(of), **_profile(of)}
        if of.kind == "user":
            return data | {"identifiers": _person_ids(of), **_profile(of)}
        system = self._find(of.said("system"), "system", of.namespace)
        owner = of.said("owner")
        return data | {
            "owner": owner,
            "ownerId": None if owner is None else self._owner(owner, of.namespace),
            "type": of.said("type"),
            "lifecycle": of.said("lifecycle"),
            "system": of.name if of.kind == "system" else _bare(of.said("system")),
            "domain": of.name if of.kind == "domain" else _bare((system or of).said("domain")),
            "tags": _texts(of.metadata.get("tags")),
            "things": _things(of),
            "places": _places(of),
        }

    def _find(self, text: str | None, kind: str, namespace: str) -> Entity | None:
        ref = None if text is None else _full(text, kind, namespace)
        return None if ref is None else self._by_ref.get(ref)

    def _owner(self, text: str, namespace: str) -> str | None:
        """The leading identifier of an owner; of one that the catalog does not describe, by its name."""
        ref = _full(text, "group", namespace)
        if ref is None:
            return None
        kind, _, rest = ref.partition(":")
        there, _, name = rest.partition("/")
        described = self._by_ref.get(ref) or Entity(ref, kind, there, name, "", {}, {})
        if kind == "group":
            return _team_ids(described)[0]
        return _person_ids(described)[0] if kind == "user" else None


def claims_of(data: Mapping[str, Any]) -> list[Claim]:
    """What an entity says."""
    if data["kind"] in ("group", "user"):
        return _people(data)
    made: list[Claim] = []
    properties = {
        "component": data["ref"],
        "componentType": data["type"],
        "lifecycle": data["lifecycle"],
        "system": data["system"],
        "domain": data["domain"],
        "owner": data["owner"],
        "description": data["description"],
    }
    stated: Properties = {key: value for key, value in properties.items() if value is not None}
    owner, tags = data["ownerId"], [identifier("tag", tag) for tag in data["tags"]]
    for scheme, value in data["things"]:
        thing = identifier(scheme, value)
        kind = kind_of(thing)
        if kind is None:
            raise BadInput(f"{data['ref']}: {OURS}{scheme} does not say what kind of thing {value!r} is")
        # Without a scope it is not said where the thing lives: the edges wait for the only one of that name.
        if not head_of(thing.partition("=")[0]).is_open:
            made += [Names(kind, (thing,)), States(kind, thing, stated)]
        made += _edges(thing, owner, tags, data)
    for tag in tags:
        made.append(Names(NodeKind.TAG, (tag,)))
    if owner is not None:
        made.append(Names(_kind_of_owner(owner), (owner,)))
        for environment, name in data["places"]:
            made.append(owned(owner, environment=environment, name=name, role=ROLE, because=_because(data)))
    return made


def _edges(thing: str, owner: str | None, tags: list[str], data: Mapping[str, Any]) -> list[Claim]:
    because = _because(data)
    made: list[Claim] = []
    if owner is not None:
        made.append(Links(EdgeKind.OWNED_BY, thing, owner, None, None, {"role": ROLE}, because))
    made += [Links(EdgeKind.TAGGED, thing, tag, None, None, None, because) for tag in tags]
    return made


def _because(data: Mapping[str, Any]) -> str:
    return f"{data['file']}: {data['ref']}"


def _people(data: Mapping[str, Any]) -> list[Claim]:
    ids = tuple(data["identifiers"])
    kind = NodeKind.TEAM if data["kind"] == "group" else NodeKind.PERSON
    properties = {
        "name": data["displayName"] or data["title"] or data["name"],
        "description": data["description"],
        "mail": data["mail"],
        "memberOf": data["memberOf"] or None,
        "parent": data["parent"],
        "teamType": data["type"],
    }
    stated = {key: value for key, value in properties.items() if value is not None}
    return [Names(kind, ids), States(kind, ids[0], stated)]


def _kind_of_owner(owner: str) -> NodeKind:
    return NodeKind.TEAM if owner.startswith("team=") else NodeKind.PERSON


# --- reading a descriptor ------------------------------------------------------------------------------


def _full(text: str, kind: str, namespace: str) -> str | None:
    """A reference in full, lower case: ``[kind:][namespace/]name``."""
    match = _REF.fullmatch(text.strip())
    if match is None:
        return None
    return f"{match['kind'] or kind}:{match['namespace'] or namespace}/{match['name']}".lower()


def _bare(text: str | None) -> str | None:
    match = None if text is None else _REF.fullmatch(text)
    return text if match is None else match["name"]


def _team_ids(of: Entity) -> list[str]:
    name = of.name.lower()
    ids = [identifier("team", name if of.namespace == "default" else f"{of.namespace}/{name}")]
    slug = of.annotations.get("github.com/team-slug") or of.annotations.get("gitlab.com/group-full-path")
    if slug is not None and _SLUG.fullmatch(slug):
        # CODEOWNERS calls the team so.
        ids.append(identifier("team", slug.lower()))
    return list(dict.fromkeys(ids))


def _person_ids(of: Entity) -> list[str]:
    ids = []
    for scheme, value in (
        ("email", _profile(of)["mail"]),
        ("github.login", of.annotations.get("github.com/user-login")),
        ("gitlab.username", of.annotations.get("gitlab.com/user-login")),
    ):
        try:
            ids += [identifier(scheme, value)] if value else []
        except BadIdentifier:
            continue
    return [*ids, identifier("backstage.user", f"{of.namespace}/{of.name.lower()}")]


def _profile(of: Entity) -> dict[str, Any]:
    held = of.spec.get("profile")
    profile = held if isinstance(held, Mapping) else {}
    return {
        "displayName": _text(profile.get("displayName")),
        "mail": _text(profile.get("email")),
        "memberOf": _texts(of.spec.get("memberOf")),
        "parent": of.said("parent"),
        "type": of.said("type"),
    }


def _things(of: Entity) -> list[list[str]]:
    """What an entity is in the graph: [scheme, value], from its annotations."""
    found = [["git.remote", remote] for remote in _remotes(of)]
    for key, value in sorted(of.annotations.items()):
        if not key.startswith(OURS):
            continue
        scheme = key.removeprefix(OURS)
        if scheme not in SCHEMES or not SCHEMES[scheme].joins:
            allowed = ", ".join(name for name, each in SCHEMES.items() if each.joins)
            raise BadInput(f"{of.ref}: the annotation {key!r} names no scheme; allowed are {allowed}")
        found += [[scheme, each] for each in _listed(value) if scheme != "deployment" or "@" in each]
    return found


def _places(of: Entity) -> list[list[str]]:
    """Names under which an entity is deployed: [environment, name], of ``prod/churn``."""
    found = []
    for each in _listed(of.annotations.get(f"{OURS}deployment", "")):
        environment, slash, name = each.partition("/")
        if "@" in each:
            continue
        if not slash or not name or not environment:
            raise BadInput(f"{of.ref}: {OURS}deployment is {each[:80]!r}; write environment/name")
        found.append([environment, name])
    return found


def _listed(value: str) -> list[str]:
    return [each.strip() for each in re.split(r"[,\n]", value[:_LONGEST]) if each.strip()]


def _remotes(of: Entity) -> list[str]:
    """Repositories that belong to the entity as a whole."""
    located = of.annotations.get("backstage.io/source-location", "").removeprefix("url:")
    remote, below = _located(located) if located else (None, "")
    if below:
        # A folder of a repository that others share: its owner does not own the repository.
        return []
    found = [] if remote is None else [remote]
    for host in ("github.com", "gitlab.com", "bitbucket.org"):
        slug = of.annotations.get(f"{host}/project-slug") or of.annotations.get(f"{host}/repo-slug")
        if slug is not None and _SLUG.fullmatch(slug):
            found.append(f"{host}/{slug}")
    return sorted(set(found))


def _located(address: str) -> tuple[str | None, str]:
    """The remote that an address of code lies in, and the folder in it: GitHub's ``/tree/main/folder``,
    GitLab's ``/-/tree/main/folder``."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None, ""
    path = parts.path.strip("/")
    if parts.scheme not in ("http", "https") or "/" not in path:
        return None, ""
    home, found, below = path.partition("/-/")
    if not found:
        segments = path.split("/")
        home, below = "/".join(segments[:2]), "/".join(segments[2:])
    # tree/<branch>/<folder>
    folder = "/".join(below.split("/")[2:]).strip("/")
    return f"{parts.netloc.rpartition('@')[2]}/{home.removesuffix('.git')}", folder


def _text(value: Any) -> str | None:
    return value.strip()[:_LONGEST] if isinstance(value, str) and value.strip() else None


def _texts(value: Any) -> list[str]:
    held = value if isinstance(value, list) else []
    return sorted({text for each in held[:500] if (text := _text(each)) is not None})
