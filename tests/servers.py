"""Servers on this machine that tests read videos from: HTTP with ranges and faults, and S3."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Served:
    """Files behind HTTP.

    Attributes:
        url: of the server, without a slash at the end.
        files: path, from its slash on -> content.
        redirects: path -> where it leads.
        faults: how the server misbehaves.
        after: requests that are answered well before the faults begin.
        times: how many requests go wrong; all where None.
        requests: (path, Range, Authorization) of each request.
        sent: bytes of bodies sent.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    faults: set[str] = field(default_factory=set)
    after: int = 0
    times: int | None = None
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    sent: int = 0
    modified: float = field(default_factory=lambda: time.time() - 3600)

    def forget(self) -> None:
        """Count from zero again."""
        self.requests.clear()
        self.sent = 0


@contextmanager
def http_server(certificate: Path | None = None) -> Iterator[Served]:
    """A server with ranges, ETags and keep-alive; https with a certificate and key in PEM."""
    served = Served()

    class Handler(_Handler):
        state = served

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_port}"
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        served.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        # Readers that leave early are what the tests are about.
        if not isinstance(sys.exc_info()[1], ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Served

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        state = self.state
        state.requests.append((self.path, self.headers["Range"], self.headers["Authorization"]))
        number = len(state.requests) - state.after
        last = number if state.times is None else state.times
        faults = state.faults if 0 < number <= last else set()
        if self.path in state.redirects:
            self._answer(302, {"Location": state.redirects[self.path]})
            return
        # A proxy is asked for a whole URL.
        path = re.sub(r"^http://[^/]+", "", self.path).partition("?")[0]
        codes = {f for f in faults if f.isdigit()}
        if codes or path not in state.files:
            self._answer(int(codes.pop()) if codes else 404, {})
            return
        self._send(state.files[path], faults)

    def _send(self, data: bytes, faults: set[str]) -> None:
        headers = {
            "ETag": _etag(data),
            "Last-Modified": formatdate(self.state.modified, usegmt=True),
        }
        if "etag" in faults:
            headers["ETag"] = '"another"'
        if "weak" in faults:
            headers["ETag"] = f"W/{headers['ETag']}"
        if "no-version" in faults:
            headers = {}
        asked = re.match(r"bytes=(\d+)-(\d+)$", self.headers["Range"] or "")
        if "slow" in faults:
            time.sleep(1.0)
        changed = self.headers["If-Range"] not in (
            None,
            headers.get("ETag"),
            headers.get("Last-Modified"),
        )
        if asked is None or "no-ranges" in faults or changed:
            self._answer(200, headers, data)
            return
        first, last = int(asked[1]), min(int(asked[2]), len(data) - 1)
        if first >= len(data):
            self._answer(416, {"Content-Range": f"bytes */{len(data)}"})
            return
        size = "*" if "no-size" in faults else str(len(data))
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        body = data[first : last + 1]
        if "other-range" in faults:
            headers["Content-Range"] = f"bytes {first + 1}-{last + 1}/{size}"
        if "reset" in faults:
            # With SO_LINGER at 0 s, closing resets the connection.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
            self.close_connection = True
            return
        self._answer(206, headers, body, cut="truncated" in faults)

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes = b"", cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = body[: len(body) // 2] if cut else body
        try:
            self.wfile.write(sent)
        except OSError:  # the reader has left
            cut = True
        self.state.sent += len(sent)
        self.close_connection = self.close_connection or cut


@lru_cache(maxsize=8)
def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of a server that speaks S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
