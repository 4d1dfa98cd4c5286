"""What MLflow's records say: the pure part, on answers as MLflow 3.17.2 gives them (recorded 2026-11-21)."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from graph_schema.claims import Claim, Finds, Keyed, Links, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import parse
from ingestors.source import Item
from ingestors.sources.mlflow import MLflowConfig, MLflowSource, shape
from ingestors.sources.mlflow.models import alias_claims, rename_claims, version_claims
from ingestors.sources.mlflow.names import Names, logged_in
from ingestors.sources.mlflow.questions import packages
from ingestors.sources.mlflow.runs import dirty, environment_claims, run_claims

RUN, SHA, MD5 = "a5e59cccd6bc496892ff499718623160", "3f" * 20, "1b" * 16
MODEL = "m-881333eb2371428682b6c7f963f7e8a4"
NAMES = Names("tracking", "https://user:pw@mlflow.example.com/base/")


def raw_run(
    tags: dict[str, str] | None = None, inputs: list[Any] | None = None, **info: Any
) -> dict[str, Any]:
    listed = [{"key": key, "value": value} for key, value in (tags or {}).items()]
    return {
        "info": {
            "run_uuid": RUN,
            "experiment_id": "1",
            "run_name": "p",
            "user_id": "root",
            "status": "FINISHED",
            "start_time": 1795248826209,
            "end_time": 1795248827459,
            "artifact_uri": f"mlflow-artifacts:/1/{RUN}/artifacts",
            "lifecycle_stage": "active",
            "run_id": RUN,
            **info,
        },
        "data": {"tags": listed},
        "inputs": {"dataset_inputs": inputs or []},
        "outputs": {},
    }


def read(source: str = '{"uri": "d.csv"}', kind: str = "local", **tags: str) -> dict[str, Any]:
    dataset = {"name": "dd", "digest": "2981c147", "source_type": kind, "source": source}
    return {"tags": [{"key": k, "value": v} for k, v in tags.items()], "dataset": dataset}


def claims_of(raw: dict[str, Any]) -> list[Claim]:
    return run_claims(shape.run(raw), NAMES)


def properties_of(raw: dict[str, Any]) -> dict[str, Any]:
    (found,) = [c.properties for c in claims_of(raw) if isinstance(c, States)]
    return found


def trees(raw: dict[str, Any]) -> list[dict[str, Any] | None]:
    return [c.data for c in claims_of(raw) if isinstance(c, Keyed) and c.rule == "tree"]


def version(**given: Any) -> dict[str, Any]:
    raw = {"name": "churn", "version": "3", "creation_timestamp": 5, "current_stage": "None", **given}
    return {**shape.model_version(raw), "aliases": [], "previous": None}


def origins(**given: Any) -> set[tuple[str, str]]:
    kinds = (EdgeKind.PRODUCED, EdgeKind.REGISTERED_AS)
    claims = version_claims(version(**given), NAMES)
    return {(c.src, c.kind.value) for c in claims if isinstance(c, Links) and c.kind in kinds}


# --- shape ---------------------------------------------------------------------------------------------


def test_metrics_keep_the_latest_value_and_spell_what_is_no_number() -> None:
    entries = [
        {"key": "loss", "value": "NaN", "timestamp": "20", "step": "1"},
        {"key": "loss", "value": 0.5, "timestamp": "10", "step": "9"},
        {"key": "high", "value": 1.7976931348623157e308, "timestamp": 1},
        {"key": "low", "value": -1.7976931348623157e308, "timestamp": 1},
        {"key": "zero", "timestamp": 1},
    ]

    found = shape.metrics(entries)

    assert found == {"loss": "NaN", "high": "Infinity", "low": "-Infinity", "zero": 0.0}


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ('{"uri": "s3://b/k"}', "s3://b/k"),
        ('{"url": "https://x/y"}', "https://x/y"),
        ('{"path": "/dbfs/x"}', "/dbfs/x"),
        ('{"tags": {}}', ""),
        ("not json", "not json"),
        (None, ""),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_the_source_of_a_data_set_is_read_from_its_json(source: Any, address: str) -> None:
    assert shape.dataset_input({"dataset": {"source": source}})["source"] == address


def test_times_that_are_no_times_are_left_out() -> None:
    properties = properties_of(raw_run(start_time=2**62, end_time=0))

    assert "startedAt" not in properties
    assert "createdAt" not in properties
    assert "endedAt" not in properties


# --- runs ----------------------------------------------------------------------------------------------


def test_addresses_carry_no_credentials() -> None:
    assert properties_of(raw_run())["url"] == f"https://mlflow.example.com/base/#/experiments/1/runs/{RUN}"
    assert Names("s", "sqlite:///x.db").page("experiments", "1") is None


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, None),
        ({"mlflow.source.git.dirty": "true"}, True),
        ({"mlflow.source.git.dirty": "False"}, False),
        ({"kinlore.dirty": "1"}, True),
        ({"mlflow.source.git.dirty": "perhaps"}, None),
        ({"mlflow.source.git.dirty": "false", "mlflow.source.git.diff": "--- a/x"}, True),
    ],
)
def test_whether_the_tree_was_dirty(tags: dict[str, str], expected: bool | None) -> None:
    assert dirty(tags) is expected


def test_a_path_joins_on_a_tree_that_nobody_called_dirty() -> None:
    inputs = [read(**{"dvc.path": "./data//x.csv", "mlflow.data.context": "training"})]
    commit = {"mlflow.source.git.commit": SHA.upper()}

    unknown = trees(raw_run(commit, inputs))
    clean = trees(raw_run({**commit, "mlflow.source.git.dirty": "false"}, inputs))
    changed = trees(raw_run({**commit, "mlflow.source.git.dirty": "true"}, inputs))
    without_commit = trees(raw_run({}, inputs))

    about = {"path": "data/x.csv", "pathFrom": "dvc.path", "context": "training", "name": "dd"}
    assert unknown == [about]
    assert clean == [{**about, "clean": True}]
    assert (changed, without_commit) == ([], [])


@pytest.mark.parametrize(
    "path", ["/abs/x.csv", "../x.csv", "a/../../x", "~/x", "s3://b/k", "C:\\x", "file:x", ".", " "]
)
def test_only_a_path_within_the_repository_is_one(path: str) -> None:
    commit = {"mlflow.source.git.commit": SHA}

    assert trees(raw_run(commit, [read(**{"dvc.path": path})])) == []


def test_content_that_is_no_md5_is_only_a_fact() -> None:
    raw = raw_run({}, [read(**{"dvc.md5": "latest"})])

    assert not any(isinstance(c, Links) and c.kind is EdgeKind.INPUT_TO for c in claims_of(raw))
    assert properties_of(raw)["inputs"][0]["dvcMd5"] == "latest"


def test_two_inputs_with_one_digest_are_not_one_data_set() -> None:
    raw = raw_run({}, [read(**{"dvc.md5": MD5}), read(**{"dvc.md5": f"{'2c' * 16}.dir"})])

    claims = claims_of(raw)

    inputs = {c.src for c in claims if isinstance(c, Links) and c.kind is EdgeKind.INPUT_TO}
    assert inputs == {f"dvc.md5={MD5}", f"dvc.md5={'2c' * 16}.dir"}
    assert sum(isinstance(c, Finds) and c.scheme == "mlflow.dataset_digest" for c in claims) == 2


def test_a_job_run_of_openlineage_has_the_run() -> None:
    tags = {"openlineage.run_id": "0190F2A4-6B1C-7DEF-8123-456789ABCDEF"}

    links = [c for c in claims_of(raw_run(tags)) if isinstance(c, Links)]

    assert "openlineage.run_id=0190f2a4-6b1c-7def-8123-456789abcdef" in {c.src for c in links}


def test_an_image_is_a_runtime_and_equal_images_are_one() -> None:
    tags = {"mlflow.docker.image.id": "sha256:abc"}

    one, two = claims_of(raw_run(tags)), claims_of(raw_run(tags, run_id="b" * 32))

    def runtimes(claims: list[Claim]) -> list[str]:
        return [c.src for c in claims if isinstance(c, Links) and c.kind is EdgeKind.RUNTIME_OF]

    assert len(runtimes(one)) == 1
    assert runtimes(one) == runtimes(two)


def test_an_environment_without_parts_says_nothing() -> None:
    data = {"model": MODEL, "run": RUN, "created": 1, "python": "", "requirementsDigest": "", "packages": []}

    assert environment_claims(data) == []
    assert packages("# lock\nnumpy==2  # pinned\n--index-url https://x\n-r other.txt\n\nzlib\n") == [
        "numpy==2",
        "zlib",
    ]


def test_every_identifier_is_in_its_normal_form() -> None:
    tags = {"mlflow.source.git.commit": SHA, "mlflow.parentRunId": "c" * 32}
    claims = claims_of(raw_run(tags, [read(**{"dvc.md5": MD5})]))
    claims += version_claims(version(name="naïve model, v=1%", source=f"models:/{MODEL}"), NAMES)

    named = {c.id for c in claims if isinstance(c, States)}
    named |= {end for c in claims if isinstance(c, Links) for end in (c.src, c.dst)}

    assert len(named) >= 7
    assert {str(parse(each)) for each in named} == named


def test_a_name_that_no_store_can_hold_is_refused() -> None:
    with pytest.raises(BadIdentifier, match="NUL"):
        version_claims(version(name="a\0b"), NAMES)


# --- models --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"source": f"models:/{MODEL}", "run_id": RUN}, {(f"mlflow.logged_model={MODEL}", "REGISTERED_AS")}),
        (
            {"source": f"mlflow-artifacts:/1/models/{MODEL}/artifacts"},
            {(f"mlflow.logged_model={MODEL}", "REGISTERED_AS")},
        ),
        ({"source": "s3://b/k", "model_id": MODEL}, {(f"mlflow.logged_model={MODEL}", "REGISTERED_AS")}),
        ({"source": f"runs:/{RUN}/model"}, {(f"mlflow.run_id={RUN}", "PRODUCED")}),
        ({"source": "s3://b/k", "run_id": RUN}, {(f"mlflow.run_id={RUN}", "PRODUCED")}),
        (
            {"source": "models:/base/2", "run_id": RUN},
            {
                ("mlflow.model_version@tracking=base/2", "REGISTERED_AS"),
                (f"mlflow.run_id={RUN}", "PRODUCED"),
            },
        ),
        ({"source": "models:/churn/3"}, set()),
        ({"source": "s3://b/k"}, set()),
        ({"source": "models:/base@champion"}, set()),
    ],
)
def test_where_a_version_comes_from(given: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    assert origins(**given) == expected


def test_a_base_model_is_followed_only_where_it_is_one_of_ours() -> None:
    def bases(value: str) -> list[str]:
        claims = version_claims(version(tags=[{"key": "base_model", "value": value}]), NAMES)
        return [c.src for c in claims if isinstance(c, Links) and c.kind is EdgeKind.BASE_OF]

    assert bases(MODEL) == [f"mlflow.logged_model={MODEL}"]
    assert bases("models:/churn/2") == ["mlflow.model_version@tracking=churn/2"]
    assert bases("meta-llama/Llama-3-8B") == []
    assert logged_in("m-1") is None


def test_stays_of_several_aliases_merge_into_one_object() -> None:
    stay = {"name": "churn", "version": "3", "notBefore": None, "until": None}

    found: dict[str, Any] = {}
    for alias, seen_at in (("champion", 1_000_000), ("prod", 1_000_000), ("champion", 5_000_000)):
        claim, *_ = alias_claims({**stay, "alias": alias, "seenAt": seen_at}, NAMES)
        assert isinstance(claim, States)
        found |= claim.properties["aliasHistory"]

    assert found == {
        "champion@1000000": {"name": "champion", "seenAt": 1_000_000},
        "prod@1000000": {"name": "prod", "seenAt": 1_000_000},
        "champion@5000000": {"name": "champion", "seenAt": 5_000_000},
    }


def test_a_rename_says_why() -> None:
    claims = rename_claims({"old": "a", "new": "b", "versions": ["1", "2"]}, NAMES)

    assert [(c.src, c.dst) for c in claims if isinstance(c, Links)] == [
        ("mlflow.model@tracking=a", "mlflow.model@tracking=b"),
        ("mlflow.model_version@tracking=a/1", "mlflow.model_version@tracking=b/1"),
        ("mlflow.model_version@tracking=a/2", "mlflow.model_version@tracking=b/2"),
    ]
    assert all(isinstance(c, Links) and "a vanished and b appeared" in (c.evidence or "") for c in claims)


# --- the source ----------------------------------------------------------------------------------------


def test_a_broken_entry_is_refused_with_its_reason() -> None:
    source = MLflowSource(MLflowConfig(type="mlflow", name="t", tracking_uri="http://x"))

    with pytest.raises(BadInput, match="lacks"):
        source.to_claims(Item("run/?1", "run", 1, {"broken": "MLflow sent a run that lacks something"}))


def test_importing_the_source_imports_no_mlflow() -> None:
    code = "import sys, ingestors.sources.mlflow; sys.exit('mlflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ten_thousand_runs_a_second() -> None:
    tags = {"mlflow.source.git.commit": SHA, **{f"t{n}": "v" for n in range(5)}}
    data = shape.run(raw_run(tags, [read(**{"dvc.md5": MD5})]))
    data["params"] = {f"p{n}": "1" for n in range(10)}
    data["metrics"] = {f"m{n}": 0.5 for n in range(10)}

    # CPU time of this process: the machine may be busy with others.
    started = time.process_time()
    for _ in range(2_000):
        run_claims(data, NAMES)
    rate = 2_000 / (time.process_time() - started)

    assert rate > 10_000, f"{rate:,.0f} runs a second"
