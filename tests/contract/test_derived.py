"""What follows from several records: slots, references without a scope, equal content. In every order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from graph_schema.claims import Claim, Joins, Links, Names, States, occupies, uses
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW, Edge
from tests.contract.harness import CODE, PEOPLE, TRACKING, edges_from, record, say, write

K, E = NodeKind, EdgeKind
SLOT = "table:users"


def data(n: int) -> str:
    return f"dvc.md5={str(n) * 32}"


def run(n: int) -> str:
    return f"mlflow.run_id={n}"


def put(n: int, since: int, until: int | None = None, by: int | None = None) -> Claim:
    return occupies(SLOT, data(n), since, until, None if by is None else run(by))


def use(by: int, at: int) -> Claim:
    return uses(SLOT, run(by), at, E.INPUT_TO)


def edges(store: GraphStore, *kinds: NodeKind) -> list[Edge]:
    found = [n.handle for kind in kinds or NodeKind for n in store.find(kind, first=500).items]
    return edges_from(store, found, NOW) if found else []


def read(store: GraphStore) -> dict[str, set[str]]:
    """What each run read."""
    inputs: dict[str, set[str]] = {}
    for edge in edges(store, K.DATASET_VERSION):
        if edge.kind is E.INPUT_TO:
            inputs.setdefault(edge.dst, set()).add(edge.src)
    return inputs


# slots -------------------------------------------------------------------------------------------------

CASES: list[tuple[str, list[Claim], dict[str, set[str]]]] = [
    ("before anything", [put(1, 20), use(1, 10)], {}),
    ("at its time", [put(1, 10), use(1, 10)], {run(1): {data(1)}}),
    ("the latest", [put(1, 10), put(2, 20), use(1, 25)], {run(1): {data(2)}}),
    (
        "each its own",
        [put(1, 10), put(2, 20), use(1, 15), use(2, 25)],
        {run(1): {data(1)}, run(2): {data(2)}},
    ),
    ("of two at one time the greater", [put(1, 10), put(2, 10), use(1, 10)], {run(1): {data(2)}}),
    ("ended", [put(1, 10, 20), use(1, 20)], {}),
    ("not yet ended", [put(1, 10, 20), use(1, 19)], {run(1): {data(1)}}),
    ("ended uncovers the one before", [put(1, 10), put(2, 20, 30), use(1, 40)], {run(1): {data(1)}}),
    ("not one's own product", [put(1, 10), put(2, 20, by=1), use(1, 25)], {run(1): {data(1)}}),
    ("another's product", [put(1, 10), put(2, 20, by=2), use(1, 25)], {run(1): {data(2)}}),
    ("only one's own", [put(1, 10, by=1), use(1, 25)], {}),
    ("used twice", [put(1, 10), put(2, 20), use(1, 15), use(1, 25)], {run(1): {data(1), data(2)}}),
]


@pytest.mark.parametrize(("claims", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_use_joins_who_stood_there_then(
    store: GraphStore, claims: Sequence[Claim], expected: dict[str, set[str]]
) -> None:
    for number, order in enumerate((claims, claims[::-1], [*claims[1:], claims[0]])):
        for key, claim in enumerate(order):
            say(store, claim, key=f"{number} {key}")
        assert read(store) == expected
        for key in range(len(order)):
            say(store, key=f"{number} {key}")
        assert read(store) == {}


def test_a_late_occupant_moves_exactly_the_uses_in_its_window(store: GraphStore) -> None:
    say(store, put(1, 10), put(3, 30), *[use(n, 5 + 10 * n) for n in range(5)])
    assert read(store) == {run(1): {data(1)}, run(2): {data(1)}, run(3): {data(3)}, run(4): {data(3)}}

    written = say(store, put(2, 20), key="late")

    assert read(store) == {run(1): {data(1)}, run(2): {data(2)}, run(3): {data(3)}, run(4): {data(3)}}
    assert (written.edges, written.edges_retired) == (1, 1)
    say(store, key="late")
    assert read(store)[run(2)] == {data(1)}


def test_a_late_product_of_ones_own_moves_everybody_else(store: GraphStore) -> None:
    say(store, put(1, 10), use(1, 25), use(2, 26))

    say(store, put(2, 20, by=1), key="late")

    assert read(store) == {run(1): {data(1)}, run(2): {data(2)}}


def test_who_is_oneself_follows_identity(store: GraphStore) -> None:
    experiment = f"dvc.experiment={'c' * 40}"
    say(store, put(1, 10), occupies(SLOT, data(2), 20, None, experiment), use(1, 25))
    assert read(store) == {run(1): {data(2)}}

    say(store, Names(K.RUN, (run(1), experiment)), key="join")
    assert read(store) == {run(1): {data(1)}}, "now it is its own product"
    say(store, key="join")

    assert read(store) == {run(1): {data(2)}}


def test_an_edge_from_a_slot_tells_its_time_and_its_sources(store: GraphStore) -> None:
    say(store, put(1, 10), source=CODE)
    say(store, uses(SLOT, run(1), 25, E.INPUT_TO, {"as": "train"}))

    (edge,) = edges(store, K.DATASET_VERSION)

    assert (edge.src, edge.dst, edge.valid_from, edge.valid_to) == (data(1), run(1), 25, None)
    assert edge.properties == {"as": "train"}
    assert edge.evidence is not None and SLOT in edge.evidence
    assert set(edge.source.split("+")) == {"code", "tracking"}


def test_many_changes_at_once_come_to_the_same_as_one_by_one(fresh: Any) -> None:
    occupants = [put(n % 10, 10 * n, None if n % 3 else 10 * n + 15, n % 4) for n in range(30)]
    used = [use(n % 4, 7 * n) for n in range(45)]
    together, single = fresh(), None
    say(together, *occupants, *used)
    digest, inputs = together.digest(), read(together)

    single = fresh()
    for claim in [*used, *occupants][::-1]:
        say(single, claim, key=repr(claim))

    assert inputs == read(single)
    assert inputs
    assert digest == _one_record(fresh, [*used, *occupants])


def _one_record(fresh: Any, claims: Sequence[Claim]) -> str:
    store = fresh()
    say(store, *claims[::2], key="r")
    say(store, *claims, key="r")
    return str(store.digest())


# references --------------------------------------------------------------------------------------------

OPEN = "mlflow.model_version=churn/3"
A, B = (f"mlflow.model_version@{scope}=churn/3" for scope in "ab")


def produced(store: GraphStore) -> list[tuple[str, str]]:
    return sorted((e.src, e.dst) for e in edges(store, K.RUN) if e.kind is E.PRODUCED)


def test_a_reference_joins_while_exactly_one_node_answers(store: GraphStore) -> None:
    say(store, Links(E.PRODUCED, run(1), OPEN))
    assert produced(store) == []

    say(store, Names(K.MODEL_VERSION, (A,)), key="a")
    assert produced(store) == [(run(1), A)]
    say(store, Names(K.MODEL_VERSION, (B,)), key="b")
    assert produced(store) == [], "now it is ambiguous"
    say(store, Names(K.MODEL_VERSION, (A, B)), key="join")
    assert produced(store) == [(run(1), A)], "two names, one node"
    say(store, key="join")
    assert produced(store) == []
    say(store, key="a")
    assert produced(store) == [(run(1), B)]
    say(store, key="b")

    assert produced(store) == []
    assert store.resolve(A) == store.resolve(B) == [], "an answer does not keep alive what it was"


def test_the_order_does_not_matter(store: GraphStore) -> None:
    claims = [Links(E.PRODUCED, run(1), OPEN), Names(K.MODEL_VERSION, (A,)), States(K.MODEL_VERSION, A, {})]
    digests = set()
    for order in permutations(claims):
        for claim in order:
            say(store, claim, key=repr(claim))
        digests.add(store.digest())
        for claim in claims:
            say(store, key=repr(claim))
        assert store.counts().nodes == {}

    assert len(digests) == 1


def test_both_ends_may_be_open(store: GraphStore) -> None:
    other = "mlflow.model_version=churn/4"
    say(store, Links(E.PRECEDES, OPEN, other))
    say(store, Names(K.MODEL_VERSION, (A,)), key="a")
    assert edges(store) == []

    say(store, Names(K.MODEL_VERSION, ("mlflow.model_version@b=churn/4",)), key="b")
    found = [(e.src, e.dst) for e in edges(store)]
    say(store, key="a")

    assert found == [(A, "mlflow.model_version@b=churn/4")]
    assert edges(store) == []


def test_content_without_its_kind_means_the_kind_that_fits(store: GraphStore) -> None:
    content = "e" * 64
    say(store, Names(K.DATASET_VERSION, (f"sha256@dataset_version={content}",)))
    say(store, Names(K.MODEL_VERSION, (f"sha256@model_version={content}",)), key="m")

    say(store, Links(E.INPUT_TO, f"sha256={content}", run(1)), key="link")

    assert read(store) == {run(1): {f"sha256@dataset_version={content}"}}


def test_a_reference_from_something_recorded_here_joins_too(store: GraphStore) -> None:
    review = "kinlore=0190f2a4-6b1c-7def-8123-456789abcdef"
    say(store, Names(K.REVIEW, (review,)), Links(E.ABOUT, review, OPEN), source=PEOPLE)

    say(store, Names(K.MODEL_VERSION, (A,)), key="a")

    assert [(e.src, e.dst) for e in edges(store, K.REVIEW)] == [(review, A)]


def test_a_reference_keeps_its_times_properties_and_words(store: GraphStore) -> None:
    say(store, Names(K.MODEL_VERSION, (A,)), Links(E.PRODUCED, run(1), OPEN, 5, 9, {"path": "x"}, "logged"))

    (edge,) = edges(store, K.RUN)

    assert (edge.valid_from, edge.valid_to, edge.properties, edge.evidence) == (5, 9, {"path": "x"}, "logged")
    assert edge.source == "tracking"


# content -----------------------------------------------------------------------------------------------


def same(store: GraphStore) -> set[frozenset[str]]:
    return {frozenset((e.src, e.dst)) for e in edges(store) if e.kind is E.SAME_AS}


def test_equal_content_across_kinds_is_the_same_thing_while_both_are_there(store: GraphStore) -> None:
    content = "e" * 64
    names = {
        kind: f"sha256@{kind.scope_name}={content}"
        for kind in (K.DATASET_VERSION, K.MODEL_VERSION, K.ARTIFACT)
    }
    for kind, text in names.items():
        say(store, Names(kind, (text,)), key=text)

    assert len(same(store)) == 2, "a chain is enough"
    say(store, key=names[K.MODEL_VERSION])
    assert same(store) == {frozenset({names[K.DATASET_VERSION], names[K.ARTIFACT]})}
    say(store, key=names[K.ARTIFACT])

    assert same(store) == set()


def test_a_persons_apart_outranks_equal_content(store: GraphStore) -> None:
    content = "e" * 64
    names = [f"sha256@{kind.scope_name}={content}" for kind in (K.DATASET_VERSION, K.MODEL_VERSION)]
    data_version, model_version = (Names(K.DATASET_VERSION, (names[0],)), Names(K.MODEL_VERSION, (names[1],)))
    write(store, TRACKING, record("d", data_version), record("m", model_version))

    say(store, Joins("apart", *names), source=PEOPLE)
    assert same(store) == set()
    say(store, source=PEOPLE)

    assert same(store) == {frozenset(names)}
