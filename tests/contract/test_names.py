"""Names: every spelling finds its node; nodes join, split and redirect; what contradicts is refused."""

from __future__ import annotations

import pytest

from graph_schema.claims import Finds, Joins, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW
from tests.contract.harness import CODE, PEOPLE, edges_from, ids_of, node, say

K, E = NodeKind, EdgeKind
SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
MD5 = "1bc29b36f623ba82aaf6724fd3b16718"
UUID = "0190f2a4-6b1c-7def-8123-456789abcdef"
RUN, EXPERIMENT, OWN = "mlflow.run_id=1", f"dvc.experiment={'c' * 40}", f"kinlore.run={UUID}"
OTHER = "mlflow.run_id=2"
DATA = f"dvc.md5={MD5}"


def names(*ids: str, kind: NodeKind = K.RUN) -> Names:
    return Names(kind, ids)


# spellings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "spellings", "id"),
    [
        (
            names(f"git.sha={SHA}", kind=K.COMMIT),
            [f"git.sha={SHA}", f"git.sha={SHA.upper()}", f" git.sha = {SHA} ", SHA[:7], f"git.sha={SHA[:4]}",
             f"git.sha={SHA[:12].upper()}", SHA],
            f"git.sha={SHA}",
        ),
        (
            names("git.remote=github.com/acme/churn", kind=K.REPOSITORY),
            ["git.remote=git@github.com:acme/churn.git", "git.remote=https://ada:pw@github.com/acme/churn/"],
            "git.remote=github.com/acme/churn",
        ),
        (
            names("mlflow.model_version@prod%3D=churn/3", kind=K.MODEL_VERSION),
            ["mlflow.model_version@prod%3D=churn/3", "mlflow.model_version@prod%3d=churn/3",
             "mlflow.model_version=churn/3", " mlflow.model_version = churn/3 "],
            "mlflow.model_version@prod%3D=churn/3",
        ),
        (
            names(f"sha256@artifact={'0' * 64}", kind=K.ARTIFACT),
            [f"sha256@artifact={'0' * 64}", f"sha256={'0' * 64}", f"sha256=sha256:{'0' * 64}"],
            f"sha256@artifact={'0' * 64}",
        ),
        (
            names("github.pull_request=acme/churn#7", kind=K.PULL_REQUEST),
            ["github.pull_request=Acme/Churn#007"],
            "github.pull_request=acme/churn#7",
        ),
        (
            names(f"kinlore={UUID}", kind=K.REVIEW),
            [f"kinlore={UUID.replace('-', '').upper()}", f"kinlore=urn:uuid:{UUID}"],
            f"kinlore={UUID}",
        ),
    ],
)  # fmt: skip
def test_every_spelling_finds_the_node(
    store: GraphStore, claim: Names, spellings: list[str], id: str
) -> None:
    say(store, claim)

    for spelled in spellings:
        assert ids_of(store, spelled) == [id], spelled


def test_every_identifier_of_a_node_finds_it_and_the_first_in_rank_is_its_id(store: GraphStore) -> None:
    say(store, names(OWN, EXPERIMENT, RUN))

    for text in (OWN, EXPERIMENT, RUN):
        assert ids_of(store, text) == [RUN]
    assert node(store, OWN).identifiers == (RUN, EXPERIMENT, OWN)


def test_a_reference_without_a_scope_gives_all_that_it_may_mean(store: GraphStore) -> None:
    a, b = (f"mlflow.model_version@{scope}=churn/3" for scope in "ab")
    say(store, names(a, kind=K.MODEL_VERSION), names(b, kind=K.MODEL_VERSION))

    assert ids_of(store, "mlflow.model_version=churn/3") == [a, b]
    assert ids_of(store, "mlflow.model_version@a=churn/3") == [a]
    assert ids_of(store, "mlflow.model_version@c=churn/3") == []
    assert ids_of(store, "mlflow.model_version=churn/4") == []


def test_a_reference_without_a_scope_to_one_node_of_two_names_gives_it_once(store: GraphStore) -> None:
    a, b = (f"mlflow.model_version@{scope}=churn/3" for scope in "ab")
    say(store, names(a, b, kind=K.MODEL_VERSION))

    assert ids_of(store, "mlflow.model_version=churn/3") == [a]


def test_a_prefix_of_two_commits_gives_both(store: GraphStore) -> None:
    one, two = f"git.sha=abcd{'0' * 36}", f"git.sha=abcd{'f' * 36}"
    say(store, names(one, kind=K.COMMIT), names(two, kind=K.COMMIT))

    assert ids_of(store, "abcd") == [one, two]
    assert ids_of(store, "git.sha=abcdf") == [two]
    assert ids_of(store, "git.sha=abce") == []


def test_a_prefix_finds_a_long_commit_id_too(store: GraphStore) -> None:
    long = f"git.sha={'ab' * 32}"
    say(store, names(long, kind=K.COMMIT))

    assert ids_of(store, "abababab") == [long]
    assert ids_of(store, f"git.sha={'ab' * 30}") == [long]


@pytest.mark.parametrize(
    "text", ["", "nonsense", "nonsense=1", "git.sha=xyz", "git.sha=%", "git.sha@x=abc", "abc", "="]
)
def test_what_is_no_identifier_is_refused(store: GraphStore, text: str) -> None:
    with pytest.raises(BadIdentifier):
        store.resolve(text)


def test_what_nobody_named_is_not_found(store: GraphStore) -> None:
    assert store.resolve(RUN) == []
    assert store.resolve("name=bold crane") == []
    assert store.resolve("mlflow.model=churn") == []


# look-up schemes ---------------------------------------------------------------------------------------


def test_look_up_names_find_and_never_join(store: GraphStore) -> None:
    say(store, names(RUN), names(OTHER), Finds("uri", "s3://b/k", RUN), Finds("uri", "s3://b/k", OTHER))

    assert ids_of(store, "uri=s3://b/k") == [RUN, OTHER]
    assert ids_of(store, RUN) == [RUN]
    assert node(store, RUN).identifiers == (RUN,)


def test_look_up_names_go_with_their_claim_and_follow_their_node(store: GraphStore) -> None:
    say(store, names(OWN), Finds("etag", "33a6", OWN), key="a")
    say(store, names(OWN, RUN), key="b")
    assert ids_of(store, "etag=33a6") == [RUN]

    say(store, names(OWN), key="a")

    assert ids_of(store, "etag=33a6") == []


def test_display_names_find(store: GraphStore) -> None:
    for text, name in ((RUN, "bold crane"), (OTHER, "bold crane"), (DATA, "bold crane"), (OWN, "Bold crane")):
        kind = K.DATASET_VERSION if text is DATA else K.RUN
        say(store, States(kind, text, {"name": name}), key=text)

    assert ids_of(store, "name=bold crane") == sorted([RUN, OTHER, DATA])
    assert ids_of(store, "name=bold") == []


# joining and splitting ---------------------------------------------------------------------------------


def links_of(store: GraphStore, text: str) -> list[tuple[str, str]]:
    return sorted((e.src, e.dst) for e in edges_from(store, store.resolve(text), NOW))


def test_joining_carries_edges_and_properties_over_and_splitting_gives_them_back(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}), Links(E.INPUT_TO, DATA, RUN), key="a")
    say(
        store,
        States(K.RUN, EXPERIMENT, {"host": "x"}),
        Links(E.CODE_FOR, f"git.sha={SHA}", EXPERIMENT),
        key="b",
    )
    apart = store.digest()

    say(store, names(RUN, EXPERIMENT), key="join")
    joined = node(store, EXPERIMENT)
    code = links_of(store, f"git.sha={SHA}")
    say(store, key="join")

    assert (joined.id, joined.properties) == (RUN, {"user": "ada", "host": "x"})
    assert code == [(f"git.sha={SHA}", RUN)]
    assert store.digest() == apart
    assert ids_of(store, EXPERIMENT) == [EXPERIMENT]
    assert node(store, EXPERIMENT).properties == {"host": "x"}
    assert links_of(store, f"git.sha={SHA}") == [(f"git.sha={SHA}", EXPERIMENT)]
    assert links_of(store, DATA) == [(DATA, RUN)]


def test_three_names_split_where_the_middle_lets_go(store: GraphStore) -> None:
    say(store, names(RUN, EXPERIMENT), key="a")
    say(store, names(EXPERIMENT, OWN), key="b")
    assert ids_of(store, OWN) == [RUN]

    say(store, names(RUN), key="a")

    assert ids_of(store, OWN) == [EXPERIMENT]
    assert ids_of(store, RUN) == [RUN]


def test_an_edge_inside_a_joined_node_comes_apart_again(store: GraphStore) -> None:
    say(store, Links(E.HAS, RUN, EXPERIMENT), key="edge")
    say(store, names(RUN, EXPERIMENT), key="join")
    assert links_of(store, RUN) == [(RUN, RUN)]

    say(store, key="join")

    assert links_of(store, RUN) == [(RUN, EXPERIMENT)]


def test_handles_stay_good_when_nodes_join_and_split(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}), key="a")
    say(store, States(K.RUN, EXPERIMENT, {"host": "x"}), key="b")
    handles = [*store.resolve(RUN), *store.resolve(EXPERIMENT)]

    say(store, names(RUN, EXPERIMENT), key="join")
    joined = [n.id for n in store.get(handles) if n is not None]
    say(store, key="join")

    assert RUN in joined
    found = [n.id for n in store.get([*store.resolve(RUN), *store.resolve(EXPERIMENT)]) if n is not None]
    assert found == [RUN, EXPERIMENT]


def test_what_two_exclusive_names_claim_is_refused_and_reported_and_heals(store: GraphStore) -> None:
    say(store, names(RUN, EXPERIMENT), key="a")

    written = say(store, names(OTHER, EXPERIMENT), source=CODE, key="b")

    assert ids_of(store, EXPERIMENT) == [RUN], "the lesser value is tried first"
    assert ids_of(store, OTHER) == [OTHER]
    (refusal,) = store.refusals()
    assert written.refused == [refusal]
    assert all(word in refusal for word in ("code", "b", OTHER, EXPERIMENT))
    say(store, key="a")
    assert ids_of(store, EXPERIMENT) == [OTHER], "what was refused stands once nothing is against it"
    assert store.refusals() == []


def test_a_late_better_claim_takes_the_place_of_one_that_stood(store: GraphStore) -> None:
    say(store, names(OTHER, EXPERIMENT), key="b")
    assert ids_of(store, EXPERIMENT) == [OTHER]

    say(store, names(RUN, EXPERIMENT), key="a")

    assert ids_of(store, EXPERIMENT) == [RUN]
    assert len(store.refusals()) == 1


# a person's word ---------------------------------------------------------------------------------------


A, B = "mlflow.model_version@a=churn/1", "mlflow.model_version@b=churn/1"


def same_of(store: GraphStore, text: str) -> list[tuple[str, str, str | None]]:
    edges = edges_from(store, store.resolve(text), NOW)
    return sorted((e.src, e.dst, e.evidence) for e in edges if e.kind is E.SAME_AS)


def test_same_shows_as_an_edge_and_goes_when_it_is_taken_back(store: GraphStore) -> None:
    say(store, names(A, kind=K.MODEL_VERSION), names(B, kind=K.MODEL_VERSION))
    before = store.digest()

    say(store, Joins("same", A, B, "I copied it"), source=PEOPLE, key="said")
    assert same_of(store, A) == same_of(store, B) == [(A, B, "I copied it")]
    assert ids_of(store, B) == [B], "two nodes, one thing"
    say(store, source=PEOPLE, key="said")

    assert same_of(store, A) == []
    assert store.digest() == before


def test_apart_takes_a_join_back_until_it_is_withdrawn(store: GraphStore) -> None:
    say(store, names(A, B, kind=K.MODEL_VERSION))
    before = store.digest()

    say(store, Joins("apart", A, B), source=PEOPLE, key="said")
    assert ids_of(store, B) == [B]
    assert len(store.refusals()) == 1
    say(store, source=PEOPLE, key="said")

    assert ids_of(store, B) == [A]
    assert store.refusals() == []
    assert store.digest() == before


def test_a_persons_word_outranks_a_source(store: GraphStore) -> None:
    logged = [f"mlflow.logged_model=m-{n}" for n in (1, 2)]
    say(store, Links(E.SAME_AS, A, logged[0], evidence="copied"), key="source")

    say(store, Joins("same", A, logged[1], "no, this one"), source=PEOPLE, key="said")

    assert same_of(store, A) == [(A, logged[1], "no, this one")]
    assert len(store.refusals()) == 1


def test_same_as_inside_one_node_is_no_edge(store: GraphStore) -> None:
    say(store, names(A, B, kind=K.MODEL_VERSION), Links(E.SAME_AS, A, B, evidence="copied"))

    assert same_of(store, A) == []
    assert store.counts().edges.get("SAME_AS", 0) == 0
