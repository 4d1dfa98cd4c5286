"""A project under git whose DVC files are written by hand, as DVC writes them."""

from __future__ import annotations

from pathlib import Path

from tests.sources.repositories import Repository

RAW, CLEAN, FEATURES = (letter * 32 for letter in "abc")
NEW_RAW, NEW_CLEAN, NEW_FEATURES = (letter * 32 for letter in "def")
REMOTE = "https://git.example.com/acme/churn.git"
DVC_YAML = """stages:
  prepare:
    cmd: python src/prepare.py
    deps: [data/raw.csv, src/prepare.py]
    outs: [data/clean.csv]
  featurize:
    cmd: python src/featurize.py
    deps: [data/clean.csv, src/features]
    params: [featurize.window]
    outs: [data/features.csv]
"""


def pointer(md5: str, path: str = "raw.csv") -> str:
    """A .dvc file."""
    return f"outs:\n- md5: {md5}\n  size: 7\n  hash: md5\n  path: {path}\n"


def lock(raw: str = RAW, clean: str = CLEAN, features: str = FEATURES, window: int = 3) -> str:
    """The dvc.lock of both stages."""
    return f"""schema: '2.0'
stages:
  prepare:
    cmd: python src/prepare.py
    deps:
    - path: data/raw.csv
      hash: md5
      md5: {raw}
    - path: src/prepare.py
      hash: md5
      md5: {"1" * 32}
    outs:
    - path: data/clean.csv
      hash: md5
      md5: {clean}
  featurize:
    cmd: python src/featurize.py
    deps:
    - path: data/clean.csv
      hash: md5
      md5: {clean}
    - path: src/features
      hash: md5
      md5: {"2" * 32}.dir
    params:
      params.yaml:
        featurize.window: {window}
    outs:
    - path: data/features.csv
      hash: md5
      md5: {features}
"""


def begin(folder: Path) -> Repository:
    """Both stages were run, on ``main``; the branch ``change`` is checked out."""
    repository = Repository(folder)
    repository.git("remote", "add", "origin", REMOTE)
    repository.commit(
        "Begin",
        {
            "README.md": "# churn\n",
            "data/raw.csv.dvc": pointer(RAW),
            "dvc.yaml": DVC_YAML,
            "dvc.lock": lock(),
            "params.yaml": "featurize:\n  window: 3\nreport:\n  colour: red\n",
            "src/prepare.py": "from src.common import read\n",
            "src/features/__init__.py": "",
            "src/features/window.py": "import numpy\n",
            "src/features/README.md": "How it works\n",
            "src/common.py": "def read(): ...\n",
            "train.py": "import src.common\nfrom src.features import window\n",
            "notebooks/look.py": "print(1)\n",
            ".github/workflows/train.yml": "on: push\n",
        },
    )
    repository.git("checkout", "--quiet", "-b", "change")
    return repository
