"""What is known of each candidate: its fate elsewhere, checks, metrics, sizes, settings; read at once."""

from __future__ import annotations

from collections.abc import Sequence

from app.answers import judged
from app.answers.cause_code import is_trivial, upgrade
from app.answers.cause_crashes import Crashes
from app.answers.cause_evidence import CheckSeen, DataSeen, Exposure, RunSeen, Setting, Signals
from app.answers.cause_graph import Link, arrivals, certainty, nodes_of, read, way
from app.answers.cause_history import RunHistory, check_failed, check_rates, groups_of, size_of
from app.answers.cause_naming import Naming
from app.answers.cause_places import Places
from app.answers.cause_pool import (
    FAILING,
    GOOD,
    Pool,
    brought_by,
    effective,
    is_derived,
    role_of,
    way_from_commit,
)
from app.answers.cause_settings import changed_settings, configuration, parameters
from app.answers.cause_similar import roles_of_similar
from app.answers.cause_statistics import StatisticsHistory, in_words
from app.answers.cause_words import columns_found, found_by, said_in
from app.answers.last_good import LastGood, Stay, along, stays_of, time_of, troubles_of
from app.learnings import failures
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros, format_time
from graph_schema.values import Direction, Node, Spaces

E, K = EdgeKind, NodeKind
_ENDS = frozenset({E.CHECKED_BY, E.IMPLICATED_IN})
_MICROS = 1_000_000.0
_SERVING = frozenset({K.DEPLOYMENT, K.ARTIFACT})
_SERVED = _SERVING | {K.MODEL_VERSION}
#: Words by which alerts tell that a service does not run well, and that what it answers is not good.
_OPERATION = ("latency", "error", "crash", "timeout", "oom", "memory", "5xx", "500", "unavailable", "restart")
_QUALITY = ("score", "drift", "quality", "accuracy", "auc", "conversion", "prediction", "bias", "precision")
#: What such an alert says for data, for what serves, and for what trains, as log-odds.
_OF_OPERATION = {"data": -0.7, "serving": 0.5, "training": -0.5}
_OF_QUALITY = {"data": 0.8, "serving": -0.5, "training": 0.4}


class Reader:
    """Everything that is read once for all candidates of one question. ``told`` are the incidents that tell
    of the failure, or the run itself."""

    def __init__(
        self,
        store: GraphStore,
        subject: Node,
        told: Sequence[Node],
        states: LastGood,
        found: Pool,
        at: Micros,
        known_at: Micros | None,
        spaces: Spaces,
    ) -> None:
        self.subject, self.states, self.pool, self.at = subject, states, found, at
        starts = set(found.candidates) | found.code.between
        self.region = read(
            store, starts, Direction.DOWNSTREAM, FLOW_KINDS,
            until=at, known_at=known_at, spaces=spaces, ends=_ENDS,
        )  # fmt: skip
        for handle in found.code.homes:
            for link in found.region.out.get(handle, ()):
                if link.edge.kind is E.PRECEDES:
                    self.region.out.setdefault(link.src, []).append(link)
        self._read(store, known_at, spaces)
        above = {h: [self._titles[g] for g in of] for h, of in self.groups.parents.items()}
        self.code = Places(found, self.region, self._users, above)
        self.judgements = judged.earlier(store, subject, at, known_at, spaces)
        failed = [state.node for state in states.failing if failures.is_failure(state.node)]
        # Names first: that of a run is often the file that it starts with, the outermost of all.
        checks = self._failing_checks()
        texts = [*(node.name for node in told), *map(failures.told, (*told, *failed)), *map(found_by, checks)]
        said = said_in("\n".join(texts))
        said = said._replace(names=said.names | columns_found(checks))
        fresh = {h for h in found.candidates if states.good is None or self._changed(h)}
        self._naming = Naming(said, found, self.statistics, above, self.code, fresh, at)
        self._alike = roles_of_similar(subject, self.judgements.failures, self.judgements.played)

    def _read(self, store: GraphStore, known_at: Micros | None, spaces: Spaces) -> None:
        reached = self.region.handles | self.pool.nodes.keys()
        kinds = {label.handle: label.kind for label in store.labels(sorted(reached), known_at=known_at)}
        of = {kind: [h for h in sorted(reached) if kinds.get(h) is kind] for kind in set(kinds.values())}
        data = [h for h in self.pool.candidates if kinds.get(h) is K.DATASET_VERSION]
        checked = {
            link.src for h in of.get(K.CHECK, ()) for link in self.region.into.get(h, ())
        }  # what else of their groups was checked tells how often such checks fail
        runs = [*of.get(K.RUN, ()), *of.get(K.JOB_RUN, ())]
        models = [h for h in self.pool.candidates if kinds.get(h) is K.MODEL_VERSION]
        ours = [h for h in of.get(K.DATASET_VERSION, ()) if h in checked or h in self.pool.nodes]
        wanted = {*runs, *data, *models, *ours}
        self.groups = groups_of(store, wanted, self.at, known_at, spaces)
        above = sorted({parent for each in self.groups.parents.values() for parent in each})
        labels = store.labels(above, known_at=known_at)
        self._names = {label.handle: label.id for label in labels}
        self._titles = {label.handle: label.name for label in labels}
        self.history = RunHistory(self.groups, self.at)
        self.crashes = Crashes([state.node for state in self.states.failing], self.groups, self.at)
        images = nodes_of(store, of.get(K.ARTIFACT, []), known_at, spaces)
        self._users = {**self.groups.nodes, **images}
        self.runs = {h: self.groups.nodes[h] for h in runs if h in self.groups.nodes}
        deployments = of.get(K.DEPLOYMENT, [])
        self._places = {
            label.handle: label.name.rpartition("@")[0] or label.id
            for label in store.labels(deployments, known_at=known_at)
        }
        self.stays = stays_of(store, deployments, self.at, known_at, spaces)
        self.troubles = troubles_of(store, deployments, {self.subject.handle}, self.at, known_at, spaces)
        self._read_checks(store, of.get(K.CHECK, []), known_at, spaces)

    def _read_checks(
        self, store: GraphStore, reached: Sequence[int], known_at: Micros | None, spaces: Spaces
    ) -> None:
        kin = [m for each in self.groups.members.values() for m in each]
        of_kin = along(store, kin, Direction.DOWNSTREAM, E.CHECKED_BY, known_at, spaces)
        of = {(step.src, step.dst) for step, _ in of_kin}
        of |= {(link.src, check) for check in reached for link in self.region.into.get(check, ())}
        checks = nodes_of(store, {check for _, check in of}, known_at, spaces)
        before = {h: c for h, c in checks.items() if (time_of(c) or 0) <= self.at}
        self.checks = {h: before[h] for h in reached if h in before}
        self.rates = check_rates(list(before.values()))
        measured: dict[int, list[Node]] = {}
        for thing, check in sorted(of):
            # What was measured of a segment does not speak of the whole.
            if check in before and before[check].properties.get("segment") is None:
                measured.setdefault(thing, []).append(before[check])
        self.statistics = StatisticsHistory(self.groups, measured, self.at)
        # What else was made from a change says next to nothing of it: other faults are in it.
        self._leading = self.statistics.lines(self.pool.paths)

    def _failing_checks(self) -> list[Node]:
        """Failed checks of what failed, and of the model in it where that is another than was good: what they
        found says what is wrong. The failure may be such a check itself."""
        failing = {state.node.handle for state in self.states.failing}
        found = []
        for handle, check in sorted(self.checks.items()):
            of = {link.src for link in self.region.into.get(handle, ())} & self.pool.paths.keys()
            served = {h for h in of if self.pool.nodes[h].kind in _SERVED and self.pool.changed(h)}
            if check_failed(check) and (handle in self.pool.paths or of & failing or served):
                found.append(check)
        return found

    # --- one candidate -------------------------------------------------------------------------------

    def signals(self, handle: int, path: Sequence[Link]) -> Signals:
        """What is known of one candidate."""
        node = self.pool.nodes[handle]
        since = effective(self.pool, handle) or self.at
        near, spared, mended = self.code.touched(node)
        reached = arrivals(self.region, handle, since, spared)
        own, others = self._exposures(reached, set(node.identifiers))
        role = role_of(node, path, self.pool.nodes)
        derived = node.kind is K.DATASET_VERSION and is_derived(self.pool, handle)
        size = None
        if node.kind is K.DATASET_VERSION:
            size = size_of(node, self.groups.siblings(handle))
        symptom, text = self._symptom(node, path)
        settings, packages = self._settings(node), self.code.packages(node, self.at)
        return Signals(
            sort="derived" if derived else node.kind.value,
            serving=self._serves(node, path),
            certainty=certainty(path),
            changed=None if self.states.good is None else self._changed(handle),
            own=own,
            others=others,
            runs=self._runs(reached, handle),
            checks=self._checks(reached, handle),
            measured=self._measured(reached, handle),
            size=None if size is None else size[0],
            spread=1.1 if size is None else size[1],
            settings=settings,
            brought=node.kind is K.COMMIT and self._brought(handle),
            confirmed_kin=sum(self.judgements.lines[line] for line in self.lines(handle)),
            lift=self.judgements.lift(self.subject.name, role),
            alike=self._alike.get(role, 0.0),
            symptom=symptom,
            symptom_text=text,
            trivial=node.kind is K.COMMIT and is_trivial(node),
            touch=near,
            mended=mended,
            familiar=node.kind is K.COMMIT and self.judgements.familiar(node),
            upgrade=None if packages is None else upgrade(*packages),
            age=(self.at - since) / _MICROS,
            dated=time_of(node) is not None,
            after=self._after(handle),
            crashed=self.crashes.asked,
            named=self._is_named(node, path),
            words=self._naming.of(node, settings),
        )

    def _after(self, handle: int) -> str:
        """The first run that failed the same way, where that did without a change."""
        streak = self.states.streak
        if not streak or self.crashes.asks_about(handle) or self.pool.since(handle):
            return ""
        return f"{streak[-1].node.name} of {format_time(streak[-1].since)}"

    def _is_named(self, node: Node, path: Sequence[Link]) -> bool:
        """Whether an incident is about the thing itself. A run that failed is not at fault for that."""
        near = len(path) == 1 and node.kind is not K.DEPLOYMENT and self.subject.kind is K.INCIDENT
        return near and not self.crashes.asks_about(node.handle)

    def lines(self, handle: int) -> list[str]:
        """What a data or model version is a state of."""
        return [self._names[parent] for parent in self.groups.parents.get(handle, ())]

    def _changed(self, handle: int) -> bool:
        good = self.states.good
        # What failed beside its elder was not there yet when the elder was alone.
        return self.pool.changed(handle) or (good is not None and self._late(handle, good.until))

    def _late(self, handle: int, until: Micros | None) -> bool:
        when = effective(self.pool, handle)
        return until is not None and when is not None and when > until

    def _exposures(
        self, reached: dict[int, Micros], names: set[str]
    ) -> tuple[list[Exposure], list[Exposure]]:
        failing = {state.node.handle for state in self.states.failing}
        earlier = {state.node.handle for state in self.states.earlier}
        own: list[Exposure] = []
        others: list[Exposure] = []
        for handle, entered in reached.items():
            stay = self.stays.get(handle)
            if stay is None:
                continue
            if handle in failing:
                seconds = (self.at - max(entered, stay.since)) / _MICROS
                own.append(Exposure(seconds, True, place=self._places.get(handle, "")))
                continue
            # What is known to have another cause says nothing of this one.
            troubles = [
                when
                for when, incident in self.troubles.get(handle, ())
                if not (causes := self.judgements.causes.get(incident)) or causes & names
            ]
            place = self._places.get(handle, "")
            seen = _fate(stay, max(entered, stay.since), troubles, self.at, place)
            if seen is not None:
                (own if handle in earlier else others).append(seen)
        return own, others

    def _runs(self, reached: dict[int, Micros], handle: int) -> list[RunSeen]:
        crashed = self.crashes.asked
        seen = []
        for other in reached:
            run = self.runs.get(other)
            if run is None or other in (handle, self.subject.handle) or self.crashes.asks_about(other):
                continue
            bad = self.crashes.bad(run) if crashed else self.history.bad(run, metrics_only=True)
            if bad is not None:
                seen.append(self._seen(run, bad))
        of_incident = self.subject.kind is K.INCIDENT and not crashed
        if self.pool.nodes[handle].kind is K.RUN and handle in self.runs and of_incident:
            bad = self.history.bad(self.runs[handle], metrics_only=True)
            if bad is not None:
                seen.append(self._seen(self.runs[handle], bad))
        return seen

    def _seen(self, run: Node, bad: bool) -> RunSeen:
        group = min(self.groups.parents.get(run.handle, ()), default=run.handle)
        own = run.handle in self.pool.paths and self.subject.kind is K.INCIDENT
        usual = self.history.usual(run)
        if self.crashes.asked:
            return RunSeen(bad, usual, group, before=self.crashes.before(run), kin=self.crashes.kin(run))
        before, unlike = self.history.before(run), self.history.unlike(run)
        return RunSeen(bad, usual, group, own, before, unlike, self.code.beside(run.handle))

    def _checks(self, reached: dict[int, Micros], handle: int) -> list[CheckSeen]:
        seen = []
        for other in reached:
            check = self.checks.get(other)
            failed = None if check is None else check_failed(check)
            if check is None or failed is None or other in self.pool.paths:
                continue  # What the failure is speaks for no cause of it.
            bad, all_of = self.rates.get(check.name, (0, 0))
            # Its own result is not what is usual.
            usual = (bad - failed + 0.5) / (max(all_of - 1, 0) + 10)
            direct = any(link.src == handle for link in self.region.into.get(other, ()))
            seen.append(CheckSeen(check.name, failed, direct, usual))
        return seen

    def _measured(self, reached: dict[int, Micros], handle: int) -> list[DataSeen]:
        """The data itself, and of each line that leads to the failure the first version with the change."""
        firsts: dict[int, int] = {}
        made = [h for h in self._leading if h in reached and h != handle]
        for other in sorted(made, key=lambda h: (reached[h], h)):
            firsts.setdefault(self._leading[other], other)
        seen = []
        for other in (handle, *firsts.values()):
            out = self.statistics.out(other)
            if out is not None:
                name, usual = self.groups.nodes[other].name, self.statistics.usual(other)
                seen.append(DataSeen(name, in_words(out), other == handle, usual))
        return seen

    def _settings(self, node: Node) -> list[Setting] | None:
        if node.kind is K.DEPLOYMENT:
            before = [state.node for state in self.states.earlier if state.node.kind is K.DEPLOYMENT]
            links = self.pool.region.into.get(node.handle, ())
            known = {self.pool.nodes[link.src].kind for link in links if link.src in self.pool.nodes}
            return changed_settings(configuration(node, known), [configuration(n, known) for n in before])
        if node.kind is not K.RUN:
            return None
        mine = parameters(node)
        when = time_of(node) or self.at
        failing = {node.handle, *(state.node.handle for state in self.states.streak)}
        alike = [
            other
            for other in self.groups.siblings(node.handle)
            if other.handle not in failing
            and other.kind is K.RUN
            and (time_of(other) or self.at) < when
            and other.name.rstrip("0123456789-_.") == node.name.rstrip("0123456789-_.")
        ]
        alike.sort(key=lambda other: (time_of(other) or 0, other.id), reverse=True)
        held = [other for other in alike if self.pool.held.get(other.handle, 0) & ~FAILING]
        if not alike:
            # Of another name, but what the last good state came from.
            held = [n for n in self.pool.nodes.values() if n.kind is K.RUN and self._was_good(n)]
            held.sort(key=lambda other: (time_of(other) or 0, other.id), reverse=True)
        return changed_settings(mine, [parameters(other) for other in [*held, *alike][:20]])

    def _was_good(self, run: Node) -> bool:
        return bool(self.pool.held.get(run.handle, 0) & GOOD) and parameters(run) != {}

    def _brought(self, handle: int) -> bool:
        return any(link.edge.kind is E.INTRODUCED for link in self.region.out.get(handle, ()))

    def _serves(self, node: Node, path: Sequence[Link]) -> bool:
        """Whether a change takes effect where models are served."""
        way = [link for link in path if link.edge.kind is not E.PRECEDES]
        into = self.pool.nodes.get(way[0].dst) if way else None
        if node.kind in (K.COMMIT, K.RUNTIME):
            return into is not None and into.kind in _SERVING
        return node.kind in _SERVING

    def _symptom(self, node: Node, path: Sequence[Link]) -> tuple[float, str]:
        if self.subject.kind is not K.INCIDENT:
            return 0.0, ""
        said = f"{self.subject.name} {self.subject.properties.get('summary', '')}".lower()
        operation, quality = (any(word in said for word in words) for words in (_OPERATION, _QUALITY))
        if operation == quality:
            return 0.0, ""
        sort = (
            "data"
            if node.kind is K.DATASET_VERSION
            else "serving"
            if self._serves(node, path)
            else "training"
        )
        weight = (_OF_OPERATION if operation else _OF_QUALITY)[sort]
        what = "that the service does not run well" if operation else "that its answers are not good"
        return weight, f"the alert says {what}"


def _fate(stay: Stay, entered: Micros, troubles: Sequence[Micros], at: Micros, place: str) -> Exposure | None:
    """How it went with a deployment that carried the change; None where it never stood with it."""
    ended = min(at, stay.until if stay.until is not None else at)
    if ended <= entered:
        return None
    after = [when for when in troubles if entered <= when <= at]
    if after:
        return Exposure((after[0] - entered) / _MICROS, True, (after[0] - stay.since) / _MICROS, place)
    return Exposure((ended - entered) / _MICROS, False, (ended - stay.since) / _MICROS, place)


def origin(found: Pool, handle: int, at: Micros) -> list[Link]:
    """The edges from the commit that a change came with to the change: that which brought in a data version,
    else the nearest whose code it was made with. None for a commit, and where no commit is known."""
    if found.nodes[handle].kind is K.COMMIT:
        return []
    if found.nodes[handle].kind is K.DATASET_VERSION:
        brought = brought_by(found, handle, at)
        if brought is not None:
            return [brought]
    return way_from_commit(found, handle, at)


def path_of(found: Pool, handle: int) -> list[Link]:
    """The most certain way from a candidate to the subject."""
    return way(found.paths, handle)
