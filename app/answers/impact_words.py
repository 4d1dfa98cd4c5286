"""Impact in words: what is at risk, why each thing is, whom to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.answers.impact_score import Standing
from graph_schema.kinds import NodeKind
from graph_schema.wording import counted

_NAMED = 3
_WORDS = {
    NodeKind.MODEL_VERSION: "model version",
    NodeKind.ARTIFACT: "artifact",
    NodeKind.DATASET_VERSION: "data version",
    NodeKind.RUN: "run",
    NodeKind.JOB_RUN: "job run",
}


def summary(
    in_production: int,
    elsewhere: int,
    counts: Mapping[NodeKind, int],
    owners: Sequence[str],
    hurt: int,
    precedents: int,
) -> str:
    """A sentence of what is at risk, one of whom to ask, one of what such changes did before."""
    things = []
    if in_production:
        things.append(counted(in_production, "production deployment"))
    if elsewhere:
        things.append(counted(elsewhere, "other deployment" if in_production else "deployment"))
    things += [counted(counts[kind], word) for kind, word in _WORDS.items() if counts.get(kind)]
    sentences = [f"At risk: {_listed(things)}." if things else "Nothing downstream is at risk."]
    if owners:
        named = [*owners[:_NAMED], *([f"{len(owners) - _NAMED} more"] if len(owners) > _NAMED else [])]
        sentences.append(f"Ask {_listed(named)}.")
    if hurt:
        sentences.append(f"Of the last {precedents} of its sort, {hurt} led to an incident.")
    return " ".join(sentences)


def because(hops: int, inferred: int, critical: bool, standing: Standing | None) -> str:
    """Why a thing counts as much as it does, in a phrase."""
    parts = []
    if standing is not None:
        parts.append(f"stands in {standing.environment}" if standing.environment else "stands somewhere")
        parts.append("all of the traffic" if standing.share >= 1 else f"{standing.share:.0%} of the traffic")
    if critical:
        parts.append("critical")
    parts.append(f"{counted(hops, 'hop')} away" if hops else "is what was asked about")
    if inferred:
        parts.append(f"{counted(inferred, 'edge')} on the way inferred")
    return ", ".join(parts)


def _listed(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
