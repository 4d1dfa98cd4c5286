"""Bounds on metrics: what one is, and what it is set on. Judging is in :mod:`ingestors.judging`."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

from ingestors.series import CHECK


class Bound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bound on the members of a series. ``of`` is model, experiment or check, ``which`` a glob on names.

    ``least`` and ``most`` bound the value itself; ``tolerance`` how much worse than a reference it may be:
    the ``last_good`` of the series, or the ``champion``, the member with one of these ``aliases``.
    ``higher``: more is better. ``incident``: results that fail open an incident. Without a metric, a check's
    own verdict counts.
    """

    name: str
    of: str
    which: str
    metric: str | None = None
    least: float | None = None
    most: float | None = None
    tolerance: float | None = None
    against: str = "last_good"
    higher: bool = True
    kind: str = "model_quality"
    severity: str = "critical"
    incident: bool = False
    aliases: tuple[str, ...] = ()

    def covers(self, of: str, name: str) -> bool:
        """Whether it is set on a series. Parts of a check, whose names end in brackets, are meant only where
        the glob has brackets too."""
        if of != self.of or (of == CHECK and " (" in name and "(" not in self.which):
            return False
        return fnmatchcase(name, self.which.replace("[", "[[]"))

    def covers_metric(self, metric: str) -> bool:
        """Whether it is set on a metric."""
        return self.metric is not None and fnmatchcase(metric, self.metric.replace("[", "[[]"))

    def segment_of(self, metric: str) -> str | None:
        """What the one star of the metric's glob stands for: ``auc_*`` and ``auc_eu`` give ``eu``."""
        if self.metric is None or self.metric.count("*") != 1:
            return None
        before, _, after = self.metric.partition("*")
        return metric[len(before) : len(metric) - len(after)] or None
