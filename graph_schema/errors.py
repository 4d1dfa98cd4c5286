"""What can go wrong, by name. Every message says what is wrong and what is allowed."""

from __future__ import annotations


class KinloreError(Exception):
    """Base of all errors that a caller is expected to handle."""

    code = "BAD_INPUT"


class DeclarationError(KinloreError):
    """A kind, an edge or a scheme is declared wrongly. Raised at import."""


class BadInput(KinloreError):
    """A value is not what its place allows."""


class BadIdentifier(BadInput):
    """An identifier is not spelled ``scheme=value`` or its value does not fit the scheme."""


class BadClaim(BadInput):
    """A claim contradicts the vocabulary: an edge between the wrong kinds, a name that names nothing."""


class NotFound(KinloreError):
    """No node has this identifier."""

    code = "NOT_FOUND"


class Ambiguous(KinloreError):
    """Several nodes match where one is asked for."""

    code = "AMBIGUOUS"

    def __init__(self, message: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


class StoreError(KinloreError):
    """The store could not do what it was asked."""

    code = "STORE_UNAVAILABLE"


class StoreUnavailable(StoreError):
    """The store cannot be reached, or refuses the credentials, or its disk is full. Nothing was written."""


class StoreBusy(StoreError):
    """Another writer held the store for longer than the wait allows. Nothing was written."""

    code = "BUSY"


class SchemaTooNew(StoreError):
    """The store was written by a newer Kinlore. This one refuses to touch it."""


class SchemaMissing(StoreError):
    """The store has not been migrated yet."""


class Fenced(KinloreError):
    """The lease under which this write was made has passed to somebody else. Nothing was written."""

    code = "BUSY"


class RetirementRefused(KinloreError):
    """Too much vanished from a source at once to believe it."""
