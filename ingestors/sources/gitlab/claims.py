"""From items to claims. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from graph_schema import claims as says
from graph_schema.claims import Claim, Links, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, parse_time
from ingestors import codeowners, forges
from ingestors.fixes import fixes
from ingestors.repairs import repairs
from ingestors.source import Item
from ingestors.sources.gitlab.names import Names

Json = Mapping[str, Any]
Say = Callable[[Names, Json, frozenset[str]], list[Claim]]

CI_FILE = ".gitlab-ci.yml"

_RUN_STATUS: MappingProxyType[str, str] = MappingProxyType(
    {
        "running": "RUNNING",
        "success": "COMPLETE",
        "failed": "FAILED",
        "canceled": "ABORTED",
        "canceling": "ABORTED",
        "skipped": "SKIPPED",
        "manual": "WAITING",
        "scheduled": "WAITING",
    }
)


def claims_of(item: Item, names: Names, incident_labels: frozenset[str]) -> list[Claim]:
    """What an item says. Raises BadInput for a notice that nobody has asked about yet."""
    if "ask" in item.data:
        raise BadInput(f"GitLab has not been asked for {item.key}")
    return _SAY[item.type](names, item.data, incident_labels)


def _project(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    path = str(data["path"])
    spelled = {names.repository, names.remote(path), names.remote(path.lower())}
    properties = {
        "name": path.rpartition("/")[2],
        "url": data["url"],
        "createdAt": _at(data["created"]),
        "description": data["description"],
        "defaultBranch": data["defaultBranch"],
        "topics": data["topics"] or None,
        "archived": data["archived"] or None,
        "visibility": data["visibility"],
    }
    return [
        says.Names(NodeKind.REPOSITORY, tuple(sorted(spelled))),
        States(NodeKind.REPOSITORY, names.repository, forges.filled(properties)),
    ]


def _merge_request(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    number = data["number"]
    request = names.merge_request(number)
    created, merged = _at(data["created"]), _at(data["merged"])
    fixed = fixes(f"{data['title']}\n\n{data['body']}", names.path, "gitlab.issue")
    properties = {
        "name": f"!{number} {data['title']}".strip(),
        "url": data["url"],
        "createdAt": created,
        "status": data["state"],
        "draft": data["draft"] or None,
        "author": data["author"],
        "title": data["title"],
        "text": data["body"] or None,
        "labels": data["labels"] or None,
        "baseBranch": data["target"],
        "headBranch": data["source"],
        "headCommit": data["headSha"],
        "mergedAt": data["merged"],
        "closedAt": data["closed"],
        "fixes": fixed or None,
    }
    made: list[Claim] = [
        says.Names(NodeKind.PULL_REQUEST, (request,)),
        States(NodeKind.PULL_REQUEST, request, forges.filled(properties), _at(data["updated"])),
        Links(EdgeKind.HAS, names.repository, request, created),
        *_person(request, data["author"], "author", names),
        *repairs(fixed, request, merged, title=data["title"], by=data["author"]),
    ]
    for sha in data["mergeShas"]:
        commit = identifier("git.sha", sha)
        made.append(Links(EdgeKind.HAS, request, commit, merged, None, {"merge": True}))
        made.append(Links(EdgeKind.HAS, names.repository, commit, merged))
    return made


def _commits(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    made: list[Claim] = []
    for each in data["commits"]:
        sha = identifier("git.sha", each["sha"])
        at = _at(each["committed"])
        subject = str(each["message"]).partition("\n")[0][:200]
        properties = {
            "name": f"{each['sha'][:7]} {subject}".strip(),
            "url": each["url"],
            "author": each["name"],
            "authorEmail": each["email"],
            "committedAt": each["committed"],
            "authoredAt": each["authored"],
            "message": str(each["message"]).strip(),
            "createdAt": at,
        }
        made += [
            says.Names(NodeKind.COMMIT, (sha,)),
            States(NodeKind.COMMIT, sha, forges.filled(properties), at),
            Links(EdgeKind.HAS, names.merge_request(data["number"]), sha, at),
        ]
    return made


def _issue(names: Names, data: Json, incident_labels: frozenset[str]) -> list[Claim]:
    labelled = incident_labels.intersection(label.casefold() for label in data["labels"])
    # An issue that is no incident, or none any more, says nothing: what it said is withdrawn.
    if data["type"] != "incident" and not labelled:
        return []
    number = data["number"]
    closed = data["state"] == "closed"
    made = forges.incident(
        forges.Incident(
            id=names.issue(number),
            home=names.path.rpartition("/")[2],
            name=f"#{number} {data['title']}".strip(),
            status="RESOLVED" if closed else "OPEN",
            began=parse_time(data["created"]),
            ended=_at(data["closed"]) if closed else None,
            labels=tuple(data["labels"]),
            text=data["body"],
            severity=data["severity"],
            properties={"url": data["url"], "author": data["author"], "title": data["title"]},
        )
    )
    for name in data["assignees"]:
        made += _person(names.issue(number), name, "assignee", names)
    return made


def _release(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    release = names.release(data["tag"])
    at = _at(data["released"]) or _at(data["created"])
    properties = {
        "name": f"{names.path.rpartition('/')[2]} {data['name']}",
        "url": data["url"],
        "createdAt": at,
        "tag": data["tag"],
        "text": data["body"] or None,
        "author": data["author"],
        "upcoming": data["upcoming"] or None,
        "assets": data["assets"] or None,
        "deleted": data.get("deleted"),
    }
    made: list[Claim] = [
        says.Names(NodeKind.DOCUMENT, (release,)),
        States(NodeKind.DOCUMENT, release, forges.filled(properties)),
        Links(EdgeKind.ABOUT, release, names.repository, at),
        *_person(release, data["author"], "author", names),
    ]
    if data["sha"]:
        made.append(Links(EdgeKind.ABOUT, release, identifier("git.sha", data["sha"]), at))
    return made


def _deployment(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    name = names.path.rpartition("/")[2]
    deployment = names.deployment(data["environment"], name, data["id"])
    properties = {
        "name": f"{data['environment']}/{name}@{data['id']}",
        "environment": data["environment"],
        "service": name,
        "author": data["author"],
    }
    made: list[Claim] = [
        says.Names(NodeKind.DEPLOYMENT, (deployment,)),
        States(NodeKind.DEPLOYMENT, deployment, forges.filled(properties)),
        *_person(deployment, data["author"], "deployer", names),
    ]
    if data["sha"]:
        made.append(Links(EdgeKind.CODE_FOR, identifier("git.sha", data["sha"]), deployment))
    return made


def _deployment_state(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    name = names.path.rpartition("/")[2]
    return forges.deployment_state(
        names.deployment(data["environment"], name, data["id"]),
        environment=data["environment"],
        name=name,
        scope=names.scope,
        at=parse_time(data["at"]),
        state=data["status"],
        payload={},
        properties={},
    )


def _pipeline(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    job = names.job_name(CI_FILE)
    run = names.pipeline(data["id"])
    made = _run(run, job, data, {"name": data["name"] or f"pipeline {data['id']}", "event": data["source"]})
    made += [
        States(NodeKind.JOB, job, {"name": CI_FILE, "path": CI_FILE}),
        codeowners.lies_at(names.repository, CI_FILE, job),
    ]
    return made


def _job(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    run, job = names.job(data["id"]), names.job_name(data["name"])
    more = {"name": f"{data['name']} {data['id']}", "stage": data["stage"], "failure": data["reason"]}
    made = _run(run, job, data, more)
    made.append(States(NodeKind.JOB, job, {"name": data["name"], "stage": data["stage"]}))
    if data["pipeline"] is not None:
        made.append(Links(EdgeKind.HAS, names.pipeline(data["pipeline"]), run, _at(data["created"])))
    return made


def _run(run: str, job: str, data: Json, more: Mapping[str, Any]) -> list[Claim]:
    began = _at(data["started"]) or _at(data["created"])
    properties = {
        "url": data["url"],
        "createdAt": _at(data["created"]),
        "status": _RUN_STATUS.get(str(data["status"]), "QUEUED"),
        "startedAt": data["started"],
        "endedAt": data["finished"],
        "branch": data.get("ref"),
        **more,
    }
    made: list[Claim] = [
        says.Names(NodeKind.JOB_RUN, (run,)),
        says.Names(NodeKind.JOB, (job,)),
        States(NodeKind.JOB_RUN, run, forges.filled(properties), began),
        Links(EdgeKind.HAS, job, run, _at(data["created"])),
    ]
    if data["sha"]:
        made.append(Links(EdgeKind.CODE_FOR, identifier("git.sha", data["sha"]), run, began))
    return made


def _owners(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    sections = codeowners.parse(data["text"], "gitlab")
    if not sections:
        return []
    said = {"codeowners": codeowners.shown(sections), "codeownersPath": data["path"]}
    return [
        says.Names(NodeKind.REPOSITORY, (names.repository,)),
        States(NodeKind.REPOSITORY, names.repository, said),
        *codeowners.claims(sections, names.repository),
    ]


def _person(owned: str, username: str | None, role: str, names: Names) -> list[Claim]:
    if username is None:
        return []
    person = identifier("gitlab.username", username)
    return [
        says.Names(NodeKind.PERSON, (person,)),
        States(NodeKind.PERSON, person, {"url": f"{names.url}/{username}"}),
        Links(EdgeKind.OWNED_BY, owned, person, properties={"role": role}),
    ]


def _at(text: str | None) -> Micros | None:
    return None if text is None else parse_time(text)


_SAY: MappingProxyType[str, Say] = MappingProxyType(
    {
        "repository": _project,
        "merge_request": _merge_request,
        "commits": _commits,
        "issue": _issue,
        "release": _release,
        "deployment": _deployment,
        "deployment_state": _deployment_state,
        "pipeline": _pipeline,
        "job": _job,
        "codeowners": _owners,
    }
)
