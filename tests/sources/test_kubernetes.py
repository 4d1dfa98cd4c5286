"""The source kubernetes, on objects as the published schemas have them."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import certifi
import pytest
import yaml

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.times import format_time
from ingestors.loop import Policy, ingest
from ingestors.source import SourceError
from ingestors.sources.kubernetes import source as kubernetes
from tests.sources.kubernetes_cluster import (
    DIGESTS,
    TOKEN,
    Cluster,
    deployment,
    inference_service,
    knative,
    many,
    owned,
    pod,
    predictor,
    pull,
    replicas,
    seldon,
    source_for,
    spans,
    template,
    thing,
    uid,
)
from tests.sources.pushing import apply, edges, links, node, source_of

SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
INCIDENT = "pagerduty.incident=Q1"


# --- Deployments -----------------------------------------------------------------------------------------


def test_each_revision_of_a_rollout_is_a_deployment(cluster: Cluster, store: SqliteStore) -> None:
    cluster.objects = [
        deployment(2, "2026-11-02T10:01:00Z"),
        replicas(2, 1, "2026-11-01T10:00:01Z", template("1.0", model="churn/3", commit=SHA)),
        replicas(3, 2, "2026-11-02T10:00:00Z", template("1.1", model="churn/4, scaler/2", bento="svc:abc")),
        pod(4, 2, f"ghcr.io/acme/churn@{DIGESTS[1]}"),
        pod(5, 3, f"docker-pullable://ghcr.io/acme/churn@{DIGESTS[2]}"),
    ]  # fmt: skip
    source = source_for(cluster)

    first, again, full = pull(store, source), pull(store, source), pull(store, source, full=True)

    assert spans(store, "1", "2") == [
        ("1", DIGESTS[1], "2026-11-01T10", "2026-11-02T10", "1"),
        ("2", DIGESTS[2], "2026-11-02T10", "", "1"),
    ]
    one, two = (node(store, f"deployment=ml/churn@{n}") for n in "12")
    assert [one.id, two.id] == [f"k8s.uid={uid(2)}", f"k8s.uid={uid(3)}"]
    assert two.properties["kubernetes"] == {
        "kind": "Deployment", "namespace": "ml", "name": "churn", "uid": uid(1),
    }  # fmt: skip
    assert (f"git.sha={SHA}", "CODE_FOR", one.id) in links(store, one.id)
    assert (one.id, "PRECEDES", two.id) in links(store, one.id)
    assert ("environment=ml", "HAS", two.id) in links(store, two.id)
    assert first.changes > 0
    assert (again.changes, full.changes) == (0, 0)
    assert source.check() == f"{cluster.url}: 1 Deployment, 2 ReplicaSets, 2 Pods"


def test_a_rollback_is_a_new_deployment_of_the_old_template(cluster: Cluster, store: SqliteStore) -> None:
    old, new = template("1.0", model="churn/3"), template("1.1", model="churn/4")
    digests = [pod(4, 2, f"x/y@{DIGESTS[1]}"), pod(5, 3, f"x/y@{DIGESTS[2]}")]
    cluster.objects = [
        deployment(3, "2026-11-03T10:01:00Z"),
        replicas(2, 3, "2026-11-01T10:00:00Z", old, history="1"),
        replicas(3, 2, "2026-11-02T10:00:00Z", new),
        *digests,
    ]  # fmt: skip
    source = source_for(cluster)
    pull(store, source)

    # Once more, to the template of revision 2, while somebody watches; the pods of the others are gone.
    cluster.objects = [
        deployment(4, "2026-11-04T10:01:00Z"),
        replicas(2, 3, "2026-11-01T10:00:00Z", old, history="1"),
        replicas(3, 4, "2026-11-02T10:00:00Z", new, history="2,2"),
    ]
    pull(store, source)

    assert spans(store, "1", "2", "3", "4") == [
        ("1", DIGESTS[1], "2026-11-01T10", "2026-11-02T10", "1"),
        ("2", DIGESTS[2], "2026-11-02T10", "2026-11-03T10", "1"),
        ("3", DIGESTS[1], "2026-11-03T10", "2026-11-04T10", "1"),
    ]
    assert node(store, "deployment=ml/churn@4").kind == "Deployment"
    assert [node(store, f"deployment=ml/churn@{n}").id.partition("=")[0] for n in "1234"] == [
        "k8s.uid", "k8s.uid", "deployment@cluster", "deployment@cluster",
    ]  # fmt: skip


def test_a_revision_that_never_came_up_serves_nobody(cluster: Cluster, store: SqliteStore) -> None:
    good = replicas(2, 1, "2026-11-01T10:00:00Z", template("1.0"))
    bad = replicas(3, 2, "2026-11-02T10:00:00Z", template("1.1"), ready=0)
    cluster.objects = [deployment(2), good, bad]
    source = source_for(cluster)
    pull(store, source)
    before = store.resolve("deployment=ml/churn@2")
    bad["status"]["readyReplicas"] = 1
    pull(store, source)

    assert before == []
    assert node(store, "deployment=ml/churn@2").properties["startedAt"] == "2026-11-02T10:00:00Z"


def test_scaled_to_nothing_it_stands_no_more_until_it_is_back(cluster: Cluster, store: SqliteStore) -> None:
    held = [replicas(2, 1, "2026-11-01T10:00:00Z", template("1.0")), pod(4, 2, f"x/y@{DIGESTS[1]}")]
    source = source_for(cluster)

    for number in (2, 0, 2):
        cluster.objects = [deployment(1, replicas=number), *held]
        pull(store, source)

    assert spans(store, "1") == [
        ("1", DIGESTS[1], "2026-11-01T10", "now", "1"),
        ("1", DIGESTS[1], "now", "", "1"),
    ]


def test_what_was_deleted_has_ended_and_is_gone(cluster: Cluster, store: SqliteStore) -> None:
    source = source_for(cluster)
    cluster.objects = [
        deployment(1),
        replicas(2, 1, "2026-11-01T10:00:00Z", template("1.0")),
        pod(4, 2, f"x/y@{DIGESTS[1]}"),
    ]
    other = thing("Deployment", "other", 9, "2026-11-01T10:00:00Z", spec={"template": template("2")})
    cluster.objects.append(other)
    pull(store, source)

    cluster.objects = [other]
    pull(store, source)
    pull(store, source)

    assert spans(store, "1") == [("1", DIGESTS[1], "2026-11-01T10", "now", "1")]
    gone = node(store, "deployment=ml/churn@1")
    assert gone.gone_at is not None
    assert node(store, "deployment=ml/other@1").gone_at is None


def test_environments_names_shares_and_models_come_from_labels_and_annotations(
    cluster: Cluster, store: SqliteStore
) -> None:
    logged = "m-8d2f0c6b1e3a4f5d9c7b6a5e4d3c2b1a"
    held = template("1.0", name="churn", share="0.1", mode="canary")
    held["spec"]["containers"][0]["env"] = [{"name": "MODEL", "value": f"models:/{logged}"}]
    canary = thing("Deployment", "churn-canary", 7, "2026-11-02T10:00:00Z", spec={"template": held},
                   metadata={"labels": {"tier": "live"}})  # fmt: skip
    stable = deployment(1)
    cluster.objects = [canary, stable]
    source = source_for(cluster, environments={"ml": "prod"}, environment_label="tier", include=["ml/*"])

    pull(store, source)

    me = "deployment@cluster=live/churn@churn-canary-1"
    assert store.open_references() == []
    assert [e.properties for e in edges(store, me) if e.kind is EdgeKind.DEPLOYED_AS] == [
        {"share": 0.1, "mode": "canary"}
    ]
    assert links(store, f"mlflow.logged_model={logged}")[0][2] == me.replace("@cluster", "")
    assert node(store, "deployment=prod/churn@1").properties["environment"] == "prod"


# --- KServe, Seldon --------------------------------------------------------------------------------------


def test_a_canary_has_its_share_until_it_is_promoted_or_taken_back(
    cluster: Cluster, store: SqliteStore
) -> None:
    one, two, three = (knative(n, f"2026-11-0{n}T10:00:00Z") for n in (1, 2, 3))
    source = source_for(cluster)
    aside = knative(1, "2026-11-01T11:00:00Z", "transformer")
    states = [
        ([one, aside], [(1, 100)]),
        ([one, two, aside], [(1, 100)]),  # the second is not ready yet
        ([one, two, aside], [(2, 10), (1, 90)]),
        ([one, two, aside], [(2, 100)]),
        ([one, two, three, aside], [(3, 20), (2, 80)]),
        ([one, two, three, aside], [(2, 100)]),  # taken back
    ]

    for held, traffic in states:
        # It is made when it first shows.
        if three in held and traffic[0][0] == 3:
            three["metadata"]["creationTimestamp"] = format_time(time.time_ns() // 1_000)
        cluster.objects = [inference_service(traffic), *held]
        pull(store, source)
        assert pull(store, source).changes == 0

    names = [f"churn-predictor-0000{n}" for n in (1, 2, 3)]
    assert spans(store, *names) == [
        (names[0], DIGESTS[1], "2026-11-01T10", "2026-11-02T10", "1"),
        (names[0], DIGESTS[1], "2026-11-02T10", "now", "0.9"),
        (names[1], DIGESTS[2], "2026-11-02T10", "now", "0.1"),
        (names[1], DIGESTS[2], "now", "", "1"),
        (names[1], DIGESTS[2], "now", "now", "0.8"),
        (names[1], DIGESTS[2], "now", "now", "1"),
        (names[2], DIGESTS[3], "now", "now", "0.2"),
    ]
    assert store.counts().nodes["Deployment"] == 3
    assert node(store, f"deployment=ml/churn@{names[2]}").properties["status"] == "ENDED"


def test_an_inference_service_without_knative_is_its_own_deployment(
    cluster: Cluster, store: SqliteStore
) -> None:
    source = source_for(cluster)
    cluster.unknown = {"Revision", "SeldonDeployment"}
    version_4 = Names(NodeKind.MODEL_VERSION, ("mlflow.model_version@tracking=churn/4",))
    apply(store, source_of(type="events", name="tracking"), Record("v", "version", 1, (version_4,)))
    for version, generation, percent in ((3, 1, None), (4, 2, 25), (4, 3, 50), (4, 4, None)):
        one = inference_service([], storageUri=f"models:/churn/{version}")
        one["metadata"]["generation"] = generation
        one["metadata"]["managedFields"] = [
            {"time": f"2026-11-0{generation}T10:00:00Z"},
            {"time": "2026-11-09T10:00:00Z", "subresource": "status"},
        ]
        if percent is not None:
            one["spec"]["predictor"]["canaryTrafficPercent"] = percent
        cluster.objects = [one]
        pull(store, source)

    assert spans(store, "1", "2") == [
        ("2", "churn/4", "2026-11-02T10", "2026-11-03T10", "0.25"),
        ("2", "churn/4", "2026-11-03T10", "2026-11-04T10", "0.5"),
        ("2", "churn/4", "2026-11-04T10", "", "1"),
    ]
    assert node(store, "deployment=ml/churn@2").properties["models"] == ["models:/churn/4"]
    assert [label.id for label in store.labels(store.resolve("uri=models:/churn/4"))] == [
        "deployment@cluster=ml/churn@2"
    ]


def test_seldon_predictors_share_a_place(cluster: Cluster, store: SqliteStore) -> None:
    source = source_for(cluster)
    main = predictor("main", DIGESTS[1], 75)
    made = thing("Deployment", "churn-main-0", 71, "2026-11-01T10:00:00Z", spec={"template": template("1")},
                 metadata={"ownerReferences": owned("SeldonDeployment", 70)})  # fmt: skip
    states = [
        seldon(1, predictor("main", DIGESTS[1])),
        seldon(2, main, predictor("test", DIGESTS[2], 25), predictor("copy", DIGESTS[3], 100, shadow=True)),
        seldon(4, predictor("main", DIGESTS[2])),
        seldon(5, predictor("main", DIGESTS[1])),
    ]

    for state in states:
        cluster.objects = [state, made]
        pull(store, source)

    assert spans(store, "main-1", "test-2", "copy-2", "main-4", "main-5") == [
        ("copy-2", DIGESTS[3], "2026-11-02T10", "2026-11-04T10", "0"),
        ("main-1", DIGESTS[1], "2026-11-01T10", "2026-11-02T10", "1"),
        ("main-1", DIGESTS[1], "2026-11-02T10", "2026-11-04T10", "0.75"),
        ("main-4", DIGESTS[2], "2026-11-04T10", "2026-11-05T10", "1"),
        ("main-5", DIGESTS[1], "2026-11-05T10", "", "1"),
        ("test-2", DIGESTS[2], "2026-11-02T10", "2026-11-04T10", "0.25"),
    ]


# --- listing ---------------------------------------------------------------------------------------------


def test_lists_are_read_page_by_page_and_again_when_they_grow_old(
    cluster: Cluster, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "_PAGE", 10)
    cluster.objects, cluster.expired = many(35), 1
    cluster.unknown = {"InferenceService", "Revision", "SeldonDeployment"}

    pull(store, source_for(cluster))

    assert store.counts().nodes["Deployment"] == 35
    assert len([path for path in cluster.asked if "/deployments?" in path]) == 2 + 4


def test_a_list_that_never_holds_ends_the_pull(
    cluster: Cluster, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "_PAGE", 10)
    cluster.objects, cluster.expired = many(35), 100

    report = ingest(store, source_for(cluster), policy=Policy(attempts=1))

    assert report.error is not None
    assert "grows old before it is read to its end" in report.error
    assert "Deployment" not in store.counts().nodes


def test_only_the_namespaces_that_are_named_are_asked_for(cluster: Cluster, store: SqliteStore) -> None:
    cluster.objects = [*many(2), deployment(1, metadata={"namespace": "other"})]

    pull(store, source_for(cluster, namespaces=["other"], exclude=["other/nothing"]))

    assert store.counts().nodes["Deployment"] == 1
    assert all("/namespaces/other/" in path for path in cluster.asked)


def test_a_server_that_refuses_is_one_line(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_TOKEN", "another")

    with pytest.raises(SourceError, match=r"answers 403: .*CLUSTER_TOKEN"):
        source_for(cluster).check()


def test_in_a_cluster_its_own_account_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes, "_ACCOUNT", tmp_path)
    source = source_of(type="kubernetes")
    with pytest.raises(SourceError, match="give url or path; without them this must run in a cluster"):
        source.check()
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    shutil.copy(certifi.where(), tmp_path / "ca.crt")

    client = source._client()  # type: ignore[attr-defined]

    assert client.base_url == "https://kubernetes.default.svc"
    assert client._auth()[1] == {"Authorization": f"Bearer {TOKEN}"}
    client.close()


def test_an_export_is_read_like_the_cluster(tmp_path: Path, store: SqliteStore) -> None:
    held = [deployment(1), replicas(2, 1, "2026-11-01T10:00:00Z", template("1.0", model="churn/3"))]
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "wish"}, "spec": {}}
    (tmp_path / "sub").mkdir()
    (tmp_path / "all.json").write_text(json.dumps({"kind": "List", "items": held}), encoding="utf-8")
    (tmp_path / "sub/more.yaml").write_text(
        yaml.safe_dump_all([manifest, held[0], None, "x"]), encoding="utf-8"
    )
    source = source_of(type="kubernetes", path=str(tmp_path))

    pull(store, source)

    assert source.check() == f"{tmp_path}: 1 Deployment, 1 ReplicaSet"
    assert store.counts().nodes["Deployment"] == 1
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(SourceError, match=r"broken\.yaml cannot be read"):
        source.check()


def test_a_cluster_is_at_one_place() -> None:
    with pytest.raises(BadInput, match="give url or path, not both"):
        source_of(type="kubernetes", url="https://k", path="x")


def test_a_share_that_is_none_is_put_aside_with_its_reason(cluster: Cluster, store: SqliteStore) -> None:
    odd = thing("Deployment", "odd", 7, "2026-11-02T10:00:00Z", spec={"template": template("1", share="10%")})
    cluster.objects = [deployment(1), odd]

    report = ingest(store, source_for(cluster), policy=Policy(attempts=1))

    assert (report.error, report.dead_letters) == (None, 1)
    reason = store.service("dead_letter")[0][1]["reason"]
    assert reason == "kinlore.dev/share is a number between 0 and 1, not '10%'"
    assert store.counts().nodes["Deployment"] == 1
