"""Records: versions, replacement, withdrawal, and what is refused."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from graph_schema.claims import Claim, Finds, Joins, Keyed, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadClaim, KinloreError
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source, Transaction
from graph_schema.values import NOW
from tests.contract.harness import CODE, PEOPLE, TRACKING, edges_from, ids_of, node, record, say, see, write

K, E = NodeKind, EdgeKind
RUN, DATA, COMMIT = "mlflow.run_id=1", f"dvc.md5={'1' * 32}", f"git.sha={'a' * 40}"


def user(name: str, version: int, key: str = "r") -> Record:
    return Record(key, "run", version, (States(K.RUN, RUN, {"user": name}, 1),))


def who(store: GraphStore) -> Any:
    return node(store, RUN).properties.get("user")


def test_counts_tell_what_became_of_each_record(store: GraphStore) -> None:
    first = write(store, TRACKING, user("ada", 1), user("bob", 1, "other"))
    again = write(store, TRACKING, user("ada", 1), user("ada", 2))
    changed = write(store, TRACKING, user("cyd", 3))
    stale = write(store, TRACKING, user("dan", 2))

    assert (first.new, first.changed, first.unchanged, first.stale) == (2, 0, 0, 0)
    assert (again.new, again.changed, again.unchanged, again.stale) == (0, 0, 2, 0)
    assert (changed.new, changed.changed, changed.unchanged, changed.stale) == (0, 1, 0, 0)
    assert (stale.new, stale.changed, stale.unchanged, stale.stale) == (0, 0, 0, 1)
    assert again.changes == 0
    assert changed.changes == 1


def test_a_second_identical_write_changes_nothing(store: GraphStore) -> None:
    said = record("r", Names(K.RUN, (RUN,)), Links(E.INPUT_TO, DATA, RUN, 5), version=4)
    write(store, TRACKING, said)
    before = store.backup_digest(), store.counts()

    again = write(store, TRACKING, said)

    assert (store.backup_digest(), store.counts()) == before
    assert (again.nodes, again.edges, again.edges_retired, again.changes) == (0, 0, 0, 0)


def test_a_record_replaces_what_it_claimed_before(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada", "host": "x"}), Links(E.INPUT_TO, DATA, RUN))

    say(store, States(K.RUN, RUN, {"user": "bob"}), Links(E.CODE_FOR, COMMIT, RUN))

    assert node(store, RUN).properties == {"user": "bob"}
    assert store.resolve(DATA) == [], "nobody names it any more"
    assert store.counts().edges == {"CODE_FOR": 1}


def test_an_empty_record_withdraws_everything(store: GraphStore) -> None:
    empty = store.digest()
    say(store, States(K.RUN, RUN, {"user": "ada"}), Links(E.INPUT_TO, DATA, RUN))

    withdrawn = say(store)

    assert store.digest() == empty
    assert (store.counts().nodes, store.counts().edges) == ({}, {})
    assert withdrawn.edges_retired == 1


def test_an_older_version_is_ignored_also_within_one_write(store: GraphStore) -> None:
    write(store, TRACKING, user("ada", 5))

    write(store, TRACKING, user("bob", 4), user("cyd", 7), user("dan", 6))

    assert who(store) == "cyd"


def test_a_withdrawal_is_ordered_by_version_too(store: GraphStore) -> None:
    write(store, TRACKING, Record("r", "run", 5, ()))

    write(store, TRACKING, user("ada", 4))

    assert store.resolve(RUN) == []


def test_of_one_version_the_same_state_stands_in_any_order(store: GraphStore) -> None:
    digests, users = set(), set()
    states = [user("ada", 1), user("bob", 1), user("cyd", 1)]
    for number, order in enumerate(permutations(states)):
        source = Source(f"s{number}", "mlflow")
        for one in order:
            write(store, source, one)
        users.add(who(store))
        write(store, source, Record("r", "run", 2, ()))
        digests.add(store.digest())

    assert len(users) == 1
    assert len(digests) == 1


def test_equal_content_at_a_higher_version_still_holds_off_what_is_older(store: GraphStore) -> None:
    write(store, TRACKING, user("ada", 1))
    write(store, TRACKING, user("ada", 9))

    stale = write(store, TRACKING, user("bob", 5))

    assert stale.stale == 1
    assert who(store) == "ada"


def test_equal_content_at_a_lower_version_changes_nothing(store: GraphStore) -> None:
    write(store, TRACKING, user("ada", 9))
    write(store, TRACKING, user("ada", 1))

    assert write(store, TRACKING, user("bob", 5)).stale == 1


def test_records_of_different_sources_with_one_key_are_different_records(store: GraphStore) -> None:
    write(store, TRACKING, user("ada", 9))
    write(store, PEOPLE, user("bob", 1))

    assert who(store) == "bob", "people are believed more"
    write(store, PEOPLE, Record("r", "run", 2, ()))
    assert who(store) == "ada"


def test_an_edge_claimed_by_two_records_stays_until_both_withdraw_it(store: GraphStore) -> None:
    edge = Links(E.INPUT_TO, DATA, RUN, 5)
    say(store, edge, key="a")
    say(store, edge, key="b")

    say(store, key="a")
    assert store.counts().edges == {"INPUT_TO": 1}
    say(store, key="b")
    assert store.counts().edges.get("INPUT_TO", 0) == 0


def test_a_record_that_repeats_itself_says_it_once(store: GraphStore) -> None:
    edge = Links(E.INPUT_TO, DATA, RUN, 5)

    written = say(store, edge, edge, Names(K.RUN, (RUN,)), Names(K.RUN, (RUN,)))

    assert store.counts().edges == {"INPUT_TO": 1}
    assert written.edges == 1


@pytest.mark.parametrize("turn", [1, -1])
def test_two_statements_of_one_record_come_to_the_later_of_each_property(
    store: GraphStore, turn: int
) -> None:
    early = States(K.RUN, RUN, {"user": "ada", "status": "RUNNING", "params": {"lr": "1"}}, 1)
    late = States(K.RUN, RUN, {"user": "bob", "params": {"depth": "3"}}, 2)

    say(store, *[early, late][::turn])

    assert node(store, RUN).properties == {
        "user": "bob",
        "status": "RUNNING",
        "params": {"lr": "1", "depth": "3"},
    }


def test_naming_makes_a_node_and_referring_makes_a_stub(store: GraphStore) -> None:
    say(store, Names(K.RUN, (RUN,)), Links(E.INPUT_TO, DATA, RUN))

    run, data = node(store, RUN), node(store, DATA)

    assert (run.stub, run.sources) == (False, ("tracking",))
    assert (data.stub, data.sources, data.properties, data.name) == (True, (), {}, "1" * 10)


def test_a_stub_is_filled_when_its_source_arrives_and_empty_again_when_it_withdraws(
    store: GraphStore,
) -> None:
    say(store, Links(E.INPUT_TO, DATA, RUN))
    before = store.digest()

    say(store, States(K.DATASET_VERSION, DATA, {"size": 7, "name": "users.csv"}), source=CODE, key="d")
    filled = node(store, DATA)
    say(store, source=CODE, key="d")

    assert (filled.stub, filled.name, filled.properties) == (False, "users.csv", {"size": 7})
    assert node(store, DATA).stub
    assert store.digest() == before


def test_reserved_properties_fill_the_fields(store: GraphStore) -> None:
    say(
        store, States(K.RUN, RUN, {"name": "bold crane", "url": "http://x/1", "createdAt": -5, "user": "ada"})
    )

    found = node(store, RUN)

    assert (found.name, found.url, found.created_at) == ("bold crane", "http://x/1", -5)
    assert found.properties == {"user": "ada"}


def test_property_values_come_back_as_they_were_written(store: GraphStore) -> None:
    said = {
        "int": 2**63 - 1,
        "negative": -(2**63),
        "float": 0.1,
        "tiny": 5e-324,
        "whole": 1.0,
        "true": True,
        "null": None,
        "text": "größe 🙂 \u202e \\ ' \" ` ; -- /* $x {y}",
        "list": [1, "a", [None, {}], {"x": []}],
        "params": {"a.b": "1", "": "empty", "ключ": 2},
    }
    say(store, States(K.RUN, RUN, dict(said)))

    found = node(store, RUN).properties

    assert found == said
    assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in said.items()}


BAD: list[tuple[str, Claim]] = [
    ("an edge against the arrows", Links(E.INPUT_TO, RUN, DATA)),
    ("an edge between kinds it may not join", Links(E.PRODUCED, COMMIT, DATA)),
    ("a name of another kind", Names(K.RUN, (DATA,))),
    ("a statement on another kind", States(K.RUN, COMMIT, {})),
    ("names of two kinds", Names(K.RUN, (RUN, COMMIT))),
    ("no name at all", Names(K.RUN, ())),
    ("a look-up name as a name", Names(K.RUN, ("uri=s3://b/k",))),
    ("an unknown scheme", Names(K.RUN, ("nonsense=1",))),
    ("no scheme", Names(K.RUN, ("1",))),
    ("a name without its scope", Names(K.MODEL_VERSION, ("mlflow.model_version=churn/1",))),
    ("a statement without its scope", States(K.MODEL_VERSION, "mlflow.model_version=churn/1", {})),
    ("content without its kind", Names(K.ARTIFACT, (f"sha256={'0' * 64}",))),
    ("an identifier scheme as a look-up", Finds("git.sha", "a" * 40, RUN)),
    ("a verdict that is neither", Joins("perhaps", RUN, "mlflow.run_id=2")),
    ("the same for different kinds", Joins("same", RUN, COMMIT)),
    ("a rule that nobody knows", Keyed("nonsense", "k", "uses", RUN)),
]


def test_claims_against_the_vocabulary_are_refused_by_name(store: GraphStore) -> None:
    say(store, Names(K.RUN, (RUN,)), key="held")
    before = store.backup_digest()

    for what, claim in BAD:
        try:
            say(store, Names(K.RUN, ("mlflow.run_id=9",)), claim)
        except KinloreError as refusal:
            assert 0 < len(str(refusal)) < 1_500, what
        else:
            raise AssertionError(f"{what} was let in")
        assert store.backup_digest() == before, what


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


ODD = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "2^63": 2**63,
    "-2^63-1": -(2**63) - 1,
    "nul": "a\0b",
    "surrogate": "\ud800",
    "surrogate key": {"\ud800": 1},
    "nul key": {"a\0": 1},
    "nesting": nested(2_000),
}


def test_a_value_that_cannot_be_stored_is_refused_or_kept_literally(store: GraphStore) -> None:
    for what, value in ODD.items():
        before = store.backup_digest()
        try:
            say(store, States(K.RUN, RUN, {"odd": value}))
        except BadClaim:
            assert store.backup_digest() == before, what
            continue
        assert node(store, RUN).properties == {"odd": value}, what
        say(store)


def test_kinds_of_a_shared_scheme_are_settled_by_what_is_said(store: GraphStore) -> None:
    attempt = "kinlore=0190f2a4-6b1c-7def-8123-456789abcdef"
    with pytest.raises(BadClaim, match="kind"):
        say(store, Links(E.OWNED_BY, attempt, "team=growth"))

    say(store, States(K.ATTEMPT, attempt, {"outcome": "worked"}), Links(E.OWNED_BY, attempt, "team=growth"))

    assert node(store, attempt).kind is K.ATTEMPT
    with pytest.raises(BadClaim, match="Attempt"):
        say(store, Names(K.REVIEW, (attempt,)), source=PEOPLE)


def test_keyed_claims_are_read_by_key_role_and_window(store: GraphStore) -> None:
    def at(time: int | None, role: str = "file", ref: str | None = None) -> Keyed:
        return Keyed("tree_state", "k", role, ref, None, time, None, {"path": f"{time}"})

    say(store, at(3), at(1), at(2, ref=RUN), at(None), at(2, "other"), at(2, ref=DATA))

    def read(**window: Any) -> list[tuple[int | None, str | None]]:
        def work(tx: Transaction) -> list[tuple[int | None, str | None]]:
            return [(c.at, c.ref) for c in tx.keyed("tree_state", "k", role="file", **window)]

        return store.transact(work)

    in_order = [(None, None), (1, None), (2, DATA), (2, RUN), (3, None)]
    assert read() == in_order
    assert read(descending=True) == in_order[::-1]
    assert read(since=2) == in_order[2:]
    assert read(until=2) == in_order[1:2], "what has no time lies in no window"
    assert read(since=1, until=3) == in_order[1:4]
    assert read(descending=True, limit=2, until=3) == [(2, RUN), (2, DATA)]
    assert store.transact(lambda tx: tx.keyed("tree_state", "other key")) == []


def test_matching_finds_a_value_under_every_scope(store: GraphStore) -> None:
    a, b = (f"mlflow.model@{scope}=churn" for scope in "ab")
    say(store, Names(K.MODEL, (a,)), Names(K.MODEL, (b,)), Names(K.MODEL, ("mlflow.model@a=churn2",)))

    found = store.transact(lambda tx: tx.matching("mlflow.model", "churn"))

    assert [text for text, _ in found] == [a, b]
    assert [handle for _, handle in found] == [store.resolve(a)[0], store.resolve(b)[0]]


def test_what_two_sources_say_is_kept_apart(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada", "host": "x"}, 1))
    say(store, States(K.RUN, RUN, {"user": "bob"}, 9), source=CODE)

    assert node(store, RUN).properties == {"user": "ada", "host": "x"}
    assert node(store, RUN).sources == ("code", "tracking")
    say(store)
    assert node(store, RUN).properties == {"user": "bob"}


def test_an_edge_tells_who_says_it_and_why(store: GraphStore) -> None:
    say(store, Links(E.INPUT_TO, DATA, RUN, 5, 9, {"path": "x"}, "logged"))

    (edge,) = edges_from(store, store.resolve(DATA), NOW)

    assert (edge.src, edge.dst, edge.kind, edge.source) == (DATA, RUN, E.INPUT_TO, "tracking")
    assert (edge.valid_from, edge.valid_to, edge.evidence, edge.properties) == (5, 9, "logged", {"path": "x"})


def test_a_big_write_lands_whole(store: GraphStore) -> None:
    runs = []
    for n in range(1_500):
        run = f"mlflow.run_id={n}"
        runs.append(record(str(n), States(K.RUN, run, {"n": n}), Links(E.INPUT_TO, DATA, run)))

    written = write(store, TRACKING, *runs)

    assert (written.new, written.nodes, written.edges) == (1_500, 1_501, 1_500)
    assert store.counts().nodes == {"Run": 1_500, "DatasetVersion": 1}
    assert ids_of(store, "mlflow.run_id=1499") == ["mlflow.run_id=1499"]
    assert len(see(store, [K.RUN, K.DATASET_VERSION]).edges) == 1_500
