"""The HTTP client against answers of every kind, and against a real socket."""

from __future__ import annotations

import base64
import email.utils
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from ingestors.http import HttpClient, HttpConfig, HttpError, NotThere, shown
from ingestors.source import Refused, SourceError, Unreachable


class Tool:
    """Answers in turn, and remembers what it was asked and how long the client would have waited."""

    def __init__(self, *answers: httpx.Response | Exception, **keys: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []
        environ = keys.pop("environ", {})
        limits = keys.pop("limits", {})
        config = HttpConfig(type="x", name="tool", **keys)
        self.client = HttpClient(
            "https://ada:secret@tool.example/base/",
            config,
            transport=httpx.MockTransport(self._answer),
            environ=environ,
            sleep=self.waits.append,
            **limits,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(body: Any = None) -> httpx.Response:
    return httpx.Response(200, json={"ok": True} if body is None else body)


def test_json_comes_back_and_parameters_go_out() -> None:
    tool = Tool(ok({"runs": [1]}))

    assert tool.client.get("/api/runs", {"max": 5}) == {"runs": [1]}
    assert tool.client.post("/api/search", {"filter": "é"}) == {"runs": [1]}
    assert str(tool.requests[0].url).endswith("/base/api/runs?max=5")
    assert tool.requests[1].content == '{"filter":"é"}'.encode()


def test_credentials_come_from_the_environment_by_name() -> None:
    token = Tool(ok(), token_env="TOKEN", environ={"TOKEN": " abc\n"})
    basic = Tool(ok(), user_env="U", password_env="P", environ={"U": "ada", "P": "pw"})

    token.client.get("/x")
    basic.client.get("/x")

    anonymous = Tool(ok())
    anonymous.client.get("/x")

    # Those in the address are used where no others are named.
    assert (
        anonymous.requests[0].headers["authorization"] == "Basic " + base64.b64encode(b"ada:secret").decode()
    )
    assert token.requests[0].headers["authorization"] == "Bearer abc"
    assert basic.requests[0].headers["authorization"] == "Basic " + base64.b64encode(b"ada:pw").decode()


@pytest.mark.parametrize(
    ("environ", "said"),
    [({}, "environment variable TOKEN is not set"), ({"TOKEN": "a\nb"}, "characters no header can carry")],
)
def test_a_variable_without_a_usable_value_is_named(environ: dict[str, str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        Tool(ok(), token_env="TOKEN", environ=environ).client.get("/x")


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_name_their_variable(status: int) -> None:
    tool = Tool(httpx.Response(status, text="no"), token_env="TOKEN", environ={"TOKEN": "hunter2"})

    with pytest.raises(Refused, match="environment variable TOKEN") as problem:
        tool.client.get("/x")

    assert len(tool.requests) == 1 and "hunter2" not in str(problem.value)


def test_missing_credentials_are_asked_for() -> None:
    with pytest.raises(Refused, match="token_env"):
        Tool(httpx.Response(401)).client.get("/x")


@pytest.mark.parametrize(
    "failure",
    [httpx.Response(500), httpx.Response(503), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut")],
)  # fmt: skip
def test_what_may_pass_is_tried_again(failure: httpx.Response | Exception) -> None:
    tool = Tool(failure, failure, ok())

    assert tool.client.get("/x") == {"ok": True}
    assert len(tool.waits) == 2 and 0 < tool.waits[0] <= 0.5 and tool.waits[1] <= 1.0


def test_it_gives_up_after_a_few_attempts_without_telling_the_password() -> None:
    tool = Tool(ok(), httpx.ConnectError("connection refused"))
    tool.client.get("/x")
    tool.requests.clear()

    with pytest.raises(Unreachable) as problem:
        tool.client.get("/x")

    assert str(problem.value) == "https://tool.example/base does not answer: connection refused"
    assert len(tool.requests) == 4


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("timed out")])
def test_where_nobody_has_answered_yet_it_is_left_to_the_caller(failure: Exception) -> None:
    tool = Tool(failure)

    with pytest.raises(Unreachable):
        tool.client.get("/x")

    assert len(tool.requests) == 1 and not tool.waits


def test_retry_after_is_honoured() -> None:
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    tool = Tool(
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(503, headers={"Retry-After": date}),
        ok(),
    )

    assert tool.client.get("/x") == {"ok": True}
    assert tool.waits[0] == 7 and 25 < tool.waits[1] <= 31


def test_a_long_retry_after_is_left_to_the_loop() -> None:
    tool = Tool(httpx.Response(429, headers={"Retry-After": "3600"}))

    with pytest.raises(Unreachable) as problem:
        tool.client.get("/x")

    assert problem.value.retry_after == 3600
    assert (len(tool.requests), tool.waits) == (1, [])


def test_a_web_page_is_no_answer() -> None:
    tool = Tool(httpx.Response(200, html="<!doctype html><html>login</html>"))

    with pytest.raises(SourceError, match="web page, not JSON"):
        tool.client.get("/x")


def test_a_redirect_is_no_answer() -> None:
    tool = Tool(httpx.Response(302, headers={"location": "https://login.example/?token=abc"}))

    with pytest.raises(SourceError, match=r"redirects to https://login\.example;"):
        tool.client.get("/x")


def test_broken_json_may_be_whole_the_next_time() -> None:
    with pytest.raises(Unreachable, match="broken JSON"):
        Tool(httpx.Response(200, content=b'{"runs": [1, 2')).client.get("/x")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000])
def test_json_that_nests_without_end_is_refused(body: bytes) -> None:
    with pytest.raises(Unreachable):
        Tool(httpx.Response(200, content=body)).client.get("/x")


def test_an_endless_answer_is_cut() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65_536

    tool = Tool(httpx.Response(200, content=endless()), limits={"max_bytes": 2**20})
    with pytest.raises(SourceError, match="more than 1 MB"):
        tool.client.get("/x")

    tool = Tool(httpx.Response(200, content=endless()))
    assert tool.client.text("/error.txt", max_bytes=100) == "x" * 100


def test_other_refusals_carry_what_the_tool_said() -> None:
    tool = Tool(httpx.Response(400, json={"error_code": "BAD", "message": "no such filter"}))

    with pytest.raises(HttpError, match="answers 400: no such filter") as problem:
        tool.client.get("/x")

    assert "BAD" in problem.value.body
    with pytest.raises(NotThere):
        Tool(httpx.Response(404)).client.get("/x")


@pytest.mark.parametrize(
    "keys",
    [{"user_env": "U"}, {"password_env": "P"}, {"token_env": "T", "user_env": "U", "password_env": "P"}],
)
def test_half_credentials_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        HttpConfig(type="x", name="tool", **keys)  # type: ignore[arg-type]


def test_a_bad_certificate_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate", encoding="utf-8")

    with pytest.raises(SourceError, match=r"ca\.pem"):
        HttpClient("https://x", HttpConfig(type="x", name="t", ca_file=tmp_path / "ca.pem"))


def test_addresses_are_shown_without_secrets() -> None:
    assert shown("https://ada:pw@host:8443/path?token=abc") == "https://host:8443/path"


def test_a_proxy_is_used() -> None:
    asked: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        config = HttpConfig(type="x", name="t", proxy=f"http://127.0.0.1:{server.server_address[1]}")
        assert HttpClient("http://tool.example", config).get("/api") == {}
    finally:
        server.shutdown()
        server.server_close()

    assert asked == ["http://tool.example/api"]


def test_an_answer_comes_with_its_headers_and_with_nothing_where_nothing_changed() -> None:
    def peer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("if-none-match") == 'W/"1"':
            return httpx.Response(304, headers={"etag": 'W/"1"'})
        return httpx.Response(200, json=[1], headers={"etag": 'W/"1"', "link": "<next>"})

    config = HttpConfig(type="x", name="tool")
    client = HttpClient("http://peer", config, transport=httpx.MockTransport(peer))

    first = client.answer("/list")
    again = client.answer("/list", headers={"If-None-Match": first.headers["etag"]})

    assert (first.json, first.headers["link"], first.fresh) == ([1], "<next>", True)
    assert (again.json, again.fresh) == (None, False)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "AT"}),
        (429, {"ratelimit-remaining": "0", "ratelimit-reset": "AT"}),
        (403, {"retry-after": "1795"}),
    ],
)
def test_an_exhausted_allowance_is_waited_for(status: int, headers: dict[str, str]) -> None:
    at = str(int(time.time()) + 1800)
    sent = {name: at if value == "AT" else value for name, value in headers.items()}
    peer = httpx.MockTransport(lambda request: httpx.Response(status, headers=sent))
    client = HttpClient("http://peer", HttpConfig(type="x", name="tool"), transport=peer)

    with pytest.raises(Unreachable) as caught:
        client.get("/list")

    assert caught.value.retry_after is not None and 1700 < caught.value.retry_after <= 1800
