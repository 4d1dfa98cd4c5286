"""Signatures: what each sender makes is taken; forged, stale and re-encoded ones are refused.

The signatures of Standard Webhooks and MLflow were made by their own code: standardwebhooks 1.1.0 and
mlflow 3.17.2 (2026-11-21). The others follow the senders' documentation.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pytest

from ingestors import signatures
from ingestors.source import Delivery, Forged

Check = Callable[[Delivery, bytes], None]
SECOND = 1_000_000
BODY = b'{"event_type":"ping"}'
AT = 1_614_265_330 * SECOND
STANDARD_KEY = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LxM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,/Q/YC2m7K/eQzOOhCB8Wd0t8ytnkKhzaC/u9uwShRwg=",
}
MLFLOW_BODY = '{"entity": "model_version", "action": "created", "data": {"name": "churn ä"}}'.encode()
MLFLOW_AT = 1_795_258_800 * SECOND
MLFLOW = {
    "x-mlflow-delivery-id": "0b3c2f6e-6d0f-4b3f-9a51-2f1c5f3e7d10",
    "x-mlflow-timestamp": "1795258800",
    "x-mlflow-signature": "v1,ykMAk9UumS1DmMI1zaOYbe+ifhMcsHH9APM7dUhCiB4=",
}
SECRET = b"s3cret"
HEX = hmac.new(SECRET, BODY, hashlib.sha256).hexdigest()


def test_hmac_is_what_github_documents() -> None:
    delivery = Delivery(
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
        AT,
    )

    signatures.github(delivery, b"It's a Secret to Everybody")
    with pytest.raises(Forged):
        signatures.github(delivery, b"It's a Secret to Nobody")


SIGNED: list[tuple[str, Check, dict[str, str], bytes, bytes, int]] = [
    ("github", signatures.github, {"x-hub-signature-256": f"sha256={HEX}"}, BODY, SECRET, AT),
    ("gitlab signed", signatures.gitlab, STANDARD, BODY, STANDARD_KEY, AT),
    ("gitlab token", signatures.gitlab, {"x-gitlab-token": "s3cret"}, BODY, SECRET, AT),
    ("pagerduty", signatures.pagerduty, {"x-pagerduty-signature": f"v1={HEX}"}, BODY, SECRET, AT),
    (
        "pagerduty list",
        signatures.pagerduty,
        {"x-pagerduty-signature": f"v1={'0' * 64}, v1={HEX}"},
        BODY,
        SECRET,
        AT,
    ),
    ("standard", signatures.standard, STANDARD, BODY, STANDARD_KEY, AT),
    (
        "standard list",
        signatures.standard,
        {**STANDARD, "webhook-signature": f"v1a,xx v1,AAAA {STANDARD['webhook-signature']}"},
        BODY,
        STANDARD_KEY,
        AT,
    ),
    ("standard, five minutes late", signatures.standard, STANDARD, BODY, STANDARD_KEY, AT + 300 * SECOND),
    ("mlflow", signatures.standard, MLFLOW, MLFLOW_BODY, b"a-secret-of-mlflow", MLFLOW_AT),
]
everyone = pytest.mark.parametrize(
    ("check", "headers", "body", "secret", "at"),
    [each[1:] for each in SIGNED],
    ids=[each[0] for each in SIGNED],
)


@everyone
def test_what_was_signed_is_taken(
    check: Check, headers: dict[str, str], body: bytes, secret: bytes, at: int
) -> None:
    check(Delivery(headers, body, at), secret)


@everyone
def test_what_was_not_signed_so_is_forged(
    check: Check, headers: dict[str, str], body: bytes, secret: bytes, at: int
) -> None:
    other_key = b"whsec_" + b"QUJD" * 8 if secret.startswith(b"whsec_") else secret + b"x"
    by_token = "x-gitlab-token" in headers
    forgeries = [
        (Delivery({}, body, at), secret),
        (Delivery(dict.fromkeys(headers, ""), body, at), secret),
        (Delivery({name: value.upper() for name, value in headers.items()}, body, at), secret),
        (Delivery({name: value + "é" for name, value in headers.items()}, body, at), secret),
        (Delivery(headers, body, at), other_key),
    ]
    if not by_token:
        forgeries += [
            (Delivery(headers, body + b" ", at), secret),
            (Delivery(headers, body.decode().encode("utf-16"), at), secret),
            (Delivery(headers, body.replace(b":", b": "), at), secret),
        ]

    accepted = []
    for delivery, key in forgeries:
        with pytest.raises(Forged) as caught:
            check(delivery, key)
            accepted.append(delivery)
        assert key.decode() not in str(caught.value)

    assert accepted == []


@pytest.mark.parametrize(
    ("headers", "at"),
    [
        (STANDARD, AT + 301 * SECOND),
        (STANDARD, AT - 301 * SECOND),
        ({**STANDARD, "webhook-timestamp": "1614265331"}, AT),
        ({**STANDARD, "webhook-timestamp": "１６１４２６５３３０"}, AT),
        ({**STANDARD, "webhook-timestamp": "9" * 400}, AT),
        ({**STANDARD, "webhook-timestamp": "soon"}, AT),
        ({**STANDARD, "webhook-id": "msg_another"}, AT),
        ({**STANDARD, "webhook-id": ""}, AT),
    ],
)
def test_a_stale_time_or_another_id_is_refused(headers: dict[str, str], at: int) -> None:
    with pytest.raises(Forged):
        signatures.standard(Delivery(headers, BODY, at), STANDARD_KEY)


def test_a_signing_token_of_gitlab_is_never_taken_as_the_plain_token() -> None:
    delivery = Delivery({"x-gitlab-token": STANDARD_KEY.decode()}, BODY, AT)

    with pytest.raises(Forged):
        signatures.gitlab(delivery, STANDARD_KEY)


def test_a_secret_that_is_no_base64_says_so() -> None:
    with pytest.raises(Forged, match="no base64"):
        signatures.standard(Delivery(STANDARD, BODY, AT), b"whsec_%%%")
