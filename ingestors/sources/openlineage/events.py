"""From an OpenLineage event to items: what Kinlore reads of it, and nothing else. Pure.

Values that identify something stand under keys that end in ``Id``: so they are told from secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import identifier
from graph_schema.times import Micros, parse_time
from ingestors import tables
from ingestors.source import Item
from ingestors.sources.openlineage import airflow

Json = Mapping[str, Any]

TYPES = ("START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER")

#: Facets of a job, and of a data set, that hold whatever the run. Each is a record of its own: not every
#: event carries all of them, and one without owners does not mean that there are none.
JOB_FACETS = ("documentation", "jobType", "ownership", "sourceCode", "sourceCodeLocation", "sql", "tags")
DATASET_FACETS = ("documentation", "ownership", "schema", "storage", "symlinks", "tags")

_MOST_EVENTS = 10_000
_ANY_RUN = "0" * 36
#: Characters kept of a traceback (its end) and of a source text (its beginning).
_TRACE, _SOURCE = 8_000, 20_000
#: Of what is said about how a column was made.
_WAY = 200


def read(body: bytes) -> list[Item]:
    """The items of a request: one event, or a list of them. Raises BadInput, naming the key that is wrong."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadInput(f"the body is no JSON: {problem}") from None
    events = said if isinstance(said, list) else [said]
    if len(events) > _MOST_EVENTS:
        raise BadInput(f"{len(events):,} events at once; at most {_MOST_EVENTS:,} are taken")
    items: dict[tuple[str, int], Item] = {}
    for event in events:
        if not isinstance(event, dict):
            raise BadInput("an OpenLineage event is a JSON object")
        for item in _items(event):
            items[item.key, item.version] = item
    return list(items.values())


def _items(event: Json) -> Iterator[Item]:
    """``jobId`` stands in all of them, so that a source can choose by it."""
    at = _time(event)
    job_id = _job_id(_object(event, "job")) if "job" in event else None
    datasets = [*_listed(event, "inputs"), *_listed(event, "outputs")]
    if "run" in event:
        yield _run_event(event, at)
    elif "job" not in event:
        if "dataset" not in event:
            raise BadInput(
                "an OpenLineage event is about a run, a job or a dataset; this has none of these keys"
            )
        datasets.append(_object(event, "dataset"))
    if "job" in event:
        yield from _about_job(_object(event, "job"), event, at)
    for dataset in datasets:
        yield from _about_dataset(dataset, at, job_id)


def _run_event(event: Json, at: Micros) -> Item:
    run, job = _object(event, "run"), _object(event, "job")
    run_id = _value("openlineage.run_id", _text(run, "runId", "run.runId"), "run.runId")
    kind = str(event.get("eventType") or "OTHER").upper()
    if kind not in TYPES:
        raise BadInput(f"eventType {kind[:40]!r} is none of {', '.join(TYPES)}")
    facets = _facets(run)
    namespace = _text(job, "namespace", "job.namespace")
    data = {
        "runId": run_id,
        "jobId": _job_id(job),
        "namespace": namespace,
        "eventType": kind,
        "at": at,
        "properties": _properties(job, facets),
        "parentId": _parent(facets),
        "parentJob": _at(facets, "parent", "job", "name"),
        "code": _code(_facet(_facets(job), "sourceCodeLocation")),
        "airflow": airflow.shape(facets),
        "inputs": [_input(each) for each in _listed(event, "inputs")],
        "outputs": [_output(each) for each in _listed(event, "outputs")],
    }
    return Item(f"{run_id}/{kind}/{at}", "event", at, {k: v for k, v in data.items() if v})


def _properties(job: Json, facets: Json) -> dict[str, Any]:
    """What an event says of the run itself."""
    engine = _facet(facets, "processing_engine")
    error = _facet(facets, "errorMessage")
    nominal = _facet(facets, "nominalTime")
    found = {
        "name": job.get("name"),
        "job": job.get("name"),
        "namespace": job.get("namespace"),
        "engine": " ".join(str(engine[k]) for k in ("name", "version") if engine.get(k)),
        "nominalStart": nominal.get("nominalStartTime"),
        "nominalEnd": nominal.get("nominalEndTime"),
        "error": error.get("message"),
        "errorTrace": str(error.get("stackTrace") or "")[-_TRACE:],
        "invocationId": _at(facets, "dbt_run", "invocation_id"),
        "applicationId": _at(facets, "spark_applicationDetails", "applicationId"),
        "tags": _tags(_facet(facets, "tags")),
    }
    return {key: value for key, value in found.items() if value}


def _parent(facets: Json) -> str | None:
    said = _at(facets, "parent", "run", "runId")
    try:
        return _value("openlineage.run_id", said, "parent.run.runId") if isinstance(said, str) else None
    except BadInput:
        # Made up by hand in somebody's environment variable: the run is no worse for it.
        return None


def _code(facet: Json) -> dict[str, Any]:
    """The commit that a job's code was of. Only a whole id names one."""
    said = {"shaId": facet.get("version"), "url": facet.get("repoUrl"), "path": facet.get("path")}
    try:
        said["shaId"] = identifier("git.sha", str(said["shaId"] or "")).partition("=")[2]
    except BadIdentifier:
        return {}
    return {key: value for key, value in said.items() if isinstance(value, str) and value}


def _input(dataset: Json) -> dict[str, Any]:
    found = {"tableId": _table(dataset), "versionId": _version(dataset)}
    return {key: value for key, value in found.items() if value}


def _output(dataset: Json) -> dict[str, Any]:
    facets = _facets(dataset)
    statistics = _facet(_facets(dataset, "outputFacets"), "outputStatistics")
    lineage = _facet(facets, "columnLineage")
    fields = _fields(_facet(facets, "schema"))
    made = _facets(lineage, "fields")
    found = {
        **_input(dataset),
        "name": dataset.get("name"),
        # Where nobody told the schema, the columns with a lineage are known all the same.
        "columns": fields or [{"name": name} for name in sorted(made)],
        "rows": statistics.get("rowCount"),
        "size": statistics.get("size"),
        "from": _made_from(made, lineage.get("dataset")),
    }
    return {key: value for key, value in found.items() if value}


def _made_from(fields: Json, whole: Any) -> list[dict[str, Any]]:
    """Per table that an output was made from: pairs of columns, from and to, and how each was made where that
    is said. What filters, joins or sorts rows goes to no column: ``to`` is missing then."""
    pairs: dict[str, set[tuple[str, str]]] = {}
    ways: dict[str, list[dict[str, Any]]] = {}
    for column, facet in fields.items():
        for source in _listed(facet, "inputFields") if isinstance(facet, dict) else ():
            field, table = source.get("field"), _table(source)
            held = pairs.setdefault(table, set())
            if isinstance(field, str) and field:
                held.add((field, str(column)))
                ways.setdefault(table, []).extend(_ways(source, facet, field, str(column)))
    for source in whole if isinstance(whole, list) else ():
        if isinstance(source, dict):
            table, field = _table(source), source.get("field")
            pairs.setdefault(table, set())
            if isinstance(field, str) and field:
                ways.setdefault(table, []).extend(_ways(source, {}, field, None) or [{"from": field}])
    return [
        {"tableId": table, "columns": [list(p) for p in sorted(held)]}
        | ({"transformations": sorted(ways[table], key=repr)} if ways.get(table) else {})
        for table, held in pairs.items()
    ]


def _ways(source: Json, facet: Json, field: str, column: str | None) -> list[dict[str, Any]]:
    """How a column was made of a field: each transformation that is told, newer spelling and older."""
    told = [
        ("/".join(str(t[k]) for k in ("type", "subtype") if t.get(k)), t.get("masking"), t.get("description"))
        for t in _listed(source, "transformations")
    ]
    if not told and facet.get("transformationType"):
        kind = str(facet["transformationType"])
        told = [(kind, kind == "MASKED", facet.get("transformationDescription"))]
    found = []
    for how, masked, description in told:
        way: dict[str, Any] = {"from": field, "to": column, "how": how, "masked": bool(masked)}
        if description and isinstance(description, str):
            way["description"] = " ".join(description.split())[:_WAY]
        way = {key: value for key, value in way.items() if value}
        if len(way) > 1 + (column is not None) and way not in found:
            found.append(way)
    return found


def _about_job(job: Json, event: Json, at: Micros) -> Iterator[Item]:
    job_id = _job_id(job)
    known = {"jobId": job_id, "name": job.get("name"), "namespace": job.get("namespace")}
    yield Item(_key("job", job_id), "job", at, known)
    facets = _facets(job)
    schedule = airflow.schedule(_facets(event.get("run")))
    shaped: dict[str, Any] = {name: _shaped(name, _facet(facets, name)) for name in JOB_FACETS}
    shaped["schedule"] = {"schedule": schedule} if schedule else None
    integration = shaped["jobType"]["integration"] if shaped["jobType"] else None
    for name, facet in shaped.items():
        if facet:
            data = {"jobId": job_id, "facet": name, "integration": integration, "body": facet}
            yield Item(_key(f"job {name}", job_id), "job_facet", at, data)


def _about_dataset(dataset: Json, at: Micros, job_id: str | None) -> Iterator[Item]:
    table = _table(dataset)
    by = {} if job_id is None else {"jobId": job_id}
    known = {"tableId": table, "name": dataset.get("name"), "namespace": dataset.get("namespace"), **by}
    yield Item(_key("dataset", table), "dataset", at, known)
    facets = _facets(dataset)
    for name in DATASET_FACETS:
        if facet := _shaped(name, _facet(facets, name)):
            data = {"tableId": table, "facet": name, "body": facet, **by}
            yield Item(_key(f"dataset {name}", table), "dataset_facet", at, data)


def _shaped(name: str, facet: Json) -> dict[str, Any] | None:
    """What is read of a facet."""
    if not facet:
        return None
    found: dict[str, Any]
    if name == "ownership":
        owners = [{k: o[k] for k in ("name", "type") if o.get(k)} for o in _listed(facet, "owners")]
        found = {"owners": owners}
    elif name == "schema":
        found = {"columns": _fields(facet)}
    elif name == "tags":
        found = {"tags": _tags(facet)}
    elif name == "documentation":
        found = {"description": facet.get("description")}
    elif name == "jobType":
        found = {k: facet.get(k) for k in ("integration", "jobType", "processingType")}
    elif name == "sql":
        found = {"sql": str(facet.get("query") or "").strip()[:_SOURCE]}
    elif name == "sourceCode":
        found = {
            "language": facet.get("language"),
            "sourceCode": str(facet.get("sourceCode") or "")[:_SOURCE],
        }
    elif name == "sourceCodeLocation":
        found = {"url": facet.get("url"), "script": facet.get("path"), "branch": facet.get("branch")}
    elif name == "storage":
        found = {"storage": facet.get("storageLayer"), "fileFormat": facet.get("fileFormat")}
    else:
        others = _listed(facet, "identifiers")
        found = {"symlinks": [f"{each.get('namespace')}/{each.get('name')}" for each in others]}
    return {key: value for key, value in found.items() if value} if any(found.values()) else None


def _fields(schema: Json) -> list[dict[str, Any]]:
    """Columns in their order, with their types."""
    return [
        {key: str(field[key]) for key in ("name", "type") if field.get(key)}
        for field in _listed(schema, "fields")
        if field.get("name")
    ]


def _tags(facet: Json) -> list[dict[str, str]]:
    # What the client says of itself is no label.
    return [
        {"key": str(tag["key"]), "value": str(tag.get("value", ""))}
        for tag in _listed(facet, "tags")
        if tag.get("key") and tag.get("source") != "OPENLINEAGE_CLIENT"
    ]


# --- reading with care -----------------------------------------------------------------------------------


def _time(event: Json) -> Micros:
    said = event.get("eventTime")
    if not isinstance(said, str):
        raise BadInput("an OpenLineage event needs its eventTime, such as 2026-01-31T10:00:00Z")
    try:
        return parse_time(said)
    except BadInput as problem:
        raise BadInput(f"eventTime: {problem}") from None


def _object(holder: Json, key: str) -> Json:
    found = holder.get(key)
    if not isinstance(found, dict):
        raise BadInput(f"{key} is missing, or is no object")
    return found


def _text(holder: Json, key: str, shown: str) -> str:
    found = holder.get(key)
    if not isinstance(found, str) or not found.strip():
        raise BadInput(f"{shown} is missing, or is no text")
    return found


def _value(scheme: str, value: str, shown: str) -> str:
    try:
        return identifier(scheme, value).partition("=")[2]
    except BadIdentifier as problem:
        raise BadInput(f"{shown}: {problem}") from None


def _job_id(job: Json) -> str:
    said = f"{_text(job, 'namespace', 'job.namespace')}/{_text(job, 'name', 'job.name')}"
    return _value("openlineage.job", said, "job")


def _table(dataset: Json) -> str:
    namespace, name = (_text(dataset, key, f"a dataset's {key}") for key in ("namespace", "name"))
    table = _value("dataset", f"{namespace}/{name}", "dataset")
    # Its versions have the name of a run behind it, and must not be too long either.
    _value("openlineage.dataset_version", f"{table}@{_ANY_RUN}", "dataset")
    return table


def _version(dataset: Json) -> str | None:
    said = _at(_facets(dataset), "version", "datasetVersion")
    if said is None or not str(said).strip():
        return None
    table = _table(dataset)
    try:
        return tables.version(table, str(said)).partition("=")[2][len(table) + 1 :]
    except BadIdentifier as problem:
        raise BadInput(f"the version of {table[:80]}: {problem}") from None


def _key(kind: str, name: str) -> str:
    """The key of a record about a job or a data set; names may be longer than keys."""
    if len(name) > 900:
        name = f"{name[:800]}…{blake2b(name.encode(errors='surrogatepass'), digest_size=12).hexdigest()}"
    return f"{kind}/{name}"


def _facets(holder: Any, key: str = "facets") -> Json:
    found = holder.get(key) if isinstance(holder, dict) else None
    return found if isinstance(found, dict) else {}


def _facet(facets: Json, name: str) -> Json:
    found = facets.get(name)
    # A facet that is marked as deleted says that it no longer holds.
    return found if isinstance(found, dict) and not found.get("_deleted") else {}


def _at(facets: Json, *path: str) -> Any:
    found: Any = facets
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _listed(holder: Json, key: str) -> list[Json]:
    found = holder.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
