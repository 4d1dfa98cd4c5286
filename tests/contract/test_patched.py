"""A graph kept in memory and patched is the graph that is there, array by array."""

from __future__ import annotations

import random

import numpy as np
import pytest

from app.answers.adjacencies import Adjacencies, Held
from graph_schema.claims import Claim, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from ingestors.deployments import deployed
from tests.contract.harness import say

E, K = EdgeKind, NodeKind
START = 1_750_000_000_000_000


def data(number: int) -> str:
    return f"md5@dataset_version={number:032x}"


def commit(number: int) -> str:
    return f"git.sha={number:040x}"


def release(number: int) -> str:
    return f"deployment@releases=prod/service@{number}"


def claims_of(dice: random.Random) -> list[Claim]:
    """A few claims of any sort: edges that end or have evidence, twins, releases, joined names, incidents."""
    a, b = dice.sample(range(12), 2)
    found: list[Claim] = []
    for _ in range(dice.randint(2, 6)):
        a, b = dice.sample(range(12), 2)
        until = START + 60 * b if dice.random() < 0.3 else None
        said = "seen" if dice.random() < 0.3 else None
        found += dice.choice(
            [
                [Links(E.DERIVED_INTO, data(a), data(b), START + a, until)],
                [Links(E.INPUT_TO, data(a), f"mlflow.run_id={b}", START, None, evidence=said)],
                [Links(E.PRECEDES, commit(a), commit(b)), Links(E.CODE_FOR, commit(b), f"mlflow.run_id={a}")],
                [Links(E.SAME_AS, data(a), data(b), evidence=said)],
                [Names(K.DATASET_VERSION, (data(a), f"dvc.md5={b:032x}"))],
                [States(K.RUN, f"mlflow.run_id={a}", {"status": "FAILED"})],
                [Links(E.IMPLICATED_IN, release(a), f"pagerduty.incident=P{b}")],
                deployed(
                    release(a),
                    environment=dice.choice(("prod", "staging")),
                    name=f"service-{a}",
                    scope="releases",
                    at=START + 1_000 * a,
                    of=[(K.MODEL_VERSION, f"mlflow.logged_model=m-{b}")],
                ),
                [Links(E.PRODUCED, f"mlflow.run_id={a}", f"mlflow.logged_model=m-{b}")],
            ]
        )
    return found


def told(held: Held) -> dict[str, object]:
    """Everything of it that is compared."""
    found: dict[str, object] = {"handles": held.graph.handles.tolist(), "kinds": held.graph.kinds.tolist()}
    for name, half in (("flow", held.graph.flow), ("same", held.graph.same)):
        for field in half.__struct_fields__:
            value = getattr(half, field)
            found[f"{name} {field}"] = value.tolist() if isinstance(value, np.ndarray) else value
    of = held.deployed
    found["deployments"] = [of.handles.tolist(), of.environment, of.started.tolist(), of.ended.tolist()]
    found["stretches"] = sorted(
        zip(of.of.tolist(), of.since.tolist(), of.until.tolist(), of.share.tolist(), strict=True)
    )
    found["troubled"] = held.troubled.tolist()
    return found


@pytest.mark.parametrize("seed", range(2))
def test_a_patched_graph_equals_one_that_is_read(store: GraphStore, seed: int) -> None:
    dice = random.Random(seed)
    kept = Adjacencies(store)
    kept.built()
    for _ in range(6):
        # Records are written over, so that what they said before goes.
        for _ in range(3):
            say(store, *claims_of(dice), key=f"r{dice.randrange(6)}")

        patched = kept.built()

        assert told(patched) == told(Adjacencies(store).built())
    assert len(patched.graph.flow) > 5 and len(patched.deployed.handles) > 0


def test_patching_reads_only_what_changed(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    say(store, *[Links(E.DERIVED_INTO, data(n), data(n + 1)) for n in range(30)])
    kept = Adjacencies(store)
    kept.built()
    say(store, Links(E.DERIVED_INTO, data(3), data(9)), key="later")
    monkeypatch.setattr(store, "columns", None)

    assert len(kept.built().graph.flow) == 31


def test_what_changed_too_much_is_read_anew(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.answers.adjacencies.PATCHED", 3)
    kept = Adjacencies(store)
    kept.built()
    say(store, *[Links(E.DERIVED_INTO, data(n), data(n + 1)) for n in range(30)])

    assert not kept.near()
    assert len(kept.built().graph.flow) == 30
