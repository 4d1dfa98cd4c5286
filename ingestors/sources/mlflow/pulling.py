"""One pull: experiments, runs, models, the registry, then questions that cost a request each.

What MLflow can be asked cheaply (``end_time``, ``start_time``, ``status``) is asked every time, with a
margin. It has no time of the last change, though: a late tag, a back-dated run, a deletion show only in a
sweep over everything. A sweep costs the server about a millisecond a run, so a small one is swept at every
pull, a large one for about a fiftieth of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from graph_schema.times import Micros, parse_time
from ingestors.source import Item, Pulled, SourceConfig
from ingestors.sources.mlflow import shape
from ingestors.sources.mlflow.api import Api, Json, Unsupported, entries
from ingestors.sources.mlflow.questions import Asking
from ingestors.sources.mlflow.registry import (
    alias_key,
    alias_stays,
    carried_stays,
    fingerprint,
    renames,
    version_data,
)
from ingestors.sources.mlflow.runs import error_in_tags
from ingestors.sources.mlflow.state import ModelState, State

#: Clocks of training machines differ, and equal times must not fall between two pulls.
MARGIN = 10 * 60 * 1_000
#: Runs up to which every pull is a sweep; beyond, microseconds until the next for each run, and the most.
SWEEP_ALWAYS, SWEEP_PER_RUN, SWEEP_AT_MOST = 500, 60_000, 6 * 3_600 * 1_000_000
#: Experiments named in one request; questions of each sort asked in one pull, and in one page.
_BATCH, _QUESTIONS, _QUESTIONS_A_PAGE = 100, 2_000, 100
#: With more new runs than this, only those that something hints at are asked for models that they read.
_FEW = 50


class Pull:
    """The state of one pull. ``now`` is its start in microseconds and the version of all its records."""

    def __init__(self, api: Api, config: SourceConfig, cursor: Any | None, now: Micros) -> None:
        self.api = api
        self.config = config
        self.state = State.read(cursor)
        self.now = now
        self.first_mark = self._since_mark()
        runs = self.state.runs
        due = min(runs * SWEEP_PER_RUN, SWEEP_AT_MOST) if runs > SWEEP_ALWAYS else 0
        self.sweep = self.state.swept is None or now - self.state.swept >= due
        self.since = None if config.since is None else parse_time(config.since) // 1_000
        self.present: dict[str, set[str]] = {}
        self.seen: set[str] = set()
        #: Metrics that are NaN in the runs that this pull has read: of logged models MLflow sends 0 for them.
        self.nans: dict[str, frozenset[str]] = {}
        self.outputs: dict[str, str] = {}
        self.asking = Asking(api, self.state, now)

    def _since_mark(self) -> int | None:
        """From when on runs are asked for, in milliseconds; None: from the beginning."""
        if self.state.pulled is None:
            return None
        return max(0, min(self.state.pulled // 1_000, self.state.mark) - MARGIN)

    def pages(self) -> Iterator[Pulled]:
        """All pages; the last of a sweep says what there is."""
        experiments = yield from self._experiments()
        batches = [experiments[i : i + _BATCH] for i in range(0, len(experiments), _BATCH)]
        for batch in batches:
            yield from self._runs(batch)
        supported = True
        try:
            for batch in batches:
                yield from self._logged_models(batch)
        except Unsupported:
            supported = False
        yield from self._registry()
        for items in self.asking.pages(_QUESTIONS, _QUESTIONS_A_PAGE):
            yield self._page(items)
        self.state.pulled = self.now
        complete = None
        if self.sweep:
            self.state.swept = self.now
            self.state.runs = len(self.present.get("run", ()))
            complete = self._complete(supported)
        yield Pulled((), self.state.cursor(), complete=complete)

    def _page(self, items: Sequence[Item], gone: Mapping[str, frozenset[str]] | None = None) -> Pulled:
        return Pulled(items, self.state.cursor(), gone=gone)

    def _item(self, type_name: str, key: str, data: Mapping[str, Any]) -> Item:
        self.present.setdefault(type_name, set()).add(key)
        return Item(key, type_name, self.now, data)

    def _shaped(self, form: Callable[[Json], dict[str, Any]], raw: Json, what: str) -> dict[str, Any] | Item:
        """An entry in our shape, or an item that will be kept as a dead letter: the others must land."""
        try:
            return form(raw)
        except (KeyError, TypeError, AttributeError, ValueError) as problem:
            why = f"MLflow sent a {what} that lacks something: {type(problem).__name__} {problem}"
            return Item(f"{what}/?{len(self.seen)}", what, self.now, {"broken": why, "entry": raw})

    # --- experiments and runs --------------------------------------------------------------------------

    def _experiments(self) -> Generator[Pulled, None, list[str]]:
        """Returns the ids of those that are wanted."""
        wanted: list[str] = []
        for page in entries(self.api, "experiments", {"view_type": "ALL"}):
            items, gone = [], set()
            for raw in page:
                data = self._shaped(shape.experiment, raw, "experiment")
                if isinstance(data, Item):
                    items.append(data)
                elif self._included(data["name"]):
                    key = f"experiment/{data['id']}"
                    items.append(self._item("experiment", key, data))
                    wanted.append(data["id"])
                    if data["stage"] == "deleted":
                        gone.add(key)
            if items:
                yield self._page(items, self._gone(experiment=gone))
        return wanted

    def _included(self, name: str) -> bool:
        include, exclude = self.config.include, self.config.exclude
        if include and not any(fnmatchcase(name, pattern) for pattern in include):
            return False
        return not any(fnmatchcase(name, pattern) for pattern in exclude)

    def _filters(self) -> list[str]:
        mark = self.first_mark
        if self.sweep or mark is None:
            asked = [""]
        else:
            asked = [
                f"attributes.end_time > {mark}",
                f"attributes.start_time > {mark}",
                "attributes.status = 'RUNNING'",
            ]
        if self.since is None:
            return asked
        bound = f"attributes.start_time >= {self.since}"
        return [f"{each} and {bound}" if each else bound for each in asked]

    def _runs(self, experiments: list[str]) -> Iterator[Pulled]:
        for asked in self._filters():
            body = {"experiment_ids": experiments, "filter": asked, "run_view_type": "ALL"}
            for page in entries(self.api, "runs", body):
                items, gone = self._run_page(page)
                if items:
                    yield self._page(items, gone)

    def _run_page(self, page: list[Json]) -> tuple[list[Item], Mapping[str, frozenset[str]] | None]:
        items: list[Item] = []
        gone: set[str] = set()
        fresh: list[str] = []
        for raw in page:
            data = self._shaped(shape.run, raw, "run")
            if isinstance(data, Item):
                items.append(data)
                continue
            run_id = data["id"]
            if run_id in self.seen:
                continue
            self.seen.add(run_id)
            self.nans[run_id] = frozenset(k for k, v in data["metrics"].items() if v == "NaN")
            self._note_time(data["start"], data["end"])
            self.outputs.update(dict.fromkeys(data["outputs"], run_id))
            items.append(self._item("run", f"run/{run_id}", data))
            if data["stage"] == "deleted":
                gone.add(run_id)
            elif not self.sweep and data["status"] == "FINISHED":
                fresh.append(run_id)
            items += self.asking.about_run(data, bool(error_in_tags(data)))
        if len(fresh) <= _FEW:
            for run_id in fresh:
                self.state.inputs.want(run_id)
        return items, self._gone(
            run={f"run/{r}" for r in gone},
            run_error={f"error/{r}" for r in gone},
            model_inputs={f"inputs/{r}" for r in gone},
        )

    def _note_time(self, *times: int | None) -> None:
        for each in times:
            # A clock that runs ahead must not carry the mark past what others still write.
            if each is not None and self.state.mark < each <= self.now // 1_000:
                self.state.mark = each

    def _gone(self, **gone: set[str]) -> dict[str, frozenset[str]] | None:
        found = {type_name: frozenset(keys) for type_name, keys in gone.items() if keys}
        for type_name, keys in found.items():
            self.present.get(type_name, set()).difference_update(keys)
        return found or None

    # --- models ----------------------------------------------------------------------------------------

    def _logged_models(self, experiments: list[str]) -> Iterator[Pulled]:
        bounds = []
        if not self.sweep and self.first_mark is not None:
            bounds.append(f"last_updated_timestamp > {self.first_mark}")
        if self.since is not None:
            bounds.append(f"creation_timestamp >= {self.since}")
        body = {"experiment_ids": experiments, "filter": " AND ".join(bounds)}
        for page in entries(self.api, "logged-models", body):
            items = []
            for raw in page:
                data = self._shaped(shape.logged_model, raw, "logged_model")
                if isinstance(data, Item):
                    items.append(data)
                    continue
                self._mend_nans(raw, data)
                if not data["run"]:
                    self._mend_run(data)
                items.append(self._item("logged_model", f"logged_model/{data['id']}", data))
                self.asking.about_model(data, raw)
            yield self._page(items)

    def _mend_nans(self, raw: Json, data: dict[str, Any]) -> None:
        """Of a logged model MLflow sends 0 where the run's metric is NaN; the run tells."""
        for metric in (raw.get("data") or {}).get("metrics") or ():
            key, run_id = metric["key"], metric.get("run_id")
            if data["metrics"].get(key) != 0 or not run_id or metric.get("value", 0) != 0:
                continue
            if run_id not in self.nans:
                found = self.api.run(run_id)
                values = {} if found is None else shape.run(found)["metrics"]
                self.nans[run_id] = frozenset(k for k, v in values.items() if v == "NaN")
            if key in self.nans[run_id]:
                data["metrics"][key] = "NaN"

    def _mend_run(self, data: dict[str, Any]) -> None:
        """A model made outside any run may still have been logged by one, which only that run tells."""
        if run_id := self.outputs.get(data["id"]):
            self.state.outputs[data["id"]] = run_id
        data["run"] = self.state.outputs.get(data["id"], "")

    def _registry(self) -> Iterator[Pulled]:
        before, last = self.state.models, self.state.registry_at
        models: dict[str, tuple[dict[str, Any], int]] = {}
        items: list[Item] = []
        for page in entries(self.api, "registered-models", {}):
            for raw in page:
                data = self._shaped(shape.model, raw, "model")
                if isinstance(data, Item):
                    items.append(data)
                else:
                    updated = shape.millis(raw.get("last_updated_timestamp")) or 0
                    models[data["name"]] = (data, updated)
        changed = [name for name in models if self.sweep or self._model_changed(name, *models[name])]
        versions = self._versions(changed, items)
        marks = {name: {v["version"]: fingerprint(v) for v in versions[name]} for name in changed}
        now = {name: marks[name] if name in marks else before[name].versions for name in models}
        renamed = {rename.new: rename for rename in renames(before, now)}
        state: dict[str, ModelState] = {}
        for name, (data, updated) in models.items():
            held = before.get(name) or ModelState()
            if name in renamed:
                held = before[renamed[name].old]
                held.past = []
                items += [self._alias_item(d) for d in carried_stays(name, held)]
                items.append(self._rename_item(renamed[name]))
            created = {v["version"]: v["created"] for v in versions.get(name, ())}
            stays = alias_stays(name, data["aliases"], created, held, last, self.now)
            items += [self._alias_item(each) for each in stays]
            held.updated, held.versions = updated, now[name]
            state[name] = held
            if name in changed or stays:
                items.append(self._item("model", f"model/{name}", data))
            for each in version_data(versions.get(name, ()), data["aliases"]):
                items.append(self._item("model_version", f"model_version/{name}/{each['version']}", each))
        self.state.models, self.state.registry_at = state, self.now
        gone = self._gone(
            model={f"model/{r.old}" for r in renamed.values()},
            model_version={f"model_version/{r.old}/{v}" for r in renamed.values() for v in r.versions},
        )
        if items or gone:
            yield self._page(items, gone)

    def _model_changed(self, name: str, data: Mapping[str, Any], updated: int) -> bool:
        held = self.state.models.get(name)
        if held is None or held.updated != updated:
            return True
        seen = {alias: stay.version for alias, stay in held.aliases.items()}
        return bool(seen != data["aliases"])

    def _versions(self, names: list[str], items: list[Item]) -> dict[str, list[dict[str, Any]]]:
        """Versions by model: of a few models by name, of many all at once."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        quotable = [name for name in names if "'" not in name and '"' not in name]
        few = not self.sweep and len(names) <= 20 and len(quotable) == len(names)
        for body in [{"filter": f"name = '{name}'"} for name in names] if few else [{}] if names else []:
            for page in entries(self.api, "model-versions", body):
                for raw in page:
                    data = self._shaped(shape.model_version, raw, "model_version")
                    if isinstance(data, Item):
                        items.append(data)
                    elif data["name"] in found:
                        found[data["name"]].append(data)
        return found

    def _alias_item(self, data: dict[str, Any]) -> Item:
        return self._item(
            "alias", alias_key(data["name"], data["version"], data["alias"], data["seenAt"]), data
        )

    def _rename_item(self, rename: Any) -> Item:
        data = {"old": rename.old, "new": rename.new, "versions": list(rename.versions)}
        return self._item("rename", f"rename/{rename.old}/{rename.new}", data)

    # --- what there is ---------------------------------------------------------------------------------

    def _complete(self, logged_models: bool) -> dict[str, frozenset[str]]:
        """Every key by record type. What was asked about a run or a model is there while that is there."""
        runs = [key.partition("/")[2] for key in self.present.get("run", ())]
        aliases = set()
        versions = self.present.get("model_version", set())
        for name, state in self.state.models.items():
            stays = [(a, s.version, s.seen_at) for a, s in state.aliases.items()] + state.past
            for alias, version, seen_at in stays:
                if f"model_version/{name}/{version}" in versions:
                    aliases.add(alias_key(name, version, alias, seen_at))
        found = {
            "experiment": frozenset(self.present.get("experiment", ())),
            "run": frozenset(self.present.get("run", ())),
            "run_error": frozenset(f"error/{run}" for run in runs),
            "model_inputs": frozenset(f"inputs/{run}" for run in runs),
            "model": frozenset(self.present.get("model", ())),
            "model_version": frozenset(versions),
            "alias": frozenset(aliases),
        }
        if logged_models:
            present = frozenset(self.present.get("logged_model", ()))
            found["logged_model"] = present
            found["environment"] = frozenset(f"environment/{key.partition('/')[2]}" for key in present)
        return found
