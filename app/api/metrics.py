"""``/metrics``: what is held and how the sources stand, in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from app.api.status import SourceStatus, histories, source_statuses
from app.container import Container
from graph_schema.store import Counts, GraphStore
from ingestors.history import KEEP
from ingestors.report import Report

Sample = tuple[Mapping[str, str], float]

#: The collection of deliveries that were taken and wait for the consumer.
_INBOX = "inbox"
_MOST_COUNTED = 1_000


def metrics(container: Container) -> str:
    """All of it. Raises StoreError."""
    store = container.store
    sources = source_statuses(container)
    past = dict(
        zip(
            [source.name for source in sources],
            histories(store, [source.name for source in sources], KEEP),
            strict=True,
        )
    )
    return "".join([*_graph(store.counts()), *_sources(sources, past), _inbox(store, sources)])


def _graph(counts: Counts) -> Iterable[str]:
    yield _family("nodes", "gauge", "Nodes in the graph.", _by("kind", counts.nodes))
    yield _family("edges", "gauge", "Edges in the graph.", _by("kind", counts.edges))
    yield _family("records", "gauge", "Records of sources that are held.", [({}, counts.records)])
    yield _family("revision", "gauge", "Number of the last transaction that changed the graph.", [
        ({}, counts.revision)
    ])  # fmt: skip


def _by(label: str, counts: Mapping[str, int]) -> list[Sample]:
    return [({label: str(key)}, count) for key, count in sorted(counts.items())]


def _sources(sources: Sequence[SourceStatus], past: Mapping[str, list[Report]]) -> Iterable[str]:
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
    last = {name: reports[0] for name, reports in past.items() if reports}
    yield _family("source_last_duration_seconds", "gauge", "How long the last ingestion took.",
                  [({"source": name}, report.duration) for name, report in last.items()])  # fmt: skip
    yield _family("source_last_items", "gauge", "What the source delivered in the last ingestion.",
                  [({"source": name}, report.items) for name, report in last.items()])  # fmt: skip
    outcomes: list[Sample] = []
    for name, reports in past.items():
        counted = Counter(_outcome(report) for report in reports)
        outcomes += [({"source": name, "outcome": each}, counted[each]) for each in _OUTCOMES]
    yield _family("source_recent_runs", "gauge", f"Of the last {KEEP} ingestions, by outcome.", outcomes)


_OUTCOMES = ("success", "failure", "stopped", "interrupted")


def _outcome(report: Report) -> str:
    if report.error is not None:
        return "interrupted" if report.error.startswith("interrupted:") else "failure"
    return "stopped" if report.stopped else "success"


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
    lines += [f"{name}{_labels(labels)} {float(value):.17g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    inside = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return f"{{{inside}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
