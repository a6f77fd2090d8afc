"""An S3 server for tests, and a proxy in front of it that fails on purpose."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

# Names a real server and where on it tests may write: docs/development/real-s3.md.
REAL = "MEDIAPROC_TEST_S3"
SERVERS = ["moto", *(["real"] if os.environ.get(REAL) else [])]


@dataclass(frozen=True)
class S3Place:
    """A bucket and a prefix of this test's own, and the variables that lead there."""

    bucket: str
    prefix: str
    env: dict[str, str]

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def endpoint(self) -> str:
        return self.env.get("AWS_ENDPOINT_URL_S3") or self.env.get("AWS_ENDPOINT_URL", "")

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).netloc or "amazonaws.com"


def moto_place(endpoint: str) -> S3Place:
    env = {
        "AWS_ACCESS_KEY_ID": "TESTACCESSKEY",
        "AWS_SECRET_ACCESS_KEY": "test-secret-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": endpoint,
    }
    return S3Place("mediaproc-tests", f"tests/{uuid.uuid4().hex}", env)


def real_place() -> S3Place:
    bucket, _, prefix = os.environ[REAL].removeprefix("s3://").partition("/")
    env = {
        name.replace(f"{REAL}_", "AWS_", 1): value
        for name, value in os.environ.items()
        if name.startswith(f"{REAL}_")
    }
    return S3Place(bucket, f"{prefix}/{uuid.uuid4().hex}".lstrip("/"), env)


@contextmanager
def place_on(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Place]:
    """A place on ``"moto"`` or ``"real"``, with ``AWS_`` variables that lead there."""
    from mediaproc.s3 import forget_s3_client, s3_client

    place = moto_place(request.getfixturevalue("moto_url")) if server == "moto" else real_place()
    for name, value in place.env.items():
        monkeypatch.setenv(name, value)
    forget_s3_client()
    yield place
    if server == "real":
        for name, value in place.env.items():  # the test may have changed them
            monkeypatch.setenv(name, value)
        forget_s3_client()
        empty(s3_client(), place)
    forget_s3_client()


def empty(client: Any, place: S3Place) -> None:
    """Delete what is in a place."""
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=place.bucket, Prefix=place.prefix
    )
    for found in [found for page in pages for found in page.get("Contents", [])]:
        client.delete_object(Bucket=place.bucket, Key=found["Key"])


@contextmanager
def moto_server() -> Iterator[str]:
    """moto's S3 on a free port of this machine, reached over HTTP; its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class FaultyProxy:
    """Hands requests on to an S3 server, and fails those that it is told to.

    Faults: a status with its S3 code (``"500 InternalError"``); ``reset`` instead of an answer;
    ``lost``, a reset after the server did what was asked; ``stall``, no answer; ``truncate``,
    ``cut`` and ``hang``, half a body and then the end, a reset, or nothing; ``flip``, a wrong byte.
    """

    def __init__(self, endpoint: str) -> None:
        self.target = urlsplit(endpoint).netloc
        self.count: Counter[str] = Counter()
        self.released = threading.Event()
        self._faults: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.proxy = self  # type: ignore[attr-defined]
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[FaultyProxy]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield self
        self.released.set()
        self._server.shutdown()
        thread.join()
        self._server.server_close()

    def fail(self, method: str, fault: str, times: int = 1) -> None:
        """Fail the next requests of ``method``."""
        self.count.clear()
        self._faults += [(method, fault)] * times

    def fault_for(self, method: str) -> str:
        with self._lock:
            self.count[method] += 1
            for position, (when, fault) in enumerate(self._faults):
                if when == method:
                    del self._faults[position]
                    return fault
            return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        proxy: FaultyProxy = self.server.proxy  # type: ignore[attr-defined]
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = proxy.fault_for(self.command)
        if fault[:1].isdigit():
            status, _, code = fault.partition(" ")
            xml = f"<Error><Code>{code}</Code><Message>On purpose.</Message></Error>".encode()
            self._answer(int(status), {"Content-Type": "application/xml"}, xml)
            return
        if fault == "reset":
            self._reset()
            return
        if fault == "stall":
            proxy.released.wait(30)
            self.close_connection = True
            return
        server = http.client.HTTPConnection(proxy.target, timeout=30)
        headers = {n: v for n, v in self.headers.items() if n.lower() not in _HOP}
        server.request(self.command, self.path, body=data or None, headers=headers)
        response = server.getresponse()
        body = response.read()
        server.close()
        if fault == "lost":
            self._reset()
            return
        if fault == "flip":
            body = bytes([body[0] ^ 1]) + body[1:]
        kept = {n: v for n, v in response.getheaders() if n.lower() not in _HOP}
        half = len(body) // 2 if fault in ("truncate", "cut", "hang") else None
        self._answer(response.status, kept, body, half)
        if fault == "cut":
            self._reset()
        if fault == "hang":
            proxy.released.wait(30)

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes, sent: int | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204 and "content-length" not in {name.lower() for name in headers}:
            self.send_header("Content-Length", str(len(body)))
        if sent is not None:
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def _reset(self) -> None:
        """Close the connection so that the other side sees a reset."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 (the names are given)


_HOP = ("connection", "expect", "keep-alive", "transfer-encoding")
