"""Redaction: seeded secrets go, what lineage is made of stays."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import string
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from graph_schema import redaction
from graph_schema.redaction import Redactor, is_secret_key, secrets_in

LETTERS = string.ascii_letters + string.digits


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(b"fixed for tests")


def seeded(random_: random.Random) -> list[tuple[str, str]]:
    """(text that holds it, the secret), by kind of secret and kind of place."""

    def chars(alphabet: str, count: int) -> str:
        return "".join(random_.choices(alphabet, k=count))

    def segment(count: int) -> str:
        return base64.urlsafe_b64encode(random_.randbytes(count)).decode().rstrip("=")

    jwt = f"eyJhbGciOiJIUzI1NiJ9.eyJ{segment(30)}.{segment(32)}"
    tokens = [
        f"AKIA{chars('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}",
        f"ghp_{chars(LETTERS, 36)}",
        f"github_pat_{chars(LETTERS, 22)}_{chars(LETTERS, 59)}",
        f"glpat-{chars(LETTERS, 20)}",
        f"xoxb-{chars(string.digits, 12)}-{chars(string.digits, 12)}-{chars(LETTERS, 24)}",
        f"sk_live_{chars(LETTERS, 24)}",
        f"sk-proj-{chars(LETTERS, 48)}",
        f"hf_{chars(string.ascii_letters, 34)}",
        f"pypi-AgEIcHlwaS5vcmc{chars(LETTERS, 60)}",
        f"npm_{chars(LETTERS, 36)}",
        f"AIza{chars(LETTERS + '_-', 35)}",
        f"dapi{chars('0123456789abcdef', 32)}",
        jwt,
        chars(LETTERS, 44),
        base64.b64encode(random_.randbytes(48)).decode(),
    ]
    password = f"{chars(string.ascii_lowercase, 5)}{chars(string.digits, 3)}!{chars(string.ascii_letters, 4)}"
    places = [(place.format(token), token) for token in tokens for place in (
        "{}", "INFO 2026-01-31 10:00:00 connecting with {} to the store", "https://api.example.com/v1?x=1&q={}&n=2",
        '{{"level": "debug", "message": "using {}"}}', "export SOMETHING={}",
    )]  # fmt: skip
    places += [
        (f"postgresql://trainer:{password}@db.internal:5432/features", password),
        (f"mongodb+srv://app:{password}@cluster0.example.net/?retryWrites=true", password),
        (f"redis://:{password}@cache:6379/0", password),
        (f"python train.py --db-password {password} --epochs 3", password),
        (f"python train.py --api-key={password} --epochs 3", password),
        (f"DB_PASSWORD={password}", password),
        (f"db.password: {password}", password),
        (f"{{'password': '{password}', 'user': 'ada'}}", password),
        (json.dumps({"client_secret": password}), password),
        (f"Server=tcp:db,1433;Database=x;User ID=ada;Password={password};Encrypt=True;", password),
    ]
    long = chars(LETTERS, 43)
    places += [
        (place.format(long), long)
        for place in (
            "Authorization: Bearer {}",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={}",
            "https://h.blob.core.windows.net/c/f?sv=2024&sig={}%3D&se=2026",
            "https://hooks.slack.com/services/T0123456/B0123456/{}",
            "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        )
    ]
    return places


def test_seeded_secrets_are_gone(redactor: Redactor) -> None:
    random_ = random.Random(7)
    corpus = [pair for _ in range(6) for pair in seeded(random_)]
    assert len(corpus) >= 500

    missed = [text for text, secret in corpus if secret in redactor.text(text)]

    assert missed == []


def test_secrets_in_params_and_tags_are_gone(redactor: Redactor) -> None:
    data = {
        "params": {
            "lr": "0.1",
            "db_password": "hunter2!",
            "HF_TOKEN": "short",
            "optimizer": {"api_key": "abc"},
        },
        "tags": [
            {"key": "aws.secret_access_key", "value": "wJalrXUt"},
            {"key": "mlflow.user", "value": "ada"},
        ],
        "argv": ["train.py", "--password", "hunter2!", "--epochs", "3"],
        "pin": {"passcode": 1234},
    }

    told = redactor.value(data)

    text = json.dumps(told)
    assert "hunter2!" not in text and "short" not in text and "abc" not in text and "1234" not in text
    assert "wJalrXUt" not in text
    assert told["params"]["lr"] == "0.1"
    assert told["tags"][1] == {"key": "mlflow.user", "value": "ada"}
    # Equal secrets leave equal marks, so that joins still work.
    assert told["params"]["db_password"] == told["argv"][2] == redactor.mark("hunter2!")


KEPT = [
    hashlib.sha1(b"1").hexdigest(),
    hashlib.sha256(b"1").hexdigest(),
    hashlib.sha512(b"1").hexdigest(),
    hashlib.md5(b"1").hexdigest(),
    f"{hashlib.md5(b'1').hexdigest()}.dir",
    f"sha256:{hashlib.sha256(b'1').hexdigest()}",
    f"sha256-{base64.b64encode(hashlib.sha256(b'1').digest()).decode()}",
    f"sha512-{base64.b64encode(hashlib.sha512(b'1').digest()).decode()}",
    base64.b64encode(hashlib.md5(b"1").digest()).decode(),
    str(uuid.UUID(int=2**127 + 12345)),
    "0190f2a4-6b1c-7def-8123-456789abcdef",
    "models:/m-8d2f0c6b1e3a4f5d9c7b6a5e4d3c2b1a",
    "models:/churn@champion",
    "runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9/model",
    "mlflow-artifacts:/12/0a1b2c3d4e5f60718293a4b5c6d7e8f9/artifacts/model",
    "s3://bucket/12/0a1b2c3d4e5f60718293a4b5c6d7e8f9/artifacts/model/MLmodel",
    "/srv/churn/data/Features2024/Release_7/train_v2.parquet",
    "C:\\Users\\ada\\Documents\\churn\\data\\raw.csv",
    "git@github.com:acme/churn.git",
    "https://github.com/acme/churn/commit/3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594",
    "ssh://git@github.com/acme/churn.git",
    "https://dev.azure.com/acme/churn/_git/churn?version=GBmain",
    "ghcr.io/acme/churn@sha256:" + "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "docker.io/library/python:3.11.9-slim-bookworm",
    "TensorFlow2-ResNet50V2-ImageNet1k-Pretrained",
    "sentence-transformers/all-MiniLM-L6-v2",
    "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "torch==2.13.0+cu124 torchvision==0.28.0",
    "scikit-learn>=1.5,<2; python_version >= '3.11'",
    "org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat",
    "scheduled__2026-01-31T00:00:00+00:00",
    "manual__2026-01-31T10:00:00.123456+00:00_Xy1",
    "arn:aws:sagemaker:eu-west-1:123456789012:training-job/churn-2026-01-31-10-00-00-123",
    "projects/churn/locations/europe-west1/models/1234567890123456789",
    "churn-7d4b9c6f5d-x2x9k",
    "01HZXW3J5N8Q2R4T6V8Y0ABCDE",
    "accuracy=0.9312 loss=0.1834 val_accuracy=0.9102",
    "max_tokens=512 num_tokens=1024 pad_token=<pad> eos_token_id=2 tokenizer=bert-base-uncased",
    "KeyError: 'password'",
    "self.token = token",
    "password = getpass.getpass()",
    "token = tokens[i + 1]",
    "secret = os.environ['APP_SECRET']",
    "api_key=${API_KEY}",
    "primary_key: customer_id, foreign_key: order_id, sort_key: created_at",
    "the password must have at least twelve characters",
    "invalid token at position 17",
    "Basic authentication is required",
    "author: Ada Lovelace",
    "2026-01-31T10:00:00.123456789Z",
    "alerts@example.com",
    "1234567890123456789012345678901234567890",
    "a" * 60,
    "the_quick_brown_fox_jumps_over_the_lazy_dog_again_and_again",
    "AbstractSingletonProxyFactoryBean",
    "postgres://db.internal:5432/public.users",
    "conda-forge/linux-64::numpy-2.2.0-py311h64a7726_0",
    '{"inputs": "[{\\"name\\": \\"tenure\\", \\"type\\": \\"double\\"}]", "outputs": null}',
    "0x7f3a9c2b1d4e5f60",
    "[redacted:0123abcd]",
    """Traceback (most recent call last):
  File "/home/ada/.venv/lib/python3.11/site-packages/sklearn/linear_model/_logistic.py", line 1193, in fit
    raise ValueError(f"Input X contains NaN. token={token!r}")
ValueError: Input X contains NaN.
  config = Config(auth_token=auth_token, password=self.password, secret=args.secret)""",
]


@pytest.mark.parametrize("text", KEPT, ids=lambda text: text[:40])
def test_what_lineage_is_made_of_stays(redactor: Redactor, text: str) -> None:
    assert redactor.text(text) == text


def test_false_positives_among_made_up_identifiers(redactor: Redactor) -> None:
    random_ = random.Random(3)
    made = [str(uuid.UUID(int=random_.getrandbits(128))) for _ in range(500)]
    made += [f"{random_.getrandbits(160):040x}" for _ in range(500)]
    made += [f"m-{random_.getrandbits(128):032x}" for _ in range(500)]
    made += [
        f"s3://bucket/{random_.getrandbits(64)}/{random_.getrandbits(128):032x}/model.pkl" for _ in range(500)
    ]

    assert [text for text in made if redactor.text(text) != text] == []


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "DB_PASSWORD",
        "dbPassword",
        "api_key",
        "apiKey",
        "API-KEY",
        "aws_secret_access_key",
        "HF_TOKEN",
        "auth.token",
        "client_secret",
        "private_key",
        "Authorization",
        "connection_string",
        "set-cookie",
        "password_2",
        "spark.hadoop.fs.s3a.secret.key",
        "webhook_url",
        "github_pat",
    ],
)
def test_secret_keys(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "max_tokens",
        "num_tokens",
        "pad_token",
        "eos_token",
        "tokenizer",
        "token_env",
        "password_env",
        "primary_key",
        "author",
        "keyboard",
        "secretary",
        "token_count",
        "next_page_token",
        "file_pat",
        "monkey",
        "access_key_path",
        "dvc.md5",
        "git.sha",
        "key",
        "",
    ],
)
def test_keys_that_only_sound_like_it(key: str) -> None:
    assert not is_secret_key(key)


def test_a_count_under_token_is_a_count(redactor: Redactor) -> None:
    assert redactor.value({"token": 17, "use_auth_token": True, "password": None}) == {
        "token": 17,
        "use_auth_token": True,
        "password": None,
    }


def test_clean_values_come_back_as_they_are(redactor: Redactor) -> None:
    data = {"a": ["x", {"b": 1.5}], "c": "nothing to see"}

    assert redactor.value(data) is data


def test_twice_is_as_good_as_once(redactor: Redactor) -> None:
    random_ = random.Random(1)
    for text, _ in seeded(random_):
        once = redactor.text(text)
        assert redactor.text(once) == once


def test_marks_depend_on_the_key_alone() -> None:
    a, b = Redactor(b"one"), Redactor(b"two")

    assert a.mark("hunter2") == Redactor(b"one").mark("hunter2")
    assert a.mark("hunter2") != b.mark("hunter2")


@pytest.mark.parametrize(
    "text",
    [
        "a" * 2_000_000 + " password",
        "password=" * 200_000,
        "://@" * 300_000,
        "-----BEGIN PRIVATE KEY-----" * 20_000,
        "token " * 200_000,
        "=:" * 500_000,
        "auth " + "a=" * 500_000,
    ],
)
def test_no_text_takes_long(redactor: Redactor, text: str) -> None:
    started = time.process_time()
    redactor.text(text)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: password=hunter2hunter2 was refused",
        "RuntimeError: password: hunter2hunter2",
        "E: caused by: db.password='hunter2hunter2'",
        "url=x;password=hunter2hunter2",
        "retry: --password hunter2hunter2",
    ],
)
def test_a_message_may_hold_an_assignment(redactor: Redactor, text: str) -> None:
    assert "hunter2" not in redactor.text(text)


def test_secrets_known_by_value_are_found_anywhere() -> None:
    environ = {
        "DB_PASSWORD": "sesame open",
        "PWD": "/home/ada/work",
        "GCP_CREDENTIALS": "/etc/gcp/key.json",
        "API_TOKEN": "abc",
        "AWS_SECRET_ACCESS_KEY": "/x9Qp/3kfLw8Zr2TtY7uVb1NcM5dGh6JsKe4AoR0",
        "LANG": "C.UTF-8",
    }

    found = secrets_in(environ)

    assert found == ["sesame open", "/x9Qp/3kfLw8Zr2TtY7uVb1NcM5dGh6JsKe4AoR0"]
    done = Redactor(b"k", found).value({"log": "it said sesame open in /home/ada/work"})
    assert done == {"log": f"it said {Redactor(b'k').mark('sesame open')} in /home/ada/work"}


def test_the_client_can_use_it_from_python_39_on() -> None:
    """No possessive quantifier, no atomic group: older versions refuse to read them."""
    from re import _constants, _parser  # type: ignore[attr-defined]

    newer = {_constants.POSSESSIVE_REPEAT, _constants.ATOMIC_GROUP}
    patterns = [held for held in vars(redaction).values() if isinstance(held, re.Pattern)]

    def used(parsed: Any) -> Iterator[Any]:
        for operation, argument in parsed:
            yield operation
            for held in argument if isinstance(argument, tuple | list) else ():
                if isinstance(held, _parser.SubPattern):
                    yield from used(held)
                elif isinstance(held, list):
                    for each in held:
                        if isinstance(each, _parser.SubPattern):
                            yield from used(each)

    assert len(patterns) > 10
    for pattern in patterns:
        assert not newer & set(used(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))), pattern
