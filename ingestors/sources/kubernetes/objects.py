"""Objects of a cluster, as its API lists them: what each of them says. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ingestors.documents import dig

Object = Mapping[str, Any]

_SERVICE = "serving.kserve.io/inferenceservice"
#: Of a configuration, so many settings are kept, and so much of each.
_SETTINGS, _LONGEST = 200, 1_000


def meta(one: Object, key: str) -> str:
    """A text of its metadata, empty where there is none."""
    held = dig(one, "metadata", key)
    return "" if held is None else str(held)


def annotation(one: Object, key: str) -> str | None:
    """An annotation of an object, or of a predictor in one."""
    held = dig(one, "metadata", "annotations", key) or dig(one, "annotations", key)
    return None if held is None else str(held)


def owner_uid(one: Object) -> str:
    """The uid of the object that controls it, empty where none does."""
    owners = dig(one, "metadata", "ownerReferences") or ()
    return next((str(o.get("uid")) for o in owners if o.get("controller")), "")


def service_name(one: Object) -> str:
    """What an object is called: by the InferenceService whose predictor it is, else by its own name."""
    labels = dig(one, "metadata", "labels") or {}
    is_predictor = labels.get("component", "predictor") == "predictor"
    return str((is_predictor and labels.get(_SERVICE)) or meta(one, "name"))


def predictor_of(one: Object) -> str:
    """The InferenceService whose predictor an object is, with its namespace; empty where it is none."""
    named = dig(one, "metadata", "labels", _SERVICE)
    return f"{meta(one, 'namespace')}/{named}" if named and named == service_name(one) else ""


def containers_of(holder: Object) -> list[Object]:
    """The containers of a pod template, a revision or a predictor."""
    parts = (holder, *(holder.get("componentSpecs") or ()))
    specs = [holder, *(part.get("spec") or {} for part in parts)]
    return [c for spec in specs for c in spec.get("containers") or ()]


def model_uris(predictor: Object) -> list[str]:
    """Addresses of models, wherever a predictor or a graph of them has them."""
    content = json.dumps(predictor, ensure_ascii=False, default=str)
    return re.findall(r'"(?:storageUri|modelUri)": "([^"]+)"', content)


def configuration(holder: Object) -> dict[str, dict[str, str]]:
    """What containers are set to: ``env`` by variable, ``resources`` as ``limits.memory``, and ``args``. What
    two containers set differently tells which of them. Variables that name a model are told as models."""
    model = holder.get("model")
    held = [*containers_of(holder), *([model] if isinstance(model, Mapping) else ())]
    said: dict[tuple[str, str], dict[str, str]] = {}
    for container in held:
        for group, key, value in _settings(container):
            said.setdefault((group, key), {})[str(container.get("name") or "")] = value[:_LONGEST]
    found: dict[str, dict[str, str]] = {}
    for (group, key), of in sorted(said.items())[:_SETTINGS]:
        several = len(of) > 1 and len(set(of.values())) > 1
        texts = [f"{name}: {value}" for name, value in sorted(of.items())] if several else [*of.values()]
        found.setdefault(group, {})[key] = ", ".join(texts) if several else texts[0]
    return found


def _settings(container: Object) -> Iterator[tuple[str, str, str]]:
    """Group, key and value of each setting of a container."""
    for variable in container.get("env") or ():
        value = variable.get("value")
        text = str(value) if value is not None else _reference(variable.get("valueFrom"))
        if text and not text.startswith("models:/"):
            yield "env", str(variable.get("name")), text
    for kind, amounts in (container.get("resources") or {}).items():
        for name, amount in amounts.items() if isinstance(amounts, Mapping) else ():
            yield "resources", f"{kind}.{name}", str(amount)
    for key in ("command", "args"):
        if container.get(key):
            yield "run", key, " ".join(map(str, container[key]))


def _reference(source: Any) -> str:
    """Where a variable takes its value from: ``configMapKeyRef churn/threshold``."""
    for kind, held in source.items() if isinstance(source, Mapping) else ():
        where = (held.get("name"), held.get("key") or held.get("fieldPath") or held.get("resource"))
        return f"{kind} {'/'.join(str(part) for part in where if part)}"
    return ""
