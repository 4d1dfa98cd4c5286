"""The weights that are shipped: how much each signal counts, and how sure an answer is.

Written by ``python -m tests.benchmarks.recommender.fit``, which says how; docs/ranking.md holds the figures.
Feedback moves them (``learning``), never far.
"""

from __future__ import annotations

from app.learnings.fusion import Signal

#: Fitted: from ``text`` to ``project``. Set by hand, for want of data: ``component``, ``graph``.
SIGNALS: dict[str, Signal] = {
    "text": Signal(0.118, 20.563, 26.313),
    "title_in_text": Signal(0.254, 2.133, 3.708),
    "text_in_title": Signal(0.164, 2.907, 4.129),
    "rarest": Signal(0.512, 2.525, 1.544),
    "meaning": Signal(0.348, 0.29, 0.166),
    "title_meaning": Signal(0.395, 0.148, 0.127),
    "signature": Signal(0.034, 0.018, 0.21),
    "fix": Signal(1.277, 0.0, 1.0, absolute=True),
    "recency": Signal(0.771, -5.32, 1.259, absolute=True),
    "project": Signal(1.014, 0.0, 1.0, absolute=True),
    "component": Signal(0.4, 0.0, 1.0, absolute=True),
    "graph": Signal(0.3, 0.5, 1.0),
}

#: Log odds of being really alike: a constant, and a coefficient per feature of ``confidence``.
SEMANTIC: dict[str, float] = {
    "constant": -6.6045,
    "standout": 0.1217,
    "lead": 0.2625,
    "rank": -0.7235,
    "title_coverage": 0.2873,
    "fix": 0.4761,
    "history": 1.3268,
    "project": 0.9435,
    "meaning": 1.4516,
    "title_meaning": 0.4934,
}
LEXICAL: dict[str, float] = {
    "constant": -5.8175,
    "standout": 0.099,
    "lead": 0.2624,
    "rank": -0.7402,
    "title_coverage": 0.5095,
    "fix": 0.4516,
    "history": 1.5311,
    "project": 1.0186,
}
