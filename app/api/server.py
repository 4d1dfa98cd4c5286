"""Listening and serving until somebody stops it."""

from __future__ import annotations

import errno
import gc
import socket
import sys

import uvicorn
from fastapi import FastAPI

from app.errors import Failed

#: Seconds for which a thread that works may keep others from it. With Python's own 5 ms, an answer that
#: crosses threads a few times waits for an ingestion in the same process at every crossing.
_SWITCH_INTERVAL = 0.0005


def listen(host: str, port: int, *, others: int = 0) -> tuple[socket.socket, int]:
    """A socket that listens, and its port: the one asked for, or one of the ``others`` that follow it.

    Raises Failed in one line where that cannot be."""
    for candidate in range(port, port + others + 1):
        try:
            return _bound(host, candidate), candidate
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise Failed(f"cannot listen on {host}:{candidate}: {problem.strerror or problem}") from None
    tried = f"port {port} is" if not others else f"ports {port} to {port + others} are all"
    raise Failed(f"{tried} in use on {host}: choose another with --port (or [server] port)")


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def url(host: str, port: int) -> str:
    """The address as one types it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answer_promptly() -> None:
    """Call it once everything is loaded that stays: threads take short turns from now on, and the garbage
    collector no longer looks through what is there, which stops all of them for some 100 ms each time."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, which is raised again once everything is closed."""
    answer_promptly()
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5
    )
    uvicorn.Server(config).run(sockets=[listening])
