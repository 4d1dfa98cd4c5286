"""An environment like that of people who train: MLflow, IPython and the built wheel of kinlore-client."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.tool_venvs import tool

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "ingestors" / "client"


def uv() -> str:
    """The uv that `make setup` installed."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert found is not None, "uv is missing: run `make setup`"
    return found


def build_client(folder: Path) -> Path:
    """The wheel of kinlore-client, built from the repository."""
    subprocess.run(
        [
            uv(),
            "build",
            "--quiet",
            "--wheel",
            "--python",
            sys.executable,
            "--out-dir",
            str(folder),
            str(CLIENT),
        ],
        check=True,
    )
    (wheel,) = folder.glob("kinlore_client-*.whl")
    return wheel


def training_environment(folder: Path, wheel: Path) -> Path:
    """The Python of a new environment with the wheel, which sees the tools mlflow and ipython."""
    subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([uv(), "pip", "install", "--quiet", "--python", str(python), str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    seen = [str(*tool(name).parent.glob("lib/python*/site-packages")) for name in ("mlflow", "ipython")]
    (packages / "tools.pth").write_text("\n".join([*seen, ""]), encoding="utf-8")
    return python
