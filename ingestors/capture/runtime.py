"""What a command runs on: interpreter, packages, lock file, machine. Read from files; nothing is started.

Kinlore may live in an environment of its own, so its own interpreter says nothing about the command's.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graph_schema.normalise import package

_LOCKS = (
    "uv.lock", "poetry.lock", "pdm.lock", "pixi.lock", "Pipfile.lock", "conda-lock.yml", "requirements.lock",
    "requirements.txt", "environment.yml",
)  # fmt: skip
#: Packages whose versions are worth a look of their own; the digest covers all.
SHOWN = frozenset({
    "accelerate", "catboost", "datasets", "deepspeed", "diffusers", "dvc", "flax", "jax", "jaxlib", "keras",
    "lightgbm", "lightning", "mlflow", "mlflow-skinny", "numpy", "onnx", "optuna", "pandas", "peft",
    "polars", "pyarrow", "pyspark", "pytorch-lightning", "ray", "scikit-learn", "scipy",
    "sentence-transformers", "spacy", "statsmodels", "tensorflow", "tokenizers", "torch", "torchvision",
    "transformers", "trl", "vllm", "xgboost",
})  # fmt: skip
_PYTHON = re.compile(r"(?:python|pypy)(\d(?:\.\d+)?)?(?:\.exe)?")
_DIST = re.compile(r"(.+)-([^-]+)\.(?:dist|egg)-info")
_MAX_LOCK = 64 * 2**20


def read(
    command: Sequence[str], environ: Mapping[str, str], folder: Path, root: Path | None
) -> dict[str, Any]:
    """``parts``, whose digest names the runtime, and ``packages``, the versions worth showing.

    Parts: ``platform``, ``machine``, ``cpus``, ``memoryGb``, ``gpus``, ``image``; ``python`` and ``packages``
    (a digest over all) where the command is Python's; ``lock`` (sha256) of the lock file that is nearest.
    """
    parts: dict[str, Any] = {
        "platform": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "memoryGb": _memory(),
        "gpus": _gpus(),
    }
    parts.update(_lock(folder, root))
    shown: dict[str, str] = {}
    prefix = _prefix(command, environ, folder)
    if prefix is not None:
        version, site = _site(prefix)
        packages = _packages(site)
        parts["python"] = version
        if packages:
            listed = "\n".join(f"{name}=={packages[name]}" for name in sorted(packages))
            parts["packages"] = hashlib.sha256(listed.encode()).hexdigest()
            shown = {name: packages[name] for name in sorted(packages) if name in SHOWN}
    return {"parts": {key: value for key, value in parts.items() if value}, "packages": shown}


# --- the interpreter -----------------------------------------------------------------------------------


def _prefix(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> Path | None:
    """The environment of the Python that the command starts, as far as files tell."""
    name = Path(command[0]).name
    if name in ("uv", "poetry", "pdm", "pipenv", "hatch", "rye"):
        given = environ.get("UV_PROJECT_ENVIRONMENT" if name == "uv" else "VIRTUAL_ENV") or ".venv"
        place = folder / given
        return place if (place / "pyvenv.cfg").is_file() else None
    found = shutil.which(command[0], path=environ.get("PATH"))
    if found is None:
        return None
    program = Path(found)
    if not _PYTHON.fullmatch(program.name):
        program = _shebang(program) or program
    if not _PYTHON.fullmatch(program.name):
        return None
    if (program.parent.parent / "pyvenv.cfg").is_file():
        return program.parent.parent
    return program.resolve().parent.parent


def _shebang(program: Path) -> Path | None:
    """The interpreter that a script names: torchrun, accelerate and the like."""
    try:
        with program.open("rb") as file:
            line = file.readline(400)
    except OSError:
        return None
    words = line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []
    if words and Path(words[0]).name == "env":
        words = [found] if len(words) > 1 and (found := shutil.which(words[1])) else []
    return Path(words[0]) if words else None


def _site(prefix: Path) -> tuple[str | None, Path | None]:
    """Version and site-packages."""
    version = None
    try:
        for line in (prefix / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() in ("version", "version_info"):
                version = ".".join(value.strip().split(".")[:3])
    except (OSError, UnicodeDecodeError):
        pass
    places = sorted(prefix.glob("lib/python3.*/site-packages")) or [prefix / "Lib" / "site-packages"]
    if version is not None:
        minor = ".".join(version.split(".")[:2])
        places = [place for place in places if place.parent.name == f"python{minor}"] or places
    elif len(places) == 1 and (match := re.fullmatch(r"python(3\.\d+)", places[0].parent.name)):
        version = match[1]
    return version, places[-1] if places[-1].is_dir() else None


def _packages(site: Path | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in os.scandir(site) if site is not None else ():
        if match := _DIST.fullmatch(entry.name):
            found[package(match[1])] = match[2]
    return found


# --- lock file and machine -----------------------------------------------------------------------------


def _lock(folder: Path, root: Path | None) -> dict[str, str]:
    places = [folder]
    if root is not None:
        places += [place for place in folder.parents if place == root or root in place.parents]
    for place in places:
        for name in _LOCKS:
            file = place / name
            try:
                if file.is_file() and file.stat().st_size <= _MAX_LOCK:
                    return {"lock": hashlib.sha256(file.read_bytes()).hexdigest(), "lockFile": name}
            except OSError:
                continue
    return {}


def _memory() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (ValueError, OSError):
        return None


def _gpus() -> list[str]:
    """Models of the graphics processors, as the driver lists them."""
    found = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        try:
            match = re.search(r"^Model:\s*(.+)$", file.read_text(errors="replace"), re.MULTILINE)
        except OSError:
            continue
        if match:
            found.append(match[1].strip())
    return found
