"""Captures on disk, and their way to a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ingestors import spool


class Server:
    """Answers every POST with one status, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status, self.seen = 202, list[tuple[str, str | None, bytes]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.seen.append((self.path, self.headers.get("authorization"), body))
                self.send_response(outer.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(b'{"error": "said\\nwhy"}')

            do_GET = do_POST

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def test_captures_wait_in_their_order(tmp_path: Path) -> None:
    place = str(tmp_path / "spool")
    files = [spool.put(place, {"number": number}) for number in range(3)]

    assert spool.waiting(place) == files
    spool.set_aside(files[1])
    spool.remove(files[0])
    spool.remove(files[0])
    assert spool.waiting(place) == files[2:]
    assert [file.name for file in (tmp_path / "spool" / "refused").iterdir()] == [Path(files[1]).name]


def test_not_more_wait_than_agreed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MAX_WAITING", 2)
    place = str(tmp_path / "spool")

    files = [spool.put(place, {"number": number}) for number in range(4)]

    assert spool.waiting(place) == files[2:]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/ada"}, "/state/kinlore/spool"),
        ({"HOME": "/home/ada"}, "/home/ada/.local/state/kinlore/spool"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/ada"}, "/home/ada/.local/state/kinlore/spool"),
    ],
)
def test_where_they_wait(environ: dict[str, str], expected: str) -> None:
    assert spool.folder(environ) == expected


def test_a_capture_is_sent_with_the_token(server: Server) -> None:
    spool.post(f"{server.url}/", "s3cret", b"{}", 5)

    assert server.seen == [("/hooks/capture", "Bearer s3cret", b"{}")]


@pytest.mark.parametrize(
    ("status", "refused"), [(400, True), (413, True), (401, False), (404, False), (503, False)]
)
def test_what_a_server_may_answer(server: Server, status: int, refused: bool) -> None:
    server.status = status

    with pytest.raises(spool.NotDelivered, match=f"answered {status} .*said") as caught:
        spool.post(server.url, None, b"{}", 5)

    assert caught.value.refused == refused
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_is_not_carried_elsewhere(server: Server, status: int) -> None:
    server.status = status

    with pytest.raises(spool.NotDelivered, match=f"answered {status}"):
        spool.post(server.url, "s3cret", b"{}", 5)

    assert [path for path, _, _ in server.seen] == ["/hooks/capture"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "http://127.0.0.1:1", "http://[bad"])
def test_addresses_that_lead_nowhere(url: str) -> None:
    with pytest.raises(spool.NotDelivered) as caught:
        spool.post(url, None, b"{}", 2)

    assert not caught.value.refused
