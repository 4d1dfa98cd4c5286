"""Small universes of records: few enough names that everything meets everything."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from graph_schema.claims import Claim, Finds, Joins, Keyed, Links, Names, Record, States, occupies, uses
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import Source
from tests.contract.harness import CODE, PEOPLE, TRACKING

K, E = NodeKind, EdgeKind

_UUIDS = [f"0190f2a4-6b1c-7def-8123-45678900000{n}" for n in range(2)]

#: What things are called, by kind. Scoped names share their value over two scopes: references to them
#: without a scope are unknown, unique or ambiguous as claims come and go.
NAMES: dict[NodeKind, list[str]] = {
    K.COMMIT: [f"git.sha={c * 40}" for c in "ab"],
    K.RUN: [
        "mlflow.run_id=r1",
        "mlflow.run_id=r2",
        f"dvc.experiment={'c' * 40}",
        f"kinlore.run={_UUIDS[0]}",
    ],
    K.DATASET_VERSION: [
        f"dvc.md5={'1' * 32}",
        f"dvc.md5={'2' * 32}.dir",
        "openlineage.dataset_version=pg://db/users@unobserved",
        f"openlineage.dataset_version=pg://db/users@{_UUIDS[1]}",
        f"sha256@dataset_version={'e' * 64}",
    ],
    K.MODEL_VERSION: [
        identifier("mlflow.model_version", "churn/1", "a"),
        identifier("mlflow.model_version", "churn/1", "b=%"),
        identifier("mlflow.model_version", "churn/2", "a"),
        "mlflow.logged_model=m-1",
        "mlflow.logged_model=m-2",
        f"sha256@model_version={'e' * 64}",
    ],
    K.DEPLOYMENT: [
        identifier("deployment", "prod/churn@1", "k"),
        f"k8s.uid={_UUIDS[0]}",
    ],
}
KINDS = tuple(NAMES)
OPEN = ["mlflow.model_version=churn/1", "mlflow.model_version=churn/2"]
SLOTS = ["table:users", "alias:champion"]
SOURCES = [TRACKING, CODE, PEOPLE]
#: Times in the world: few, so that equal ones are common.
TIMES = list(range(10, 70, 10))

_LINKS = [
    (E.CODE_FOR, K.COMMIT, K.RUN),
    (E.INPUT_TO, K.DATASET_VERSION, K.RUN),
    (E.PRODUCED, K.RUN, K.MODEL_VERSION),
    (E.PRODUCED, K.RUN, K.DATASET_VERSION),
    (E.DERIVED_INTO, K.DATASET_VERSION, K.DATASET_VERSION),
    (E.REGISTERED_AS, K.MODEL_VERSION, K.MODEL_VERSION),
    (E.DEPLOYED_AS, K.MODEL_VERSION, K.DEPLOYMENT),
    (E.HAS, K.RUN, K.RUN),
    (E.PRECEDES, K.COMMIT, K.COMMIT),
    (E.SAME_AS, K.MODEL_VERSION, K.MODEL_VERSION),
    (E.SAME_AS, K.MODEL_VERSION, K.DATASET_VERSION),
    (E.SAME_AS, K.RUN, K.RUN),
]

times = st.sampled_from(TIMES)
maybe_times = st.none() | times
evidence = st.sampled_from([None, "seen", "told"])
properties = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["RUNNING", "FINISHED", "FAILED"]),
        "name": st.sampled_from(["bold crane", "", "größe"]),
        "createdAt": st.sampled_from([5, 0, -7]),
        "url": st.just("http://x/1"),
        "user": st.sampled_from(["ada", "bob", None, 3]),
        "params": st.dictionaries(
            st.sampled_from(["lr", "depth"]), st.sampled_from(["1", 2, 0.5]), max_size=2
        ),
    },
)


@st.composite
def names(draw: st.DrawFn, kinds: tuple[NodeKind, ...] = KINDS) -> Names:
    kind = draw(st.sampled_from(kinds))
    texts = draw(st.lists(st.sampled_from(NAMES[kind]), min_size=1, max_size=3, unique=True))
    return Names(kind, tuple(texts))


@st.composite
def states(draw: st.DrawFn) -> States:
    kind = draw(st.sampled_from(KINDS))
    return States(kind, draw(st.sampled_from(NAMES[kind])), draw(properties), draw(maybe_times))


@st.composite
def links(draw: st.DrawFn) -> Links:
    kind, src, dst = draw(st.sampled_from(_LINKS))
    sides = [draw(st.sampled_from(NAMES[side])) for side in (src, dst)]
    props = draw(st.sampled_from([None, {}, {"path": "x"}]))
    return Links(kind, *sides, draw(maybe_times), draw(maybe_times), props, draw(evidence))


@st.composite
def references(draw: st.DrawFn) -> Links:
    """Edges with an end, or both, that names no scope."""
    way = draw(st.integers(0, 2))
    if way == 0:
        kind, src, dst = E.PRODUCED, draw(st.sampled_from(NAMES[K.RUN])), draw(st.sampled_from(OPEN))
    elif way == 1:
        kind, src, dst = (
            E.DEPLOYED_AS,
            draw(st.sampled_from(OPEN)),
            draw(st.sampled_from(NAMES[K.DEPLOYMENT])),
        )
    else:
        kind, src, dst = E.PRECEDES, OPEN[0], OPEN[1]
    return Links(kind, src, dst, draw(maybe_times), None, None, draw(evidence))


@st.composite
def verdicts(draw: st.DrawFn) -> Joins:
    kind = draw(st.sampled_from([K.RUN, K.MODEL_VERSION]))
    a, b = draw(st.lists(st.sampled_from(NAMES[kind]), min_size=2, max_size=2, unique=True))
    return Joins(draw(st.sampled_from(["same", "apart"])), a, b, "because")


@st.composite
def slot_claims(draw: st.DrawFn) -> Keyed:
    """Occupants that end or do not, come late, are the user's own product; and uses."""
    slot, run = draw(st.sampled_from(SLOTS)), draw(st.sampled_from(NAMES[K.RUN]))
    if draw(st.booleans()):
        return uses(slot, run, draw(times), E.INPUT_TO, draw(st.sampled_from([None, {"as": "train"}])))
    thing = draw(st.sampled_from(NAMES[K.DATASET_VERSION]))
    by = draw(st.none() | st.just(run))
    return occupies(slot, thing, draw(times), draw(maybe_times), by)


@st.composite
def finds(draw: st.DrawFn) -> Finds:
    kind = draw(st.sampled_from(KINDS))
    return Finds("uri", draw(st.sampled_from(["s3://b/k", "s3://b/l"])), draw(st.sampled_from(NAMES[kind])))


_identity = st.one_of(names(), names(), links(), verdicts())
#: What a history is about. Everything at once seldom meets itself; a few kinds of claim do.
_FOCUS: list[st.SearchStrategy[Claim]] = [
    st.one_of(names(), states(), links(), references(), verdicts(), slot_claims(), finds()),
    _identity,
    st.one_of(names((K.RUN,)), slot_claims(), slot_claims(), slot_claims()),
    st.one_of(names((K.MODEL_VERSION,)), names((K.MODEL_VERSION,)), references()),
    st.one_of(names((K.RUN, K.MODEL_VERSION)), verdicts(), verdicts(), references()),
    st.one_of(names(), states(), links()),
]


def _one_state_each(found: list[Claim]) -> list[Claim]:
    """At most one statement per name: what two of one record come to is tested by itself."""
    seen: set[str] = set()
    kept: list[Claim] = []
    for claim in found:
        if isinstance(claim, States):
            if claim.id in seen:
                continue
            seen.add(claim.id)
        kept.append(claim)
    return kept


def records(claims: st.SearchStrategy[Claim]) -> st.SearchStrategy[Record]:
    """A state of one of few records. Some say a thing twice; some take everything back for good."""
    found = st.lists(claims, max_size=4).map(_one_state_each)
    twice = st.booleans().flatmap(lambda again: found.map(lambda c: c + c[:1] if again else c))
    keys, versions = st.sampled_from(["k1", "k2", "k3"]), st.integers(1, 3)
    states = st.builds(Record, keys, st.just("thing"), versions, twice.map(tuple))
    withdrawals = st.builds(Record, keys, st.just("thing"), st.integers(3, 4), st.just(()))
    return st.one_of(states, states, states, withdrawals)


class Write(msgspec.Struct, frozen=True):
    """A transaction that writes records of one source."""

    source: Source
    records: tuple[Record, ...]


class Retire(msgspec.Struct, frozen=True):
    """A transaction that marks records as gone at the source, or back again (``at`` None)."""

    source: Source
    keys: tuple[str, ...]
    at: int | None


Op = Write | Retire

sources = st.sampled_from(SOURCES)


def writes(claims: st.SearchStrategy[Claim]) -> st.SearchStrategy[Write]:
    """Transactions that write such claims."""
    return st.builds(Write, sources, st.lists(records(claims), min_size=1, max_size=4).map(tuple))


retires: st.SearchStrategy[Retire] = st.builds(
    Retire,
    sources,
    st.lists(st.sampled_from(["k1", "k2", "k3"]), min_size=1, max_size=2, unique=True).map(tuple),
    st.none() | times,
)
_focus = st.sampled_from(_FOCUS)
histories: st.SearchStrategy[list[Op]] = _focus.flatmap(
    lambda claims: st.lists(st.one_of(*[writes(claims)] * 4, retires), min_size=1, max_size=7)
)
loads: st.SearchStrategy[list[Write]] = _focus.flatmap(
    lambda claims: st.lists(writes(claims), min_size=1, max_size=6)
)


def deliveries(found: list[Write], shuffle: Any) -> list[Write]:
    """The same records otherwise: in another order, some twice, one to a transaction or many."""
    single = [Write(w.source, (r,)) for w in found for r in w.records]
    single += shuffle.sample(single, k=len(single) // 2)
    shuffle.shuffle(single)
    packed: list[Write] = []
    for one in single:
        if packed and packed[-1].source == one.source and shuffle.random() < 0.5:
            packed[-1] = Write(one.source, packed[-1].records + one.records)
        else:
            packed.append(one)
    return packed
