"""Signatures: what is accidental is masked, what tells failures apart stays."""

from __future__ import annotations

from app.learnings.signature import signature, template, terms

TRACEBACK = """Traceback (most recent call last):
  File "/home/ann/churn/train.py", line 41, in main
    model.fit(load_features(path))
  File "/srv/conda/lib/features.py", line 7, in load_features
    return frame["customer_age"]
KeyError: 'customer_age'
"""


def test_two_machines_one_signature() -> None:
    other = TRACEBACK.replace("/home/ann", "/Users/bo").replace("line 41", "line 52")

    assert signature(TRACEBACK) == signature(other)


def test_a_traceback_says_what_where_and_how() -> None:
    found = signature(TRACEBACK)

    assert found.exceptions == ("KeyError",)
    assert found.frames == ("train.py:main", "features.py:load_features")
    assert found.templates == ("keyerror: <str>",)


def test_messages_differ_in_words_only() -> None:
    one = template("Failed to read /data/a.parquet after 3 tries at 0x7f3a: got (32, 10), expected '7'")
    two = template("Failed to read C:\\data\\b.parquet after 12 tries at 0x11: got (1, 2.5), expected '8'")

    assert one == two == "failed to read <path> after <n> tries at <hex>: got (<n>, <n>), expected <str>"


def test_names_count_whole_and_in_parts_and_words_by_their_stem() -> None:
    assert terms("load_features crashed") == ["load", "featur", "load_features", "crash"]
    assert terms("GradScaler.step") == ["grad", "scaler", "step", "gradscaler.step"]


def test_versions_are_entities() -> None:
    assert signature("torch 2.3.1 on CUDA: 12.1").versions == ("torch 2.3.1", "cuda 12.1")
