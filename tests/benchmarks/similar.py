"""Similar failures over 20,000: what an answer takes, encoding included, alone and beside re-embedding.

The failures are generated; so are their vectors, as embedding all of them takes half an hour. Questions are
encoded by the real model, and what runs beside them embeds with it too.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.embeddings import model
from app.embeddings.background import lower_priority
from app.embeddings.vectors import NodeVectors, for_queries, packed
from app.learnings.corpus import corpus_of, titles_of
from app.learnings.similar import similar
from app.store.sqlite import SqliteStore
from graph_schema.claims import Claim, Links, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from ingestors import joins
from tests.benchmarks.measure import Figure, at_most

_START = 1_750_000_000_000_000
_HOUR = 3_600_000_000
_PAGE = 500
_QUERIES = 60
_BAR_MS = 200
_RATIO = 1.5
_ERRORS = (
    "ValueError: could not convert string to float: {word!r} in column {column}",
    "KeyError: '{column}'",
    "RuntimeError: CUDA out of memory. Tried to allocate {number} MiB",
    "RuntimeError: mat1 and mat2 shapes cannot be multiplied ({number}x{number} and 256x10)",
    "FileNotFoundError: [Errno 2] No such file or directory: '/data/{word}/{column}.parquet'",
    "AssertionError: loss is nan at step {number} of {word}",
    "pyarrow.lib.ArrowInvalid: Could not convert {word!r} with type str: tried to convert to int64",
    "TimeoutError: {word} did not answer within {number} seconds",
)


def run(folder: Path, count: int) -> Iterator[Figure]:
    """The figures; ``count`` failures in a SQLite store."""
    store = SqliteStore(folder / "similar.db")
    store.migrate()
    dice = random.Random(4)
    words = ["".join(dice.choices("abcdefghijklmnoprstuvw", k=dice.randint(4, 9))) for _ in range(3_000)]
    for start in range(0, count, _PAGE):
        records = [_record(number, dice, words) for number in range(start, min(count, start + _PAGE))]
        store.transact(lambda tx, held=records: joins.apply(tx, Source("bench", "mlflow"), held))
    corpus = corpus_of(store)
    began = time.perf_counter()
    corpus.build(store)
    yield Figure("Similar failures, reading them once", f"{count:,} in {time.perf_counter() - began:.1f} s")
    questions = [store.resolve(_id(count - 1 - 7 * number))[0] for number in range(_QUERIES)]
    if model.available():
        yield from _with_model(store, questions, count)
    else:
        yield _figure("by words and the graph", [_ask(store, each, None) for each in questions])
    store.close()


def _with_model(store: GraphStore, questions: list[int], count: int) -> Iterator[Figure]:
    loaded = model.load(threads=1)
    _vectors(store, loaded.name, loaded.dimension)
    lexical = [_ask(store, each, None) for each in questions]
    yield _figure("by words and the graph", lexical)
    corpus_of(store).kept = True
    # The same questions again and again would be answered from what was encoded before.
    alone, beside = _in_turns(store, questions, model.load(threads=1), loaded)
    yield _figure("by meaning too, encoding included", alone)
    ratio = statistics.quantiles(beside, n=20)[-1] / statistics.quantiles(alone, n=20)[-1]
    yield at_most(
        "Similar failures beside re-embedding, p95",
        ratio,
        _RATIO,
        f"{_p95(beside):.0f} ms against {_p95(alone):.0f} ms",
    )


def _vectors(store: GraphStore, name: str, size: int) -> None:
    """Vectors of all failures, as a model would give: unit vectors, alike where errors are."""
    corpus = corpus_of(store)
    corpus.attach(store, name)
    rng = np.random.default_rng(2)
    while entries := corpus.missing(name, _PAGE):
        found = rng.standard_normal((2 * len(entries), size)).astype(np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        for key, place in ((name, 0), (titles_of(name), 1)):
            rows = [
                (entry.handle, entry.digests(name)[place], packed(vector))
                for entry, vector in zip(entries, found[place::2], strict=True)
            ]
            store.put_vectors(key, rows)
        corpus.embed(list(zip(entries, found[::2], found[1::2], strict=True)))


def _in_turns(
    store: GraphStore, questions: list[int], asking: model.Encoder, working: model.Encoder
) -> tuple[list[float], list[float]]:
    """Milliseconds of answers alone, and of as many while nodes are embedded; five of each in turns, so that
    what else the machine does meets both."""
    going, ending = threading.Event(), threading.Event()
    nodes = NodeVectors(store)

    def embed() -> None:
        lower_priority()
        while not ending.is_set():
            if going.wait(0.1) and not nodes.step(working):
                return

    thread = threading.Thread(target=embed, daemon=True)
    thread.start()
    found: tuple[list[float], list[float]] = ([], [])
    for start in range(0, len(questions), 5):
        for side, times in enumerate(found):
            (going.set if side else going.clear)()
            # What was begun is ended before, or has begun by then.
            time.sleep(1.0)
            encoder = for_queries(asking)
            times += [_ask(store, each, encoder) for each in questions[start : start + 5]]
    ending.set()
    thread.join(10)
    return found


def _ask(store: GraphStore, handle: int, encoder: model.Encoder | None) -> float:
    began = time.perf_counter()
    similar(store, handle=handle, encoder=encoder)
    return (time.perf_counter() - began) * 1_000


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def _figure(what: str, times: list[float]) -> Figure:
    value = f"{_p95(times):.0f} ms (median {statistics.median(times):.0f} ms)"
    return Figure(f"Similar failures, {what}, p95", value, f"≤ {_BAR_MS} ms", _p95(times) <= _BAR_MS)


def _id(number: int) -> str:
    return f"mlflow.run_id={number:032x}"


def _record(number: int, dice: random.Random, words: list[str]) -> Record:
    """A failed run of one of 40 repositories: a traceback, a log, parameters, a commit, a data set."""
    error = _ERRORS[dice.randrange(len(_ERRORS))].format(
        word=dice.choice(words), column=dice.choice(words), number=dice.randrange(2, 4_000)
    )
    frames = "\n".join(
        f'  File "/srv/{word}.py", line {dice.randrange(900)}, in {dice.choice(words)}'
        for word in dice.choices(words[:400], k=6)
    )
    log = "\n".join(f"step {step} {' '.join(dice.choices(words, k=6))}" for step in range(12))
    at = _START + number * _HOUR // 10
    me, commit = _id(number), f"git.sha={number % 4_000:040x}"
    data = f"dvc.md5={number % 900:032x}"
    said = {
        "name": f"train-{number}",
        "status": "FAILED",
        "createdAt": at,
        "error": f"Traceback (most recent call last):\n{frames}\n{error}",
        "log": log,
        "params": {
            "lr": dice.choice(["0.1", "0.01"]),
            "dtype": dice.choice(["fp32", "bf16"]),
            "seed": str(number),
        },
    }
    claims: list[Claim] = [
        States(NodeKind.RUN, me, said),
        Links(EdgeKind.CODE_FOR, commit, me, at),
        Links(EdgeKind.HAS, f"git.remote=github.com/acme/p{number % 40}", commit),
        Links(EdgeKind.INPUT_TO, data, me, at),
    ]
    return Record(key=str(number), type="run", version=at, claims=tuple(claims))
