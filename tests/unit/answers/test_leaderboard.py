"""Ranks only where numbers can be compared, intervals across seeds, the direction of metrics."""

from __future__ import annotations

import statistics

import pytest

from app.answers.intervals import mean_interval, t_quantile, t_within
from app.answers.leaderboard import Entry, Measurement, leaderboard
from app.answers.measured import seed_of
from app.answers.metrics import higher_is_better
from graph_schema.errors import BadInput

ON, OTHER = frozenset({7}), frozenset({8})


def ran(
    run: int, auc: float | None = None, *, data: frozenset[int] | None = ON, setup: str | None = None,
    seed: str | None = None, at: int = 0, **metrics: float,
) -> Measurement:  # fmt: skip
    if auc is not None:
        metrics["auc"] = auc
    return Measurement(run=run, metrics=metrics, data=data, setup=setup or f"setup {run}", seed=seed, at=at)


def entry(node: int, *measurements: Measurement, missing: str | None = None) -> Entry:
    return Entry(node, measurements, missing)


# ranks -------------------------------------------------------------------------------------------------


def test_the_best_is_first_and_equals_share_a_rank() -> None:
    entries = [entry(1, ran(11, 0.7)), entry(2, ran(12, 0.9)), entry(3, ran(13, 0.9)), entry(4, ran(14, 0.6))]

    board = leaderboard(entries)

    assert (board.metric, board.higher_is_better, board.data) == ("auc", True, (7,))
    assert [(row.rank, row.nodes) for row in board.rows] == [(1, (2,)), (1, (3,)), (3, (1,)), (4, (4,))]
    assert [(row.n, row.low) for row in board.rows] == [(1, None)] * 4


def test_lower_is_better_for_a_loss() -> None:
    board = leaderboard([entry(1, ran(11, loss=0.3)), entry(2, ran(12, loss=0.2))])

    assert [row.nodes for row in board.rows] == [(2,), (1,)]


def test_what_cannot_be_compared_says_why_and_has_no_rank() -> None:
    entries = [
        entry(1, ran(11, 0.7)),
        entry(2, ran(12, 0.8)),
        entry(3, ran(13, 0.99, data=OTHER)),
        entry(4, ran(14, 0.99, data=None)),
        entry(5, ran(15, rmse=2.0)),
        entry(6, missing="which run made it is unknown"),
        entry(7, ran(17)),
    ]

    board = leaderboard(entries, metric="auc")

    assert [(row.nodes, row.rank, row.because) for row in board.rows] == [
        ((2,), 1, None),
        ((1,), 2, None),
        ((3,), None, "measured on other data"),
        ((4,), None, "which data it was measured on is unknown"),
        ((5,), None, "no auc; it has rmse"),
        ((6,), None, "which run made it is unknown"),
        ((7,), None, "no metric is known"),
    ]
    assert [(row.value, row.data) for row in board.rows[2:4]] == [(0.99, (8,)), (0.99, ())]


def test_the_data_of_most_ranks_and_of_equals_the_last_used() -> None:
    early, late = ran(11, 0.7, data=OTHER, at=1), ran(12, 0.8, at=2)

    assert leaderboard([entry(1, early), entry(2, late)]).data == (7,)
    assert leaderboard([entry(1, early), entry(2, late), entry(3, ran(13, 0.1, data=OTHER))]).data == (8,)


def test_nobody_knows_the_data_of_any() -> None:
    board = leaderboard([entry(1, ran(11, 0.7, data=None)), entry(2, ran(12, 0.8, data=None))])

    assert [row.rank for row in board.rows] == [None, None] and board.data == ()


def test_a_version_counts_where_it_was_evaluated_on_the_shared_data() -> None:
    trained = [ran(run, 0.99, data=frozenset({run}), at=1) for run in (11, 12)]
    judged = [ran(run, value, at=2) for run, value in ((21, 0.6), (22, 0.7))]

    board = leaderboard([entry(1, trained[0], judged[0]), entry(2, trained[1], judged[1])])

    assert [(row.nodes, row.value, row.runs) for row in board.rows] == [
        ((2,), 0.7, (22,)),
        ((1,), 0.6, (21,)),
    ]


# seeds -------------------------------------------------------------------------------------------------


def test_runs_that_differ_in_their_seed_are_one_row_with_an_interval() -> None:
    values = [0.70, 0.72, 0.71, 0.75]
    seeds = [ran(10 + n, value, setup="a", seed=str(n)) for n, value in enumerate(values)]
    other = [ran(20 + n, value, setup="b", seed=str(n)) for n, value in enumerate((0.5, 0.6))]

    board = leaderboard([entry(1, *seeds), entry(2, *seeds), entry(3, *other)])

    first, second = board.rows
    half = 3.182446 * statistics.stdev(values) / 2
    assert first.nodes == (1, 2) and first.seeds == ("0", "1", "2", "3") and first.n == 4
    assert first.value == pytest.approx(statistics.mean(values))
    assert (first.low, first.high) == pytest.approx((0.72 - half, 0.72 + half), abs=1e-6)
    assert second.n == 2 and second.overlaps is True, "two seeds say next to nothing"


def test_rows_apart_do_not_overlap() -> None:
    def of(setup: str, base: float) -> Entry:
        node = ord(setup)
        return entry(node, *(ran(node * 10 + n, base + n / 1000, setup=setup, seed=str(n)) for n in range(5)))

    rows = leaderboard([of("a", 0.8), of("b", 0.7), entry(9, ran(99, 0.6))]).rows

    assert [row.overlaps for row in rows] == [None, False, None]


def test_a_seed_run_twice_counts_once() -> None:
    twice = [ran(11, 0.6, setup="a", seed="1"), ran(12, 0.8, setup="a", seed="1")]

    (row,) = leaderboard([entry(1, *twice)]).rows

    assert (row.n, row.value, row.low) == (1, pytest.approx(0.7), None)


def test_without_a_seed_nothing_is_merged() -> None:
    rows = leaderboard([entry(1, ran(11, 0.7, setup="a")), entry(2, ran(12, 0.8, setup="a"))]).rows

    assert [(row.nodes, row.n) for row in rows] == [((2,), 1), ((1,), 1)]


@pytest.mark.parametrize(
    ("params", "seed"),
    [
        ({"lr": 1}, None),
        ({"seed": 3, "lr": 1}, "3"),
        ({"model.random_state": "7"}, "7"),
        ({"torch_seed": 1, "data_seed": 2}, "data_seed=2, torch_seed=1"),
        ({"seed_everything": 5}, "5"),
        ({"seedling": 5, "seeds_per_row": 2}, None),
    ],
)
def test_what_is_a_seed(params: dict[str, object], seed: str | None) -> None:
    assert seed_of(params) == seed


# intervals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confidence", "df", "t"),
    [(0.95, 1, 12.7062047), (0.95, 2, 4.3026527), (0.95, 3, 3.1824463), (0.95, 10, 2.2281389),
     (0.95, 29, 2.0452296), (0.95, 120, 1.9799304), (0.99, 4, 4.6040949), (0.9, 7, 1.8945786)],
)  # fmt: skip
def test_quantiles_of_students_t(confidence: float, df: int, t: float) -> None:
    assert t_quantile(confidence, df) == pytest.approx(t, abs=1e-6)
    assert t_within(t, df) == pytest.approx(confidence, abs=1e-7)


def test_an_interval_needs_two_values() -> None:
    assert mean_interval([0.7]) is None
    assert mean_interval([0.7, 0.7]) == (0.7, 0.7)


# metrics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("auc", True), ("val_auc", True), ("testF1", True), ("macro avg.precision", True), ("r2", True),
        ("loss", False), ("val_loss", False), ("testRMSE", False), ("top_5_error", False),
        ("neg_mean_squared_error", True), ("p95_latency_ms", False),
        ("churned_customers", None), ("time_to_accuracy", None), ("x", None),
    ],
)  # fmt: skip
def test_which_way_a_metric_goes(name: str, higher: bool | None) -> None:
    assert higher_is_better(name) is higher


def test_the_metric_of_most_and_of_tests_is_taken() -> None:
    board = leaderboard([
        entry(1, ran(11, 0.7, test_f1=0.5, train_auc=0.9)), entry(2, ran(12, 0.8, test_f1=0.6)),
    ])  # fmt: skip

    assert board.metric == "test_f1" and board.metrics == ["test_f1", "auc", "train_auc"]


def test_a_name_that_says_nothing_has_to_be_asked_for_with_its_direction() -> None:
    entries = [entry(1, ran(11, wibble=1.0)), entry(2, ran(12, wibble=2.0))]

    with pytest.raises(BadInput, match="no metric's name says which way it goes: name one of wibble"):
        leaderboard(entries)
    with pytest.raises(BadInput, match="'wibble' does not say whether higher is better"):
        leaderboard(entries, metric="wibble")
    with pytest.raises(BadInput, match="none of these has the metric 'auc'; they have wibble"):
        leaderboard(entries, metric="auc")
    assert [row.nodes for row in leaderboard(entries, metric="wibble", higher=False).rows] == [(1,), (2,)]
    assert leaderboard(entries, higher=True).metric == "wibble"


def test_nothing_measured_at_all() -> None:
    board = leaderboard([entry(1, missing="which run made it is unknown")])

    assert board.metric is None and board.rows[0].because == "which run made it is unknown"
