"""The state of an organisation while it is generated, and how things come into being in it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec

from graph_schema.claims import Claim, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, format_time
from ingestors.deployments import blamed, deployed
from tests.benchmarks.causes.code import Edit
from tests.benchmarks.causes.things import (
    DAY,
    START,
    Fault,
    Planted,
    Sort,
    Thing,
    digest,
    named,
    uuid_of,
)

E, K = EdgeKind, NodeKind
DAYS = 150
#: Incidents that begin before are history; people have confirmed some of their causes.
HISTORY = START + 60 * DAY
#: A tool that has not recorded an edge, as tools do.
UNRECORDED = 0.004
_PACKAGES = (
    "numpy", "pandas", "scipy", "scikit-learn", "torch", "pyarrow", "xgboost", "transformers", "pydantic",
    "requests", "mlflow", "protobuf", "pillow", "boto3",
)  # fmt: skip


class Repo(msgspec.Struct):
    """A repository and what its head carries."""

    name: str
    role: str
    services: list[str] = msgspec.field(default_factory=list)
    head: str | None = None
    carries: frozenset[int] = frozenset()
    touched: int = 0


class Data(msgspec.Struct):
    """A data set and its current version."""

    name: str
    size: float
    checked: bool
    flaky: float
    committed: bool
    every: float
    fragile: float = 1.0
    version: Thing | None = None
    drift: float = 0.0


class Service(msgspec.Struct):
    """A service, what it is made from and what it serves with now."""

    name: str
    repo: Repo
    serving: Repo
    reads: list[Data]
    checked: bool
    quality: float
    lookup: Data | None = None
    base: str | None = None
    canary: bool = False
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    configuration: dict[str, Any] = msgspec.field(default_factory=dict)
    features: Thing | None = None
    #: How the entry point of its trainings is told, if it is; whether that of its job is.
    script: str | None = None
    job: str | None = None
    standing: Thing | None = None
    image: Thing | None = None
    version: Thing | None = None
    good: tuple[Thing, dict[str, Any]] | None = None
    revision: int = 0
    raised: set[int] = msgspec.field(default_factory=set)


class World:
    """Things so far, what is to happen next, and the dice. ``wanted``: faults that wait for their thing."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.things: list[Thing] = []
        self.by_id: dict[str, Thing] = {}
        self.faults: list[Fault] = []
        self.wanted: dict[Sort, list[Fault]] = {}
        self.incidents: list[Planted] = []
        #: The columns of each data set, and for each runtime the package whose version moved most.
        self.columns: dict[str, list[str]] = {}
        self.upgraded: dict[str, str] = {}
        self.now: Micros = START
        self._queue: list[tuple[Micros, int, Callable[[], None]]] = []
        self._turn = count()
        self._numbers = count(1)
        self._locks: dict[str, dict[str, list[int]]] = {}

    def later(self, after: float, what: Callable[[], None]) -> None:
        """``what`` happens so many microseconds from now."""
        heapq.heappush(self._queue, (self.now + max(1, int(after)), next(self._turn), what))

    def run(self) -> None:
        """Let it all happen, until the last day is over."""
        while self._queue:
            self.now, _, what = heapq.heappop(self._queue)
            if self.now > START + DAYS * DAY:
                return
            what()

    def chance(self, share: float) -> bool:
        """True so often."""
        return self.dice.random() < share

    def wait(self, days: float) -> float:
        """A time to the next of what happens every so many days, in microseconds."""
        return self.dice.expovariate(1 / days) * DAY

    def take(self, *sorts: Sort) -> Fault | None:
        """A fault of one of these sorts that waits for the thing that is made now."""
        for sort in sorts:
            if self.wanted.get(sort):
                return self.wanted[sort].pop(0)
        return None

    def known(self, number: int) -> bool:
        """Whether people have found this fault by now."""
        found = self.faults[number].known_at
        return found is not None and found <= self.now

    def make(
        self,
        kind: NodeKind,
        id: str,
        source: str,
        properties: dict[str, Any],
        inputs: list[tuple[EdgeKind, Thing | None]] = [],  # noqa: B006 - never changed
        fault: Fault | None = None,
        claims: list[Claim] = [],  # noqa: B006 - never changed
    ) -> Thing:
        """A thing that comes into being now. It carries what its inputs carry, and ``fault``."""
        given = [(edge, each) for edge, each in inputs if each is not None]
        carries: frozenset[int] = frozenset().union(*(each.carries for _, each in given))
        if fault is not None:
            fault.thing, fault.at = id, self.now
            carries |= {fault.number}
        recorded = [(edge, each.id, self.now) for edge, each in given if not self.chance(UNRECORDED)]
        thing = Thing(kind, id, self.now, source, properties, carries, recorded, list(claims))
        self.things.append(thing)
        self.by_id[id] = thing
        return thing

    def number(self) -> int:
        """A number that was not used before."""
        return next(self._numbers)

    # --- what every tool makes in its own way --------------------------------------------------------

    def commit(self, repo: Repo, subject: str, edit: Edit, fault: Fault | None = None) -> Thing:
        """The next commit of a repository."""
        sha = named("git.sha", digest(self.seed, repo.name, self.number(), size=20))
        claims: list[Claim] = [
            Links(E.HAS, named("git.remote", f"git.example.com/{repo.name}"), sha, self.now)
        ]
        if repo.head is not None:
            claims.append(Links(E.PRECEDES, repo.head, sha, self.now))
        properties = {
            "name": f"{sha[8:15]} {subject}",
            "message": subject,
            "author": f"dev{self.dice.randrange(30)}",
            "committedAt": format_time(self.now),
            "files": edit.files,
            "fileCount": len(edit.files),
        }
        if fault is not None:
            fault.service, fault.files = edit.service, edit.files
        thing = self.make(K.COMMIT, sha, "code", properties, [], fault, claims)
        repo.carries |= thing.carries
        thing.carries = repo.carries
        repo.head = sha
        return thing

    def head(self, repo: Repo, service: str) -> Thing | None:
        """What a repository's head is now, with the faults in it that are in the code of this service."""
        if repo.head is None:
            return None
        head = self.by_id[repo.head]
        suffers = frozenset(f for f in head.carries if self.faults[f].service in (None, service))
        return msgspec.structs.replace(head, carries=suffers)

    def check(self, of: Thing, name: str, failed: bool) -> Thing:
        """A check of a thing and its result."""
        id = named("check", f"{name}/{self.number()}", "quality")
        properties = {"name": name, "status": "FAILED" if failed else "PASSED"}
        properties["checkedAt"] = format_time(self.now)
        made = self.make(K.CHECK, id, "quality", properties, [(E.CHECKED_BY, of)])
        made.carries = frozenset()
        return made

    def runtime(self, role: str, fault: Fault | None = None) -> Thing:
        """A runtime: a lock file in a new state."""
        id = named("runtime", digest(self.seed, role, self.number(), size=32))
        lock = self._locks.setdefault(role, {name: [1, 4, 0] for name in _PACKAGES})
        self.upgraded[id] = _upgrade(self.dice, lock, fault is not None)
        packages = {name: ".".join(map(str, version)) for name, version in lock.items()}
        properties = {"name": f"{role} lock {id[-6:]}", "python": "3.11", "packages": packages}
        return self.make(K.RUNTIME, id, "tracking", properties, [], fault)

    def deployment(self, service: Service, image: Thing, properties: dict[str, Any], **more: Any) -> Thing:
        """A release of an image into production. ``more``: share and mode, and fault and inputs."""
        service.revision += 1
        id = named("deployment", f"prod/{service.name}@{service.revision}", "releases")
        share, mode = more.get("share"), more.get("mode")
        claims = deployed(
            id, environment="prod", name=service.name, scope="releases", at=self.now,
            of=[(image.kind, image.id)], share=share, mode=mode, properties=properties,
        )  # fmt: skip
        inputs = [*more.get("inputs", []), (E.DEPLOYED_AS, image)]
        made = self.make(K.DEPLOYMENT, id, "releases", {}, inputs, more.get("fault"), claims)
        # The joins make this edge, from what is said of the place.
        made.inputs = [each for each in made.inputs if each[0] is not E.DEPLOYED_AS]
        return made

    def shift(self, service: Service, deployment: Thing) -> None:
        """A canary gets all of the traffic."""
        claims = deployed(
            deployment.id, environment="prod", name=service.name, scope="releases", at=self.now,
            properties=None,
        )  # fmt: skip
        self.told(K.DEPLOYMENT, f"{deployment.id}/shift", "releases", claims)

    def told(self, kind: NodeKind, key: str, source: str, claims: list[Claim]) -> None:
        """A further record of something that there is."""
        self.things.append(Thing(kind, key, self.now, source, {}, claims=claims))

    def incident(self, service: Service, name: str, severity: str, fault: Fault | None) -> None:
        """An alert on what stands under a service's name."""
        stamp = format_time(self.now)
        id = named("alertmanager.alert", f"{digest(self.seed, service.name, name, size=8)}@{stamp}")
        labels = {"alertname": name, "deployment": service.name, "env": "prod", "severity": severity}
        properties = {
            "name": name,
            "status": "FIRING",
            "severity": severity,
            "startedAt": stamp,
            "labels": labels,
        }
        claims: list[Claim] = list(blamed(id, name=service.name, environment="prod", at=self.now))
        self.make(K.INCIDENT, id, "alerts", properties, [], None, claims)
        if fault is not None:
            fault.incidents.append(id)
        known = (None, None, None) if fault is None else (fault.thing, fault.sort, fault.number)
        self.incidents.append(Planted(id, service.name, self.now, *known, self.now < HISTORY))


def _upgrade(dice: random.Random, lock: dict[str, list[int]], harmful: bool) -> str:
    """A few packages get newer: mostly their patch level, and most often the major one where it breaks, of
    the one that is returned."""
    names = dice.sample(list(lock), dice.choices((1, 2, 3, 5), (45, 25, 18, 12))[0])
    for place, name in enumerate(names):
        worst = harmful and place == 0
        part = dice.choices((0, 1, 2), (40, 35, 25) if worst else (6, 29, 65))[0]
        lock[name][part] += 1
        lock[name][part + 1 :] = [0] * (2 - part)
    return names[0]


def claims_of(thing: Thing) -> list[Claim]:
    """What a thing's record claims."""
    claims: list[Claim] = []
    if thing.properties:
        properties = {**thing.properties, "createdAt": thing.at}
        claims += [Names(thing.kind, (thing.id,)), States(thing.kind, thing.id, properties, thing.at)]
    claims += [Links(edge, src, thing.id, since) for edge, src, since in thing.inputs]
    return claims + thing.claims


def run_id(world: World) -> str:
    """The id of a new tracked run."""
    return named("mlflow.run_id", digest(world.seed, "run", world.number()))


def job_run_id(world: World) -> str:
    """The id of a new job run."""
    return named("openlineage.run_id", uuid_of(world.seed, "job", world.number()))
