"""A tracking server played from a recording: answers what the MLflow source asks for, without a network.

The recording holds whole objects, not calls, so that a source may ask in whatever pages and order it likes.
`transport = RecordedMLflow.load(path)`, then `httpx.Client(base_url=..., transport=transport)`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from app.demo.searching import Object, Refused, Test, matching, offset, ordered, stored, token, viewed

_API = re.compile(r"/(?:ajax-)?api/[23]\.0/mlflow/")
_FILES = "/api/2.0/mlflow-artifacts/artifacts"


class RecordedMLflow(httpx.BaseTransport):
    """Answers searches and look-ups from recorded objects; anything else is 404, as at a real server."""

    def __init__(self, recording: Mapping[str, Any]) -> None:
        self._recording = recording
        self._lists: dict[str, tuple[str, list[str], Callable[[Mapping[str, Any]], list[Object]]]] = {
            # path → (key in the answer, default order, what is there before filter and order)
            "experiments/search": (
                "experiments",
                ["creation_time DESC", "experiment_id ASC"],
                self._experiments,
            ),
            "runs/search": ("runs", ["start_time DESC", "run_id ASC"], self._runs),
            "registered-models/search": ("registered_models", ["name ASC"], self._all("registered_models")),
            "model-versions/search": (
                "model_versions",
                ["name ASC", "version DESC"],
                self._versions,
            ),
            "logged-models/search": (
                "models",
                ["creation_timestamp DESC", "model_id ASC"],
                self._logged_models,
            ),
        }

    @classmethod
    def load(cls, path: Path) -> Self:
        """From a recording written by `tests/workspace/record_demo.py`."""
        return cls(json.loads(gzip.decompress(path.read_bytes())))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        try:
            answer = self._answer(request.url.path, self._question(request))
        except Refused as refused:
            error = {"error_code": refused.code, "message": str(refused)}
            return httpx.Response(refused.status, json=error, request=request)
        if isinstance(answer, str):
            return httpx.Response(200, text=answer, request=request)
        return httpx.Response(200, json=answer, request=request)

    @staticmethod
    def _question(request: httpx.Request) -> Object:
        if request.content:
            asked: Object = json.loads(request.content)
            return asked
        several = request.url.params
        lists = ("experiment_ids", "order_by")
        return {key: several.get_list(key) if key in lists else several[key] for key in several}

    def _answer(self, path: str, asked: Object) -> Object | str:
        if path in ("/health", "/version"):
            return "OK" if path == "/health" else str(self._recording["mlflow_version"])
        if path == "/get-artifact":
            wanted = asked.get("run_id") or asked["run_uuid"]
            run = self._one("runs", lambda each: each["info"]["run_id"] == wanted)
            return self._file(f"{stored(run['info']['artifact_uri'])}/{asked['path']}")
        if path == _FILES:
            return {"files": self._folder(asked.get("path", ""))}
        if path.startswith(_FILES + "/"):
            return self._file(path.removeprefix(_FILES + "/"))
        if not (match := _API.match(path)):
            raise Refused(404, "ENDPOINT_NOT_FOUND", f"{path} was not recorded")
        verb = path[match.end() :]
        if verb in self._lists:
            return self._page(*self._lists[verb], asked)
        return self._look_up(verb, asked)

    def _look_up(self, verb: str, asked: Object) -> Object | str:
        if verb == "runs/get":
            return {"run": self._one("runs", lambda each: each["info"]["run_id"] == asked["run_id"])}
        if verb == "experiments/get":
            found = self._one("experiments", lambda each: each["experiment_id"] == asked["experiment_id"])
            return {"experiment": found}
        if verb == "registered-models/get":
            found = self._one("registered_models", lambda each: each["name"] == asked["name"])
            return {"registered_model": found}
        if verb == "model-versions/get":
            wanted = (asked["name"], str(asked["version"]))
            found = self._one("model_versions", lambda each: (each["name"], each["version"]) == wanted)
            return {"model_version": found}
        if verb == "artifacts/list":
            run = self._one("runs", lambda each: each["info"]["run_id"] == asked.get("run_id"))
            root = stored(run["info"]["artifact_uri"])
            inside = f"{asked['path']}/" if asked.get("path") else ""
            files = [{**each, "path": inside + each["path"]} for each in self._folder(f"{root}/{inside}")]
            return {"root_uri": run["info"]["artifact_uri"], **({"files": files} if files else {})}
        name, _, rest = verb.removeprefix("logged-models/").partition("/")
        if verb.startswith("logged-models/"):
            found = self._one("logged_models", lambda each: each["info"]["model_id"] == name)
            root = stored(found["info"]["artifact_uri"])
            if not rest:
                return {"model": found}
            if rest == "artifacts/directories":
                return {"root_uri": found["info"]["artifact_uri"], "files": self._folder(root)}
            if rest == "artifacts/files":
                return self._file(f"{root}/{asked['artifact_file_path']}")
        raise Refused(404, "ENDPOINT_NOT_FOUND", f"{verb} was not recorded")

    def _one(self, key: str, wanted: Test) -> Object:
        for each in self._recording[key]:
            if wanted(each):
                found: Object = each
                return found
        raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"not among the recorded {key}")

    def _file(self, path: str) -> str:
        try:
            return str(self._recording["files"][path])
        except KeyError:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"No such artifact: {path!r}") from None

    def _folder(self, path: str) -> list[Object]:
        inside = path.rstrip("/") + "/"
        found: dict[str, Object] = {}
        for name, text in self._recording["files"].items():
            if name.startswith(inside):
                first, slash, _ = name.removeprefix(inside).partition("/")
                size = {} if slash else {"file_size": len(text.encode())}
                found[first] = {"path": first, "is_dir": bool(slash), **size}
        return [found[name] for name in sorted(found)]

    def _all(self, key: str) -> Callable[[Mapping[str, Any]], list[Object]]:
        return lambda _: list(self._recording[key])

    def _experiments(self, asked: Mapping[str, Any]) -> list[Object]:
        return [each for each in self._recording["experiments"] if viewed(each, asked.get("view_type"))]

    def _runs(self, asked: Mapping[str, Any]) -> list[Object]:
        """As the search answers: of those experiments, and without `inputs.model_inputs`."""
        found = []
        for each in self._recording["runs"]:
            if each["info"]["experiment_id"] not in asked.get("experiment_ids", ()):
                continue
            if viewed(each["info"], asked.get("run_view_type")):
                inputs = {key: value for key, value in each["inputs"].items() if key != "model_inputs"}
                found.append({**each, "inputs": inputs})
        return found

    def _versions(self, _: Mapping[str, Any]) -> list[Object]:
        """As the search answers: without aliases."""
        return [
            {k: v for k, v in each.items() if k != "aliases"} for each in self._recording["model_versions"]
        ]

    def _logged_models(self, asked: Mapping[str, Any]) -> list[Object]:
        wanted = asked.get("experiment_ids", ())
        return [each for each in self._recording["logged_models"] if each["info"]["experiment_id"] in wanted]

    @staticmethod
    def _page(
        key: str,
        orders: Sequence[str],
        everything: Callable[[Mapping[str, Any]], list[Object]],
        asked: Object,
    ) -> Object:
        keep = matching(asked.get("filter") or asked.get("filter_string") or "")
        found = [each for each in everything(asked) if keep(each)]
        found = ordered(found, [*asked.get("order_by", ()), *orders])
        size, start = int(asked.get("max_results") or 100), offset(asked.get("page_token"))
        answer: Object = {key: found[start : start + size]} if found[start:] else {}
        if start + size < len(found):
            answer["next_page_token"] = token(start + size)
        return answer
