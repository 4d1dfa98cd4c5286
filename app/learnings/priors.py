"""The weights that are shipped: how much each signal counts, and how sure an answer is.

Written by ``python -m tests.benchmarks.recommender.fit``, which says how; docs/ranking.md holds the figures.
Feedback moves them (``learning``), never far.
"""

from __future__ import annotations

from app.learnings.fusion import Signal

#: Fitted: from ``text`` to ``project``. Set by hand, for want of data: ``component``, ``graph``.
SIGNALS: dict[str, Signal] = {
    "text": Signal(0.117, 20.009, 25.87),
    "title_in_text": Signal(0.254, 2.089, 3.698),
    "text_in_title": Signal(0.164, 2.84, 4.085),
    "rarest": Signal(0.513, 2.506, 1.545),
    "meaning": Signal(0.347, 0.287, 0.165),
    "title_meaning": Signal(0.395, 0.146, 0.126),
    "signature": Signal(0.034, 0.017, 0.199),
    "fix": Signal(1.277, 0.0, 1.0, absolute=True),
    "recency": Signal(0.775, -5.307, 1.266, absolute=True),
    "project": Signal(1.015, 0.0, 1.0, absolute=True),
    "component": Signal(0.4, 0.0, 1.0, absolute=True),
    "graph": Signal(0.3, 0.5, 1.0),
}

#: Log odds of being really alike: a constant, and a coefficient per feature of ``confidence``.
SEMANTIC: dict[str, float] = {
    "constant": -6.9257,
    "standout": 0.1648,
    "lead": 0.3555,
    "rank": -0.7199,
    "title_coverage": 0.315,
    "fix": 0.4948,
    "history": 1.4231,
    "project": 1.0166,
    "meaning": 1.6679,
    "title_meaning": 0.7532,
}
LEXICAL: dict[str, float] = {
    "constant": -5.9333,
    "standout": 0.1374,
    "lead": 0.3343,
    "rank": -0.7596,
    "title_coverage": 0.5741,
    "fix": 0.4688,
    "history": 1.6588,
    "project": 1.1162,
}
