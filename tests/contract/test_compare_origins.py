"""What two things came from, side by side: data sets, stages, code as a range of commits, runtimes."""

from __future__ import annotations

import pytest

from app.lineage.compare import Comparison, compare
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from ingestors import joins
from tests.contract.conftest import Fresh
from tests.contract.harness import EPOCH, SECOND, TRACKING

E, K = EdgeKind, NodeKind
REPOSITORY = "git.remote=example.com/acme/churn"
GOOD, BAD = "mlflow.run_id=good", "mlflow.run_id=bad"


def commit(number: int) -> str:
    return f"git.sha={number:040x}"


def data(name: str, number: int) -> str:
    return f"dvc.md5={_DIGESTS[name]}{number:030x}"


_DIGESTS = {"raw.csv": "aa", "features.csv": "bb", "regions.csv": "cc"}


def version(name: str, number: int) -> list[Claim]:
    me, dataset = data(name, number), f"dataset=example.com/acme/churn/{name}"
    return [
        Names(K.DATASET_VERSION, (me,)),
        States(K.DATASET_VERSION, me, {"name": f"{name}@{number}", "path": name}),
        States(K.DATASET, dataset, {"name": name}),
        Links(E.HAS, dataset, me),
    ]


def derived(number: int, window: int) -> Links:
    about = {"stage": "featurize", "params": {"params.yaml": {"window": window}}}
    return Links(E.DERIVED_INTO, data("raw.csv", number), data("features.csv", number), EPOCH, None, about)


def runtime(digest: str, packages: dict[str, str], **parts: object) -> list[Claim]:
    return [States(K.RUNTIME, f"runtime={digest * 64}", {"packages": packages, "platform": "Linux", **parts})]


def write(store: GraphStore, *claims: Claim) -> None:
    store.transact(lambda tx: joins.apply(tx, TRACKING, [Record("all", "thing", 1, claims)]))


def one(store: GraphStore, text: str) -> int:
    (handle,) = store.resolve(text)
    return handle


def between(store: GraphStore, left: str, right: str) -> Comparison:
    return compare(store, one(store, left), one(store, right))


def told(answer: Comparison) -> dict[str, tuple[object, object, float]]:
    return {each.path: (each.left, each.right, each.weight) for each in answer.differences}


def history() -> list[Claim]:
    """0 ── 1 ── 2 ──── 5 ── 6, and 3 ── 4 from 1, merged into 5; 7 stands on 2 alone."""
    parents = {1: [0], 2: [1], 3: [1], 4: [3], 5: [2, 4], 6: [5], 7: [2]}
    claims: list[Claim] = [States(K.REPOSITORY, REPOSITORY, {"name": "churn"})]
    for number in range(8):
        me = commit(number)
        claims += [
            States(K.COMMIT, me, {"name": f"c{number}", "createdAt": EPOCH + number * SECOND}),
            Links(E.HAS, REPOSITORY, me),
            *(Links(E.PRECEDES, commit(parent), me) for parent in parents.get(number, ())),
        ]
    return claims


def ran(run: str, code: int, dirty: bool | None = None, diff: str | None = None) -> list[Claim]:
    about = {k: v for k, v in (("dirty", dirty), ("diff", diff)) if v is not None}
    return [Names(K.RUN, (run,)), Links(E.CODE_FOR, commit(code), run, EPOCH, properties=about or None)]


@pytest.fixture
def store(fresh: Fresh) -> GraphStore:
    return fresh()


def test_data_that_changed_comes_before_what_was_made_from_it(store: GraphStore) -> None:
    write(
        store,
        *(claim for name in ("raw.csv", "features.csv") for n in (1, 2) for claim in version(name, n)),
        *version("regions.csv", 1),
        derived(1, 3), derived(2, 3),
        Names(K.RUN, (GOOD,)), Names(K.RUN, (BAD,)),
        Links(E.INPUT_TO, data("features.csv", 1), GOOD, EPOCH),
        Links(E.INPUT_TO, data("features.csv", 2), BAD, EPOCH),
        Links(E.INPUT_TO, data("regions.csv", 1), BAD, EPOCH),
    )  # fmt: skip

    answer = between(store, GOOD, BAD)

    assert [(each.path, each.weight) for each in answer.differences] == [
        ("data.raw.csv", 1.0),
        ("data.regions.csv", 1.0),
        ("data.features.csv", 0.5),
        ("structure.DatasetVersion INPUT_TO Run", 0.4),
    ]
    assert [each.text for each in answer.differences[:3]] == [
        "data raw.csv changed from raw.csv@1 to raw.csv@2",
        "only the right side goes back to data regions.csv: regions.csv@1",
        "data features.csv changed from features.csv@1 to features.csv@2, as what it was made from differs",
    ]


def test_parameters_of_a_stage_explain_data_that_differs(store: GraphStore) -> None:
    same = Links(
        E.DERIVED_INTO, data("raw.csv", 1), data("features.csv", 2), EPOCH, None,
        {"stage": "featurize", "params": {"params.yaml": {"window": 6}}},
    )  # fmt: skip
    write(
        store, *version("raw.csv", 1), *version("features.csv", 1), *version("features.csv", 2),
        derived(1, 3), same,
        Names(K.RUN, (GOOD,)), Names(K.RUN, (BAD,)),
        Links(E.INPUT_TO, data("features.csv", 1), GOOD, EPOCH),
        Links(E.INPUT_TO, data("features.csv", 2), BAD, EPOCH),
    )  # fmt: skip

    assert told(between(store, GOOD, BAD)) == {
        "data.features.csv": ("features.csv@1", "features.csv@2", 1.0),
        "params.window": (3, 6, 1.0),
    }


def test_tables_without_content_say_that_nobody_knows(store: GraphStore) -> None:
    claims: list[Claim] = [States(K.DATASET, "dataset=warehouse/calls", {"name": "calls"})]
    for run, writer in ((GOOD, "1" * 8), (BAD, "2" * 8)):
        me = f"openlineage.dataset_version=warehouse/calls@{writer}-0000-4000-8000-000000000000"
        claims += [
            Names(K.DATASET_VERSION, (me,)),
            Links(E.HAS, "dataset=warehouse/calls", me),
            Names(K.RUN, (run,)),
            Links(E.INPUT_TO, me, run, EPOCH),
        ]
    write(store, *claims)

    (found,) = between(store, GOOD, BAD).differences

    assert (found.path, found.weight) == ("data.calls", 0.3)
    assert found.text is not None and found.text.endswith("whether the content differs nobody says")


@pytest.mark.parametrize(
    ("left", "right", "added", "removed", "text"),
    [
        (1, 2, ["c2"], [], "1 commit later: c2"),
        (2, 6, ["c6", "c5", "c4", "c3"], [], "4 commits later: c6; c5; c4; and 1 more"),
        (6, 4, [], ["c6", "c5", "c2"], "3 commits earlier: c6; c5; c2"),
        (4, 7, ["c7", "c2"], ["c4", "c3"],
         "2 commits only on the right: c7; c2; 2 commits only on the left: c4; c3"),
    ],
)  # fmt: skip
def test_code_is_a_range_of_commits(
    store: GraphStore, left: int, right: int, added: list[str], removed: list[str], text: str
) -> None:
    write(store, *history(), *ran(GOOD, left), *ran(BAD, right))

    answer = between(store, GOOD, BAD)

    (found,) = answer.code
    assert [node.name for node in found.added] == added and found.added_count == len(added)
    assert [node.name for node in found.removed] == removed and found.removed_count == len(removed)
    assert found.complete and found.repository is not None and found.repository.name == "churn"
    (said,) = answer.differences
    assert (said.path, said.left, said.right, said.text) == ("code.churn", f"c{left}", f"c{right}", text)


def test_commits_that_brought_the_data_matter_less_than_the_data(store: GraphStore) -> None:
    write(
        store, *history(), *ran(GOOD, 1), *ran(BAD, 2), *version("raw.csv", 1), *version("raw.csv", 2),
        Links(E.INPUT_TO, data("raw.csv", 1), GOOD, EPOCH),
        Links(E.INPUT_TO, data("raw.csv", 2), BAD, EPOCH),
        Links(E.INTRODUCED, commit(2), data("raw.csv", 2), EPOCH),
    )  # fmt: skip

    answer = between(store, GOOD, BAD)

    assert [(each.path, each.weight) for each in answer.differences] == [
        ("data.raw.csv", 1.0),
        ("code.churn", 0.6),
    ]


def test_code_of_the_one_that_is_history_of_the_other(store: GraphStore) -> None:
    """Commit 1 was the code of one run, and brought the data of both."""
    write(
        store, *history(), *ran(GOOD, 1), *ran(BAD, 2), *version("raw.csv", 1),
        Links(E.INPUT_TO, data("raw.csv", 1), GOOD, EPOCH),
        Links(E.INPUT_TO, data("raw.csv", 1), BAD, EPOCH),
        Links(E.INTRODUCED, commit(1), data("raw.csv", 1), EPOCH),
    )  # fmt: skip

    assert told(between(store, GOOD, BAD)) == {"code.churn": ("c1", "c2", 0.9)}


@pytest.mark.parametrize(
    ("left", "right", "differs"),
    [
        ((False, None), (True, "f" * 64), {"code.dirty": (False, True, 0.8)}),
        ((True, "e" * 64), (True, "f" * 64), {"code.diff": ("e" * 64, "f" * 64, 0.8)}),
        ((True, "f" * 64), (True, "f" * 64), {}),
    ],
)
def test_uncommitted_changes(
    store: GraphStore,
    left: tuple[bool, str | None],
    right: tuple[bool, str | None],
    differs: dict[str, tuple[object, object, float]],
) -> None:
    write(store, *history(), *ran(GOOD, 1, *left), *ran(BAD, 1, *right))

    assert told(between(store, GOOD, BAD)) == differs


def test_runtimes_part_by_part(store: GraphStore) -> None:
    write(
        store,
        *runtime("a", {"numpy": "1.26.4", "torch": "2.3.0"}, python="3.11.9", cpus=8, lock="1" * 64),
        *runtime("b", {"numpy": "2.0.0", "torch": "2.3.0"}, python="3.11.9", gpus=["A100"], lock="1" * 64),
        Names(K.RUN, (GOOD,)), Names(K.RUN, (BAD,)),
        Links(E.RUNTIME_OF, "runtime=" + "a" * 64, GOOD, EPOCH),
        Links(E.RUNTIME_OF, "runtime=" + "b" * 64, BAD, EPOCH),
    )  # fmt: skip

    assert told(between(store, GOOD, BAD)) == {
        "runtime.gpus": (None, ["A100"], 0.7),
        "runtime.packages.numpy": ("1.26.4", "2.0.0", 0.7),
    }


def test_two_runtimes_differ_in_what_is_installed(store: GraphStore) -> None:
    write(
        store,
        *runtime("a", {"numpy": "1.26.4", "torch": "2.3.0"}, python="3.11.9"),
        *runtime("b", {"numpy": "2.0.0", "torch": "2.3.0"}, python="3.12.1"),
    )

    found = told(between(store, "runtime=" + "a" * 64, "runtime=" + "b" * 64))

    assert found["packages.numpy"][:2] == ("1.26.4", "2.0.0")
    assert found["python"][:2] == ("3.11.9", "3.12.1") and "packages.torch" not in found


def test_noise_comes_last_and_equal_content_is_no_difference(store: GraphStore) -> None:
    left = {
        "params": {"lr": "0.10", "out": "/tmp/run-1"},
        "metrics": {"auc": 0.8},
        "startedAt": "1",
    }
    right = {
        "params": {"lr": 0.1, "out": "/tmp/run-2"},
        "metrics": {"auc": 0.7},
        "startedAt": "2",
    }
    write(store, States(K.RUN, GOOD, left), States(K.RUN, BAD, right))

    answer = between(store, GOOD, BAD)

    assert [(each.path, each.weight) for each in answer.differences] == [
        ("metrics.auc", 0.8),
        ("params.out", 0.1),
        ("startedAt", 0.05),
    ]
