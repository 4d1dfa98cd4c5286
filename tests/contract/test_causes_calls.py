"""Root causes ask the store as often for a wide graph as for a narrow one."""

from __future__ import annotations

from collections import Counter

from app.answers.causes import root_causes
from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from ingestors.deployments import deployed
from tests.contract.harness import EPOCH
from tests.contract.test_causes import HOUR, INCIDENT, data, history, run, sha, tell, thing
from tests.counting import Counting

E, K = EdgeKind, NodeKind


def beside(count: int, start: int) -> list[Claim]:
    """So many data versions with checks that feed the run behind the incident, and for each another run with
    its data set, commit and deployment."""
    claims: list[Claim] = []
    for number in range(start, start + count):
        at = EPOCH + 190 * HOUR + number
        experiment = identifier("mlflow.experiment_id", f"e{number}", "tracking")
        dataset, check = f"dataset=lake/d{number}", identifier("check", f"d/{number}", "tools")
        made = identifier("mlflow.model_version", f"m{number}/1", "tracking")
        stands = identifier("deployment", f"prod/m{number}@1", "tools")
        claims += thing(K.DATASET_VERSION, data(number), at, name=f"d{number}", size=1000)
        claims += thing(
            K.RUN, run(number), at, name=f"train-{number}", status="FINISHED", metrics={"auc": 0.8}
        )
        claims += thing(K.CHECK, check, at, name="ranges", status="PASSED")
        claims += thing(K.MODEL_VERSION, made, at, name=f"m{number} v1")
        claims += thing(K.COMMIT, sha(number), at, name=f"commit {number}", files=[f"m{number}/train.py"])
        claims += [
            Names(K.EXPERIMENT, (experiment,)),
            Names(K.DATASET, (dataset,)),
            Links(E.HAS, experiment, run(number), at),
            Links(E.HAS, dataset, data(number), at),
            Links(E.CHECKED_BY, data(number), check, at),
            Links(E.INPUT_TO, data(number), run(2), at),
            Links(E.INPUT_TO, data(number), run(number), at),
            Links(E.CODE_FOR, sha(number), run(number), at),
            Links(E.CODE_FOR, sha(number), run(2), at),
            Links(E.PRODUCED, run(number), made, at),
            *deployed(
                stands, environment="prod", name=f"m{number}", scope="tools", at=at,
                of=[(K.MODEL_VERSION, made)],
            ),
        ]  # fmt: skip
    return claims


def asked(store: GraphStore) -> tuple[Counter[str], int]:
    counting = Counting(store)
    (handle,) = store.resolve(INCIDENT)
    answer = root_causes(counting, handle, first=5)  # type: ignore[arg-type]
    return counting.calls, answer.total


def test_a_wider_graph_takes_as_many_store_calls(store: GraphStore) -> None:
    tell(store, [*history(), *beside(2, 100)])
    few, small = asked(store)
    tell(store, beside(40, 200), "more")

    many, large = asked(store)

    assert large >= small + 40
    assert many == few
    assert sum(many.values()) <= 60
