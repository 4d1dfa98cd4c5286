"""Great Expectations, Evidently and whylogs: what the real tools wrote becomes checks, tied to the data."""

from __future__ import annotations

import json
import random
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Keyed, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import Source as Writer
from graph_schema.times import parse_time
from graph_schema.values import NOW, Node
from ingestors import deployments, registry, tables
from ingestors.loop import Policy, ingest
from ingestors.report import DEAD_LETTERS, Report
from ingestors.source import Source, SourceError
from ingestors.sources.whylogs import profile
from tests.contract.harness import edges_from, node, record, write
from tests.sources import checkers
from tests.sources.mutations import mutated

MD5, OTHER = "1bc29b36f623ba82aaf6724fd3b16718", "4cb3f3b8a7be4ec7d07a1b0f1c0d9e8f"
SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
ROWS = {"id": [1, 2, 3, 4], "amount": [1.0, None, -3.0, 900.0], "region": ["eu", "us", "eu", "us"]}
GOOD = {"id": [1, 2], "amount": [1.0, 2.0], "region": ["eu", "us"]}
WRITER = Writer("other", "openlineage")


def source(type_name: str, path: Path, **config: Any) -> Source:
    return registry.build({"type": type_name, "name": "quality", "path": str(path), **config}, path.parent)


def pull(store: SqliteStore, type_name: str, path: Path, **config: Any) -> Report:
    report = ingest(store, source(type_name, path, **config), policy=Policy(attempts=1))
    assert report.error is None, report.error
    return report


def check(store: SqliteStore, path: str) -> Node:
    return node(store, f"check@quality={path}")


def checked(store: SqliteStore, subject: str) -> set[str]:
    """The checks of a subject, by what stands behind the equals sign."""
    edges = edges_from(store, [node(store, subject).handle], NOW, (EdgeKind.CHECKED_BY,))
    return {edge.dst.partition("=")[2] for edge in edges if edge.kind is EdgeKind.CHECKED_BY}


_FOLDER = "gx/uncommitted/validations"


@pytest.fixture(scope="session")
def gx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two runs of a checkpoint; beside them a result whose meta names the data."""
    root = tmp_path_factory.mktemp("gx") / "project"
    meta = {"dvc.md5": MD5, "mlflow.model_version": "churn/3"}
    runs = [("2026-01-02T03:04:05+00:00", GOOD), ("2026-01-03T03:04:05+00:00", ROWS)]
    checkers.great_expectations(root, root.parent / "named.json", meta, *runs)
    (root.parent / "named.json").rename(root / _FOLDER / "named.json")
    return root


def test_a_validation_result_is_a_check_of_the_data_that_its_meta_names(store: SqliteStore, gx: Path) -> None:
    write(store, Writer("tracking", "mlflow"), record(
        "v3", Names(NodeKind.MODEL_VERSION, ("mlflow.model_version@tracking=churn/3",))
    ))  # fmt: skip

    report = pull(store, "great_expectations", gx / _FOLDER)

    said = check(store, "named.json")
    assert report.dead_letters == 0 and report.items == 3
    assert said.name == "users_quality" and said.properties["stream"] == "users_quality/users"
    assert said.properties["status"] == "FAILED" and said.properties["severity"] == "critical"
    assert said.properties["kind"] == "data_quality" and said.properties["kinds"] == [
        "data_quality",
        "schema",
    ]
    assert said.properties["failures"] == [
        "expect_column_min_to_be_between(nope)",
        "expect_column_values_to_not_be_null(amount)",
        "expect_column_mean_to_be_between(amount)",
        "expect_column_values_to_be_between(amount) [region=eu]",
    ]
    assert (said.properties["evaluated"], said.properties["failed"]) == (6, 4)
    assert said.properties["columnStatistics"] == {
        "amount": {"mean": pytest.approx(898 / 3), "nullFraction": 0.25}
    }
    assert said.properties["metrics"]["rowCount"] == 4
    mean = next(each for each in said.properties["results"] if "mean" in each["name"])
    assert mean["threshold"] == "between 0 and 100" and mean["value"] == pytest.approx(898 / 3)
    broken = next(each for each in said.properties["results"] if each["column"] == "nope")
    assert broken["status"] == "ERROR" and 'The column "nope"' in broken["text"]
    parts = {f"named.json#{part}" for part in ("data_quality", "data_quality:region=eu", "schema")}
    # The server of the model version was not said: one matches.
    for subject in (f"dvc.md5={MD5}", "mlflow.model_version=churn/3"):
        assert checked(store, subject) == {"named.json", *parts}
    assert check(store, "named.json#data_quality:region=eu").properties["segment"] == "region=eu"
    assert check(store, "named.json#schema").properties["status"] == "PASSED"
    assert node(store, f"dvc.md5={MD5}").properties["columnStatistics"]["amount"]["nullFraction"] == 0.25


def test_what_a_checkpoint_keeps_has_the_time_of_its_run(store: SqliteStore, gx: Path) -> None:
    pull(store, "great_expectations", gx / _FOLDER, include=["users_quality/*"])

    found = store.find(NodeKind.CHECK, first=100).items
    whole = {n.properties["checkedAt"]: n for n in found if "partOf" not in n.properties}
    assert set(whole) == {"2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"}
    assert whole["2026-01-02T03:04:05Z"].created_at == parse_time("2026-01-02T03:04:05Z")
    # The column that is not there fails in both.
    assert [n.properties["failed"] for _, n in sorted(whole.items())] == [1, 4]


def test_the_configuration_names_what_was_checked_where_the_tool_does_not(
    store: SqliteStore, gx: Path
) -> None:
    table, me = "postgres://db/public.users", "openlineage.run_id=0190f2a4-6b1c-7def-8123-456789abcdef"
    first, second = (tables.version(table, f"{n}") for n in (1, 2))
    times = [parse_time(f"2026-01-0{day}T00:00:00Z") for day in (2, 3)]
    write(store, WRITER, record("w", Names(NodeKind.JOB_RUN, (me,)), *(
        claim for state, at in zip((first, second), times, strict=True)
        for claim in (Names(NodeKind.DATASET_VERSION, (state,)), tables.written(table, state, at, me))
    )))  # fmt: skip

    pull(store, "great_expectations", gx / _FOLDER, subjects={"users_quality": f"dataset={table}"},
         include=["users_quality/*"])  # fmt: skip

    day = "users_quality/nightly/2026010{}T030405.000000Z/files-users.json"
    for state, number in ((first, 2), (second, 3)):
        assert day.format(number) in checked(store, state)


def test_a_place_and_a_path_of_a_commit_are_subjects_too(
    store: SqliteStore, gx: Path, tmp_path: Path
) -> None:
    root = tmp_path / "results"
    root.mkdir()
    result = json.loads((gx / _FOLDER / "named.json").read_text())
    at = parse_time("2026-01-05T00:00:00Z")
    result["meta"].pop("dvc.md5"), result["meta"].pop("mlflow.model_version")
    result["meta"] |= {
        "git.sha": SHA,
        "dvc.path": "data/users.csv",
        "deployment": "churn",
        "environment": "prod",
    }
    result["meta"]["validation_time"] = "2026-01-06T00:00:00Z"
    (root / "a.json").write_text(json.dumps(result))
    released = deployments.deployed(
        "deployment@k=prod/churn@1", environment="prod", name="churn", scope="k", at=at,
        of=[(NodeKind.MODEL_VERSION, "mlflow.model_version@t=churn/3")],
    )  # fmt: skip
    tree = [
        Names(NodeKind.DATASET_VERSION, (f"dvc.md5={MD5}",)),
        Keyed("tree", SHA, "tree", f"git.sha={SHA}", data={"state": "s"}),
        Keyed("tree_state", "s", "file", f"dvc.md5={MD5}", data={"path": "data/users.csv"}),
        Names(NodeKind.COMMIT, (f"git.sha={SHA}",)),
        Links(EdgeKind.INTRODUCED, f"git.sha={SHA}", f"dvc.md5={MD5}"),
    ]
    write(store, WRITER, record("d", *released), record("t", *tree))

    pull(store, "great_expectations", root)

    for subject in (f"dvc.md5={MD5}", "deployment=prod/churn@1"):
        assert "a.json" in checked(store, subject)
    deployment = node(store, "deployment=prod/churn@1").handle
    found = edges_from(store, [deployment], NOW, (EdgeKind.CHECKED_BY,))
    (edge,) = [each for each in found if each.dst.endswith("=a.json")]
    assert edge.evidence == (
        "stood in prod/churn since 2026-01-05T00:00:00Z with all of the traffic; "
        "it was checked at 2026-01-06T00:00:00Z"
    )


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evidently") / "workspace"
    attributions = {"kinlore.kind": "attribution_drift", "kinlore.stream": "shap", "mlflow.run_id": "run1"}
    checkers.evidently(root, {"dvc.md5": MD5, "shift": 3}, {**attributions, "shift": 0})
    return root


def whole(store: SqliteStore) -> dict[str, Node]:
    """The checks that are a file each, by stream."""
    found = store.find(NodeKind.CHECK, first=100).items
    return {n.properties["stream"]: n for n in found if "partOf" not in n.properties}


def test_a_snapshot_is_a_check_with_parts_by_kind_and_segment(store: SqliteStore, workspace: Path) -> None:
    report = pull(store, "evidently", workspace)

    said = whole(store)["churn/nightly"]
    assert report.items == 3
    assert said.properties["status"] == "FAILED" and said.properties["project"] == "churn"
    assert said.properties["kinds"] == ["data_drift", "data_quality", "model_quality"]
    assert said.properties["warnings"] == 1
    drift = next(each for each in said.properties["results"] if each["name"] == "ValueDrift.drift")
    assert drift["status"] == "FAILED" and drift["threshold"].startswith("K-S p_value, threshold 0.05")
    accuracy = next(each for each in said.properties["results"] if each["kind"] == "model_quality")
    assert (accuracy["value"], accuracy["threshold"]) == (0.75, "ge 0.9")
    assert said.properties["metrics"]["Accuracy"] == 0.75
    assert said.properties["columnStatistics"] == {"amount": {"nullFraction": 0}}
    parts = {name.partition("#")[2] for name in checked(store, f"dvc.md5={MD5}") if "#" in name}
    assert parts == {
        "data_drift", "data_quality", "data_quality:region=eu", "data_quality:region=us", "model_quality"
    }  # fmt: skip


def test_its_author_may_say_what_kind_of_check_it_is(store: SqliteStore, workspace: Path) -> None:
    pull(store, "evidently", workspace)

    said = whole(store)["shap"]
    assert said.properties["kind"] == "attribution_drift" and said.properties["status"] == "PASSED"
    assert checked(store, "mlflow.run_id=run1") == {said.id.partition("=")[2]}


def test_what_is_no_snapshot_is_left_out_and_what_lacks_its_time_says_so(
    store: SqliteStore, workspace: Path
) -> None:
    report = pull(store, "evidently", workspace)

    (letter,) = [value for _, value in store.service(DEAD_LETTERS)]
    assert report.dead_letters == 1 and "save_json" in letter["reason"]


def test_its_times_are_of_the_place_that_is_configured(store: SqliteStore, workspace: Path) -> None:
    pull(store, "evidently", workspace)
    in_utc = whole(store)["shap"].created_at
    pull(store, "evidently", workspace, timezone="Asia/Tokyo")
    report = ingest(store, source("evidently", workspace, timezone="Asia/Tokyo"), full=True)

    assert report.error is None
    assert (in_utc or 0) - (whole(store)["shap"].created_at or 0) == 9 * 3600 * 1_000_000
    with pytest.raises(BadInput, match="timezone: the name of a time zone"):
        source("evidently", workspace, timezone="Mars/Base")


@pytest.fixture(scope="session")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    root = tmp_path_factory.mktemp("whylogs") / "profiles"
    said = {"dvc.md5": MD5, "name": "users"}
    return root, checkers.whylogs(root, "2026-01-02T03:04:05+00:00", ROWS, said)


Profiled = tuple[Path, dict[str, dict[str, Any]]]


def test_a_profile_gives_the_statistics_that_whylogs_itself_reads(
    store: SqliteStore, profiled: Profiled
) -> None:
    root, view = profiled

    pull(store, "whylogs", root)

    said = check(store, "users.bin").properties["columnStatistics"]
    assert said == node(store, f"dvc.md5={MD5}").properties["columnStatistics"]
    for column in ("id", "amount"):
        for ours, theirs in checkers.OF_WHYLOGS.items():
            assert said[column][ours] == pytest.approx(view[theirs][column]), (column, ours)
    assert said["amount"]["nullFraction"] == 0.25
    assert said["region"] == {"count": 4, "nulls": 0, "nullFraction": 0, "string": 4}
    profile_check = check(store, "users.bin")
    assert profile_check.properties["status"] == "UNKNOWN" and profile_check.properties["kind"] == "profile"
    assert profile_check.created_at == parse_time("2026-01-02T03:04:05Z")


def test_a_profile_of_a_segment_is_one_and_says_nothing_of_the_whole(
    store: SqliteStore, profiled: Profiled
) -> None:
    pull(store, "whylogs", profiled[0])

    found = store.find(NodeKind.CHECK, first=100).items
    segments = {n.properties["segment"]: n for n in found if "segment" in n.properties}
    assert set(segments) == {"region=eu", "region=us"}
    assert segments["region=eu"].properties["columnStatistics"]["amount"]["mean"] == -1
    assert segments["region=us"].properties["columnStatistics"]["amount"]["max"] == 900


def test_constraints_are_a_check_beside_the_profile(store: SqliteStore, profiled: Profiled) -> None:
    pull(store, "whylogs", profiled[0])

    said = check(store, "users.constraints.json").properties
    assert said["status"] == "FAILED" and said["failures"] == ["amount has no missing values"]
    assert checked(store, f"dvc.md5={MD5}") == {"users.bin", "users.constraints.json"}


def test_a_broken_profile_is_refused_wherever_it_is_cut(profiled: Profiled) -> None:
    content = (profiled[0] / "users.bin").read_bytes()
    chance = random.Random(0)
    for _ in range(300):
        end = chance.randrange(4, len(content))
        try:
            profile.read(content[:end])
        except BadInput:
            continue
    for _ in range(300):
        broken = bytearray(content)
        for _ in range(3):
            broken[chance.randrange(4, len(broken))] = chance.randrange(256)
        try:
            found = profile.read(bytes(broken))
        except BadInput:
            continue
        assert isinstance(found.columns, dict)


FOLDERS = ("great_expectations", "evidently", "whylogs")


@pytest.fixture
def folder_of(gx: Path, workspace: Path, profiled: Profiled, tmp_path: Path) -> Any:
    """A folder of results of a type, to change."""

    def copy(type_name: str) -> Path:
        place = {"great_expectations": gx / _FOLDER, "evidently": workspace, "whylogs": profiled[0]}[
            type_name
        ]
        copytree(place, tmp_path / type_name)
        return tmp_path / type_name

    return copy


@pytest.mark.parametrize("type_name", FOLDERS)
def test_pulled_again_nothing_changes_and_what_was_deleted_is_gone(
    store: SqliteStore, folder_of: Any, type_name: str
) -> None:
    root = folder_of(type_name)
    pull(store, type_name, root)
    before = store.digest()

    again = pull(store, type_name, root)
    full = ingest(store, source(type_name, root), full=True)

    assert again.items == 0 and again.changes == 0
    assert full.changes == 0 and store.digest() == before
    others = ("metadata.json", "plain.json")
    files = [f for f in sorted(root.rglob("*")) if f.suffix in (".json", ".bin") and f.name not in others]
    files[0].unlink()
    gone = pull(store, type_name, root)
    assert gone.retired == 1
    (node_gone,) = [
        n for n in store.find(NodeKind.CHECK, first=100).items
        if n.gone_at is not None and "partOf" not in n.properties
    ]  # fmt: skip
    assert node_gone.id == f"check@quality={files[0].relative_to(root).as_posix()}"


@pytest.mark.parametrize("type_name", FOLDERS)
def test_whatever_stands_in_a_file_the_others_are_read(
    store: SqliteStore, folder_of: Any, type_name: str
) -> None:
    root = folder_of(type_name)
    chance = random.Random(type_name)
    originals = [f for f in sorted(root.rglob("*.json")) if f.stat().st_size < 500_000]
    for number in range(60):
        body = mutated(json.loads(chance.choice(originals).read_text()), chance, times=3)
        text = json.dumps(body).encode(errors="surrogatepass")
        (root / f"z{number}.json").write_bytes(text)
    (root / "deep.json").write_text("[" * 100_000)
    (root / "link.json").symlink_to("/etc/passwd")

    report = ingest(store, source(type_name, root), policy=Policy(attempts=1, reject_share=1.0))

    assert report.error is None, report.error
    assert len(whole(store)) >= 1
    assert store.resolve("check@quality=link.json") == []


def test_a_folder_that_is_not_there_and_a_subject_that_names_nothing_are_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no folder"):
        list(source("whylogs", tmp_path / "none").pull(None, now=1))
    with pytest.raises(BadInput, match="subjects: 'users' is given 'table=users'; write one of"):
        source("whylogs", tmp_path, subjects={"users": "table=users"})


def test_init_finds_their_folders(gx: Path, workspace: Path, profiled: Profiled) -> None:
    for type_name, folder in zip(FOLDERS, (gx, workspace.parent, profiled[0].parent), strict=True):
        (found,) = registry.source_class(type_name).discover(folder, {})
        assert (folder / str(found.config["path"])).is_dir()
