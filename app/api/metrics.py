"""``/metrics``: what is held and how the sources stand, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from app.api.status import SourceStatus, source_statuses
from app.container import Container
from app.jobs.schedule import OUTCOMES
from graph_schema.store import Counts, GraphStore

Sample = tuple[Mapping[str, str], float]

#: The collection of deliveries that were taken and wait for the consumer.
_INBOX = "inbox"
_MOST_COUNTED = 1_000


def metrics(container: Container) -> str:
    """All of it. Raises StoreError."""
    store = container.store
    sources = source_statuses(container)
    return "".join([*_graph(store.counts()), *_sources(sources), _inbox(store, sources)])


def _graph(counts: Counts) -> Iterable[str]:
    yield _family("nodes", "gauge", "Nodes in the graph.", _by("kind", counts.nodes))
    yield _family("edges", "gauge", "Edges in the graph.", _by("kind", counts.edges))
    yield _family("records", "gauge", "Records of sources that are held.", [({}, counts.records)])
    yield _family("revision", "gauge", "Number of the last transaction that changed the graph.", [
        ({}, counts.revision)
    ])  # fmt: skip


def _by(label: str, counts: Mapping[str, int]) -> list[Sample]:
    return [({label: str(key)}, count) for key, count in sorted(counts.items())]


def _sources(sources: Sequence[SourceStatus]) -> Iterable[str]:
    def each(name: str, what: str, value: str, scale: float = 1.0) -> str:
        samples: list[Sample] = [
            ({"source": source.name}, getattr(source, value) * scale)
            for source in sources
            if getattr(source, value) is not None
        ]
        return _family(name, "gauge", what, samples)

    micro = 1e-6
    yield each("source_enabled", "Whether this installation can use the source.", "enabled")
    yield each("source_last_success_timestamp_seconds", "When it was last ingested without failure.",
               "last_success", micro)  # fmt: skip
    yield each("source_last_start_timestamp_seconds", "When an ingestion last started.",
               "last_started", micro)  # fmt: skip
    yield each("source_next_run_timestamp_seconds", "When it is due next.", "next_run", micro)
    yield each(
        "source_interval_seconds", "Time between two runs, stretched by load and failures.", "interval"
    )
    yield each("source_running", "Whether somebody holds its lease and ingests it.", "running")
    yield each("source_dead_letters", "Items that were refused and are kept.", "dead_letters")
    yield each("source_last_duration_seconds", "How long the last run took.", "last_duration")
    items: list[Sample] = [
        ({"source": source.name}, source.counts["items"]) for source in sources if "items" in source.counts
    ]
    yield _family("source_last_items", "gauge", "What it delivered when it last did not fail.", items)
    outcomes: list[Sample] = [
        ({"source": source.name, "outcome": outcome}, source.outcomes.get(outcome, 0))
        for source in sources
        for outcome in OUTCOMES
    ]
    yield _family("source_runs_total", "counter", "Runs that have ended, by how.", outcomes)


def _inbox(store: GraphStore, sources: Sequence[SourceStatus]) -> str:
    waiting = {
        source.name: len(store.service(_INBOX, prefix=f"{source.name}/", limit=_MOST_COUNTED))
        for source in sources
        if source.accepts
    }
    what = f"Deliveries that were taken and are not in the graph yet; at most {_MOST_COUNTED:,} are counted."
    return _family("inbox_waiting", "gauge", what, _by("source", waiting))


def _family(name: str, kind: str, what: str, samples: Sequence[Sample]) -> str:
    name = f"kinlore_{name}"
    lines = [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{_labels(labels)} {float(value)!r}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    inside = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return f"{{{inside}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
