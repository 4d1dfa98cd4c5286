"""What follows from ingestion: tags with their reason, and attempts that nobody recorded; on both stores."""

from __future__ import annotations

from typing import Any

from app.learnings.afterwards import bring_up
from app.learnings.remediations import suggestions
from app.learnings.tagging import Given, given
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import Direction, Node
from ingestors import corrections, joins
from tests.contract.conftest import Fresh

SOURCE = Source("tracking", "mlflow")
HOUR = 3_600_000_000
OOM = "Traceback (most recent call last)\nRuntimeError: CUDA out of memory. Tried to allocate 2 GiB"


def run(number: int) -> str:
    return f"mlflow.run_id={number:032x}"


def job_run(number: int) -> str:
    return f"openlineage.run_id={number:08d}-0000-4000-8000-000000000000"


def write(store: GraphStore, key: str, *claims: Claim, version: int = 1, source: Source = SOURCE) -> None:
    store.transact(lambda tx: joins.apply(tx, source, [Record(key, "run", version, claims)]))


def a_run(number: int, status: str = "FAILED", **more: Any) -> list[Claim]:
    said = {"name": f"run {number}", "status": status, "createdAt": number * HOUR, **more}
    return [Names(NodeKind.RUN, (run(number),)), States(NodeKind.RUN, run(number), said)]


def tags(store: GraphStore, id: str) -> dict[str, tuple[str, str]]:
    (handle,) = store.resolve(id)
    steps = store.expand([handle], Direction.DOWNSTREAM, [EdgeKind.TAGGED]).steps
    edges = store.edges([step.belief for step in steps])
    return {
        edge.dst.partition("=")[2]: (str(edge.properties.get("by") or edge.source), edge.evidence or "")
        for edge in edges
    }


def test_tags_say_why_and_are_no_state(store: GraphStore) -> None:
    write(store, "a", *a_run(1, error=OOM, params={"framework": "torch"}, metrics={"val_auc": 0.9}))
    before = store.digest()

    done = bring_up(store)

    assert done is not None and (done.tagged, done.attempts) == (1, 0)
    found = tags(store, run(1))
    assert found["out-of-memory"] == ("rules", "it says “CUDA out of memory”".replace("CUDA ", ""))
    assert found["pytorch"] == ("rules", "params: “torch”")
    assert set(found) == {"out-of-memory", "pytorch", "classification"}
    assert store.digest() == before


def test_what_holds_no_more_is_taken_back_and_nothing_is_done_twice(store: GraphStore) -> None:
    write(store, "a", *a_run(1, error=OOM))
    bring_up(store)
    write(store, "a", *a_run(1, "FINISHED"), version=2)

    again = bring_up(store)

    assert again is not None and again.tagged == 1
    assert tags(store, run(1)) == {}
    settled = bring_up(store)
    assert settled is None or settled.tagged == 0
    assert bring_up(store) is None


def test_people_s_tags_win_in_their_group(store: GraphStore) -> None:
    write(store, "a", *a_run(1, error=OOM, params={"framework": "torch"}))
    bring_up(store)
    said = corrections.tag(store, run(1), "tag=quota", by="ada")

    bring_up(store)
    found = tags(store, run(1))
    assert set(found) == {"quota", "pytorch"}
    assert found["quota"][0] == "ada"

    corrections.withdraw(store, said.id)
    bring_up(store)
    assert set(tags(store, run(1))) == {"out-of-memory", "pytorch"}


def test_a_technique_is_a_label_with_its_page(store: GraphStore) -> None:
    told = {"name": "Alert", "summary": "label poisoning suspected in the training set", "createdAt": HOUR}
    alert = "alertmanager.alert=9c1a@2026-01-31T10:00:00Z"
    write(store, "i", Names(NodeKind.INCIDENT, (alert,)), States(NodeKind.INCIDENT, alert, told))
    before = store.digest()

    bring_up(store)

    assert "AML.T0020" in tags(store, alert)
    (handle,) = store.resolve("tag=AML.T0020")
    (node,) = store.get([handle])
    assert node is not None and node.url == "https://atlas.mitre.org/techniques/AML.T0020"
    assert store.digest() == before


def test_data_that_a_run_read_tells_of_its_sensitivity() -> None:
    node = Node(
        id=run(1), kind=NodeKind.RUN, name="r", identifiers=(run(1),), properties={"status": "FINISHED"}
    )
    data = Node(
        id="md5=1",
        kind=NodeKind.DATASET_VERSION,
        name="patients.csv",
        identifiers=(),
        properties={"columns": ["email"]},
    )

    assert given(node, (), [data]) == [
        Given("health-data", "sensitivity", "its data, the name: “patients”"),
        Given("personal-data", "sensitivity", "its data, columns: “email”"),
        Given("tabular", "modality", "its data, the name: “.csv”"),
    ]


# --- inferred attempts -----------------------------------------------------------------------------------

JOB = "openlineage.job=airflow/train"


def nights(*told: tuple[str, str]) -> list[tuple[str, list[Claim]]]:
    """(status, letter of the commit) of each night."""
    found = []
    for number, (status, letter) in enumerate(told, 1):
        me, commit = job_run(number), f"git.sha={letter * 40}"
        said = {"name": f"night {number}", "status": status, "createdAt": number * HOUR}
        said["startedAt"] = f"2026-01-0{number}T00:00:00Z"
        claims: list[Claim] = [
            Names(NodeKind.JOB, (JOB,)),
            Names(NodeKind.JOB_RUN, (me,)),
            States(NodeKind.JOB_RUN, me, said),
            Names(NodeKind.COMMIT, (commit,)),
            States(NodeKind.COMMIT, commit, {"name": f"commit {letter}"}),
            Links(EdgeKind.HAS, JOB, me, number * HOUR),
            Links(EdgeKind.CODE_FOR, commit, me, number * HOUR),
        ]
        found.append((f"night/{number}", claims))
    return found


STORY = nights(
    ("COMPLETE", "a"), ("FAILED", "b"), ("FAILED", "b"), ("COMPLETE", "c"), ("FAILED", "c"), ("COMPLETE", "c")
)


def test_a_job_that_goes_green_after_a_change_suggests_it(fresh: Fresh, engine: str) -> None:
    digests = set()
    for order in (STORY, STORY[::-1]) if engine == "sqlite" else (STORY,):
        store = fresh()
        for key, claims in order:
            write(store, key, *claims)
            if engine == "sqlite":
                bring_up(store)
        bring_up(store)
        digests.add(store.digest())

    assert len(digests) == 1
    (attempt,) = store.find(NodeKind.ATTEMPT).items
    assert attempt.properties["state"] == "suggested"
    handles = [store.resolve(job_run(number))[0] for number in (2, 3, 5)]
    found = suggestions(store, handles)
    for handle in handles[:2]:
        (only,) = found[handle]
        assert (only.tried, only.worked, only.suggested, only.here) == (0, 0, 1, "suggested")
        assert only.because.endswith("inferred: it failed 2× and succeeded with its code changed to commit c")
        assert not only.verified
    # It went green by itself: nothing had changed.
    assert found[handles[2]] == []


def test_what_was_inferred_goes_with_what_it_was_inferred_from(store: GraphStore) -> None:
    for key, claims in STORY[:4]:
        write(store, key, *claims)
    bring_up(store)
    assert len(store.find(NodeKind.ATTEMPT).items) == 1

    write(
        store,
        "night/4",
        *nights(("COMPLETE", "a"), ("FAILED", "b"), ("FAILED", "b"), ("FAILED", "c"))[3][1],
        version=2,
    )
    bring_up(store)

    assert store.find(NodeKind.ATTEMPT).items == []
