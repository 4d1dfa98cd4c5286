"""What a source is: a config model, ``pull`` (I/O, pages) and ``to_claims`` (pure).

The loop, retries, dead letters, redaction, retirement and progress exist once, in the loop around it.
"""

from __future__ import annotations

import base64
import builtins
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, field_validator

from graph_schema.claims import Claim
from graph_schema.errors import BadInput
from graph_schema.times import Micros


class SourceConfig(BaseModel):
    """Keys that every source has. A source's own model adds its own and forbids all others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    name: str
    instance: str | None = Field(default=None, description="scope of scoped identifiers; default: the name")
    space: str = "default"
    every: str | None = Field(default=None, description="how often to pull: 30s, 5m, 1h or a cron line")
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: str | None = Field(default=None, description="ignore what is older than this date")

    @field_validator("name")
    @classmethod
    def _spelled(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("letters, digits, '.', '_' and '-' are allowed, 100 at most, no sign at first")
        return name

    @property
    def scope(self) -> str:
        """The scope that scoped identifiers of this source take."""
        return self.instance or self.name

    def wants(self, *names: str) -> bool:
        """Whether ``include`` and ``exclude`` let through what goes by these names."""
        if self.include and not any(fnmatchcase(name, glob) for name in names for glob in self.include):
            return False
        return not any(fnmatchcase(name, glob) for name in names for glob in self.exclude)


class PushedConfig(SourceConfig):
    """Keys of every source that takes requests. The secret stays in the environment; this names it."""

    secret_env: str | None = Field(
        default=None, description="variable that holds the bearer token or signing key of whoever pushes"
    )


class Item(msgspec.Struct, frozen=True):
    """One record as the source delivers it, before it becomes claims. ``key`` is unique within the source,
    whatever the type.

    ``version`` orders states of the item: the source's own time or sequence in microseconds, else the
    time of the request. ``data`` is JSON-like and is redacted before :meth:`Source.to_claims` sees it.
    """

    key: str
    type: str
    version: int
    data: Mapping[str, Any]


class Delivery(msgspec.Struct, frozen=True):
    """A request that somebody pushed: headers by lower-case name, the raw body, and when it arrived."""

    headers: Mapping[str, str]
    body: bytes
    at: Micros


class Pulled(msgspec.Struct, frozen=True):
    """A page. ``cursor`` (JSON) is where to go on once this page is committed; ``done`` and ``total`` are
    for progress. ``complete`` is set on the last page of a complete pull: for each record type, every key
    that exists at the source now; what is held beyond that is gone. ``gone``: for each record type, keys
    that the source itself calls deleted, whether or not their items come with the page."""

    items: Sequence[Item]
    cursor: Any
    total: int | None = None
    complete: Mapping[str, frozenset[str]] | None = None
    gone: Mapping[str, frozenset[str]] | None = None


class Discovered(msgspec.Struct, frozen=True):
    """What ``kinlore init`` found for this type: keys for ``[[sources]]`` and why it thinks so."""

    config: Mapping[str, Any]
    because: str


class Source(ABC):
    """Base of all sources: holds the config. Subclasses do I/O in ``pull``, ``get`` and ``check`` only."""

    type: ClassVar[str]
    config_model: ClassVar[builtins.type[SourceConfig]]
    #: Name of the extra that installs what this source needs, and the module that proves it is there.
    extra: ClassVar[tuple[str, str] | None] = None
    #: Record types that may be retired by absence from a complete pull.
    retirable: ClassVar[tuple[str, ...]] = ()
    #: Whether ``pull`` brings anything, and whether requests to ``/hooks/<name>`` are taken.
    pulls: ClassVar[bool] = True
    accepts: ClassVar[bool] = False

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def extra_for(cls, config: Any) -> tuple[str, str] | None:
        """What a source with this checked config needs, as :attr:`extra`; where only some configs need it."""
        return cls.extra

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        """Pages since the cursor (None: everything). Raises SourceError when the source cannot be read.
        Sources that are only pushed have nothing to pull."""
        return iter(())

    @abstractmethod
    def to_claims(self, item: Item) -> Sequence[Claim]:
        """What an item says. Pure: no network, clock, store or settings beyond the config."""

    def verify(self, delivery: Delivery, secret: bytes) -> None:
        """Raise Forged unless the delivery is signed with the secret, or carries it. On the raw body, in
        constant time, before anything is parsed. By default a bearer token."""
        check_bearer(delivery, secret)

    def delivery_id(self, delivery: Delivery) -> str | None:
        """What the sender names this delivery by, the same when it sends it again; None where it has no name.
        Asked after ``verify``."""
        return None

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        """What a delivery says, as items; none where it is of no interest. Pure. Raises BadInput for what is
        not what this source takes; nothing of it is kept then."""
        raise BadInput(f"{self.config.name} takes no requests")

    def enrich(self, items: Sequence[Item]) -> Sequence[Item]:
        """What was received, with what has to be asked for: the one place for I/O between ``receive`` and
        ``to_claims``. Raises SourceError; the items wait then."""
        return items

    def restart(self, cursor: Any | None) -> Any | None:
        """What a full pull keeps of the cursor: what the source cannot be asked again, such as history that
        only earlier pulls have seen. By default nothing."""
        return None

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        """Of these keys, those that still exist at the source; None when it cannot be asked by id."""
        return None

    def check(self) -> str:
        """Try the connection and say in a line what is there. Raises SourceError."""
        return "nothing to check"

    def close(self) -> None:  # noqa: B027 - most sources hold nothing open
        """Release connections."""

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        """What of this type lies in a folder or is named by the environment, for ``kinlore init``."""
        return []


class SourceError(Exception):
    """A source cannot be read. The message is one line: what failed, where, and what to do."""


class Unreachable(SourceError):
    """The source did not answer, or answered with an error that may pass. The cursor stays.

    ``retry_after``: seconds that the source asked to be left alone, where it said so.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(SourceError):
    """The source refuses the credentials."""


class Forged(Exception):
    """A delivery that is not from whom it says, or is too old. The message does not help to forge one."""


def check_bearer(delivery: Delivery, secret: bytes) -> None:
    """Raise Forged unless the request carries the secret as a bearer token, or as the password of basic
    authentication."""
    word, _, given = delivery.headers.get("authorization", "").partition(" ")
    sent = given.strip().encode()
    if word.lower() == "basic":
        try:
            sent = base64.b64decode(sent, validate=True).partition(b":")[2]
        except ValueError:
            sent = b""
    elif word.lower() != "bearer":
        sent = b""
    if not hmac.compare_digest(sent, secret):
        raise Forged("the token is missing or wrong: Authorization: Bearer …")
