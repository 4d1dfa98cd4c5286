"""The source oci against Debian's docker-registry: what it notifies of, and what it lists."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Record, uses
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.store import Source as Writes
from graph_schema.times import format_time, parse_time
from ingestors import joins
from ingestors.loop import Policy, ingest
from ingestors.report import Report
from ingestors.source import Forged, Source
from tests.sources.oci_registry import DOCKER, OCI, REVISION, TOKEN, OciRegistry, Recorder
from tests.sources.pushing import delivery, edges, links, node, push, received, source_of, write

SHA, OTHER = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594", "b" * 40
MISSING = "sha256:" + "0" * 64


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


@pytest.fixture
def registry(tmp_path: Path, recorder: Recorder) -> Iterator[OciRegistry]:
    with OciRegistry(tmp_path / "registry", recorder.url) as made:
        yield made


def images_of(registry: OciRegistry, **more: Any) -> Source:
    return source_of(type="oci", name="images", url=registry.url, **more)


def pull(store: SqliteStore, source: Source, *, full: bool = False, accept: bool = False) -> Report:
    report = ingest(store, source, full=full, accept_retirement=accept, policy=Policy(attempts=1))
    assert report.error is None, report.error
    assert report.dead_letters == 0
    return report


def use(store: SqliteStore, slot: str, deployment: str, at: str) -> None:
    """Somebody deploys whatever a tag stands for."""
    me = f"deployment@prod={deployment}"
    claims = (uses(slot, me, parse_time(at), EdgeKind.DEPLOYED_AS),)
    record = Record(deployment, "deployment", 1, claims)
    releases = Writes("releases", "events")
    store.transact(lambda tx: joins.apply(tx, releases, [record]))


# --- pushed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [OCI, DOCKER])
def test_a_pushed_image_is_tied_to_its_commit(
    registry: OciRegistry, recorder: Recorder, store: SqliteStore, kind: str
) -> None:
    labels = {
        REVISION: SHA,
        "org.opencontainers.image.source": "https://github.com/acme/churn",
        "org.opencontainers.image.version": "1.0",
        "dev.kinlore.model": "churn/3",
    }
    digest = registry.push("acme/churn", "1.0", labels, kind=kind)
    recorder.wait_for(digest)

    push(store, images_of(registry), *recorder.deliveries)

    image = node(store, f"oci.digest={digest}")
    assert (image.kind.value, image.name, image.stub) == ("Artifact", "acme/churn 1.0", False)
    assert image.url == "https://github.com/acme/churn"
    assert image.created_at == parse_time("2026-11-01T10:00:00.5Z")
    assert image.properties["mediaType"] == kind
    assert image.properties["repository"] == f"{registry.host}/acme/churn"
    assert links(store, image.id) == [(f"git.sha={SHA}", "CODE_FOR", f"oci.digest={digest}")]
    assert store.open_references() == [f"mlflow.model_version=churn/3 PACKAGED_IN {image.id}"]
    for address in (f"{registry.host}/acme/churn:1.0", f"{registry.host}/acme/churn@{digest}"):
        assert [label.id for label in store.labels(store.resolve(f"uri={address}"))] == [image.id]


def test_blobs_pulls_and_what_only_lies_beside_an_image_are_passed_over(
    registry: OciRegistry, recorder: Recorder, store: SqliteStore
) -> None:
    digest = registry.push("acme/churn", "1.0")
    subject = {"mediaType": OCI, "digest": digest, "size": 1}
    beside = registry.push("acme/churn", None, {"note": "sbom"}, subject=subject)
    registry.push("acme/churn", f"{digest.replace(':', '-')}.sig", {"note": "signature"})
    registry.client.get(f"/v2/acme/churn/manifests/{digest}", headers={"Accept": OCI}).raise_for_status()
    recorder.wait_for(beside)
    recorder.wait_for(digest, "pull")
    source = images_of(registry)

    items = received(source, list(recorder.deliveries))

    told = {(event["action"], event["target"].get("mediaType")) for event in recorder.events()}
    assert {("push", "application/octet-stream"), ("push", OCI), ("pull", OCI)} <= told
    assert [item.key.partition(" since")[0] for item in items] == [
        f"acme/churn@{digest}", "acme/churn:1.0", "acme/churn:1.0",
    ]  # fmt: skip


def test_a_notification_carries_its_token_and_the_name_of_its_event(
    registry: OciRegistry, recorder: Recorder
) -> None:
    digest = registry.push("acme/churn", "1.0")
    recorder.wait_for(digest)
    source, came = images_of(registry), recorder.deliveries[-1]

    source.verify(came, TOKEN.encode())

    assert came.headers["content-type"] == "application/vnd.docker.distribution.events.v1+json"
    assert source.delivery_id(came) == recorder.events()[-1]["id"]
    with pytest.raises(Forged):
        source.verify(came, b"another")


def test_a_moved_tag_keeps_what_it_stood_for(
    registry: OciRegistry, recorder: Recorder, store: SqliteStore
) -> None:
    # Arrange: the recorded events, at times of their own
    digests = [registry.push("acme/churn", "latest", {REVISION: sha}) for sha in (SHA, OTHER)]
    recorder.wait_for(digests[1])
    source = images_of(registry)
    moved = [e for e in recorder.events() if e["target"]["mediaType"] == OCI]
    for event, day in zip(moved, ("05", "08"), strict=True):
        event["timestamp"] = f"2026-11-{day}T10:00:00.123456789Z"
    slot = f"oci:{registry.host}/acme/churn:latest"
    use(store, slot, "prod/churn@1", "2026-11-06T10:00:00Z")
    use(store, slot, "prod/churn@2", "2026-11-09T10:00:00Z")
    use(store, slot, "prod/churn@0", "2026-11-04T10:00:00Z")

    # Act: the later push is told first
    push(store, source, *(delivery({"events": [event]}) for event in reversed(moved)))

    # Assert
    found = [[e.src for e in edges(store, f"deployment=prod/churn@{n}")] for n in range(3)]
    assert found == [[], [f"oci.digest={digests[0]}"], [f"oci.digest={digests[1]}"]]
    labels = store.labels(store.resolve(f"uri={registry.host}/acme/churn:latest"))
    assert [label.id for label in labels] == [f"oci.digest={digests[1]}"]


def test_an_index_has_the_commit_that_all_its_images_have(
    registry: OciRegistry, recorder: Recorder, store: SqliteStore
) -> None:
    children = [registry.push("acme/churn", None, {REVISION: SHA, "arch": str(n)}) for n in range(2)]
    mixed = [children[0], registry.push("acme/churn", None, {REVISION: OTHER})]
    one = registry.push_index("acme/churn", "1.0", children)
    two = registry.push_index("acme/churn", "odd", mixed)
    recorder.wait_for(two)
    source = images_of(registry)

    push(store, source, *recorder.deliveries)

    index = node(store, f"oci.digest={one}")
    assert index.properties["platforms"] == [
        {"platform": "linux/amd64", "digest": children[0]},
        {"platform": "linux/arm64", "digest": children[1]},
    ]
    assert links(store, index.id) == [(f"git.sha={SHA}", "CODE_FOR", f"oci.digest={one}")]
    assert links(store, f"oci.digest={two}") == []
    assert links(store, f"oci.digest={children[1]}") == [
        (f"git.sha={SHA}", "CODE_FOR", f"oci.digest={children[1]}")
    ]


def test_an_image_that_was_deleted_before_it_was_read_is_known_by_its_notification(
    registry: OciRegistry, recorder: Recorder, store: SqliteStore
) -> None:
    digest = registry.push("acme/churn", "1.0", {REVISION: SHA})
    recorder.wait_for(digest)
    registry.delete("acme/churn", digest)

    push(store, images_of(registry), *recorder.deliveries)

    assert node(store, f"oci.digest={digest}").name == f"acme/churn {digest[7:19]}"
    assert links(store, f"oci.digest={digest}") == []


def test_notifications_doubled_and_in_any_order_give_the_same_graph(
    registry: OciRegistry, recorder: Recorder, tmp_path: Path
) -> None:
    last = ""
    for number in range(4):
        last = registry.push("acme/churn", "latest", {REVISION: f"{number}" * 40})
    recorder.wait_for(last)
    source = images_of(registry)
    items = received(source, recorder.deliveries)
    digests = set()

    for seed in range(20):
        shuffled = [*items, *items]
        random.Random(seed).shuffle(shuffled)
        store = SqliteStore(tmp_path / f"{seed}.db")
        store.migrate()
        write(store, source, shuffled)
        digests.add(store.digest())
        assert write(store, source, items) == 0
        store.close()

    assert len(digests) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"events": 7}', b'{"events": [7]}', b'{"events": [{}]}', b"\xff", b"[" * 100_000],
)
def test_what_is_no_notification_is_refused(body: bytes) -> None:
    source = source_of(type="oci", url="http://127.0.0.1:1")

    with pytest.raises(BadInput):
        source.receive(delivery(body))
    assert source.delivery_id(delivery(body)) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("repository", "../../secret"), ("repository", ""), ("digest", "sha256:../x"), ("digest", "")],
)
def test_a_push_may_not_name_what_is_no_repository_or_digest(key: str, value: str) -> None:
    source = source_of(type="oci", url="http://127.0.0.1:1")
    target = {"mediaType": OCI, "repository": "acme/churn", "digest": MISSING, key: value}
    event = {"id": "1", "action": "push", "timestamp": "2026-11-01T00:00:00Z", "target": target}

    with pytest.raises(BadInput, match="target"):
        source.receive(delivery({"events": [event]}))


# --- pulled ----------------------------------------------------------------------------------------------


def test_a_pull_reads_what_the_registry_lists_and_again_changes_nothing(
    registry: OciRegistry, store: SqliteStore
) -> None:
    digests = [registry.push("acme/churn", f"1.{n}", {REVISION: f"{n}" * 40}) for n in range(3)]
    index = registry.push_index("acme/churn", "all", digests[:2])
    registry.push("other/thing", "1")
    source = images_of(registry, exclude=["other/*"])

    first, again, full = pull(store, source), pull(store, source), pull(store, source, full=True)

    assert store.counts().nodes["Artifact"] == 4
    assert links(store, f"oci.digest={index}") == []
    assert links(store, f"oci.digest={digests[2]}")[0][0] == f"git.sha={'2' * 40}"
    assert first.changes > 0
    assert (again.items, again.changes, full.changes) == (0, 0, 0)
    assert source.check() == f"{registry.url}: 1 repository"


def test_a_pull_and_the_notifications_of_the_same_images_agree(
    registry: OciRegistry, recorder: Recorder, store: SqliteStore
) -> None:
    digest = registry.push("acme/churn", "1.0", {REVISION: SHA})
    recorder.wait_for(digest)
    source = images_of(registry)
    push(store, source, *recorder.deliveries)
    before = node(store, f"oci.digest={digest}"), links(store, f"oci.digest={digest}")

    pull(store, source)

    assert (node(store, f"oci.digest={digest}"), links(store, f"oci.digest={digest}")) == before


def test_tags_are_followed_from_pull_to_pull(registry: OciRegistry, store: SqliteStore) -> None:
    source = images_of(registry, fixed_tags=["1.*"])
    slot = f"oci:{registry.host}/acme/churn"
    old = registry.push("acme/churn", "latest", {"n": "1"})
    fixed = registry.push("acme/churn", "1.0", {"n": "2"})
    first = pull(store, source).started
    new = registry.push("acme/churn", "latest", {"n": "3"})
    second = pull(store, source).started
    registry.untag("acme/churn", "latest")
    third = pull(store, source).started

    used = {"a": first, "b": second, "c": third}
    for name, at in used.items():
        use(store, f"{slot}:latest", f"p/{name}@1", format_time(at))
    use(store, f"{slot}:1.0", "prod/fixed@1", "2026-11-01T11:00:00Z")

    found = {name: [e.src for e in edges(store, f"deployment=p/{name}@1")] for name in used}
    assert found == {"a": [f"oci.digest={old}"], "b": [f"oci.digest={new}"], "c": []}
    assert [e.src for e in edges(store, "deployment=prod/fixed@1")] == [f"oci.digest={fixed}"]
    # The image that the tag left behind is still there.
    assert node(store, f"oci.digest={new}").gone_at is None


def test_a_deleted_image_is_gone_and_keeps_its_history(registry: OciRegistry, store: SqliteStore) -> None:
    source = images_of(registry)
    digests = [registry.push("acme/churn", f"1.{n}", {REVISION: f"{n}" * 40}) for n in range(3)]
    pull(store, source)
    registry.delete("acme/churn", digests[0])

    report = pull(store, source)

    gone = node(store, f"oci.digest={digests[0]}")
    assert report.retired == 1
    assert gone.gone_at is not None
    assert links(store, gone.id)[0][1] == "CODE_FOR"
    assert node(store, f"oci.digest={digests[1]}").gone_at is None
