"""Which identifiers are one node: refusals, a person's word, classes, and no dependence on order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from graph_schema.identifiers import head_of, identifier
from graph_schema.identity import Candidate, Resolution, Verdict, resolve
from graph_schema.kinds import NodeKind

K = NodeKind
JOIN, SAID, SAME, DERIVED, APART = Verdict


def run(value: str) -> str:
    return f"mlflow.run_id={value}"


def exp(sha: str) -> str:
    return f"dvc.experiment={sha * 40}"


def logged(value: str) -> str:
    return f"mlflow.logged_model={value}"


def version(value: str, scope: str = "a") -> str:
    return identifier("mlflow.model_version", value, scope)


def outcome(kind: NodeKind, *candidates: Candidate, alone: Sequence[str] = ()) -> Resolution:
    members = [*dict.fromkeys([*alone, *(t for c in candidates for t in (c.a, c.b))])]
    return resolve(members, dict.fromkeys(members, kind), candidates)


def groups(found: Resolution) -> set[frozenset[str]]:
    return {frozenset(group) for group in found.groups}


def join(a: str, b: str, tie: tuple[str, str] = ("s", "r")) -> Candidate:
    return Candidate(JOIN, a, b, tie)


def test_joins_make_one_node() -> None:
    found = outcome(K.RUN, join(run("1"), exp("a")), join(exp("a"), "kinlore.run=x"))

    assert groups(found) == {frozenset({run("1"), exp("a"), "kinlore.run=x"})}
    assert found.accepted == [True, True]


def test_nobody_joined_is_alone() -> None:
    assert groups(outcome(K.RUN, alone=[run("1"), run("2")])) == {
        frozenset({run("1")}),
        frozenset({run("2")}),
    }


def test_two_values_of_an_exclusive_scheme_are_never_one_node() -> None:
    found = outcome(K.RUN, join(run("1"), exp("a")), join(run("2"), exp("a")))

    assert groups(found) == {frozenset({run("1"), exp("a")}), frozenset({run("2")})}
    assert found.accepted == [True, False], "the lesser value is tried first"


def test_an_exclusive_scheme_is_exclusive_across_a_chain() -> None:
    chain = [join(run("1"), exp("a")), join(exp("a"), "kinlore.run=k"), join("kinlore.run=k", run("2"))]

    found = outcome(K.RUN, *chain)

    assert sum(found.accepted) == 2
    assert not any({run("1"), run("2")} <= group for group in found.groups)


def test_an_exclusive_scheme_holds_per_scope() -> None:
    a, b = identifier("mlflow.experiment_id", "1", "x"), identifier("mlflow.experiment_id", "2", "y")

    assert outcome(K.EXPERIMENT, join(a, b)).accepted == [True]
    assert outcome(K.EXPERIMENT, join(a, identifier("mlflow.experiment_id", "2", "x"))).accepted == [False]


def test_same_as_keeps_nodes_and_makes_a_class_with_one_exclusive_value() -> None:
    said = Candidate(SAID, logged("1"), version("c/1"), ("people", "1"))
    same = Candidate(SAME, version("c/1"), logged("2"), ("s", "r"))

    found = outcome(K.MODEL_VERSION, said, same)

    assert len(found.groups) == 3, "SAME_AS is an edge, not a node"
    assert found.accepted == [True, False], "through the class, two logged models would be one thing"


def test_a_join_is_tried_before_a_persons_word_and_that_before_a_source_and_that_before_a_rule() -> None:
    derived = Candidate(DERIVED, logged("1"), version("a/1"), ("rule", "x"))
    same = Candidate(SAME, logged("2"), version("a/1"), ("s", "r"))
    said = Candidate(SAID, logged("3"), version("a/1"), ("people", "p"))
    joined = join(logged("4"), version("a/1"))

    assert outcome(K.MODEL_VERSION, derived, same).accepted == [False, True]
    assert outcome(K.MODEL_VERSION, derived, same, said).accepted == [False, False, True]
    assert outcome(K.MODEL_VERSION, derived, same, said, joined).accepted == [False, False, False, True]


def test_apart_refuses_joins_and_every_way_around() -> None:
    apart = Candidate(APART, version("a/1"), version("b/1", "b"), ("people", "p"))
    direct = Candidate(SAME, version("a/1"), version("b/1", "b"), ("s", "1"))
    detour = [
        Candidate(SAME, version("a/1"), version("m/1", "m"), ("s", "2")),
        Candidate(SAME, version("m/1", "m"), version("b/1", "b"), ("s", "3")),
    ]

    found = outcome(K.MODEL_VERSION, direct, *detour, apart)

    assert found.accepted[0] is False
    assert sum(found.accepted[1:3]) == 1, "one half of the way around stands"
    assert found.accepted[3] is True, "apart itself is obeyed"
    assert outcome(K.MODEL_VERSION, join(version("a/1"), version("b/1", "b")), apart).accepted == [
        False,
        True,
    ]


def test_apart_of_a_thing_from_itself_takes_nothing_from_it() -> None:
    found = outcome(K.TAG, Candidate(APART, "tag=x", "tag=x", ("people", "p")), join("tag=x", "tag=y"))

    assert frozenset({"tag=x", "tag=y"}) in groups(found)


def test_repeating_a_claim_changes_nothing() -> None:
    one = join(run("1"), exp("a"))

    assert outcome(K.RUN, one, one, join(run("1"), exp("a"), ("t", "q"))).accepted == [True] * 3


_IDS = [logged(v) for v in "12"] + [version(f"{m}/1", s) for m in "ab" for s in "xy"] + [
    f"sha256@model_version={c * 64}" for c in "01"
]  # fmt: skip
_candidates = st.lists(
    st.builds(
        Candidate,
        st.sampled_from(list(Verdict)),
        st.sampled_from(_IDS),
        st.sampled_from(_IDS),
        st.tuples(st.sampled_from("st"), st.sampled_from("12")),
    ),
    max_size=10,
)


@settings(max_examples=300)
@given(candidates=_candidates, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_claims_does_not_matter(candidates: list[Candidate], shuffle: Any) -> None:
    kinds = dict.fromkeys(_IDS, K.MODEL_VERSION)
    order = list(range(len(candidates)))
    members = list(_IDS)
    shuffle.shuffle(order)
    shuffle.shuffle(members)

    one = resolve(_IDS, kinds, candidates)
    two = resolve(members, kinds, [candidates[i] for i in order])

    assert groups(one) == groups(two)
    assert [one.accepted[i] for i in order] == two.accepted


@settings(max_examples=300)
@given(candidates=_candidates)
def test_what_is_promised_of_every_outcome(candidates: list[Candidate]) -> None:
    found = resolve(_IDS, dict.fromkeys(_IDS, K.MODEL_VERSION), candidates)

    assert sorted(text for group in found.groups for text in group) == sorted(_IDS), "a partition"
    whole = _classes(found, candidates)
    for group in whole:
        _at_most_one_exclusive_value(group)
    apart = [(c.a, c.b) for c in candidates if c.verdict is APART and c.a != c.b]
    for group in whole:
        assert not any(a in group and b in group for a, b in apart), "apart is never crossed"
    for candidate, accepted in zip(candidates, found.accepted, strict=True):
        if candidate.verdict is not APART and not accepted:
            assert not any({candidate.a, candidate.b} <= group for group in whole)
            left, right = (next(g for g in whole if t in g) for t in (candidate.a, candidate.b))
            forbidden = any(
                {a, b} <= left | right and not ({a, b} <= left or {a, b} <= right) for a, b in apart
            )
            assert forbidden or _clash(left | right), "refused only for a reason that stands"


def _classes(found: Resolution, candidates: Sequence[Candidate]) -> list[set[str]]:
    """Nodes, put together by the accepted ``SAME_AS``: naively, until nothing changes."""
    classes = [set(group) for group in found.groups]
    for candidate, accepted in zip(candidates, found.accepted, strict=True):
        if accepted and candidate.verdict is not APART:
            touched = [c for c in classes if candidate.a in c or candidate.b in c]
            classes = [c for c in classes if c not in touched] + [set().union(*touched)]
    return classes


def _clash(group: set[str]) -> bool:
    exclusive = [t for t in group if head_of(t.partition("=")[0]).scheme.exclusive]
    return any(a.partition("=")[0] == b.partition("=")[0] for a, b in combinations(exclusive, 2))


def _at_most_one_exclusive_value(group: set[str]) -> None:
    assert not _clash(group), f"two values of an exclusive scheme in {sorted(group)}"
