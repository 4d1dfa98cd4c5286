"""Secrets out, before anything is stored: by key name, by pattern, by entropy.

What is taken out leaves ``[redacted:<8 hex>]``, a keyed hash, so that two places that held one secret can
still be joined. Digests, commit ids, UUIDs, paths and the like are meant to stay: they are what lineage is
made of. Standard library only, from Python 3.9 on: the client distribution ships this one file as it is.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

_MARK = re.compile(r"\[redacted:[0-9a-f]{8}\]")

# --- by key name ---------------------------------------------------------------------------------------

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# As the last words of a key: its value is a secret, whatever it looks like.
_STRONG = {
    "password", "passwords", "passwd", "pwd", "passphrase", "passcode", "secret", "secrets", "apikey",
    "authorization", "credential", "credentials", "cookie", "bearer", "authtoken", "accesstoken",
    "secretkey", "accesskey", "privatekey", "clientsecret", "pgpassword", "dbpassword", "cookies",
    "mysqlpwd", "authkey", "signingkey", "encryptionkey", "webhooksecret", "accountkey",
}  # fmt: skip
_KEY_OWNERS = {
    "api", "access", "secret", "private", "account", "auth", "signing", "encryption", "master", "service",
    "shared", "storage", "session", "ssh", "deploy", "license", "subscription", "hmac", "webhook", "root",
}  # fmt: skip
_SECRET_TAILS = {
    ("connection", "string"), ("conn", "str"), ("webhook", "url"), ("sas", "url"), ("access", "key", "id"),
    ("basic", "auth"), ("proxy", "auth"), ("http", "auth"), ("github", "pat"), ("gitlab", "pat"),
}  # fmt: skip
# "token" is a secret in an API and a word in a language model.
_TOKEN_OF_TEXT = {
    "pad", "eos", "bos", "unk", "mask", "cls", "sep", "start", "end", "special", "image", "audio", "video",
    "stop", "next", "per", "first", "last", "max", "min", "num", "n", "new", "extra", "added", "decoder",
    "forced", "begin", "prefix", "suffix", "middle", "eot", "eod", "word", "sub", "subword", "boundary",
    "page", "continuation", "cancellation", "sort", "system", "user", "assistant", "trigger", "speaker",
}  # fmt: skip
_PLACEHOLDER = re.compile(
    r"(?:\*+|\.{2,}|x{3,}|<[^>]*>|\[[^\]]{0,40}\]|\{.*\}|\$\{.*\}|\$\w+|%\w+%|none|null|nil|true|false|yes|no"
    r"|n/a|unset|redacted|hidden|changeme|undefined|\s*)",
    re.IGNORECASE,
)


@lru_cache(maxsize=16_384)
def is_secret_key(key: str) -> bool:
    """Whether a key of this name holds a secret (``db.password``, ``apiKey``, ``HF_TOKEN``).

    ``max_tokens``, ``pad_token``, ``token_env``, ``primary_key`` and the like do not.
    """
    words = [w.lower() for w in _WORD.findall(key[-200:])]
    if not words:
        return False
    last = words[-1]
    if last.isdigit() and len(words) > 1:
        words, last = words[:-1], words[-2]
    if last in _STRONG or "".join(words[-2:]) in _STRONG:
        return True
    before = words[-2] if len(words) > 1 else ""
    if last in ("token", "jwt"):
        return before not in _TOKEN_OF_TEXT
    if last == "tokens":
        return before in ("access", "api", "auth", "refresh", "bearer", "secret")
    if last == "key":
        return before in _KEY_OWNERS
    return any(tuple(words[-len(tail) :]) == tail for tail in _SECRET_TAILS)


_DIGEST_WORDS = {
    "sha", "sha1", "sha256", "sha512", "md5", "digest", "hash", "checksum", "etag", "crc", "crc32c",
    "integrity", "fingerprint", "commit", "revision", "uuid", "guid", "id", "ids", "rev",
}  # fmt: skip


@lru_cache(maxsize=16_384)
def _names_digest(key: str) -> bool:
    """Whether a key of this name holds an identifier or a digest, which entropy must not take."""
    words = [w.lower() for w in _WORD.findall(key[-200:])]
    return any(w in _DIGEST_WORDS for w in words[-2:]) or "".join(words[-2:]) in _DIGEST_WORDS


# --- by pattern ----------------------------------------------------------------------------------------

# Whole match is the secret. Each begins with something that next to nothing else begins with.
_TOKENS = re.compile(
    r"""(?<![A-Za-z0-9])(?:
      (?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])                       # AWS access key id
    | (?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,255} | github_pat_[A-Za-z0-9_]{22,255}
    | gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt)-[A-Za-z0-9_\-.]{20,}     # GitLab
    | xox[abeoprs]-[A-Za-z0-9\-]{12,} | xapp-\d-[A-Za-z0-9\-]{10,}           # Slack
    | (?:sk|rk|pk)_(?:live|test|prod)_[A-Za-z0-9]{10,} | whsec_[A-Za-z0-9+/=]{16,}
    | sk-(?:proj-|svcacct-|admin-|ant-[a-z0-9]+-|or-v1-)?[A-Za-z0-9_\-]{20,} # OpenAI, Anthropic
    | hf_[A-Za-z0-9]{30,} | api_org_[A-Za-z0-9]{30,}                         # Hugging Face
    | pypi-[A-Za-z0-9_\-]{16,} | npm_[A-Za-z0-9]{36}
    | AIza[A-Za-z0-9_\-]{35} | ya29\.[A-Za-z0-9_\-]{20,} | GOCSPX-[A-Za-z0-9_\-]{20,}
    | SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,} | key-[0-9a-f]{32}(?![0-9a-f])
    | dapi[0-9a-f]{32} | dop_v1_[0-9a-f]{64} | hvs\.[A-Za-z0-9_\-]{20,} | glsa_[A-Za-z0-9_]{30,}
    | lin_api_[A-Za-z0-9]{30,} | shpat_[0-9a-fA-F]{32} | r8_[A-Za-z0-9]{30,} | gsk_[A-Za-z0-9]{30,}
    | tskey-[A-Za-z0-9\-]{16,} | PMAK-[0-9a-f]{24}-[0-9a-f]{30,} | NRAK-[A-Z0-9]{27}
    | ATATT3[A-Za-z0-9_\-=]{20,}
    | kin_[A-Za-z0-9]{4,}_[A-Za-z0-9_\-]{20,}
    | eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?     # JWT
    )""",
    re.VERBOSE,
)
_TOKEN_HINTS = (
    "AKIA", "ASIA", "ABIA", "ACCA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "gl", "xox",
    "xapp-", "_live_", "_test_", "_prod_", "whsec_", "sk-", "hf_", "api_org_", "pypi-", "npm_", "AIza",
    "ya29.", "GOCSPX-", "SG.", "key-", "dapi", "dop_v1_", "hvs.", "lin_api_", "shpat_", "r8_", "gsk_",
    "PMAK-", "NRAK-", "ATATT3", "kin_", "eyJ",
)  # fmt: skip
_ANY_HINT = re.compile("|".join(re.escape(hint) for hint in _TOKEN_HINTS))
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
_SLACK_HOOK = re.compile(
    r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[A-Za-z0-9/_\-]{16,}"
    r"|(?<=discord\.com/api/webhooks/)\d+/[A-Za-z0-9_\-]{20,}"
)
_USERINFO = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]{1,30}://)([^\s/?#@\"'<>:]*)(?::([^\s/?#\"'<>]*))?@(?=[^\s@])"
)
_QUERY = re.compile(
    r"([?&;](?:sig|signature|x-amz-signature|x-amz-security-token|x-amz-credential|x-goog-signature|access_token"
    r"|refresh_token|id_token|token|auth|api_?key|apikey|client_secret|password|passwd|pwd|private_token)=)"
    r"([^&\s\"'<>#;]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?i:\b(bearer|basic|token|apikey)(\s+))([A-Za-z0-9\-._~+/]{8,}={0,2})")
_AUTH_WORDS = frozenset({"bearer", "basic", "token", "digest", "negotiate", "apikey"})
# name = value, name: value, "name": "value"; whether the name means it is asked of the key rule. A name is
# taken whole or not at all: (?=(?P<x>…))(?P=x) never gives back, as …+ would from Python 3.11 on.
_ASSIGN = re.compile(
    r"""(?<![\w.\-])(?P<name>-{0,2}[A-Za-z_](?=(?P<more>[\w.\-]{1,80}))(?P=more))(?P<sep>\\?["']?\s{0,3}(?:=>|:=|=|:)\s{0,3})"""
    r"""(?:(?P<quote>\\?["'])(?P<quoted>[^"'\n\\]{1,512})|(?P<bare>\$\{[^}\s]*\}|[^\s"',;&|<>)\]}\\]{1,512}))"""
)
# --name value
_OPTION = re.compile(
    r"""(?<![\w.\-])(?P<name>--?[A-Za-z_](?=(?P<more>[\w.\-]{1,80}))(?P=more))(?P<sep>\s{1,3})"""
    r"""(?:(?P<quote>["'])(?P<quoted>[^"'\n]{1,512})|(?P<bare>[^\s"'\-=:][^\s"']{0,511}))"""
)
_ASSIGN_HINTS = ("key", "token", "secret", "pass", "pwd", "auth", "cred", "cookie", "connection")

# --- by entropy ----------------------------------------------------------------------------------------

_RUN = re.compile(r"[A-Za-z0-9+/_\-]{24,}={0,2}")
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]+")
_CONTENT = re.compile(r"(?:sha(?:1|224|256|384|512)|md5|blake2b|crc32c)[\-:=_/@]{1,2}$", re.IGNORECASE)


def _kind_of_char(char: str) -> int:
    return 0 if char.islower() else 1 if char.isupper() else 2 if char.isdigit() else 3


def looks_random(text: str) -> bool:
    """Whether a run of 24 or more letters and digits looks made by chance: no words, hex, UUID or path.

    Random base62 changes between lower case, upper case and digits at two of three steps; names do at few.
    """
    parts = [part for part in re.split(r"[-_/+=]", text[:1024]) if part]
    if not parts or all(_HEX.fullmatch(part) for part in parts):
        return False
    core = "".join(parts)
    kinds = [_kind_of_char(c) for c in core]
    if len(core) < 20:
        return False
    turns = sum(kinds[at] != kinds[at + 1] for at in range(len(kinds) - 1)) / (len(core) - 1)
    bits = -sum(n / len(core) * math.log2(n / len(core)) for n in Counter(core).values())
    if len(set(kinds)) >= 3:
        # A path or a slug is made of short readable parts; chance leaves separators rare.
        readable = sum(len(p) for p in parts if _readable(p))
        return turns >= 0.36 and bits >= 3.8 and readable <= 0.5 * len(core)
    longest = max(parts, key=len)
    mixed = len(longest) >= 32 and len(set(kinds)) == 2 and turns >= 0.3 and bits >= 3.9
    return mixed and not _HEX.fullmatch(longest)


def _readable(part: str) -> bool:
    if _HEX.fullmatch(part) and (part.isdigit() or len(part) >= 7):
        return True
    words = _WORD.findall(part)
    if len(part) < 12 and len(words) <= 2:
        return True
    return len(words) <= 4 and all(len(word) > 2 or word.isdigit() for word in words)


_FOLDERS = frozenset({"PWD", "OLDPWD"})


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Values of variables whose names say that they are secrets. Short ones are left out: they are words; and
    so are paths, which say only where a secret lies."""
    return [
        value for name, value in environ.items()
        if len(value) >= 6 and is_secret_key(name) and name not in _FOLDERS
        and not _PLACEHOLDER.fullmatch(value) and (not value.startswith(("/", "~/")) or looks_random(value))
    ]  # fmt: skip


class Redactor:
    """Takes secrets out of texts and JSON-like values. ``key`` (any bytes) keys the hash that stays.

    ``known`` are secrets by their values (see :func:`secrets_in`), taken out wherever they stand. Redacting
    twice changes nothing more; what holds no secret comes back as the very object given.
    """

    def __init__(self, key: bytes, known: Iterable[str] = ()) -> None:
        self._key = key[:64]
        # The longest first: one may hold another.
        self._known = sorted(known, key=len, reverse=True)
        # Most strings of a source are repeated: names, users, tags. Those known to be clean are skipped.
        self._clean: set[str] = set()

    def mark(self, secret: str) -> str:
        """What stands where the secret was; equal secrets leave equal marks."""
        if _MARK.fullmatch(secret):
            return secret
        digest = blake2b(secret.encode(errors="surrogatepass"), digest_size=4, key=self._key)
        return f"[redacted:{digest.hexdigest()}]"

    def text(self, text: str, *, key: str | None = None) -> str:
        """The text without its secrets. ``key`` is the name it stands under, if it stands under one."""
        if key is not None and is_secret_key(key):
            return text if _PLACEHOLDER.fullmatch(text) else self.mark(text)
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, self.mark(secret))
        if len(text) < 9 or text in self._clean or _HEX.fullmatch(text):
            return text
        done = self._scan(text, key)
        if done == text:
            if len(text) <= 200:
                if len(self._clean) >= 100_000:
                    self._clean.clear()
                self._clean.add(text)
            return text
        return done

    def value(self, value: Any, *, key: str | None = None) -> Any:
        """The JSON-like value without its secrets, in keys' values at any depth."""
        # Asking an abstract class is slow, and nearly all values are plain.
        kind = type(value)
        if kind is str:
            return self.text(value, key=key)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            # A number under "token" is a count; under "password" it is a password.
            return self.mark(str(value)) if key is not None and _numeric_secret(key) else value
        if kind is dict or isinstance(value, Mapping):
            return self._mapping(value, key)
        if isinstance(value, (list, tuple)):
            return self._list(value, key)
        return self.text(str(value), key=key) if isinstance(value, str) else value

    def _mapping(self, value: Mapping[Any, Any], key: str | None) -> Mapping[Any, Any]:
        inherited = key if key is not None and is_secret_key(key) else None
        named: str | None = None
        if "value" in value:
            # {"key": "password", "value": "…"}, as many APIs spell a mapping.
            for field in ("key", "name"):
                if isinstance(value.get(field), str):
                    named = value[field]
        changed: dict[Any, Any] | None = None
        for name, held in value.items():
            under = inherited or (named if name == "value" and named else name)
            if type(held) is float:
                done = held
            else:
                done = self.value(held, key=under if isinstance(under, str) else None)
            clean = self.text(name) if isinstance(name, str) and len(name) >= 16 else name
            if done is not held or clean is not name:
                if changed is None:
                    changed = dict(value)
                if clean is not name:
                    del changed[name]
                changed[clean] = done
        return value if changed is None else changed

    def _list(self, value: list[Any] | tuple[Any, ...], key: str | None) -> list[Any] | tuple[Any, ...]:
        changed: list[Any] | None = None
        option: str | None = None
        for index, held in enumerate(value):
            done = self.value(held, key=option or key)
            if type(held) is not str:
                option = None
                if done is held:
                    continue
            # ["--password", "hunter2"]: a command line taken apart.
            option = held if isinstance(held, str) and held.startswith("-") and is_secret_key(held) else None
            if done is not held:
                if changed is None:
                    changed = list(value)
                changed[index] = done
        return value if changed is None else changed

    def _scan(self, text: str, key: str | None) -> str:
        low = text.lower()
        if "://" in low:
            text = _USERINFO.sub(self._userinfo, text)
            text = _QUERY.sub(lambda m: m[1] + self.mark(m[2]), text)
            text = _SLACK_HOOK.sub(lambda m: self.mark(m[0]), text)
        if "private key" in low:
            text = _PEM.sub(lambda m: self.mark(m[0]), text)
        if "bearer" in low or "basic" in low or "token" in low or "apikey" in low:
            text = _BEARER.sub(self._bearer, text)
        for hint in _ASSIGN_HINTS:
            if hint in low:
                text = self._assignments(_ASSIGN, text)
                text = self._assignments(_OPTION, text)
                break
        # Tokens, and what is found by entropy, are long words.
        if max(map(len, text.split()), default=0) < 16:
            return text
        if _ANY_HINT.search(text):
            text = _TOKENS.sub(lambda m: self.mark(m[0]), text)
        if key is None or not _names_digest(key):
            text = _RUN.sub(self._run, text)
        return text

    def _userinfo(self, match: re.Match[str]) -> str:
        head, user, password = match[1], match[2], match[3]
        if password:
            plain = _PLACEHOLDER.fullmatch(password) or _MARK.fullmatch(password)
            return match[0] if plain else f"{head}{user}:{self.mark(password)}@"
        # A user alone is a name, unless it is a token by its looks.
        return f"{head}{self.mark(user)}@" if len(user) >= 20 and _is_opaque(user) else match[0]

    def _bearer(self, match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}{self.mark(match[3])}" if _is_opaque(match[3]) else match[0]

    def _assignments(self, pattern: re.Pattern[str], text: str) -> str:
        """The text without values under secret names. A value may hold names and values itself, as in
        ``ValueError: password=…``, so the search goes on where it begins."""
        done: list[str] = []
        kept = at = 0
        while match := pattern.search(text, at):
            quoted = match["quoted"] is not None
            at = match.start("quoted" if quoted else "bare")
            if is_secret_key(match["name"]):
                done += [text[kept : match.start()], self._assigned(match)]
                kept = at = match.end()
        return text if not done else "".join([*done, text[kept:]])

    def _assigned(self, match: re.Match[str]) -> str:
        name, sep, quote = match["name"], match["sep"], match["quote"] or ""
        value = match["quoted"] if match["quoted"] is not None else match["bare"]
        plain = _PLACEHOLDER.fullmatch(value) or "[redacted:" in value or value.lower() in _AUTH_WORDS
        if plain or (not quote and _is_code(name, value)):
            return match[0]
        return f"{name}{sep}{quote}{self.mark(value)}"

    def _run(self, match: re.Match[str]) -> str:
        run = match[0]
        before = match.string[max(0, match.start() - 12) : match.start()]
        if _CONTENT.search(before) or _CONTENT.match(run[:12].rsplit("-", 1)[0] + "-"):
            return run
        if len(run) == 24 and run.endswith("=="):
            return run  # base64 of an md5, as object stores spell it
        return self.mark(run) if looks_random(run) else run


def _is_opaque(value: str) -> bool:
    """Rather a credential than a word: digits among letters, mixed case, or padding; no path, no version."""
    if value.endswith("="):
        return True
    letters = any(c.isalpha() for c in value)
    if any(c.isdigit() for c in value) and letters:
        return len(value) >= 12 or "." not in value
    return len(value) >= 16 and any(c.isupper() for c in value[1:]) and any(c.islower() for c in value)


_CODE = re.compile(
    r"[A-Za-z_][\w.]*[(\[].*|(?:self|args|cls|config|cfg|os|settings|kwargs|env|request)\.\w[\w.]*"
)


def _is_code(name: str, value: str) -> bool:
    """Whether an unquoted value is a line of code or a word of a sentence rather than a secret."""
    if (
        _CODE.fullmatch(value)
        or value.rsplit(".", 1)[-1].strip("_").lower() == name.rsplit(".", 1)[-1].lower()
    ):
        return True
    token_like = name.lower().rstrip("0123456789").endswith(("token", "auth", "cookie", "secret"))
    return token_like and not _is_opaque(value) and len(value) < 16


def _numeric_secret(key: str) -> bool:
    return is_secret_key(key) and any(w in key.lower() for w in ("passw", "pwd", "passcode", "passphrase"))
