"""An organisation from a seed: services that share data, code and runtimes, and what goes wrong with them.

What makes causes hard to find is what makes them hard in life: between two releases much changes at once;
the newest changes are mostly innocent; shared data and code reach many services; some harm shows days later,
when other releases have followed; offline metrics see it or do not; checks miss, and cry wolf; releases run
side by side; tools leave edges out; some incidents have no change behind them at all.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from graph_schema.kinds import NodeKind
from tests.benchmarks.causes.code import entry
from tests.benchmarks.causes.crashes import Crashes
from tests.benchmarks.causes.releases import Releases
from tests.benchmarks.causes.targets import INCIDENTS
from tests.benchmarks.causes.things import DAY, HOUR, WEIGHTS, Fault, Organisation, Planted
from tests.benchmarks.causes.training import Training
from tests.benchmarks.causes.world import HISTORY, Data, Repo, Service, World

_HUBS, _SOURCES, _LOOKUPS = 2, 9, 3
_DAYS_BETWEEN_CRASHING = 0.8
_CONFIRMED = 0.7
#: So long after an incident began its cause is found and confirmed, where it is.
FOUND_AFTER = 3 * DAY


class Scenario(NamedTuple):
    """What organisations differ in: how many services there are, from how many to how many days pass between
    two trainings of one, and how many between two faults."""

    services: int
    trains: tuple[float, float]
    faults: float


#: What targets are held against.
WEEKLY = Scenario(24, (4.0, 9.0), 1.6)
#: Little changes between two trainings, and there are many runs to hold one against.
NIGHTLY = Scenario(24, (1.0, 2.0), 3.2)
#: As many faults for each service as in the first, and a third of what happens elsewhere to learn from.
SMALL = Scenario(8, (4.0, 9.0), 4.8)


def organisation(seed: int, crashing: bool = False, scenario: Scenario = WEEKLY) -> Organisation:
    """Everything that happened in 150 days; the same seed gives the same. ``crashing``: some faults break
    runs and job runs outright (:mod:`tests.benchmarks.causes.crashes`), so that other things follow."""
    world = World(seed)
    dice = world.dice
    data = [_data(world, f"hub{n}", 1.0) for n in range(_HUBS)]
    data += [_data(world, f"source{n}", dice.uniform(1.0, 3.0)) for n in range(_SOURCES)]
    for each in dice.sample(data, 3):
        each.fragile = 5.0
    lookups = [_data(world, f"lookup{n}", dice.uniform(1.5, 3.0)) for n in range(_LOOKUPS)]
    pipeline = Repo("acme/pipeline", "pipeline")
    serving = [Repo(f"acme/serving-{n}", "serving") for n in range(2)]
    code = [Repo(f"acme/models-{n}", "training") for n in range(8)]
    services = []
    for number in range(scenario.services):
        reads = [each for each in data[:_HUBS] if dice.random() < 0.6]
        reads += dice.sample(data[_HUBS:], dice.choice((1, 2, 2, 3)))
        services.append(
            Service(
                f"svc{number:02d}",
                code[number % len(code)],
                serving[number % len(serving)],
                reads,
                checked=dice.random() < 0.6,
                quality=dice.uniform(0.75, 0.9),
                lookup=dice.choice(lookups) if dice.random() < 0.4 else None,
                base=f"base{number % 3}" if dice.random() < 0.4 else None,
                canary=dice.random() < 0.3,
                parameters={"lr": 0.01, "epochs": 20, "depth": 6},
                configuration={"replicas": 3, "timeoutMs": 500, "threshold": 0.5, "strategy": "rolling"},
            )
        )
    for service in services:
        for repo in (service.repo, service.serving, pipeline):
            repo.services.append(service.name)
        service.script, service.job = _told_entries(world, service)
    releases = Releases(world, services)
    crashes = Crashes(world) if crashing else None
    training = Training(world, services, releases, pipeline, scenario.trains, crashes)
    for each in data + lookups:
        world.later(dice.uniform(0, 1) * HOUR, lambda d=each: training.extract(d, d in lookups))  # type: ignore[misc]
    for repo in (*code, *serving, pipeline):
        world.later(dice.uniform(0, 1) * HOUR, lambda r=repo: training.develop(r))  # type: ignore[misc]
    training.begin()
    releases.begin()
    every = _DAYS_BETWEEN_CRASHING if crashing else scenario.faults
    world.later(8 * DAY, lambda: _go_wrong(world, every))
    world.run()
    return _told(world, [] if crashes is None else crashes.failed())


def _data(world: World, name: str, every: float) -> Data:
    dice = world.dice
    return Data(
        name,
        size=dice.uniform(1e6, 1e9),
        checked=dice.random() < 0.8,
        flaky=0.1 if dice.random() < 0.25 else 0.01,
        committed=dice.random() < 0.5,
        every=every,
    )


def _told_entries(world: World, service: Service) -> tuple[str | None, str | None]:
    """How the tools spell what a service's trainings and its job start with: from the root of the
    repository, from that of the machine, from where it was called; or not at all, as notebooks."""
    dice = world.dice
    script = entry("training", service.name)
    spelled = (script, f"/builds/{service.repo.name}/{script}", script.rpartition("/")[2], None)
    job = entry("pipeline", service.name) if dice.random() < 0.85 else None
    return dice.choices(spelled, (55, 25, 10, 10))[0], job


def _go_wrong(world: World, every: float) -> None:
    """The next fault waits for its thing; one more follows."""
    dice = world.dice
    sort = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    fault = Fault(
        len(world.faults),
        sort,
        visible=dice.random() < 0.8,
        hit=dice.uniform(0.6, 0.95),
        late=dice.random() < 0.12,
    )
    world.faults.append(fault)
    world.wanted.setdefault(sort, []).append(fault)
    world.later(world.wait(every), lambda: _go_wrong(world, every))


def _told(world: World, failed: list[Planted]) -> Organisation:
    """What is scored, and what people said of what lies before."""
    dice = world.dice
    confirmed = [
        (each.incident, each.cause)
        for each in world.incidents
        if each.at < HISTORY and each.cause is not None and dice.random() < _CONFIRMED
    ]
    own = random.Random(f"confirmed/{world.seed}")
    confirmed += [
        (each.incident, str(each.cause)) for each in failed if each.history and own.random() < _CONFIRMED
    ]
    return Organisation(world.seed, world.things, world.faults, world.incidents, confirmed, failed)


def scored(made: Organisation) -> list[str]:
    """The incidents that are scored: those after the history that have a cause, evenly over the time, where
    there are more than enough."""
    later = [each.incident for each in made.incidents if not each.history and each.cause is not None]
    many = min(INCIDENTS, len(later))
    return [later[number * len(later) // many] for number in range(many)]


def scored_runs(made: Organisation) -> list[str]:
    """The failed runs and job runs that are scored: of those after the history, evenly over the time."""
    later = [each.incident for each in made.failed if not each.history]
    if len(later) < INCIDENTS:
        raise RuntimeError(f"seed {made.seed} has {len(later)} failed runs, not {INCIDENTS}")
    return [later[number * len(later) // INCIDENTS] for number in range(INCIDENTS)]


def found(made: Organisation) -> list[Planted]:
    """The incidents after the history whose cause people find and confirm, in the order in which they began.
    The dice are its own: nothing else of the organisation depends on it."""
    dice = random.Random(f"found/{made.seed}")
    later = [each for each in made.incidents if not each.history and each.cause is not None]
    return [each for each in later if dice.random() < _CONFIRMED]


def deployments_of(made: Organisation) -> list[str]:
    """Every deployment there is, by id."""
    return [each.id for each in made.things if each.kind is NodeKind.DEPLOYMENT and "/shift" not in each.id]


def failures(made: Organisation, least: int = 3) -> list[Fault]:
    """Faults that at least so many deployments carry: what impact is measured on. ``Fault.thing`` is the
    change, ``Fault.carriers`` the deployments that it makes worse, ``Fault.deployments`` those of them where
    that showed in an incident."""
    return [f for f in made.faults if f.thing is not None and len(set(f.carriers)) >= least]
