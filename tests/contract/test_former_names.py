"""Names that have had their day go on finding their node; names as they were known then; handles."""

from __future__ import annotations

from graph_schema.claims import Claim, Finds, Names, States
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Transaction
from ingestors import joins
from tests.contract.harness import TRACKING, ids_of, node, record, say, write

K = NodeKind
SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
MD5 = "1bc29b36f623ba82aaf6724fd3b16718"
UUID = "0190f2a4-6b1c-7def-8123-456789abcdef"
RUN, OTHER = "mlflow.run_id=1", "mlflow.run_id=2"
EXPERIMENT, OWN = f"dvc.experiment={'c' * 40}", f"kinlore.run={UUID}"
DATA = f"dvc.md5={MD5}"


def names(*ids: str, kind: NodeKind = K.RUN) -> Names:
    return Names(kind, ids)


def test_a_name_that_nobody_gives_any_more_still_finds_the_node_it_named(store: GraphStore) -> None:
    say(store, names(RUN, EXPERIMENT))

    say(store, names(EXPERIMENT))

    assert ids_of(store, RUN) == [EXPERIMENT]
    assert node(store, RUN).identifiers == (EXPERIMENT,)


def test_an_old_name_follows_its_node_into_another(store: GraphStore) -> None:
    say(store, names(EXPERIMENT, OWN), key="a")
    say(store, names(EXPERIMENT), key="a")
    assert ids_of(store, OWN) == [EXPERIMENT]

    say(store, names(RUN, EXPERIMENT), key="b")

    assert ids_of(store, OWN) == [RUN]


def test_a_name_of_a_node_that_is_gone_altogether_finds_nothing_and_can_come_back(store: GraphStore) -> None:
    say(store, names(RUN))
    say(store)
    assert store.resolve(RUN) == []

    say(store, names(RUN), States(K.RUN, RUN, {"user": "ada"}))

    assert node(store, RUN).properties == {"user": "ada"}


def test_an_old_name_that_is_given_again_names_what_it_is_given_to(store: GraphStore) -> None:
    say(store, names(RUN, EXPERIMENT), key="a")
    say(store, names(RUN), key="a")
    assert ids_of(store, EXPERIMENT) == [RUN]

    say(store, names(OTHER, EXPERIMENT), key="b")

    assert ids_of(store, EXPERIMENT) == [OTHER]
    assert ids_of(store, RUN) == [RUN]


def test_names_are_found_as_they_were_known_then(store: GraphStore) -> None:
    times: list[int] = []

    def at(*claims: Claim, key: str) -> None:
        def work(tx: Transaction) -> int:
            joins.apply(tx, TRACKING, [record(key, *claims)])
            return tx.now

        times.append(store.transact(work))

    at(names(EXPERIMENT), key="a")
    at(names(RUN, EXPERIMENT), key="b")
    at(key="b")
    at(key="a")

    assert [ids_of(store, EXPERIMENT, known_at=t) for t in times] == [[EXPERIMENT], [RUN], [EXPERIMENT], []]
    assert [ids_of(store, RUN, known_at=t) for t in times[:2]] == [[], [RUN]]
    assert node(store, EXPERIMENT, known_at=times[1]).identifiers == (RUN, EXPERIMENT)
    assert ids_of(store, EXPERIMENT, known_at=times[0] - 1) == []


def test_unscoped_and_shortened_names_are_found_as_they_were_known_then(store: GraphStore) -> None:
    model, commit = "mlflow.model@a=churn", f"git.sha={SHA}"

    def work(tx: Transaction) -> int:
        said = [names(model, kind=K.MODEL), names(commit, kind=K.COMMIT), Finds("uri", "s3://b/k", model)]
        joins.apply(tx, TRACKING, [record("r", *said, States(K.MODEL, model, {"name": "Churn"}))])
        return tx.now

    then = store.transact(work)
    say(store)

    assert ids_of(store, "mlflow.model=churn", known_at=then) == [model]
    assert ids_of(store, SHA[:8], known_at=then) == [commit]
    assert ids_of(store, "name=Churn", known_at=then) == [model]
    assert ids_of(store, "mlflow.model=churn") == []


# handles -----------------------------------------------------------------------------------------------


def test_get_answers_in_order_with_none_where_there_is_none(store: GraphStore) -> None:
    write(store, TRACKING, record("a", names(RUN)), record("b", names(OTHER)), record("c", names(OWN)))
    handles = [store.resolve(text)[0] for text in (OWN, RUN, OTHER)]
    say(store, key="b")

    found = store.get([*handles, handles[1], 10**12])

    assert [n.id if n else None for n in found] == [OWN, RUN, None, RUN, None]
    assert [n.handle for n in found if n] == [handles[0], handles[1], handles[1]]
    assert store.get([]) == []


def test_labels_answer_in_order(store: GraphStore) -> None:
    say(store, States(K.RUN, RUN, {"name": "bold crane"}), names(DATA, kind=K.DATASET_VERSION))
    run, data = *store.resolve(RUN), *store.resolve(DATA)

    found = store.labels([data, run, data])

    assert [tuple(label) for label in found] == [
        (data, DATA, K.DATASET_VERSION, MD5[:10]),
        (run, RUN, K.RUN, "bold crane"),
        (data, DATA, K.DATASET_VERSION, MD5[:10]),
    ]
    assert store.labels([]) == []
