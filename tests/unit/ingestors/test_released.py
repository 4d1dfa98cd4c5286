"""How images and models are spelled, and what that names."""

from __future__ import annotations

import pytest

from graph_schema.claims import Finds, Links
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from ingestors.released import Image, contents, image, model, package, released_from, traffic_share

HUB, OWN = "docker.io", "registry.example.com:5000"
HEX = "0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
IMAGE = f"oci.digest=sha256:{HEX}"
LOGGED = "m-8d2f0c6b1e3a4f5d9c7b6a5e4d3c2b1a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx", Image(f"{HUB}/library/nginx", "latest", None)),
        ("acme/churn:1.0", Image(f"{HUB}/acme/churn", "1.0", None)),
        ("index.docker.io/acme/churn:1.0", Image(f"{HUB}/acme/churn", "1.0", None)),
        ("localhost/churn", Image("localhost/churn", "latest", None)),
        ("Registry.example.com:5000/acme/churn:1.0", Image(f"{OWN}/acme/churn", "1.0", None)),
        (f"ghcr.io/acme/churn@sha256:{HEX}", Image("ghcr.io/acme/churn", None, f"sha256:{HEX}")),
        (f"ghcr.io/acme/churn:1.0@sha256:{HEX}", Image("ghcr.io/acme/churn", "1.0", f"sha256:{HEX}")),
        (f"docker-pullable://nginx@sha256:{HEX}", Image(f"{HUB}/library/nginx", None, f"sha256:{HEX}")),
    ],
)
def test_an_image_is_read_as_docker_reads_it(text: str, expected: Image) -> None:
    assert image(text) == expected


def test_a_digest_names_the_image_and_a_tag_only_a_slot() -> None:
    exact, tagged = image(f"ghcr.io/acme/churn:1.0@sha256:{HEX}"), image("ghcr.io/acme/churn:1.0")

    assert (exact.thing, exact.slot) == ((NodeKind.ARTIFACT, f"oci.digest=sha256:{HEX}"), None)
    assert (tagged.thing, tagged.slot) == (None, "oci:ghcr.io/acme/churn:1.0")


@pytest.mark.parametrize("text", ["", ":1.0", "acme/", "acme/churn:a b", "acme/churn@sha256:12", "a/b@md5:1"])
def test_what_names_no_image_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        image(text)


@pytest.mark.parametrize(
    ("text", "thing", "slot"),
    [
        (f"pkg:oci/churn@sha256%3A{HEX}?repository_url=ghcr.io%2Fchurn&tag=latest", IMAGE, None),
        (f"pkg:oci/churn@sha256:{HEX}", IMAGE, None),
        (HEX, IMAGE, None),
        ("pkg:mlflow/credit%20fraud@3?run_id=5", "mlflow.model_version=credit fraud/3", None),
        ("pkg:mlflow/churn@v3", "mlflow.model_version=churn/v3", None),
        ("pkg:mlflow/credit%20fraud@champion", None, "mlflow:credit fraud@champion"),
        ("pkg:oci/churn?repository_url=ghcr.io/acme/churn&tag=1.0", None, "oci:ghcr.io/acme/churn:1.0"),
        ("pkg:oci/churn?repository_url=https://ghcr.io/acme&tag=1.0", None, "oci:ghcr.io/acme/churn:1.0"),
        ("pkg:docker/acme/churn@1.0", None, "oci:docker.io/acme/churn:1.0"),
        ("pkg:oci/churn", None, None),
        ("pkg:pypi/churn@1.0", None, None),
        ("churn-1.0-py3-none-any.whl", None, None),
    ],
)
def test_an_artifact_id_names_a_thing_or_a_slot(text: str, thing: str | None, slot: str | None) -> None:
    found, asked = package(text)

    assert (found[1] if found else None, asked) == (thing, slot)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("churn/3", "mlflow.model_version=churn/3"),
        ("models:/churn/3", "mlflow.model_version=churn/3"),
        ("prod.ml.churn/12", "mlflow.model_version=prod.ml.churn/12"),
        (f"models:/{LOGGED}", f"mlflow.logged_model={LOGGED}"),
        (f"mlflow-artifacts:/1/models/{LOGGED}/artifacts", f"mlflow.logged_model={LOGGED}"),
        (f"s3://bucket/1/models/{LOGGED}/artifacts/MLmodel", f"mlflow.logged_model={LOGGED}"),
        ("churn/v3", "mlflow.model_version=churn/v3"),
        ("models:/churn@champion", None),
        ("models:/churn/Production", None),
        ("runs:/0190f2a46b1c7def8123456789abcdef/model", None),
        ("s3://bucket/churn/3", None),
        ("churn", None),
        ("", None),
    ],
)
def test_a_model_version_is_named_exactly_or_not_at_all(text: str, expected: str | None) -> None:
    found = model(text)

    assert (found[1] if found else None) == expected


def test_what_a_deployment_says_it_consists_of_comes_to_things_and_claims() -> None:
    me, at, address = "deployment@cd=prod/churn@1", 7, f"s3://bucket/models/{LOGGED}/artifacts"

    things, claims = contents(
        me,
        at,
        images=[f"{OWN}/churn@sha256:{HEX}", "acme/proxy:1.0", "acme/proxy:1.0"],
        models=["churn/3", address, "s3://bucket/else", "models:/prod.ml.churn@champion"],
        bentos=["churn:abc"],
        commit="3FAF1C7D9B1BE4A7E2C1F6F0A1F0C9D8E7B6A594",
    )

    assert [text for _, text in things] == [
        IMAGE,
        "mlflow.model_version=churn/3",
        f"mlflow.logged_model={LOGGED}",
        "bentoml.bento=churn:abc",
    ]
    assert claims == [
        *released_from(me, "oci:docker.io/acme/proxy:1.0", at),
        Finds("uri", address, me),
        Finds("uri", "s3://bucket/else", me),
        *released_from(me, "mlflow:prod.ml.churn@champion", at),
        Finds("uri", "models:/prod.ml.churn@champion", me),
        Links(EdgeKind.CODE_FOR, "git.sha=3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594", me, at),
    ]


@pytest.mark.parametrize(
    ("said", "share"), [(None, None), (0, 0.0), (1, 1.0), (0.25, 0.25), ("0.1", 0.1), (".5", 0.5)]
)
def test_a_share_is_a_number_or_its_text(said: object, share: float | None) -> None:
    assert traffic_share(said, "share") == share


@pytest.mark.parametrize("said", ["10%", "", 10, -1, 1.5, True, [], "nan", "1e-1"])
def test_what_is_no_share_is_refused(said: object) -> None:
    with pytest.raises(BadInput, match="share is a number between 0 and 1"):
        traffic_share(said, "share")
