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
from graph_schema.times import Micros, format_time, parse_time
from ingestors import codeowners, forges
from ingestors.fixes import fixes
from ingestors.repairs import repairs
from ingestors.source import Item
from ingestors.sources.github.names import Names

Json = Mapping[str, Any]
Say = Callable[[Names, Json, frozenset[str]], list[Claim]]

#: What becomes of a run: the conclusion of one that ended, the status of one that did not.
_RUN_STATUS: MappingProxyType[str, str] = MappingProxyType(
    {
        "success": "COMPLETE",
        "neutral": "COMPLETE",
        "failure": "FAILED",
        "timed_out": "FAILED",
        "startup_failure": "FAILED",
        "cancelled": "ABORTED",
        "stale": "ABORTED",
        "skipped": "SKIPPED",
        "action_required": "WAITING",
        "in_progress": "RUNNING",
        "waiting": "WAITING",
    }
)


def claims_of(item: Item, names: Names, incident_labels: frozenset[str]) -> list[Claim]:
    """What an item says. Raises BadInput for one that still lacks what has to be asked for."""
    return _SAY[item.type](names, item.data, incident_labels)


def _repository(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    path = str(data["path"])
    # GitHub does not tell cases apart, addresses of remotes do.
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


def _renamed(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    # The old address leads to the new one until somebody else takes it.
    both = tuple(sorted({names.remote(data["before"]), names.remote(data["path"])}))
    return [says.Names(NodeKind.REPOSITORY, both)]


def _pull(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    number = data["number"]
    pull = names.pull(number)
    created, merged = _at(data["created"]), _at(data["merged"])
    fixed = fixes(f"{data['title']}\n\n{data['body']}", names.path, "github.issue")
    properties = {
        "name": f"#{number} {data['title']}".strip(),
        "url": data["url"],
        "createdAt": created,
        "status": data["state"],
        "draft": data["draft"] or None,
        "author": data["author"],
        "title": data["title"],
        "text": data["body"] or None,
        "labels": data["labels"] or None,
        "baseBranch": data["base"],
        "headBranch": data["head"],
        "headCommit": data["headSha"],
        "mergedAt": _written(merged),
        "closedAt": _written(_at(data["closed"])),
        "fixes": fixed or None,
    }
    made: list[Claim] = [
        says.Names(NodeKind.PULL_REQUEST, (pull,)),
        States(NodeKind.PULL_REQUEST, pull, forges.filled(properties), _at(data["updated"])),
        Links(EdgeKind.HAS, names.repository, pull, created),
        *_person(pull, data["author"], "author", names),
        *repairs(fixed, pull, merged, title=data["title"], by=data["author"]),
    ]
    if data["mergeSha"]:
        commit = identifier("git.sha", data["mergeSha"])
        made.append(Links(EdgeKind.HAS, pull, commit, merged, None, {"merge": True}))
        made.append(Links(EdgeKind.HAS, names.repository, commit, merged))
    return made


def _pull_commits(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    if not data["asked"]:
        raise BadInput(f"the commits of pull request {data['number']} have not been asked for")
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
            "committedAt": _written(at),
            "authoredAt": _written(_at(each["authored"])),
            "message": str(each["message"]).strip(),
            "createdAt": at,
        }
        made += [
            says.Names(NodeKind.COMMIT, (sha,)),
            States(NodeKind.COMMIT, sha, forges.filled(properties), at),
            Links(EdgeKind.HAS, names.pull(data["number"]), sha, at),
        ]
        made += forges.same_person(each["email"], "github.login", each["login"])
    return made


def _issue(names: Names, data: Json, incident_labels: frozenset[str]) -> list[Claim]:
    # An issue that is no incident, or none any more, says nothing: what it said is withdrawn.
    if not incident_labels.intersection(label.casefold() for label in data["labels"]):
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
            properties={
                "url": data["url"],
                "author": data["author"],
                "title": data["title"],
                "reason": data["reason"],
                "deleted": data.get("deleted") or None,
                "movedTo": data.get("movedTo"),
            },
        )
    )
    if data.get("movedTo"):
        made.append(says.Names(NodeKind.INCIDENT, (names.issue(number), names.issue_named(data["movedTo"]))))
    for login in data["assignees"]:
        made += _person(names.issue(number), login, "assignee", names)
    return made


def _release(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    # A draft has no tag yet; nobody has got it.
    if data["draft"] or not data["tag"]:
        return []
    release = names.release(data["tag"])
    at = _at(data["published"]) or _at(data["created"])
    properties = {
        "name": f"{names.path.rpartition('/')[2]} {data['name']}",
        "url": data["url"],
        "createdAt": at,
        "tag": data["tag"],
        "text": data["body"] or None,
        "author": data["author"],
        "prerelease": data["prerelease"] or None,
        "deleted": data["deleted"] or None,
        "assets": [each["name"] for each in data["assets"]] or None,
    }
    made: list[Claim] = [
        says.Names(NodeKind.DOCUMENT, (release,)),
        States(NodeKind.DOCUMENT, release, forges.filled(properties)),
        Links(EdgeKind.ABOUT, release, names.repository, at),
        *_person(release, data["author"], "author", names),
    ]
    commit = identifier("git.sha", data["sha"]) if data["sha"] else None
    if commit is not None:
        made.append(Links(EdgeKind.ABOUT, release, commit, at))
    for each in data["assets"]:
        digest = str(each["digest"] or "")
        if not digest.startswith("sha256:"):
            continue
        file = identifier("sha256", digest, kind=NodeKind.ARTIFACT)
        described = {"name": each["name"], "size": each["size"], "url": each["url"], "createdAt": at}
        made += [
            says.Names(NodeKind.ARTIFACT, (file,)),
            States(NodeKind.ARTIFACT, file, forges.filled(described)),
            Links(EdgeKind.ABOUT, release, file, at),
        ]
        if commit is not None:
            made.append(Links(EdgeKind.CODE_FOR, commit, file, at))
    return made


def _deployment(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    name = forges.deployed_name(data["payload"], data["task"], names.path)
    deployment = names.deployment(data["environment"], name, data["id"])
    at = parse_time(data["created"])
    properties = {
        "name": f"{data['environment']}/{name}@{data['id']}",
        "environment": data["environment"],
        "service": name,
        "createdAt": at,
        "ref": data["ref"],
        "task": data["task"],
        "text": data["description"] or None,
        "author": data["author"],
        "payload": dict(data["payload"]) or None,
    }
    made: list[Claim] = [
        says.Names(NodeKind.DEPLOYMENT, (deployment,)),
        States(NodeKind.DEPLOYMENT, deployment, forges.filled(properties)),
        *_person(deployment, data["author"], "deployer", names),
    ]
    if data["sha"]:
        made.append(Links(EdgeKind.CODE_FOR, identifier("git.sha", data["sha"]), deployment, at))
    return made


def _deployment_status(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    of = data["deployment"]
    name = forges.deployed_name(of["payload"], of["task"], names.path)
    return forges.deployment_state(
        names.deployment(of["environment"], name, of["id"]),
        environment=of["environment"],
        name=name,
        scope=names.scope,
        at=parse_time(data["at"]),
        state=data["state"],
        payload=of["payload"],
        properties={"url": data["url"], "log": data["log"], "statusText": data["description"] or None},
    )


def _workflow_run(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    run = names.workflow_run(data["id"])
    ended = data["status"] == "completed"
    began = _at(data["started"])
    properties = {
        "name": f"{data['name']} #{data['number']}",
        "url": data["url"],
        "createdAt": _at(data["created"]),
        "status": _RUN_STATUS.get(str(data["conclusion"] if ended else data["status"]), "QUEUED"),
        "conclusion": data["conclusion"],
        "startedAt": _written(began),
        "endedAt": _written(_at(data["updated"])) if ended else None,
        "attempts": data["attempt"],
        "title": data["title"],
        "event": data["event"],
        "branch": data["branch"],
        "author": data["author"],
    }
    made: list[Claim] = [
        says.Names(NodeKind.JOB_RUN, (run,)),
        States(NodeKind.JOB_RUN, run, forges.filled(properties), _at(data["updated"])),
    ]
    if data["sha"]:
        made.append(Links(EdgeKind.CODE_FOR, identifier("git.sha", data["sha"]), run, began))
    if data["path"]:
        job = names.workflow(data["path"])
        made += [
            says.Names(NodeKind.JOB, (job,)),
            States(NodeKind.JOB, job, {"name": data["name"] or data["path"], "path": data["path"]}, began),
            Links(EdgeKind.HAS, job, run, began),
            codeowners.lies_at(names.repository, data["path"], job),
        ]
    return made


def _owners(names: Names, data: Json, _: frozenset[str]) -> list[Claim]:
    if not data["asked"]:
        raise BadInput("CODEOWNERS has not been asked for")
    sections = codeowners.parse(data["text"], "github")
    if not sections:
        return []
    said = {"codeowners": codeowners.shown(sections), "codeownersPath": data["path"]}
    return [
        says.Names(NodeKind.REPOSITORY, (names.repository,)),
        States(NodeKind.REPOSITORY, names.repository, said),
        *codeowners.claims(sections, names.repository),
    ]


def _person(owned: str, login: str | None, role: str, names: Names) -> list[Claim]:
    if login is None:
        return []
    person = identifier("github.login", login)
    return [
        says.Names(NodeKind.PERSON, (person,)),
        States(NodeKind.PERSON, person, {"url": f"https://{names.site}/{login}"}),
        Links(EdgeKind.OWNED_BY, owned, person, properties={"role": role}),
    ]


def _at(text: str | None) -> Micros | None:
    return None if text is None else parse_time(text)


def _written(at: Micros | None) -> str | None:
    return None if at is None else format_time(at)


_SAY: MappingProxyType[str, Say] = MappingProxyType(
    {
        "repository": _repository,
        "pull": _pull,
        "pull_commits": _pull_commits,
        "issue": _issue,
        "release": _release,
        "deployment": _deployment,
        "deployment_status": _deployment_status,
        "workflow_run": _workflow_run,
        "codeowners": _owners,
        "renamed": _renamed,
    }
)
