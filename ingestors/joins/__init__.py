"""Derivation: what needs more than one record, run inside the transaction that wrote them.

A rule is a pure function of the claims under one key: it reads them and says which edges hold.
"""

from ingestors.joins.apply import apply, derive

__all__ = ["apply", "derive"]
