"""Anchors: what a derived edge is found again by."""

from __future__ import annotations

from hashlib import blake2b

from app.store.rows import to_json


def anchor_number(rule: str, key: str, anchor: str) -> int:
    """A derivation's anchor as a positive 63-bit number."""
    digest = blake2b(to_json([rule, key, anchor]), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
