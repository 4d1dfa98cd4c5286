"""What items of OpenLineage say: pure functions from an item's data to claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from graph_schema.claims import Claim, Links, Properties, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import format_time, parse_time
from ingestors import tables
from ingestors.joins.runs import event
from ingestors.sources.openlineage import airflow

Data = Mapping[str, Any]

_ROLE = "owner"
#: What Airflow says where nobody said anything.
_NOBODY = ("AIRFLOW", "airflow")


def event_claims(data: Data) -> list[Claim]:
    """An event of a run. By itself it claims nothing: the run's events are put together."""
    me = f"openlineage.run_id={data['runId']}"
    flow: Data = data.get("airflow") or {}
    said: dict[str, Any] = {
        "properties": {**_run_properties(data), **airflow.properties(flow)},
        "try": flow.get("try") if "taskId" in flow else None,
        "says": msgspec.to_builtins(list(_said(data, me, flow))),
        "reads": [_named(each) for each in data.get("inputs", ())],
        "writes": [_written(each) for each in data.get("outputs", ())],
    }
    kept = {key: value for key, value in said.items() if value not in (None, [], {})}
    return [event(me, data["eventType"], data["at"], kept)]


def _said(data: Data, me: str, flow: Data) -> Iterator[Claim]:
    parent = f"openlineage.run_id={data['parentId']}" if "parentId" in data else None
    yield Links(EdgeKind.HAS, identifier("openlineage.job", data["jobId"]), me)
    if parent is not None and parent != me:
        yield Links(EdgeKind.HAS, parent, me)
    if code := data.get("code"):
        commit = identifier("git.sha", code["shaId"])
        yield Links(EdgeKind.CODE_FOR, commit, me, properties=_only(code, "path"))
        if repository := _tidy("git.remote", code.get("url")):
            yield Links(EdgeKind.HAS, repository, commit)
    if flow:
        yield from airflow.claims(flow, me, data["namespace"], parent, data.get("parentJob"))


def _run_properties(data: Data) -> Properties:
    found = dict(data["properties"])
    for key in ("nominalStart", "nominalEnd"):
        if key in found:
            try:
                found[key] = format_time(parse_time(str(found[key])))
            except BadInput:
                del found[key]
    if "tags" in found:
        found["tags"] = _tags(found["tags"])
    if code := data.get("code"):
        found |= {"commit": code["shaId"], **(_only(code, "path") or {})}
    return found


def _named(each: Data) -> dict[str, Any]:
    return {"table": each["tableId"], **({"version": each["versionId"]} if "versionId" in each else {})}


def _written(each: Data) -> dict[str, Any]:
    properties = _columns(each.get("columns", ()))
    properties |= {key: each[key] for key in ("name", "rows", "size") if key in each}
    made = {source["tableId"]: _only(source, "columns", "transformations") for source in each.get("from", ())}
    found: dict[str, Any] = {**_named(each), "properties": properties, "from": made}
    return {key: value for key, value in found.items() if value}


def _columns(fields: Sequence[Data]) -> Properties:
    types = {field["name"]: field["type"] for field in fields if "type" in field}
    found = {"columns": [field["name"] for field in fields], "columnTypes": types}
    return {key: value for key, value in found.items() if value}


# --- jobs and data sets ----------------------------------------------------------------------------------


def job_claims(data: Data) -> list[Claim]:
    """A job, by its name."""
    properties = {"name": data["name"], "namespace": data["namespace"]}
    return [States(NodeKind.JOB, identifier("openlineage.job", data["jobId"]), properties)]


def job_facet_claims(data: Data) -> list[Claim]:
    """What holds of a job whatever the run."""
    me = identifier("openlineage.job", data["jobId"])
    return _facet_claims(NodeKind.JOB, me, data["body"], data.get("integration"))


def dataset_claims(data: Data) -> list[Claim]:
    """A data set, by its name."""
    properties = {"name": data["name"], "namespace": data["namespace"]}
    return [States(NodeKind.DATASET, tables.dataset(data["tableId"]), properties)]


def dataset_facet_claims(data: Data) -> list[Claim]:
    """What holds of a data set whatever the run that spoke of it."""
    return _facet_claims(NodeKind.DATASET, tables.dataset(data["tableId"]), data["body"], None)


def _facet_claims(kind: NodeKind, me: str, body: Data, integration: str | None) -> list[Claim]:
    properties: Properties = dict(body)
    if "tags" in properties:
        properties["tags"] = _tags(properties["tags"])
    if "columns" in properties:
        properties |= _columns(properties["columns"])
    if not str(properties.get("url", "http")).startswith("http"):
        del properties["url"]
    owners = [o for o in properties.pop("owners", ()) if (integration, o.get("name")) != _NOBODY]
    if owners:
        properties["owners"] = sorted({str(owner.get("name")) for owner in owners})
    claims: list[Claim] = [States(kind, me, properties)] if properties else []
    for owner in owners:
        if (who := _owner(str(owner.get("name", "")))) is not None:
            link = Links(EdgeKind.OWNED_BY, me, who, properties={"role": str(owner.get("type") or _ROLE)})
            if link not in claims:
                claims.append(link)
    return claims


def _owner(name: str) -> str | None:
    """``team:retention``, ``user:ada@example.com``, or a bare name, which is a team's. A person is known by
    a mail address only."""
    prefix, colon, rest = name.strip().partition(":")
    if not colon:
        prefix, rest = "", name.strip()
    if "@" in rest and not rest.startswith("@"):
        return _tidy("email", rest)
    if prefix.lower() in ("", "team", "group"):
        return _tidy("team", rest)
    return None


def _tags(tags: Sequence[Data]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in tags}


def _only(data: Data, *keys: str) -> Properties | None:
    return {key: data[key] for key in keys if key in data} or None


def _tidy(scheme: str, value: str | None) -> str | None:
    try:
        return identifier(scheme, value) if value else None
    except BadIdentifier:
        return None
