"""Owners in answers for people: who, and in which role."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Kinlore

_CATALOG = """\
kind: Component
metadata: {name: churn, annotations: {github.com/project-slug: acme/churn}}
spec: {owner: growth}
---
kind: Group
metadata: {name: growth}
spec: {profile: {displayName: Growth ML}}
"""
_CONFIG = """\
[store]
url = "sqlite:///kinlore.db"

[[sources]]
type = "backstage"
name = "catalog"
path = "."

[[sources]]
type = "backstage"
name = "again"
path = "."
"""


def test_lineage_and_resolve_say_who_owns_it(kinlore: Kinlore, folder: Path) -> None:
    (folder / "catalog-info.yaml").write_text(_CATALOG)
    (folder / "kinlore.toml").write_text(_CONFIG)
    assert kinlore("ingest").code == 0

    lineage = kinlore("lineage", "git.remote=github.com/acme/churn")
    resolved = kinlore("resolve", "git.remote", "github.com/acme/churn")
    told = json.loads(kinlore("resolve", "git.remote=github.com/acme/churn", "--json").out)
    without = kinlore("resolve", "team", "growth")

    assert lineage.out.splitlines()[2] == "  owned by Growth ML (owner)"
    assert "owners" in resolved.out and "Growth ML (owner)" in resolved.out
    assert [(each["owner"]["name"], each["role"]) for each in told[0]["owners"]] == [("Growth ML", "owner")]
    assert "owners" not in without.out
