"""docker-compose.yml and the Dockerfile keep the rules, checked by reading: no engine runs here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SERVICES = sorted(COMPOSE["services"])


def test_it_holds_the_app_and_neo4j() -> None:
    assert SERVICES == ["kinlore", "neo4j"]
    app = COMPOSE["services"]["kinlore"]
    assert app["environment"]["KINLORE_STORE__URL"] == "neo4j://neo4j@neo4j:7687"
    assert app["depends_on"]["neo4j"]["condition"] == "service_healthy"


@pytest.mark.parametrize("name", SERVICES)
def test_every_secret_must_be_given(name: str) -> None:
    """``${NAME:?message}`` stops; a literal or ``${NAME:-default}`` would be a default password."""
    secrets = {
        key: value
        for key, value in COMPOSE["services"][name]["environment"].items()
        if re.search(r"PASSWORD|TOKEN|SECRET|AUTH", key)
    }

    assert secrets
    for key, value in secrets.items():
        assert re.fullmatch(r"(neo4j/)?\$\{KINLORE_\w+:\?[^}]+\}", value), f"{key}: {value}"


def test_the_token_is_required() -> None:
    assert COMPOSE["services"]["kinlore"]["environment"]["KINLORE_SERVER__TOKEN"].startswith(
        "${KINLORE_SERVER__TOKEN:?"
    )


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_and_keeps_its_data(name: str) -> None:
    service = COMPOSE["services"][name]

    assert service["healthcheck"]["test"]
    named = [volume.split(":")[0] for volume in service["volumes"]]
    assert named
    assert set(named) <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_unless_asked(name: str) -> None:
    for port in COMPOSE["services"][name]["ports"]:
        assert port.startswith(("127.0.0.1:", "${KINLORE_BIND:-127.0.0.1}:")), port


def test_images_are_pinned_to_a_line() -> None:
    assert COMPOSE["services"]["neo4j"]["image"] == "neo4j:5.26-community"
    assert all(":" in base for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))


def test_the_image_is_locked_runs_without_root_and_reports_its_health() -> None:
    last_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]

    assert "-c requirements.lock '.[semantic]'" in DOCKERFILE
    assert "UV_TORCH_BACKEND=cpu" in DOCKERFILE
    assert re.search(r"^USER kinlore$", last_stage, re.MULTILINE)
    assert "/readyz" in last_stage
    assert 'CMD ["kinlore", "serve", "--host", "0.0.0.0"]' in last_stage


def test_the_build_context_holds_what_the_build_reads() -> None:
    """.dockerignore excludes all but its exceptions."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    read = ["app", "graph_schema", "ingestors", "pyproject.toml", "requirements.lock", "LICENSE"]

    assert "*" in lines
    assert {f"!{path}" for path in read} <= set(lines)
    assert all((ROOT / path).exists() for path in read)
