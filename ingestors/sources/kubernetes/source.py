"""Kubernetes: rollouts of Deployments, canaries of KServe's InferenceServices, Seldon's predictors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from pydantic import Field, model_validator

from graph_schema.claims import Claim, Keyed, Names
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, format_time, parse_time
from graph_schema.wording import counted
from ingestors.deployments import deployed, ended
from ingestors.documents import dig, documents
from ingestors.http import HttpClient, HttpConfig, HttpError, NotThere
from ingestors.paths import LocalPath
from ingestors.pods import replica_set_hash
from ingestors.released import contents, traffic_share
from ingestors.source import Item, Pulled, Source, SourceError, Unreachable
from ingestors.sources.kubernetes.objects import (
    Object,
    annotation,
    configuration,
    containers_of,
    meta,
    model_uris,
    owner_uid,
    predictor_of,
    service_name,
)

Marks = Mapping[tuple[str, str], str]

#: What is read: kind to the list's place in the API. Those that a cluster does not have are passed over.
_KINDS = {
    "Deployment": ("apis/apps/v1", "deployments"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "Pod": ("api/v1", "pods"),
    "InferenceService": ("apis/serving.kserve.io/v1beta1", "inferenceservices"),
    "Revision": ("apis/serving.knative.dev/v1", "revisions"),
    "SeldonDeployment": ("apis/machinelearning.seldon.io/v1", "seldondeployments"),
}
#: ``_UID``: a key begins with the uid of its object, of this many characters.
_PAGE, _RESTARTS, _UID = 500, 3, 36
_API = "https://kubernetes.default.svc"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_OURS = "kinlore.dev/"
_REVISION = "deployment.kubernetes.io/revision"
_SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"


class KubernetesConfig(HttpConfig):
    """Keys of a cluster, or of a folder with what was exported from one."""

    url: str | None = Field(default=None, description="address of the API server; default: the own cluster's")
    path: LocalPath | None = Field(default=None, description="folder of exported objects, YAML or JSON")
    namespaces: tuple[str, ...] = ()
    environments: dict[str, str] = Field(default={}, description="namespace to name of the environment")
    environment_label: str | None = Field(default=None, description="label that names the environment")

    @model_validator(mode="after")
    def _one_place(self) -> KubernetesConfig:
        if self.url is not None and self.path is not None:
            raise ValueError("give url or path, not both")
        return self


class Unit(msgspec.Struct):
    """One revision of something that serves. ``share`` of the traffic now, None: what is left, or all;
    ``now``: whether it stands; ``since`` None: nobody says. ``managed``: it ends when it stands no more, not
    when the next comes; ``moved``: when its object was last changed. ``mark``: a digest of what it is."""

    key: str
    data: dict[str, Any]
    since: Micros | None
    share: float | str | None = None
    now: bool = True
    managed: bool = False
    moved: Micros | None = None
    mark: str | None = None


class KubernetesSource(Source):
    """``include`` and ``exclude`` are globs over ``namespace/name``."""

    type: ClassVar[str] = "kubernetes"
    config_model = KubernetesConfig
    retirable = ("revision",)

    def __init__(self, config: KubernetesConfig) -> None:
        super().__init__(config)
        self.config: KubernetesConfig = config

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        before: dict[str, Any] = cursor["seen"] if isinstance(cursor, dict) else {}
        seen: dict[str, Any] = {}
        moved: dict[str, Micros] = {}
        items: list[Item] = []
        for unit in self._units(self._objects(), before):
            held = before.get(unit.key, {})
            if not held and unit.since is None and not unit.now:
                # It served once more in the past; when, nobody wrote down.
                continue
            at = moved[unit.key[:_UID]] = unit.moved or now
            share = unit.share if unit.now else (0.0 if held and unit.managed else held.get("share"))
            # A mode may be over, and pods, which tell the digests, do not stay.
            data = {**unit.data, "since": unit.since or now, "share": share, **held.get("first", {})}
            digests = {**held.get("digests", {}), **data.pop("digests")}
            # A list: to redaction, the name of a container is no key.
            data["images"] = [digests.get(name, text) for name, text in data["images"].items()]
            data["ended"] = None if share != 0 else held.get("ended") or at
            seen[unit.key] = kept = {
                **{key: data[key] for key in ("environment", "name", "revision", "pods", "ended")},
                "first": {key: data[key] for key in ("since", "share", "mode")},
                "share": share, "stands": unit.now and share != 0, "mark": unit.mark, "digests": digests,
            }  # fmt: skip
            items.append(Item(unit.key, "revision", now, data))
            if held and share != held["share"]:
                items.append(_shift(unit.key, kept, share, at, now))
        for key, held in before.items():
            if key not in seen and held["stands"]:
                items.append(_shift(key, held, 0.0, moved.get(key[:_UID], now), now))
        yield Pulled(items, {"seen": seen}, len(items), {"revision": frozenset(seen)})

    def restart(self, cursor: Any | None) -> Any | None:
        # The cluster keeps no history of traffic, nor digests of pods that are gone.
        return cursor

    def to_claims(self, item: Item) -> Sequence[Claim]:
        data, scope = item.data, self.config.scope
        environment, name = data["environment"], data["name"]
        me = identifier("deployment", f"{environment}/{name}@{data['revision']}", scope)
        share = traffic_share(data["share"], f"{_OURS}share")
        if item.type == "shift":
            # Only of its traffic: what it is, and whether it is there at all, its own record says.
            about: dict[str, Any] = {"environment": environment, "name": name, "at": data["since"]}
            said = ended(me, **about)
            if share != 0:
                said = deployed(me, **about, scope=scope, share=share, mode=data["mode"], pods=data["pods"])
            return [claim for claim in said if isinstance(claim, Keyed)]
        texts = {key: data[key] for key in ("images", "models", "bentos", "commit")}
        things, claims = contents(me, data["since"], **texts)
        ending = {"status": "ENDED", "endedAt": format_time(data["ended"])} if data["ended"] else {}
        stated = {**data["properties"], "startedAt": format_time(data["since"]), **ending}
        claims += deployed(
            me, environment=environment, name=name, scope=scope, at=data["since"], of=things,
            share=share, mode=data["mode"], pods=data["pods"], properties=stated,
        )  # fmt: skip
        if data["uid"] is not None:
            claims.append(Names(NodeKind.DEPLOYMENT, (me, identifier("k8s.uid", data["uid"]))))
        return claims

    def check(self) -> str:
        said = [counted(len(held), kind, f"{kind}s") for kind, held in self._objects().items() if held]
        return f"{self.config.path or self.config.url or _API}: {', '.join(said) or 'nothing that is read'}"

    # --- reading ---------------------------------------------------------------------------------------

    def _objects(self) -> dict[str, list[Object]]:
        if self.config.path is not None:
            found: dict[str, list[Object]] = {kind: [] for kind in _KINDS}
            for one in documents(self.config.path):
                # Manifests that no cluster has given a uid are wishes, not facts.
                if one.get("kind") in found and meta(one, "uid"):
                    found[one["kind"]].append(one)
        else:
            below = [f"namespaces/{space}/" for space in self.config.namespaces] or [""]
            with closing(self._client()) as client:
                found = {
                    kind: [one for at in below for one in _listed(client, f"/{group}/{at}{plural}", kind)]
                    for kind, (group, plural) in _KINDS.items()
                }
        return {
            kind: list({meta(one, "uid"): one for one in held if self._wants(kind, one)}.values())
            for kind, held in found.items()
        }

    def _wants(self, kind: str, one: Object) -> bool:
        space = meta(one, "namespace")
        if self.config.namespaces and space not in self.config.namespaces:
            return False
        return kind in ("Pod", "ReplicaSet") or self.config.wants(f"{space}/{service_name(one)}")

    def _client(self) -> HttpClient:
        config = self.config
        if config.url is not None:
            return HttpClient(config.url.rstrip("/"), config)
        try:
            # It is renewed in place every hour.
            token = (_ACCOUNT / "token").read_text(encoding="utf-8")
        except OSError as problem:
            raise SourceError(
                f"{config.name}: give url or path; without them this must run in a cluster, and "
                f"{_ACCOUNT}/token cannot be read: {problem.strerror}"
            ) from None
        own: dict[str, Any] = {"token_env": "OWN", "user_env": None, "password_env": None}
        own["ca_file"] = config.ca_file or _ACCOUNT / "ca.crt"
        return HttpClient(_API, config.model_copy(update=own), environ={"OWN": token})

    # --- what serves -----------------------------------------------------------------------------------

    def _units(self, objects: Mapping[str, list[Object]], before: Object) -> Iterator[Unit]:
        sets: dict[str, list[Object]] = {}
        digests: dict[str, dict[str, str]] = {}
        for one in objects["ReplicaSet"]:
            sets.setdefault(owner_uid(one), []).append(one)
        for pod in objects["Pod"]:
            for status in dig(pod, "status", "containerStatuses") or ():
                if "@sha256:" in str(status.get("imageID")):
                    digests.setdefault(owner_uid(pod), {})[str(status.get("name"))] = status["imageID"]
        covered = {predictor_of(o) for kind in ("Revision", "Deployment") for o in objects[kind]}
        traffic = {
            f"{meta(service, 'namespace')}/{target.get('revisionName')}": (target.get("percent") or 0) / 100
            for service in objects["InferenceService"]
            for target in dig(service, "status", "components", "predictor", "traffic") or ()
        }
        for one in objects["Deployment"]:
            owners = {o.get("kind") for o in dig(one, "metadata", "ownerReferences") or ()}
            # Those of Knative and Seldon are told of by what made them.
            if not owners & {"Revision", "SeldonDeployment"}:
                yield from self._rollout(one, sets.get(meta(one, "uid"), []), digests, before)
        for one in objects["Revision"]:
            yield from self._knative(one, traffic, before)
        marks = {(key.rpartition("@")[0], held["mark"]): held["revision"] for key, held in before.items()}
        for one in objects["InferenceService"]:
            predictor = dict(dig(one, "spec", "predictor") or {})
            percent = predictor.pop("canaryTrafficPercent", None)
            if f"{meta(one, 'namespace')}/{meta(one, 'name')}" not in covered:
                yield self._predictor(one, "", predictor, percent, marks)
        for one in objects["SeldonDeployment"]:
            for predictor in dig(one, "spec", "predictors") or ():
                held = {k: v for k, v in predictor.items() if k not in ("traffic", "replicas")}
                yield self._predictor(one, str(predictor.get("name")), held, predictor.get("traffic"), marks)

    def _rollout(self, one: Object, sets: list[Object], digests: Object, before: Object) -> Iterator[Unit]:
        """The revisions of a Deployment, from its ReplicaSets. One that is used again after a rollback has
        several, and only the first of them began when it was made."""
        current = annotation(one, _REVISION) or meta(one, "generation")
        conditions = dig(one, "status", "conditions") or ()
        done = [str(c.get("lastUpdateTime")) for c in conditions if c.get("type") == "Progressing"]
        for held in sets or [one]:
            own = annotation(held, _REVISION) or current
            past = [r for r in (annotation(held, f"{_REVISION}-history") or "").split(",") if r and r != own]
            for place, revision in enumerate(dict.fromkeys([*past, own])):
                key, is_current = f"{meta(one, 'uid')}@{revision}", revision == current
                ready = not dig(held, "status", "replicas") or dig(held, "status", "readyReplicas")
                if is_current and key not in before and not ready:
                    continue
                is_first = place == 0 and (held is not one or revision == "1")
                began = [meta(held, "creationTimestamp")] if is_first else done if is_current else []
                uid = meta(held, "uid")
                data = self._data(one, revision, dig(held, "spec", "template") or {}, held)
                data["uid"] = uid if is_first and held is not one else None
                data["digests"] = digests.get(uid, {})
                data["pods"] = replica_set_hash(meta(one, "name"), meta(held, "name"))
                stopped = is_current and dig(one, "spec", "replicas") == 0
                share = 0.0 if stopped else data["stated"]
                yield Unit(key, data, _time(next(iter(began), "")), share, is_current)

    def _knative(self, one: Object, traffic: Mapping[str, float], before: Object) -> Iterator[Unit]:
        """A revision of an InferenceService. Only of the newest the share is said; others have the rest."""
        name, service, space = meta(one, "name"), service_name(one), meta(one, "namespace")
        key = f"{meta(one, 'uid')}@{name}"
        mine = f"{space}/{service}-predictor"
        newest = max((t for t, share in traffic.items() if share > 0 and t.startswith(mine)), default="")
        share, is_newest = traffic.get(f"{space}/{name}", 0.0), f"{space}/{name}" == newest
        # Neither does it serve yet, nor did it ever as far as one knows.
        if not predictor_of(one) or (f"{space}/{name}" > newest and key not in before):
            return
        statuses = dig(one, "status", "containerStatuses") or ()
        data = self._data(one, name, one, one)
        data["uid"] = meta(one, "uid")
        data["digests"] = {str(s.get("name")): s["imageDigest"] for s in statuses if s.get("imageDigest")}
        partly = share if is_newest and share < 1 else None
        data["mode"] = data["mode"] or (partly and "canary")
        yield Unit(key, data, _time(meta(one, "creationTimestamp")), partly, share > 0, managed=True)

    def _predictor(self, one: Object, name: str, predictor: Object, percent: Any, marks: Marks) -> Unit:
        """What an object serves that keeps no revisions: its content tells them apart, and the generation in
        which that content was first seen is their number."""
        content = json.dumps(predictor, sort_keys=True, default=str).encode()
        mark, holder = blake2b(content, digest_size=8).hexdigest(), f"{meta(one, 'uid')}/{name}"
        generation = meta(one, "generation") or "1"
        revision = marks.get((holder, mark)) or "-".join(filter(None, (name, generation)))
        fields = dig(one, "metadata", "managedFields") or ()
        changed = [str(f["time"]) for f in fields if f.get("time") and not f.get("subresource")]
        last = max(changed, default="")
        began = meta(one, "creationTimestamp") if generation == "1" else last
        data = self._data(one, revision, predictor, one)
        if predictor.get("shadow") is True:
            data["mode"] = "shadow"
        share = None if percent is None or percent >= 100 else percent / 100
        return Unit(f"{holder}@{revision}", data, _time(began), share, True, True, _time(last), mark)

    def _data(self, one: Object, revision: str, holder: Object, annotated: Object) -> dict[str, Any]:
        """What is known of a revision. ``holder`` has the containers; it or ``annotated`` the annotations."""

        def said(key: str) -> list[str]:
            texts = (annotation(o, f"{_OURS}{key}") for o in (holder, annotated))
            return [text.strip() for text in next(filter(None, texts), "").split(",") if text.strip()]

        space = meta(one, "namespace") or "default"
        label = dig(one, "metadata", "labels", self.config.environment_label or "")
        containers = containers_of(holder)
        values = (v.get("value") for c in containers for v in c.get("env") or ())
        models = [*said("model"), *model_uris(holder), *filter(None, [annotation(holder, _SOURCE_URI)])]
        models += [v for v in values if isinstance(v, str) and v.startswith("models:/")]
        about = {"kind": one["kind"], **{key: meta(one, key) for key in ("namespace", "name", "uid")}}
        images = {str(c.get("name")): str(c["image"]) for c in containers if c.get("image")}
        kept = {"models": models, "images": sorted(images.values()), "configuration": configuration(holder)}
        own = service_name(one)
        name = next(iter(said("name")), own)
        # Of several objects at one place each counts its own revisions.
        prefix = "" if name == own or revision.startswith(f"{own}-") else f"{own}-"
        return {
            "environment": label or self.config.environments.get(space, space),
            "name": name,
            "revision": f"{prefix}{revision}",
            "images": images,
            "digests": {},
            "uid": None,
            "pods": None,
            "models": models,
            "bentos": said("bento"),
            "commit": next(iter(said("commit")), None),
            "mode": next(iter(said("mode")), None),
            "stated": next(iter(said("share")), None),
            "properties": {"kubernetes": about, **{key: value for key, value in kept.items() if value}},
        }


# --- lists and items -------------------------------------------------------------------------------------


def _listed(client: HttpClient, path: str, kind: str) -> list[Object]:
    """All objects of a list, page by page; from the beginning where its pages have become too old. There are
    none of a kind that the cluster does not know."""
    for _ in range(_RESTARTS):
        found: list[Object] = []
        params: dict[str, Any] = {"limit": _PAGE}
        try:
            while True:
                page = client.get(path, params)
                # In a list, objects do not say what they are.
                found += [{**one, "kind": kind} for one in page.get("items") or ()]
                token = dig(page, "metadata", "continue")
                if not token:
                    return found
                params = {"limit": _PAGE, "continue": token}
        except NotThere:
            return []
        except HttpError as problem:
            if "answers 410" not in str(problem):
                raise
    raise Unreachable(f"{path}: the list grows old before it is read to its end")


def _time(text: str) -> Micros | None:
    try:
        return parse_time(text)
    except BadInput:
        return None


def _shift(key: str, held: Object, share: Any, at: Micros, now: Micros) -> Item:
    """Its traffic is another from then on; 0 where it ended."""
    data = {k: held[k] for k in ("environment", "name", "revision", "pods")}
    data |= {"since": at, "share": share, "mode": None if share is None else held["first"]["mode"]}
    return Item(f"{key} {now}", "shift", now, data)
