"""What the name of a pod says of where it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Kubernetes makes suffixes of these: no vowels, and nothing that looks like another.
_LETTERS = "[bcdfghjklmnpqrstvwxz2456789]"
_POD = re.compile(rf"(.+)-({_LETTERS}{{6,10}})-{_LETTERS}{{5}}")
_KNATIVE = re.compile(r"((.+)-predictor-\d{5})-deployment")
_RAW = "-predictor"


def replica_set_hash(deployment: str, replica_set: str) -> str | None:
    """What a ReplicaSet's name has behind its Deployment's, and its pods have too: ``churn-7f5d8c9b4``."""
    return replica_set.removeprefix(f"{deployment}-") if replica_set.startswith(f"{deployment}-") else None


def places_of(pod: str) -> Iterator[tuple[str, str]]:
    """Under which names what a pod belongs to may stand, with its revision there. Of a Deployment it is
    ``churn-7f5d8c9b4-x2x9z``; of KServe's predictors, by Knative and without, it is the InferenceService's.
    Pods of anything else name nothing."""
    named = _POD.fullmatch(pod)
    if named is None:
        return
    owner, hash = named[1], named[2]
    if knative := _KNATIVE.fullmatch(owner):
        yield knative[2], knative[1]
        return
    yield owner, hash
    if owner.endswith(_RAW):
        yield owner.removesuffix(_RAW), hash
