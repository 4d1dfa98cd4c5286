"""What failures name in their own words: files, columns, data, packages."""

from __future__ import annotations

import pytest

from app.answers.cause_words import (
    is_named,
    named_data,
    named_files,
    named_packages,
    named_words,
    said_in,
)

PYTHON = """Traceback (most recent call last):
  File "/app/src/train.py", line 10, in <module>
    table = features.build(orders)
  File "/app/src/churn/features.py", line 31, in build
    orders["tenure"] = orders["tenure_days"] / 30
  File "/opt/venv/lib/python3.11/site-packages/pandas/core/frame.py", line 4102, in __getitem__
    indexer = self.columns.get_loc(key)
  File "/usr/lib/python3.11/json/decoder.py", line 3, in decode
    return scan(text)
KeyError: 'tenure_days'
"""
JAVA = """org.apache.spark.sql.AnalysisException: cannot resolve 'amount'
\tat com.acme.features.Build.run(Build.java:12)
\tat app//com.acme.Main.main(Main.scala:7)
"""
DBT = """Database Error in model stg_orders (models/staging/stg_orders.sql)
  Binder Error: Referenced column "tenure" not found in FROM clause!
  Candidate bindings: "tenure_months"
"""


def test_a_traceback_names_files_columns_and_packages() -> None:
    said = said_in(PYTHON)

    assert said.files == (("app", "src", "train.py"), ("app", "src", "churn", "features.py"))
    assert said.installed == (("pandas", "core", "frame.py"),)
    assert said.packages == {"pandas"}
    assert {"tenure", "tenure_days"} <= said.names


def test_the_innermost_call_comes_last_whatever_the_language() -> None:
    assert said_in(JAVA).files == (("com", "acme", "Main.scala"), ("com", "acme", "features", "Build.java"))
    script = "Error: x\n    at load (/srv/app/lib/load.js:3:9)\n    at main (/srv/app/index.js:1:1)\n"
    assert [file[-1] for file in said_in(script).files] == ["index.js", "load.js"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (JAVA, {"amount"}),
        (DBT, {"tenure", "tenure_months", "stg_orders"}),
        ("Catalog Error: Table with name orders does not exist!", {"orders"}),
        ("drifted alertname=Drift feature=tenure severity=warning", {"tenure"}),
        ("column o.amount does not exist", {"o.amount", "amount"}),
        ("Feature Tenure drifted", {"tenure"}),
        ("batch_size must be less than maxLength", {"batch_size", "maxlength"}),
    ],
)
def test_what_is_named_is_read(text: str, named: set[str]) -> None:
    assert said_in(text).names == named


@pytest.mark.parametrize("text", ["", "it's slow, and I don't know", "loss is nan at step 300", "1.5 of 2"])
def test_plain_words_name_nothing(text: str) -> None:
    assert said_in(text) == said_in("")


@pytest.mark.parametrize("text", ["module 'numpy' has no attribute 'float'", "No module named 'numpy'"])
def test_modules_are_packages(text: str) -> None:
    assert named_packages(said_in(text), ["numpy", "torch"]) == ["numpy"]


@pytest.mark.parametrize(
    ("said", "installed"),
    [
        ("cannot import name 'build' from 'sklearn' (/x/__init__.py)", "scikit-learn"),
        ("No module named 'cv2'", "opencv-python"),
        ("No module named 'yaml'", "PyYAML"),
    ],
)
def test_packages_are_named_as_they_are_imported(said: str, installed: str) -> None:
    assert named_packages(said_in(f"ImportError: {said}"), [installed, "numpy"]) == [installed]


def test_packages_are_called_alike_however_they_are_spelled() -> None:
    said = said_in('File "/venv/lib/python3.11/site-packages/typing_extensions.py", line 3, in x')
    assert named_packages(said, ["typing-extensions", "typing"]) == ["typing-extensions"]


@pytest.mark.parametrize(
    ("path", "file", "same"),
    [
        ("src/churn/features.py", "app/src/churn/features.py", True),
        ("churn/features.py", "app/src/churn/features.py", True),
        ("services/churn/features.py", "app/src/churn/features.py", True),
        ("train.py", "home/ci/train.py", True),
        ("churn/train.py", "train.py", True),
        ("other/features.py", "app/src/churn/features.py", False),
        ("src/churn/__init__.py", "__init__.py", False),
        ("src/churn/features.py", "app/src/churn/feature.py", False),
    ],
)
def test_files_are_the_same_where_the_ends_of_their_paths_are(path: str, file: str, same: bool) -> None:
    assert is_named(path, file.split("/")) is same


def test_an_installed_file_has_to_agree_as_a_whole() -> None:
    assert is_named("src/churn/features.py", ["churn", "features.py"], installed=True)
    assert not is_named("src/core/frame.py", ["pandas", "core", "frame.py"], installed=True)


def test_the_innermost_named_file_comes_first() -> None:
    touched = ["README.md", "src/train.py", "src/churn/features.py"]
    assert named_files(said_in(PYTHON), touched) == [("src/churn/features.py", True), ("src/train.py", False)]


def test_words_and_data_that_are_named() -> None:
    said = said_in(DBT)
    assert named_words(said, "Rename tenure to tenure_months, and again tenure") == [
        "tenure",
        "tenure_months",
    ]
    assert named_data(said, "warehouse/stg_orders") and named_data(said, "data/stg_orders.parquet")
    assert not named_data(said, "warehouse/orders")
