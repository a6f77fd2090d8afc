"""A Postgres server."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mediaproc.database.base import Database, Transaction, masked
from mediaproc.errors import JobError

if TYPE_CHECKING:
    from psycopg import Connection

# How long a server may take to answer a connection, in seconds.
CONNECT_S = 10
# Connections that one process holds at most.
POOL_SIZE = 8
# Longest text of the server that a message repeats; several addresses of a host give one each.
_LONGEST = 200

_CREDENTIALS = "check user and password in MEDIAPROC_DATABASE"
_NO_DATABASE = "create the database first, or name another one in MEDIAPROC_DATABASE"
# By SQLSTATE or its class.
_HELP = {
    "28": _CREDENTIALS,
    "3D": _NO_DATABASE,
    "42501": "grant the user the right to create and change tables",
    "25006": "it is read-only; name the primary server in MEDIAPROC_DATABASE",
    "53100": "the server's disk is full; free some space and go on",
}


class _PostgresTransaction(Transaction):
    def _translated(self, sql: str) -> str:
        return sql.replace("?", "%s")

    def _now(self) -> float:
        return float(self.value("SELECT EXTRACT(EPOCH FROM clock_timestamp())"))

    def _has_table(self, name: str) -> bool:
        return self.value("SELECT to_regclass(?)::text", (name,)) is not None

    def _lock(self, key: str, shared: bool) -> None:
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        self.execute(f"SELECT {function}(hashtext(?))", (key,))


class _Pool:
    """Connections that are used again.

    psycopg's own pool was tried: after a few connections that the server had ended it gave none
    any more, and it hides why a connection failed behind a timeout.
    """

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect
        self._slots = threading.BoundedSemaphore(POOL_SIZE)
        self._free: list[Connection[Any]] = []
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        with self._slots:
            connection = self._take()
            try:
                yield connection
            finally:
                # One that is lost, or was left in the middle of something, is of no use.
                if self._closed or connection.info.transaction_status.name != "IDLE":
                    connection.close()
                else:
                    self._free.append(connection)

    def _take(self) -> Connection[Any]:
        while True:
            try:
                connection = self._free.pop()
            except IndexError:
                return self._connect()
            if _answers(connection):
                return connection
            connection.close()

    def close(self) -> None:
        self._closed = True
        while self._free:
            self._free.pop().close()


class PostgresDatabase(Database):
    """A Postgres server, through a few connections that are used again.

    Args:
        url: ``postgresql://user:password@host:port/database``.
    """

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        self.name = masked(url)
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict
        except ImportError as error:
            raise JobError(
                f"the job database {self} needs a package that is not installed; install it with: "
                "pip install 'mediaproc[postgres]'"
            ) from error
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            # No cause: its text may show the password.
            raise JobError(
                f"{self} is no address of a database: postgresql://user:password@host:port/name"
            ) from None
        # A server that is gone without a word must not hold a job up for longer than its lease.
        waits = {"connect_timeout": CONNECT_S, "keepalives_idle": 10, "tcp_user_timeout": 30_000}
        settings: dict[str, Any] = {k: v for k, v in waits.items() if k not in given}
        settings["autocommit"] = True
        self._pool = _Pool(lambda: psycopg.connect(url, **settings))
        weakref.finalize(self, self._pool.close)
        with self.connection():
            pass

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        """A connection in autocommit mode, for the length of the block."""
        with self.errors(), self._pool.connection() as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Transaction]:
        with (
            self.connection() as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            if not write:
                cursor.execute("SET TRANSACTION READ ONLY")
            yield _PostgresTransaction(cursor)

    def _driver_error(self) -> type[Exception]:
        from psycopg import Error

        return Error

    def _why(self, error: Exception) -> str:
        text = masked(" ".join(str(error).split())) or type(error).__name__
        state = getattr(error, "sqlstate", None) or ""
        what = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
        return f"{what}; {_HELP.get(state) or _HELP.get(state[:2]) or _advice(text)}"

    def _reclaim(self) -> None:
        pass  # autovacuum does it

    def _close(self) -> None:
        self._pool.close()


def _answers(connection: Connection[Any]) -> bool:
    """Whether the server is still there; it may have ended a connection that was not in use."""
    from psycopg import Error

    try:
        connection.execute("")
    except Error:
        return False
    return True


def _advice(text: str) -> str:
    # A connection that failed carries no SQLSTATE, only the server's words.
    if "authentication failed" in text or "no password supplied" in text:
        return _CREDENTIALS
    if "does not exist" in text:
        return _NO_DATABASE
    return "check that the server runs and that MEDIAPROC_DATABASE names it, then try again"
