"""How senders sign what they push. Each function raises Forged unless a delivery is signed with the secret.

All of them work on the raw body, compare in constant time and parse nothing. Messages name the header that
is asked for, never what would have been right.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re

from ingestors.source import Delivery, Forged

#: How far the time of a signed delivery may be from ours, in seconds.
TOLERANCE = 300
#: How a key is written that was agreed as bytes; without this prefix the text itself is the key.
ENCODED_KEY = b"whsec_"

#: The names of id, time and signature: as Standard Webhooks has them, and MLflow (3.17).
_NAMES = (
    ("webhook-id", "webhook-timestamp", "webhook-signature"),
    ("x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"),
)
_SECONDS = re.compile("[0-9]{1,12}")


def github(delivery: Delivery, secret: bytes) -> None:
    """GitHub: ``X-Hub-Signature-256: sha256=<hex>`` over the body. It signs no time; who sends a delivery
    again is known by its ``X-GitHub-Delivery``."""
    given = delivery.headers.get("x-hub-signature-256", "")
    _check([given], "sha256=" + _hex(secret, delivery.body), "X-Hub-Signature-256")


def gitlab(delivery: Delivery, secret: bytes) -> None:
    """GitLab: a signing token (``whsec_…``) signs as :func:`standard`; any other secret is the older secret
    token, which ``X-Gitlab-Token`` carries as it is."""
    if secret.startswith(ENCODED_KEY):
        standard(delivery, secret)
        return
    _check([delivery.headers.get("x-gitlab-token", "")], secret, "X-Gitlab-Token")


def pagerduty(delivery: Delivery, secret: bytes) -> None:
    """PagerDuty V3: ``X-PagerDuty-Signature: v1=<hex>,v1=<hex>`` over the body, one for each secret while
    they are exchanged; any may match."""
    given = delivery.headers.get("x-pagerduty-signature", "")
    parts = [part.strip() for part in given.split(",")]
    _check(parts, "v1=" + _hex(secret, delivery.body), "X-PagerDuty-Signature")


def standard(delivery: Delivery, secret: bytes) -> None:
    """Standard Webhooks, and MLflow under its own header names: ``v1,<base64>`` over ``{id}.{time}.{body}``,
    several with spaces between; any may match. What is further than :data:`TOLERANCE` from the time of
    arrival is refused.

    A secret ``whsec_<base64>`` stands for the bytes that it encodes.
    """
    headers = delivery.headers
    names = next((each for each in _NAMES if each[2] in headers), None)
    if names is None:
        raise Forged("the signature is missing: webhook-signature, or X-MLflow-Signature")
    id_name, time_name, signature_name = names
    identity, sent = headers.get(id_name, ""), headers.get(time_name, "")
    if not identity or not _SECONDS.fullmatch(sent):
        raise Forged(f"a signed delivery also says its {id_name} and its {time_name}, in seconds")
    signed = f"{identity}.{sent}.".encode() + delivery.body
    made = base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()
    _check(headers[signature_name].split(" "), "v1," + made, signature_name)
    if abs(delivery.at // 1_000_000 - int(sent)) > TOLERANCE:
        raise Forged(f"the delivery is signed for a time more than {TOLERANCE // 60} minutes from now")


def _key(secret: bytes) -> bytes:
    if not secret.startswith(ENCODED_KEY):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(ENCODED_KEY), validate=True)
    except binascii.Error:
        raise Forged("the secret that is configured starts with whsec_ and is no base64 after it") from None


def _hex(secret: bytes, body: bytes) -> str:
    return hmac.digest(secret, body, "sha256").hex()


def _check(given: list[str], right: str | bytes, header: str) -> None:
    wanted = right.encode() if isinstance(right, str) else right
    # All are compared, so that the time taken does not tell which one came near.
    matches = [hmac.compare_digest(one.encode(), wanted) for one in given]
    if not any(matches):
        raise Forged(f"the signature is missing or wrong: {header}")
