"""A SQLite file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mediaproc.database.base import Database, Transaction
from mediaproc.errors import JobError

# How long a statement waits for other writers, in seconds.
BUSY_S = 60.0
# Pages that one step of giving space back moves, so that other writers get their turn.
VACUUM_PAGES = 1000

_LOCKED = "another program holds it locked; end that one, or try again"
_HELP = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its folder writable",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and go on",
    sqlite3.SQLITE_IOERR: "its disk fails or its folder is gone; see to that and go on",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder exists and is writable",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database; set MEDIAPROC_DATABASE to another file",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put a copy back, or move it away to begin anew",
}


class _SqliteTransaction(Transaction):
    def _translated(self, sql: str) -> str:
        return sql

    def _now(self) -> float:
        return time.time()

    def _has_table(self, name: str) -> bool:
        return self.row("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)) is not None

    def _lock(self, key: str, shared: bool) -> None:
        pass  # BEGIN IMMEDIATE lets one writer in at a time


class SqliteDatabase(Database):
    """A SQLite file, in WAL mode; made with its folder on first use.

    A transaction opens a connection of its own, so nothing stays open between them.

    Args:
        path: the file.
        busy_s: how long a statement waits for other writers, in seconds.
    """

    dialect = "sqlite"

    def __init__(self, path: Path | str, *, busy_s: float = BUSY_S) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._busy_s = busy_s
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(f"the folder of the job database {self} cannot be made: {error}") from (
                error
            )
        with self.errors():
            self.connect().close()

    def connect(self) -> sqlite3.Connection:
        """A new connection in autocommit mode, for any thread; the caller closes it."""
        connection = sqlite3.connect(
            self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                # In this order: once there is a page, auto_vacuum can't be chosen any more.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                self._to_wal(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _to_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to WAL; SQLite does not wait by itself where two do that at once."""
        until = time.monotonic() + self._busy_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Transaction]:
        with self.errors(), closing(self.connect()) as connection:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield _SqliteTransaction(connection.cursor())
                connection.execute("COMMIT")
            finally:
                # A full disk may have ended the transaction already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _driver_error(self) -> type[Exception]:
        return sqlite3.Error

    def _why(self, error: Exception) -> str:
        return _HELP.get(_primary(error)) or str(error)

    def _reclaim(self) -> None:
        with self.errors(), closing(self.connect()) as connection:
            before = -1
            while True:
                free = int(connection.execute("PRAGMA freelist_count").fetchone()[0])
                # A file that was made without auto_vacuum keeps its pages, and uses them again.
                if free in (0, before):
                    return
                connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
                before = free

    def _close(self) -> None:
        pass  # no connection outlives its transaction


def _primary(error: Exception) -> int:
    """The primary error code, without the extended bits; 0 where there is none."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
