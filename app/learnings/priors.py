"""The weights that are shipped: how much each signal counts, and how sure an answer is.

Written by ``python -m tests.benchmarks.recommender.fit``, which says how; docs/ranking.md holds the figures.
Feedback moves them (``learning``), never far.
"""

from __future__ import annotations

from app.learnings.fusion import Signal

#: Fitted: from ``text`` to ``project``. Set by hand, for want of data: ``component``, ``graph``.
SIGNALS: dict[str, Signal] = {
    "text": Signal(0.239, 20.563, 26.313),
    "title_in_text": Signal(0.298, 2.133, 3.708),
    "text_in_title": Signal(0.227, 2.907, 4.129),
    "meaning": Signal(0.362, 0.29, 0.166),
    "title_meaning": Signal(0.324, 0.148, 0.127),
    "title_in_meaning": Signal(0.2, 0.193, 0.136),
    "signature": Signal(0.036, 0.018, 0.21),
    "recency": Signal(0.788, -5.32, 1.259, absolute=True),
    "project": Signal(1.202, 0.0, 1.0, absolute=True),
    "component": Signal(0.4, 0.0, 1.0, absolute=True),
    "graph": Signal(0.3, 0.5, 1.0),
}

#: Log odds of being really alike: a constant, and a coefficient per feature of ``confidence``.
SEMANTIC: dict[str, float] = {
    "constant": -5.01,
    "standout": 0.0605,
    "lead": 0.159,
    "rank": -0.4904,
    "coverage": 0.5356,
    "title_coverage": 0.3166,
    "words": 0.2112,
    "meaning": 1.0518,
    "title_meaning": 0.5534,
    "title_in_meaning": 0.5222,
}
LEXICAL: dict[str, float] = {
    "constant": -4.3141,
    "standout": 0.0499,
    "lead": 0.1727,
    "rank": -0.6043,
    "coverage": 0.6112,
    "title_coverage": 0.526,
    "words": 0.2767,
}
