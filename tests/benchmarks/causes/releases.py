"""Releases of a generated organisation, what they suffer from, and the incidents that follow."""

from __future__ import annotations

from typing import Any

from graph_schema.claims import Claim, Links
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from tests.benchmarks.causes.code import LOCKED, Edit
from tests.benchmarks.causes.things import DAY, HOUR, MINUTE, OPERATIONAL, Fault, Sort, Thing, digest, named
from tests.benchmarks.causes.world import Data, Repo, Service, World

E, K = EdgeKind, NodeKind
_QUALITY = ("PredictionDrift", "QualityLow", "ConversionDrop")
_OPERATION = ("HighErrorRate", "LatencyHigh", "CrashLooping")


class Releases:
    """Everything from a trained model to an incident."""

    def __init__(self, world: World, services: list[Service]) -> None:
        self.world, self.services = world, services
        self.repos = {s.serving.name: s.serving for s in sorted(services, key=lambda s: s.serving.name)}
        self.runtimes = {name: world.runtime(name) for name in self.repos}

    def begin(self) -> None:
        """Start what happens again and again."""
        world = self.world
        for name in self.runtimes:
            world.later(world.wait(9), lambda n=name: self._relock(n))  # type: ignore[misc]
        for service in self.services:
            world.later(world.wait(14), lambda s=service: self._reconfigure(s))  # type: ignore[misc]
            world.later(world.wait(150), lambda s=service: self._by_itself(s))  # type: ignore[misc]

    def _relock(self, name: str) -> None:
        fault = self.world.take(Sort.SERVING_RUNTIME) if self.world.chance(0.6) else None
        self.world.commit(self.repos[name], "Update dependencies", Edit(list(LOCKED), None, False))
        self.runtimes[name] = self.world.runtime(name, fault)
        self.world.later(self.world.wait(9), lambda: self._relock(name))

    # --- releasing -----------------------------------------------------------------------------------

    def release(self, service: Service, version: Thing) -> None:
        """A model version is packaged and put into production."""
        world = self.world
        if any(world.known(f) for f in version.carries):
            return
        service.version = version
        id = named("oci.digest", f"sha256:{digest(world.seed, 'image', world.number(), size=32)}")
        properties = {"name": f"{service.name}:{world.number()}"}
        inputs = [(E.PACKAGED_IN, version), (E.CODE_FOR, world.head(service.serving, service.name))]
        image = world.make(K.ARTIFACT, id, "registry", properties, inputs)
        self._deploy(service, image, dict(service.configuration), canary=service.canary)

    def rebuild(self, repo: Repo) -> None:
        """Serving code has changed: many of its services get it at once, with the model that they have."""
        for service in self.services:
            if service.serving is repo and service.version is not None and self.world.chance(0.45):
                after = self.world.dice.uniform(1, 6) * HOUR
                self.world.later(after, lambda s=service: self.release(s, s.version))  # type: ignore[misc]

    def _reconfigure(self, service: Service) -> None:
        """The same image with another configuration; the next follows."""
        world, dice = self.world, self.world.dice
        world.later(world.wait(14), lambda: self._reconfigure(service))
        if service.image is None or any(world.known(f) for f in service.image.carries):
            return
        fault = world.take(Sort.CONFIGURATION) if world.chance(0.4) else None
        changed = dict(service.configuration)
        if fault is not None:
            key, value = dice.choice((("timeoutMs", 20), ("threshold", 0.95), ("replicas", 1)))
        else:
            key, value = dice.choice(
                (("replicas", dice.randint(2, 6)), ("timeoutMs", dice.choice((400, 500, 600, 800))))
            )
        changed[key] = value
        if fault is None:
            service.configuration = changed
        self._deploy(service, service.image, changed, fault=fault)

    def _deploy(
        self,
        service: Service,
        image: Thing,
        configuration: dict[str, Any],
        *,
        fault: Fault | None = None,
        canary: bool = False,
        rollback: bool = False,
    ) -> None:
        world = self.world
        runtime = self.runtimes[service.serving.name]
        if any(world.known(f) for f in runtime.carries):
            runtime = self.runtimes[service.serving.name] = world.runtime(service.serving.name)
        canary = canary and service.standing is not None
        if (
            fault is None
            and service.standing is not None
            and not rollback
            and not canary
            and world.chance(0.05)
        ):
            fault = world.take(Sort.ROLLOUT)
            if fault is not None:
                configuration = {**configuration, "strategy": "recreate"}
        inputs = [(E.RUNTIME_OF, runtime)]
        if service.lookup is not None:
            inputs.append((E.INPUT_TO, service.lookup.version))
        made = world.deployment(
            service, image, {"configuration": configuration}, inputs=inputs, fault=fault,
            share=0.1 if canary else None, mode="canary" if canary else None,
        )  # fmt: skip
        before = service.standing
        if canary:
            world.later(world.dice.uniform(0.5, 1.5) * DAY, lambda: self._widen(service, made))
        if before is not None and not before.carries and service.image is not None:
            service.good = (service.image, configuration)
        service.standing, service.image = made, image
        self._suffer(service, made)

    def _widen(self, service: Service, deployment: Thing) -> None:
        if service.standing is deployment:
            self.world.shift(service, deployment)

    def refreshed(self, data: Data) -> None:
        """What is read while serving is another version now: no release tells of it."""
        world = self.world
        for service in self.services:
            standing, version = service.standing, data.version
            if service.lookup is not data or standing is None or version is None:
                continue
            claims: list[Claim] = [Links(E.INPUT_TO, version.id, standing.id, world.now)]
            world.told(K.DEPLOYMENT, f"{standing.id}/reads/{version.id}", "releases", claims)
            lookups = frozenset(f for f in standing.carries if world.faults[f].sort is Sort.LOOKUP)
            standing.carries = (standing.carries - lookups) | version.carries
            self._suffer(service, standing)

    # --- going wrong ---------------------------------------------------------------------------------

    def _suffer(self, service: Service, deployment: Thing) -> None:
        """Each fault that a deployment carries may show, at once or days later."""
        world, dice = self.world, self.world.dice
        for number in sorted(deployment.carries):
            fault = world.faults[number]
            fault.carriers.append(deployment.id)
            if number in service.raised:
                continue
            if int(digest(world.seed, number, service.name, "hit", size=4), 16) % 100 >= fault.hit * 100:
                continue
            delay = dice.lognormvariate(1.2, 0.9) * HOUR
            if fault.late:
                delay = dice.uniform(1, 6) * DAY
            elif fault.sort in OPERATIONAL:
                delay = dice.lognormvariate(3.2, 0.9) * MINUTE
            world.later(delay, lambda f=fault: self._raise(service, f))  # type: ignore[misc]

    def _raise(self, service: Service, fault: Fault) -> None:
        world, dice = self.world, self.world.dice
        standing = service.standing
        if standing is None or fault.number in service.raised or fault.number not in standing.carries:
            return
        service.raised.add(fault.number)
        fault.deployments.append(standing.id)
        like = fault.sort in OPERATIONAL
        names = _OPERATION if like == (dice.random() < 0.85) else _QUALITY
        world.incident(service, dice.choice(names), dice.choice(("critical", "warning")), fault)
        if fault.known_at is None:
            fault.known_at = world.now + int(dice.uniform(6, 36) * HOUR)
        world.later(dice.uniform(1, 10) * HOUR, lambda: self._roll_back(service, standing))

    def _roll_back(self, service: Service, deployment: Thing) -> None:
        """What stood before is released again, if the bad release still stands."""
        if service.standing is deployment and service.good is not None:
            image, configuration = service.good
            service.configuration = configuration
            self._deploy(service, image, dict(configuration), rollback=True)

    def _by_itself(self, service: Service) -> None:
        """An incident that no change is behind; the next follows."""
        world = self.world
        world.later(world.wait(150), lambda: self._by_itself(service))
        if service.standing is not None and not service.standing.carries:
            world.incident(service, world.dice.choice(_OPERATION), "warning", None)
