"""Spelling one thing one way: pure functions from what people and tools write to what identifies.

Every function is idempotent and raises :class:`BadIdentifier` naming what is allowed.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from graph_schema.errors import BadIdentifier

_HEX = re.compile(r"[0-9a-f]+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SCP = re.compile(r"(?:[^@/\s]+@)?([A-Za-z0-9.\-_]+):(?!//)(?!\d+/)(.+)")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_URI_SAFE = "/:@!$&'()*+,;=~-._"
_DEFAULT_PORTS = {"ssh": 22, "http": 80, "https": 443, "git": 9418}
_MAX_LENGTH = 4_000


def text(value: str) -> str:
    """As the tool spells it, without surrounding blanks. Refuses what no store can hold or index."""
    if "\0" in value:
        raise BadIdentifier("an identifier may not contain a NUL character")
    value = value.strip()
    if not value:
        raise BadIdentifier("an identifier may not be empty")
    if len(value) > _MAX_LENGTH:
        raise BadIdentifier(f"an identifier may have at most {_MAX_LENGTH} characters; this has {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadIdentifier("an identifier may not contain a lone surrogate") from None
    return value


def package(name: str) -> str:
    """The name of a Python package, as indices compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lower(value: str) -> str:
    """As :func:`text`, in lower case."""
    return text(value).lower()


def git_sha(value: str) -> str:
    """A full commit id: 40 (SHA-1) or 64 (SHA-256) hex digits, lower case."""
    value = value.strip().lower()
    if len(value) not in (40, 64) or not _HEX.fullmatch(value):
        raise BadIdentifier(f"{value[:80]!r} is not a full commit id of 40 or 64 hex digits")
    return value


def md5(value: str) -> str:
    """An md5 in hex, lower case."""
    value = value.strip().lower()
    if len(value) != 32 or not _HEX.fullmatch(value):
        raise BadIdentifier(f"{value[:80]!r} is not an md5 of 32 hex digits")
    return value


def dvc_md5(value: str) -> str:
    """As in dvc.lock: an md5, with ``.dir`` kept for directories."""
    value = value.strip().lower()
    return md5(value[:-4]) + ".dir" if value.endswith(".dir") else md5(value)


def sha256(value: str) -> str:
    """A sha256 in hex, lower case, without the ``sha256:`` that registries put before it."""
    value = value.strip().lower().removeprefix("sha256:")
    if len(value) != 64 or not _HEX.fullmatch(value):
        raise BadIdentifier(f"{value[:80]!r} is not a sha256 of 64 hex digits")
    return value


def oci_digest(value: str) -> str:
    """An image digest, ``sha256:…``."""
    return f"sha256:{sha256(value)}"


def uuid(value: str) -> str:
    """A UUID with dashes, lower case; the 32-digit form is brought to it."""
    value = value.strip().lower().removeprefix("urn:uuid:").strip("{}")
    if len(value) == 32 and _HEX.fullmatch(value):
        value = f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"
    if not _UUID.fullmatch(value):
        raise BadIdentifier(f"{value[:80]!r} is not a UUID")
    return value


def git_remote(value: str) -> str:
    """``host/path`` without scheme, user, default port and ``.git``; a local repository as its ``file:`` URI.

    ``git@github.com:acme/churn.git``, ``https://github.com/acme/churn`` and
    ``ssh://git@github.com:22/acme/churn.git/`` are one remote. A relative path is refused: it names nothing
    beyond its folder.
    """
    value = text(value)
    if value.startswith("file:"):
        return _file_uri(re.sub(r"^//localhost(?=/)", "", unquote(value[5:])))
    if value.startswith(("/", "\\")) or _DRIVE.match(value):
        return _file_uri(value)
    if "://" in value:
        try:
            parts = urlsplit(value)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise BadIdentifier(f"{value[:80]!r} is not a git remote") from None
        if port is not None and port != _DEFAULT_PORTS.get(parts.scheme):
            host = f"{host}:{port}"
        path = parts.path
    elif match := _SCP.fullmatch(value):
        host, path = match[1].lower(), match[2]
    else:
        host, _, path = value.partition("/")
        host = host.rpartition("@")[2].lower()
    path = _bare_path(path)
    if not host or not path or host in (".", "..", "~"):
        raise BadIdentifier(f"{value[:80]!r} is not a git remote; write host/path, a git URL or a file: URI")
    return f"{host}/{path}"


def _bare_path(path: str) -> str:
    """A path without slashes around it, doubled slashes, and ``.git`` at its end however often."""
    path = re.sub(r"/+", "/", path).strip("/")
    while path.endswith(".git"):
        path = path.removesuffix(".git").rstrip("/")
    return path


def _file_uri(path: str) -> str:
    """``file:///path`` of an absolute path, percent-encoded where a URI needs it."""
    path = path.replace("\\", "/")
    path = "/" + _bare_path(path)
    if path == "/":
        raise BadIdentifier("a local repository needs an absolute path below the root")
    return f"file://{quote(path, safe=_URI_SAFE)}"


def namespaced(value: str) -> str:
    """``namespace/name`` as OpenLineage spells them; both parts are needed."""
    value = text(value)
    if "/" not in value.strip("/"):
        raise BadIdentifier(f"{value[:80]!r} is not spelled namespace/name")
    return value


def numbered(value: str) -> str:
    """``owner/repo#7``, ``group/project!7``: the path in lower case, the number without leading zeros."""
    value = text(value)
    match = re.fullmatch(r"([^\s#!]+/[^\s#!]+)([#!])0*(\d+)", value)
    if not match:
        raise BadIdentifier(f"{value[:80]!r} is not spelled owner/repository#7 (or !7 for a merge request)")
    return f"{match[1].lower()}{match[2]}{match[3]}"


def located(value: str) -> str:
    """``owner/repo/path/of/a/file``: owner and repository in lower case, the path as it is."""
    value = text(value)
    match = re.fullmatch(r"([^\s/]+/[^\s/]+)/(\S.*)", value)
    if not match:
        raise BadIdentifier(f"{value[:80]!r} is not spelled owner/repository/path")
    return f"{match[1].lower()}/{match[2]}"


def tagged(value: str) -> str:
    """``owner/repo@v1.2``: the path in lower case, what follows the first @ as it is."""
    value = text(value)
    path, at, name = value.partition("@")
    if not at or not name or "/" not in path.strip("/"):
        raise BadIdentifier(f"{value[:80]!r} is not spelled owner/repository@name")
    return f"{path.lower()}@{name}"


def name_version(value: str) -> str:
    """``name/version``; the version is what follows the last slash."""
    value = text(value)
    name, slash, version = value.rpartition("/")
    if not slash or not name or not version:
        raise BadIdentifier(f"{value[:80]!r} is not spelled name/version")
    return value


def name_tag(value: str) -> str:
    """``name:version`` as BentoML spells a tag, lower case."""
    value = text(value).lower()
    name, colon, version = value.rpartition(":")
    if not colon or not name or not version:
        raise BadIdentifier(f"{value[:80]!r} is not spelled name:version")
    return value


def email(value: str) -> str:
    """A mail address in lower case, without a name or ``mailto:`` around it."""
    value = text(value).lower().removeprefix("mailto:")
    if match := re.search(r"<([^<>]+)>", value):
        value = match[1].strip()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise BadIdentifier(f"{value[:80]!r} is not a mail address")
    return value
