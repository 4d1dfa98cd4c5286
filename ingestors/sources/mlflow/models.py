"""What models say: logged ones, registered ones, their versions and aliases. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graph_schema.claims import Claim, Finds, Links, States, occupies
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from ingestors import series
from ingestors.released import alias_slot
from ingestors.sources.mlflow import names
from ingestors.sources.mlflow.names import Names
from ingestors.sources.mlflow.runs import filled, first, kept_tags, moment

Data = Mapping[str, Any]

#: Tags (or parameters) of a logged model or a version by which people name the model it was tuned from,
#: as ``models:/churn/3``, ``models:/m-…`` or ``m-…``. Other values, such as a hub's name, are only facts.
BASE_TAGS = ("base_model", "base_model_uri", "base_model_id", "kinlore.base_model")


def logged_model_claims(data: Data, to: Names) -> list[Claim]:
    """A logged model is a ModelVersion without a Model; the run that made it ``PRODUCED`` it."""
    me = names.logged_model(data["id"])
    created = moment(data["created"])
    properties = filled(
        name=data["name"],
        url=to.page("experiments", data["experiment"], "models", data["id"]),
        createdAt=created,
        status=data["status"],
        statusMessage=data["statusMessage"],
        modelType=data["modelType"],
        runId=data["run"],
        params=data["params"],
        metrics=data["metrics"],
        tags=kept_tags(data["tags"]),
    )
    claims: list[Claim] = [States(NodeKind.MODEL_VERSION, me, properties)]
    if data["run"]:
        claims.append(Links(EdgeKind.PRODUCED, names.run(data["run"]), me, created))
    if created is not None:
        claims += series.measured(me, created, data["metrics"])
    if data["uri"]:
        claims.append(Finds("uri", data["uri"], me))
    claims += _base(me, {**data["params"], **data["tags"]}, to, created)
    return claims


def model_claims(data: Data, to: Names) -> list[Claim]:
    """A registered model."""
    properties = filled(
        name=data["name"],
        url=to.page("models", data["name"]),
        createdAt=moment(data["created"]),
        description=data["description"],
        tags=data["tags"],
        aliases=data["aliases"],
    )
    me = to.model(data["name"])
    return [States(NodeKind.MODEL, me, properties), *series.called(me, series.MODEL, data["name"])]


def version_claims(data: Data, to: Names) -> list[Claim]:
    """A version of a registered model, where it came from, and which version it follows."""
    name, number = data["name"], data["version"]
    me = to.version(name, number)
    created = moment(data["created"])
    properties = filled(
        name=f"{name} v{number}",
        url=to.page("models", name, "versions", number),
        createdAt=created,
        version=int(number) if number.isdecimal() and len(number) < 18 else number,
        model=name,
        status=data["status"],
        statusMessage=data["statusMessage"],
        stage=None if data["stage"] == "None" else data["stage"],
        source=data["source"],
        runId=data["run"],
        user=data["user"],
        description=data["description"],
        aliases=list(data["aliases"]),
        tags=data["tags"],
    )
    claims: list[Claim] = [
        States(NodeKind.MODEL_VERSION, me, properties),
        Links(EdgeKind.HAS, to.model(name), me, created),
    ]
    if data["previous"]:
        claims.append(Links(EdgeKind.PRECEDES, to.version(name, data["previous"]), me, created))
    claims += _origin(me, data, to)
    claims += _measured(me, data, to)
    if "://" in data["source"]:
        claims.append(Finds("uri", data["source"], me))
    claims += _base(me, data["tags"], to, created)
    return claims


def _measured(me: str, data: Data, to: Names) -> list[Claim]:
    """A version is measured by what was logged to its logged model and to its run, for bounds on it."""
    created = moment(data["created"])
    if created is None:
        return []
    logged = data["loggedModel"] or names.logged_in(data["source"])
    of = [names.logged_model(logged)] if logged else []
    of += [names.run(data["run"])] if data["run"] else []
    named = {"name": f"{data['name']} v{data['version']}"}
    return series.member(to.model(data["name"]), me, created, of=of, data=named)


def _origin(me: str, data: Data, to: Names) -> list[Claim]:
    """A logged model is registered as the version, a copied version too; else the run made it directly."""
    created = moment(data["created"])
    source: str = data["source"]
    logged = data["loggedModel"] or names.logged_in(source)
    if logged:
        return [Links(EdgeKind.REGISTERED_AS, names.logged_model(logged), me, created)]
    claims: list[Claim] = []
    copied = to.source_version(source)
    if copied is not None and copied != me:
        claims.append(Links(EdgeKind.REGISTERED_AS, copied, me, created))
    run = data["run"] or (
        source.removeprefix("runs:/").partition("/")[0] if source.startswith("runs:/") else ""
    )
    if run:
        claims.append(Links(EdgeKind.PRODUCED, names.run(run), me, created))
    return claims


def _base(me: str, tags: Mapping[str, str], to: Names, created: int | None) -> list[Claim]:
    base = to.source_version(first(tags, BASE_TAGS) or "")
    return [Links(EdgeKind.BASE_OF, base, me, created)] if base is not None and base != me else []


def alias_claims(data: Data, to: Names) -> list[Claim]:
    """One stay of an alias at a version, as it was seen: it moved here in (notBefore, seenAt].

    ``until`` is when it was last seen here before it was seen elsewhere, or nowhere; in between, nobody
    knows. Times in microseconds. Stays are entries of one object, because objects merge where several
    records state a property.
    """
    stay = filled(name=data["alias"], notBefore=data["notBefore"], seenAt=data["seenAt"], until=data["until"])
    history = {f"{data['alias']}@{data['seenAt']}": stay}
    me = to.version(data["name"], data["version"])
    return [
        States(NodeKind.MODEL_VERSION, me, {"aliasHistory": history}),
        series.alias(to.model(data["name"]), me, data["alias"], data["seenAt"], data["until"]),
        occupies(alias_slot(data["name"], data["alias"]), me, data["seenAt"], data["until"]),
    ]


def rename_claims(data: Data, to: Names) -> list[Claim]:
    """A registered model that vanished while another showed the same versions: it was renamed."""
    old, new = data["old"], data["new"]
    why = (
        f"{old} vanished and {new} appeared with the same version{'s' if len(data['versions']) > 1 else ''} "
        f"{', '.join(data['versions'])}: equal number, run, source and creation time"
    )
    claims: list[Claim] = [Links(EdgeKind.SAME_AS, to.model(old), to.model(new), evidence=why)]
    for number in data["versions"]:
        a, b = to.version(old, number), to.version(new, number)
        claims.append(Links(EdgeKind.SAME_AS, a, b, evidence=why))
    return claims
