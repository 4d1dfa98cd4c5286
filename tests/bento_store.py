"""A BentoML store, filled by the real BentoML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.tool_venvs import tool

BENTOML = "1.4.39"

#: Run by the Python of BentoML's environment: what it is asked for is the first argument.
_MAKE = """
import json, pathlib, shutil, sys
import bentoml

def model(name, files, folder=None, version=None, **options):
    tag = name if version is None else f"{name}:{version}"
    with bentoml.models.create(tag, **options) as made:
        for path, content in files.items():
            place = pathlib.Path(made.path_of(path))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
        if folder is not None:
            shutil.copytree(folder, made.path, dirs_exist_ok=True)
    return str(made.tag)

def bento(name, models, **options):
    build = pathlib.Path(options.pop("build"))
    build.mkdir(parents=True, exist_ok=True)
    lines = [f"    model_{n} = bentoml.models.BentoModel({tag!r})" for n, tag in enumerate(models)]
    # Another module for each: Python would take the one that it has already.
    module = f"{build.name}_{name}".replace("-", "_")
    (build / f"{module}.py").write_text("\\n".join([
        "import bentoml", "", f"@bentoml.service(name={name!r})", "class Served:", *lines,
        "    @bentoml.api", "    def predict(self, tenure: float) -> float:", "        return tenure", "",
    ]))
    return str(bentoml.bentos.build(f"{module}:Served", build_ctx=str(build), **options).tag)

def delete(kind, tag):
    (bentoml.models if kind == "model" else bentoml.bentos).delete(tag)
    return tag

made = [globals()[what](**told) for what, told in json.loads(sys.argv[1])]
print(json.dumps(made))
"""


class BentoStore:
    """The store in ``home``. Each call starts BentoML once (two seconds); ``make`` does several things."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()

    def make(self, *wanted: tuple[str, Mapping[str, Any]]) -> list[str]:
        """Do what is asked for (``model``, ``bento``, ``delete``) and return the tags."""
        tools = Path(sys.executable).parent
        environment = {
            **os.environ,
            "BENTOML_HOME": str(self.home),
            "BENTOML_DO_NOT_TRACK": "True",
            # It asks for uv when it packs a bento.
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            [str(tool("bentoml") / "python"), "-c", _MAKE, json.dumps(wanted)],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        tags: list[str] = json.loads(done.stdout.splitlines()[-1])
        return tags

    def model(self, name: str, files: Mapping[str, str], **options: Any) -> str:
        """Save a model of these files; ``labels``, ``metadata``, ``version``, a ``folder`` to copy."""
        return self.make(("model", {"name": name, "files": files, **options}))[0]

    def bento(self, name: str, *models: str, **options: Any) -> str:
        """Pack a service that uses these models; ``labels``."""
        return self.make(_bento(self.home, name, models, options))[0]

    def delete(self, kind: str, tag: str) -> None:
        """Delete a model or a bento."""
        self.make(("delete", {"kind": kind, "tag": tag}))

    def file(self, kind: str, tag: str) -> Path:
        """The file that describes a version."""
        name, _, version = tag.partition(":")
        return self.home / f"{kind}s" / name / version / f"{kind}.yaml"


def _bento(home: Path, name: str, models: tuple[str, ...], options: Mapping[str, Any]) -> tuple[str, Any]:
    build = str(home.parent / f"{home.name}-{name}")
    python = {"lock_packages": False}
    return "bento", {"name": name, "models": models, "build": build, "python": python, **options}
