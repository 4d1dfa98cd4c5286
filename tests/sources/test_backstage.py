"""The source backstage: descriptors as Backstage documents them (backstage.io/v1alpha1)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Names, Record, States
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import Source as Ref
from ingestors import joins
from ingestors.deployments import deployed
from ingestors.loop import ingest
from ingestors.registry import build
from ingestors.report import Report
from ingestors.sources.backstage import BackstageConfig, BackstageSource
from tests.sources.forge import write
from tests.sources.repositories import edges, every

CATALOG = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: churn
  tags: [ml]
  annotations:
    github.com/project-slug: acme/churn
    kinlore.dev/mlflow.model: churn
    kinlore.dev/dataset: postgres://db/public.users
    kinlore.dev/deployment: prod/churn
spec: {type: service, lifecycle: production, owner: "group:Growth", system: retention}
---
apiVersion: backstage.io/v1alpha1
kind: System
metadata: {name: retention}
spec: {owner: user:ada, domain: customers}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: growth, annotations: {github.com/team-slug: acme/Growth-ML}}
spec: {type: team, profile: {displayName: Growth ML}}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: ada, annotations: {github.com/user-login: ada}}
spec: {profile: {displayName: Ada, email: ada@example.com}, memberOf: [growth]}
---
kind: Location
spec: {targets: [./elsewhere.yaml]}
"""


def read(store: SqliteStore, folder: Path, **keys: object) -> Report:
    report = ingest(
        store, build({"type": "backstage", "name": "catalog", "path": str(folder), **keys}, folder)
    )
    assert report.error is None, report.error
    return report


def owned(store: SqliteStore) -> set[tuple[str, str]]:
    return {(src, dst) for src, kind, dst in edges(store) if kind == "OWNED_BY"}


def test_what_is_described_has_its_owner_tags_and_system(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "catalog-info.yaml").write_text(CATALOG)

    read(store, tmp_path)

    assert owned(store) == {
        ("git.remote=github.com/acme/churn", "team=acme/growth-ml"),
        ("dataset=postgres://db/public.users", "team=acme/growth-ml"),
    }
    assert ("git.remote=github.com/acme/churn", "TAGGED", "tag=ml") in edges(store)
    (home,) = every(store, NodeKind.REPOSITORY)
    said = {key: home.properties[key] for key in ("system", "domain", "lifecycle", "component")}
    assert said == {
        "system": "retention",
        "domain": "customers",
        "lifecycle": "production",
        "component": "component:default/churn",
    }
    (team,) = every(store, NodeKind.TEAM)
    assert (team.name, set(team.identifiers)) == ("Growth ML", {"team=growth", "team=acme/growth-ml"})
    (ada,) = every(store, NodeKind.PERSON)
    assert set(ada.identifiers) == {"email=ada@example.com", "github.login=ada", "backstage.user=default/ada"}


def test_models_and_deployments_are_owned_by_name_whatever_comes_first(
    store: SqliteStore, tmp_path: Path
) -> None:
    (tmp_path / "catalog-info.yaml").write_text(CATALOG)
    model = identifier("mlflow.model", "churn", "tracking")
    before, after = (identifier("deployment", f"prod/churn@{n}", "k8s") for n in (1, 2))

    def release(deployment: str, at: int) -> None:
        claims = (
            *deployed(deployment, environment="prod", name="churn", scope="k8s", at=at),
            Names(NodeKind.MODEL, (model,)),
            States(NodeKind.MODEL, model, {"name": "churn"}),
        )
        record = Record(deployment, "event", at, claims)
        store.transact(lambda tx: joins.apply(tx, Ref("k8s", "events"), [record]))

    release(before, 1_000_000)
    read(store, tmp_path)
    release(after, 2_000_000)

    assert {src for src, dst in owned(store) if dst == "team=acme/growth-ml"} >= {model, before, after}


def test_owners_and_tags_are_answered_for_all_nodes_at_once(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "catalog-info.yaml").write_text(CATALOG)
    read(store, tmp_path)
    calls = []
    expand = store.expand

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(given)
        return expand(*given, **named)

    monkeypatch.setattr(store, "expand", counted)
    query = """{ nodes(ids: ["git.remote=github.com/acme/churn", "dataset=postgres://db/public.users"]) {
      owners { owner { name } role } tags { tag { name } evidence } } }"""

    said = answer(Request(query, {}), lambda: Ask(store, None, list))

    assert said["data"]["nodes"] == 2 * [
        {
            "owners": [{"owner": {"name": "Growth ML"}, "role": "owner"}],
            "tags": [{"tag": {"name": "ml"}, "evidence": "catalog-info.yaml: component:default/churn"}],
        }
    ]
    assert len(calls) == 2


def test_the_owner_of_a_folder_does_not_own_the_repository(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "catalog-info.yaml").write_text(
        """\
kind: Component
metadata:
  name: shared
  annotations:
    github.com/project-slug: acme/mono
    backstage.io/source-location: url:https://github.com/acme/mono/tree/main/services/shared/
spec: {owner: growth}
---
kind: Component
metadata:
  name: whole
  annotations: {backstage.io/source-location: "url:https://gitlab.example/acme/ml/churn/-/tree/main/"}
spec: {owner: user:other/bob}
"""
    )

    read(store, tmp_path)

    assert owned(store) == {("git.remote=gitlab.example/acme/ml/churn", "backstage.user=other/bob")}


def test_nothing_new_changes_nothing_and_what_is_gone_is_withdrawn(
    store: SqliteStore, tmp_path: Path
) -> None:
    file = tmp_path / "deep" / "catalog-info.yml"
    file.parent.mkdir()
    file.write_text(CATALOG)
    read(store, tmp_path)
    before = store.digest()

    again = read(store, tmp_path)
    file.write_text(
        CATALOG.replace('"group:Growth"', "user:ada").replace("kinlore.dev/dataset", "example.com/d")
    )
    read(store, tmp_path)

    assert (again.changes, again.retired) == (0, 0) and store.digest() != before
    assert owned(store) == {("git.remote=github.com/acme/churn", "email=ada@example.com")}


def test_entities_that_are_gone_and_files_that_break(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "catalog-info.yaml").write_text(CATALOG)
    read(store, tmp_path)
    (tmp_path / "other").mkdir()
    broken = tmp_path / "other" / "catalog-info.yaml"
    broken.write_text("kind: [")
    (tmp_path / "catalog-info.yaml").write_text(CATALOG.partition("---")[0])

    with_broken = read(store, tmp_path)
    broken.unlink()
    without = read(store, tmp_path)

    assert (with_broken.retired, with_broken.dead_letters) == (0, 1)
    assert without.retired == 3


@pytest.mark.parametrize(
    "text",
    [
        "kind: Component\nmetadata: {}\n",
        "kind: Component\nmetadata: {name: 'a b/c'}\n",
        "a: " + "[" * 5_000,
        # The loader in C would end the process.
        "a: " + "[" * 50_000 + "]" * 50_000,
        "- " * 50_000 + "x",
        "kind: Component\nmetadata: {name: x, annotations: {kinlore.dev/nonsense: y}}\nspec: {}",
        "kind: Component\nmetadata: {name: x, annotations: {kinlore.dev/deployment: x}}\nspec: {owner: a}",
        "kind: Component\nmetadata: {name: !!python/object/apply:os.system ['touch /tmp/x']}\n",
    ],
)
def test_what_cannot_be_read_is_put_aside(store: SqliteStore, tmp_path: Path, text: str) -> None:
    (tmp_path / "catalog-info.yaml").write_text(text)

    report = read(store, tmp_path)

    assert report.dead_letters == 1


def test_aliases_do_not_explode(store: SqliteStore, tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    (tmp_path / "catalog-info.yaml").write_text(f"{bomb}kind: Component\nmetadata: {{name: x, tags: *a11}}\n")

    assert read(store, tmp_path).dead_letters == 0


def test_links_out_of_the_folder_are_not_followed(store: SqliteStore, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    folder.mkdir()
    (outside / "catalog-info.yaml").write_text(CATALOG)
    (folder / "catalog-info.yaml").symlink_to(outside / "catalog-info.yaml")
    (folder / "more").symlink_to(outside)

    assert read(store, folder).items == 0


def test_a_file_at_an_address(store: SqliteStore) -> None:
    config = BackstageConfig(type="backstage", name="catalog", url="https://raw.example/catalog-info.yaml")
    peer = httpx.MockTransport(lambda request: httpx.Response(200, text=CATALOG))
    source = BackstageSource(config, transport=peer)

    report = ingest(store, source)

    assert (report.error, report.items) == (None, 4)
    assert source.check() == "https://raw.example/catalog-info.yaml: 4 entities"


def test_every_order_of_files_is_the_same(store: SqliteStore, tmp_path: Path) -> None:
    for name, text in zip("abcd", CATALOG.split("---\n"), strict=False):
        (tmp_path / name).mkdir()
        (tmp_path / name / "catalog-info.yaml").write_text(text)
    read(store, tmp_path)
    source = BackstageSource(
        BackstageConfig.model_validate({"type": "backstage", "name": "catalog", "path": tmp_path})
    )
    items = [item for page in source.pull(None, now=time.time_ns() // 1000) for item in page.items]
    other = SqliteStore(tmp_path / "other.db")
    other.migrate()

    for item in reversed(items):
        write(other, source, [item])

    assert other.digest() == store.digest()
    other.close()


def test_init_finds_the_file_in_the_folder(tmp_path: Path) -> None:
    before = BackstageSource.discover(tmp_path, {})
    (tmp_path / "catalog-info.yaml").write_text(CATALOG)

    (found,) = BackstageSource.discover(tmp_path, {})

    assert before == []
    assert (found.config["type"], found.config["path"]) == ("backstage", "catalog-info.yaml")
