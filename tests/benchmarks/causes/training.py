"""Data, commits, pipelines and trainings of a generated organisation."""

from __future__ import annotations

from typing import Any

from graph_schema.claims import Claim, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import format_time
from tests.benchmarks.causes.code import LOCKED, Edit, edit
from tests.benchmarks.causes.crashes import Crashes
from tests.benchmarks.causes.profiles import Profiles
from tests.benchmarks.causes.releases import Releases
from tests.benchmarks.causes.things import DAY, HOUR, MINUTE, Fault, Sort, Thing, digest, named
from tests.benchmarks.causes.world import Data, Repo, Service, World, job_run_id, run_id

E, K = EdgeKind, NodeKind
_EVERY = {"training": 1.3, "serving": 3.0, "pipeline": 2.5}
_SUBJECTS = ("Refactor features", "Tune", "Bump version", "Clean up loading", "Add feature", "Rework loss")
_TRIVIAL = ("Fix typo", "Update README", "docs: how to run", "Fix lint")
#: How often a failed check shows bad data, and the data made from it.
_SEEN, _SEEN_LATER = 0.8, 0.5


class Training:
    """Everything up to a trained model."""

    def __init__(
        self,
        world: World,
        services: list[Service],
        releases: Releases,
        pipeline: Repo,
        trains: tuple[float, float],
        crashes: Crashes | None = None,
    ) -> None:
        self.world, self.services, self.releases, self.pipeline = world, services, releases, pipeline
        self.trains, self.crashes = trains, crashes
        self.repos = {service.repo.name: service.repo for service in services}
        self.runtimes = {name: world.runtime(name) for name in self.repos}
        self.profiles = Profiles(world)
        self.bases: dict[str, Thing] = {}
        for name in ("base0", "base1", "base2"):
            self._new_base(name)

    def begin(self) -> None:
        """Start what happens again and again."""
        world = self.world
        for service in self.services:
            world.later(2 * DAY + world.dice.uniform(0, 5) * DAY, lambda s=service: self.train(s))  # type: ignore[misc]
        for name in self.runtimes:
            world.later(world.wait(12), lambda n=name: self._relock(n))  # type: ignore[misc]
        for name in self.bases:
            world.later(world.wait(15), lambda n=name: self._rebase(n))  # type: ignore[misc]

    # --- data and code -------------------------------------------------------------------------------

    def extract(self, data: Data, is_lookup: bool) -> None:
        """A new version of a data set; the next follows."""
        world, dice = self.world, self.world.dice
        fault = None
        waiting = world.wanted.get(Sort.LOOKUP if is_lookup else Sort.DATA, [])
        if waiting and data.version is not None and dice.random() < 0.15 * data.fragile:
            fault = waiting.pop(0)
        factor = dice.gauss(1, 0.03)
        if dice.random() < 0.03:
            factor *= dice.choice((0.7, 1.4))
        if fault is not None and dice.random() < 0.5:
            factor *= dice.choice((0.5, 0.6, 0.75, 1.5, 1.9))
        data.drift += dice.gauss(0.002, 0.004)
        id = named("dvc.md5", digest(world.seed, data.name, world.number()))
        dataset = named("dataset", f"lake/{data.name}")
        claims: list[Claim] = [
            Names(K.DATASET, (dataset,)),
            States(K.DATASET, dataset, {"name": data.name}, world.now),
            Links(E.HAS, dataset, id, world.now),
        ]
        properties = {"name": f"{data.name}.parquet", "path": f"{data.name}.parquet"}
        properties |= {"size": int(data.size * (1 + data.drift) * factor)}
        inputs: list[tuple[EdgeKind, Thing | None]] = []
        if data.committed:
            inputs.append((E.INTRODUCED, self._data_commit(data)))
        made = world.make(K.DATASET_VERSION, id, "data", properties, inputs, fault, claims)
        data.version = made
        failed = None
        if data.checked:
            failed = dice.random() < (_SEEN if fault is not None else data.flaky)
            self._check_soon(made, f"expectations {data.name}", failed)
        self._measure(made, data.name, failed, fault)
        if is_lookup:
            self.releases.refreshed(data)
        world.later(world.wait(data.every), lambda: self.extract(data, is_lookup))

    def _measure(self, made: Thing, name: str, failed: bool | None, fault: Fault | None) -> None:
        harmed = None
        if self.crashes is not None and fault is not None:
            harmed = self.crashes.column(fault, self.profiles.columns(name))
        self.profiles.measure(made, name, failed, None if fault is None else fault.number, harmed)

    def _data_commit(self, data: Data) -> Thing:
        repo = Repo(f"acme/data-{data.name}", "data")
        sha = named("git.sha", digest(self.world.seed, repo.name, self.world.number(), size=20))
        subject = f"Extract of {data.name}"
        claims: list[Claim] = [Links(E.HAS, named("git.remote", f"git.example.com/{repo.name}"), sha)]
        properties = {"name": f"{sha[8:15]} {subject}", "message": subject, "author": "export"}
        return self.world.make(K.COMMIT, sha, "code", properties, [], None, claims)

    def _check_soon(self, thing: Thing, name: str, failed: bool) -> None:
        self.world.later(5 * MINUTE, lambda: (self.world.check(thing, name, failed), None)[1])

    def develop(self, repo: Repo) -> None:
        """A commit; CI may try it out; the next follows."""
        world, dice = self.world, self.world.dice
        fixed = frozenset(f for f in repo.carries if world.known(f))
        fault = None
        if repo.head is not None and dice.random() < 0.25:
            sort = {"training": Sort.COMMIT, "serving": Sort.SERVING, "pipeline": Sort.PIPELINE}[repo.role]
            fault = world.take(sort)
        repo.carries -= fixed
        if fixed:
            what = Edit(sorted({path for f in fixed for path in world.faults[f].files}), None, False)
            world.commit(repo, "Fix what broke", what, fault)
        else:
            what = edit(dice, repo.role, repo.services, fault is not None)
            world.commit(repo, dice.choice(_TRIVIAL if what.trivial else _SUBJECTS), what, fault)
        self._try_out(repo)
        if repo.role == "serving":
            self.releases.rebuild(repo)
        world.later(world.wait(_EVERY[repo.role]), lambda: self.develop(repo))

    def _try_out(self, repo: Repo) -> None:
        """CI trains the models of a repository, most of them, after each commit."""
        world, dice = self.world, self.world.dice
        for service in self.services:
            if service.repo is repo and service.features is not None and dice.random() < 0.7:
                world.later(dice.uniform(0.5, 3) * HOUR, lambda s=service: (self._run(s, "ci"), None)[1])  # type: ignore[misc]

    # --- what trainings stand on ---------------------------------------------------------------------

    def _new_base(self, name: str, fault: Fault | None = None) -> None:
        number = self.world.number()
        id = named("mlflow.model_version", f"{name}/{number}", "tracking")
        model = named("mlflow.model", name, "tracking")
        claims: list[Claim] = [Names(K.MODEL, (model,)), Links(E.HAS, model, id, self.world.now)]
        properties = {"name": f"{name} v{number}", "version": str(number)}
        self.bases[name] = self.world.make(K.MODEL_VERSION, id, "tracking", properties, [], fault, claims)

    def _rebase(self, name: str) -> None:
        self._new_base(name, self.world.take(Sort.BASE) if self.world.chance(0.7) else None)
        self.world.later(self.world.wait(15), lambda: self._rebase(name))

    def _relock(self, name: str) -> None:
        fault = self.world.take(Sort.RUNTIME) if self.world.chance(0.5) else None
        self.world.commit(self.repos[name], "Update dependencies", Edit(list(LOCKED), None, False))
        self.runtimes[name] = self.world.runtime(name, fault)
        self._try_out(self.repos[name])
        self.world.later(self.world.wait(12), lambda: self._relock(name))

    def _mended(self, service: Service) -> None:
        """What people have found to be at fault is replaced before the next training."""
        world = self.world
        if any(world.known(f) for f in self.runtimes[service.repo.name].carries):
            self.runtimes[service.repo.name] = world.runtime(service.repo.name)
        if service.base is not None and any(world.known(f) for f in self.bases[service.base].carries):
            self._new_base(service.base)

    # --- trainings -----------------------------------------------------------------------------------

    def train(self, service: Service) -> None:
        """Features, then a training, then perhaps a release; the next follows."""
        world, dice = self.world, self.world.dice
        world.later(dice.uniform(*self.trains) * DAY, lambda: self.train(service))
        if any(data.version is None for data in service.reads) or self.pipeline.head is None:
            return
        self._mended(service)
        if self._prepare(service):
            world.later(dice.uniform(0.5, 2) * HOUR, lambda: self._finish(service))

    def _prepare(self, service: Service) -> bool:
        """Make the features of a service anew; whether that went well."""
        world, dice = self.world, self.world.dice
        job = named("openlineage.job", f"etl/features_{service.name}")
        id = job_run_id(world)
        claims: list[Claim] = [Names(K.JOB, (job,)), Links(E.HAS, job, id, world.now)]
        inputs: list[tuple[EdgeKind, Thing | None]] = [(E.INPUT_TO, data.version) for data in service.reads]
        inputs.append((E.CODE_FOR, world.head(self.pipeline, service.name)))
        properties = {"name": f"features_{service.name}", "status": "COMPLETE"}
        properties["startedAt"] = format_time(world.now)
        if service.job is not None:
            properties["path"] = service.job
        job_run = world.make(K.JOB_RUN, id, "pipelines", properties, inputs, None, claims)
        if self.crashes is not None and self.crashes.end(job_run, service, self._harmless(service, job_run)):
            return False
        fault = world.take(Sort.OUTPUT) if service.features is not None and world.chance(0.2) else None
        version = named("dvc.md5", digest(world.seed, service.name, "features", world.number()))
        dataset = named("dataset", f"lake/features_{service.name}")
        held: list[Claim] = [Names(K.DATASET, (dataset,)), Links(E.HAS, dataset, version, world.now)]
        size = sum(float(data.version.properties["size"]) for data in service.reads if data.version)
        if fault is not None and dice.random() < 0.5:
            size *= dice.choice((0.4, 0.6))
        about = {"name": f"features_{service.name}", "size": int(size * dice.gauss(0.3, 0.003))}
        service.features = world.make(
            K.DATASET_VERSION, version, "pipelines", about, [(E.PRODUCED, job_run)], fault, held
        )
        if service.checked:
            suffers = any(
                world.faults[f].sort in (Sort.DATA, Sort.PIPELINE, Sort.OUTPUT)
                for f in service.features.carries
            )
            failed = dice.random() < (_SEEN_LATER if suffers else 0.02)
            self._check_soon(service.features, f"expectations features_{service.name}", failed)
        self._measure(service.features, f"features_{service.name}", None, fault)
        return True

    def _run(self, service: Service, purpose: str) -> Thing:
        """A run that trains on what there is now, and says how good it became."""
        world, dice = self.world, self.world.dice
        parameters = dict(service.parameters)
        fault = None
        if purpose == "ci" and dice.random() < 0.15:
            parameters["lr"] = dice.choice((0.001, 0.1, 0.5))
        elif purpose == "train":
            if dice.random() < 0.15:
                service.parameters["epochs"] = dice.choice((15, 18, 20, 22, 25))
            parameters = dict(service.parameters)
            fault = (
                world.take(Sort.PARAMETERS) if service.standing is not None and world.chance(0.3) else None
            )
            if fault is not None:
                key, value = dice.choice((("lr", 0.1), ("lr", 0.0005), ("epochs", 3), ("depth", 14)))
                parameters[key] = value
                fault.setting = key
        inputs: list[tuple[EdgeKind, Thing | None]] = [
            (E.CODE_FOR, world.head(service.repo, service.name)),
            (E.INPUT_TO, service.features),
            (E.RUNTIME_OF, self.runtimes[service.repo.name]),
        ]
        id = run_id(world)
        experiment = named("mlflow.experiment_id", f"{service.name}-{purpose}", "tracking")
        claims: list[Claim] = [Names(K.EXPERIMENT, (experiment,)), Links(E.HAS, experiment, id, world.now)]
        properties: dict[str, Any] = {
            "name": f"{purpose}-{service.name}",
            "params": parameters,
            "status": "FINISHED",
        }
        properties["startedAt"] = format_time(world.now)
        if service.script is not None and dice.random() < 0.97:
            properties["script"] = service.script
        made = world.make(K.RUN, id, "tracking", properties, inputs, fault, claims)
        made.carries = frozenset(f for f in made.carries if f not in self._harmless(service, made))
        quality = service.quality + dice.gauss(0, 0.006)
        if any(world.faults[f].visible for f in made.carries):
            quality -= dice.uniform(0.04, 0.14)
        elif purpose == "ci" and (parameters["lr"] != 0.01 or dice.random() < 0.02):
            quality -= dice.uniform(0, 0.1)
        if purpose == "ci" and dice.random() < 0.05:
            properties |= {"status": "FAILED", "error": "OOMKilled"}
        else:
            properties["metrics"] = {"auc": round(quality, 4)}
        if self.crashes is not None:
            self.crashes.end(made, service, set())
        return made

    def _harmless(self, service: Service, made: Thing) -> set[int]:
        """Faults that do not matter to this service: not every model suffers from bad data that it reads."""
        return {
            f
            for f in made.carries
            if self.world.faults[f].sort in (Sort.DATA, Sort.PIPELINE)
            and int(digest(self.world.seed, f, service.name, size=4), 16) % 100 >= 75
        }

    def _finish(self, service: Service) -> None:
        world, dice = self.world, self.world.dice
        made = self._run(service, "train")
        if made.properties["status"] == "FAILED":
            return
        number = world.number()
        id = named("mlflow.model_version", f"{service.name}/{number}", "tracking")
        model = named("mlflow.model", service.name, "tracking")
        claims: list[Claim] = [Names(K.MODEL, (model,)), Links(E.HAS, model, id, world.now)]
        inputs: list[tuple[EdgeKind, Thing | None]] = [(E.PRODUCED, made)]
        if service.base is not None:
            inputs.append((E.BASE_OF, self.bases[service.base]))
        properties = {"name": f"{service.name} v{number}", "version": str(number)}
        version = world.make(K.MODEL_VERSION, id, "tracking", properties, inputs, None, claims)
        shown = any(world.faults[f].visible for f in version.carries)
        if any(world.known(f) for f in version.carries) or (shown and dice.random() < 0.3):
            return
        if dice.random() < 0.85:
            world.later(dice.uniform(2, 20) * HOUR, lambda: self.releases.release(service, version))
