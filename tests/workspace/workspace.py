"""The churn project while it is being made: a folder under git and DVC, and its runs on a tracking server.

Each method is one thing that a person would do, done with the real tool.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.workspace.data import Extract, write_raw
from tests.workspace.tools import ToolFailed, Tools, isolated_environment, run

TEMPLATE = Path(__file__).parent / "churn"
REMOTE = "https://git.example.com/acme/churn.git"
Plan = Mapping[str, Any]
"""What `train.py` is told to do."""


@dataclass
class Project:
    """Where the project is, and what was made in it under which of the story's names."""

    folder: Path
    tools: Tools
    mlflow_url: str
    commits: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    """Logged models by the name of the run that made them."""

    # --- git ---

    def git(self, *arguments: str, when: datetime | None = None, author: str = "Dana Ivory") -> str:
        return self.git_output(*arguments, when=when, author=author).strip()

    def git_output(self, *arguments: str, when: datetime | None = None, author: str = "Dana Ivory") -> str:
        environment = isolated_environment(self.folder, self.tools)
        for role in ("AUTHOR", "COMMITTER"):
            environment[f"GIT_{role}_NAME"] = author
            environment[f"GIT_{role}_EMAIL"] = f"{author.split()[0].lower()}@example.com"
            if when:
                environment[f"GIT_{role}_DATE"] = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        return run(["git", *arguments], self.folder, environment)

    def commit(self, label: str, message: str, when: datetime, author: str = "Dana Ivory") -> str:
        """Commit everything that git does not ignore."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message, when=when, author=author)
        return self.remember(label)

    def remember(self, label: str) -> str:
        self.commits[label] = self.git("rev-parse", "HEAD")
        return self.commits[label]

    def begin(self, when: datetime) -> None:
        """The first commit: code, an empty DVC project, a remote that nobody needs to reach."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("remote", "add", "origin", REMOTE)
        self.dvc("init", "--quiet")
        # What `dvc config core.analytics false` writes, a second sooner.
        self.git("config", "--file", ".dvc/config", "core.analytics", "false")
        shutil.copytree(
            TEMPLATE, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        (self.folder / "gitignore").rename(self.folder / ".gitignore")
        self.commit("begin", "Begin: prepare, featurize, train", when)

    # --- DVC ---

    def dvc(self, *arguments: str) -> str:
        environment = isolated_environment(self.folder, self.tools)
        return run([self.tools.dvc, *arguments], self.folder, environment)

    def add_extract(self, extract: Extract) -> None:
        write_raw(self.folder / "data" / "raw.csv", extract)
        self.dvc("add", "--quiet", "data/raw.csv")

    def reproduce(self) -> None:
        self.dvc("repro", "--quiet")

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{path} does not contain {old!r}")
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    # --- MLflow ---

    def train(self, plan: Plan) -> None:
        """Run `train.py` to its end and take down the runs and models that it made."""
        with self._training(plan) as (process, made):
            output = process.communicate()[0]
            if process.returncode:
                raise ToolFailed(f"train.py ended with {process.returncode}\n{output}")
            answer = json.loads(made.read_text())
        missing = {name for name, _ in _names(plan["runs"])} - set(answer["runs"])
        if missing:
            raise ToolFailed(f"train.py left out {sorted(missing)}\n{output}")
        self.runs.update(answer["runs"])
        self.models.update(answer["models"])

    def train_and_kill(self, plan: Plan, experiment: str, name: str) -> None:
        """Start a run and SIGKILL it in its first pause: MLflow will believe for ever that it is running."""
        with self._training(plan) as (process, _):
            assert process.stdout is not None
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith("epoch"):
                    break
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        wanted = {
            "filter": f"attributes.run_name = '{name}'",
            "experiment_ids": [self.experiment(experiment)],
        }
        found = self.mlflow("POST", "runs/search", wanted).get("runs", [])
        if len(found) != 1:
            raise ToolFailed(f"expected one killed run, found {len(found)}\n{''.join(lines)}")
        self.runs[name] = found[0]["info"]["run_id"]

    @contextmanager
    def _training(self, plan: Plan) -> Iterator[tuple[subprocess.Popen[str], Path]]:
        environment = isolated_environment(self.folder, self.tools, self.mlflow_url)
        with (
            tempfile.TemporaryDirectory() as outside
        ):  # a plan inside the repository would make its tree dirty
            (Path(outside) / "plan.json").write_text(json.dumps(plan))
            made = Path(outside) / "made.json"
            command = [str(self.tools.mlflow_python), "train.py", f"{outside}/plan.json", str(made)]
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                yield process, made
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def experiment(self, name: str) -> str:
        found = self.mlflow("GET", "experiments/get-by-name", {"experiment_name": name})
        return str(found["experiment"]["experiment_id"])

    def alias(self, model: str, alias: str, version: str) -> None:
        self.mlflow("POST", "registered-models/alias", {"name": model, "alias": alias, "version": version})

    def mlflow(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One call of the server's REST API, which saves the three seconds that `import mlflow` takes."""
        url = f"{self.mlflow_url}/api/2.0/mlflow/{path}"
        if method == "GET":
            response = httpx.get(url, params=dict(body), timeout=30, trust_env=False)
        else:
            response = httpx.request(method, url, json=dict(body), timeout=30, trust_env=False)
        if not response.is_success:
            raise ToolFailed(f"{method} {path}: {response.status_code} {response.text[:500]}")
        answer: dict[str, Any] = response.json()
        return answer


def _names(runs: Sequence[Plan]) -> Iterator[tuple[str, Plan]]:
    for spec in runs:
        yield spec["name"], spec
        yield from _names(spec.get("children", []))
