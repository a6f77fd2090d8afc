"""What a database is: transactions whose SQL is written once, for SQLite and Postgres.

Placeholders are ``?``, and types are those that both know. Whatever goes wrong comes out as a
``JobError`` of one line that names the database, its password masked.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

from mediaproc.errors import JobError

_URL = re.compile(r"postgres(ql)?://", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)([^/@:]*):.*@")
_PARAMETER = re.compile(r"(?<=[?&])(password|sslpassword)=[^&\s]*", re.IGNORECASE)


def connect(location: Path | str) -> Database:
    """The database at a path or a ``postgresql://`` URL.

    Raises:
        JobError: it cannot be used; the text says why and what to do.
    """
    if isinstance(location, str) and _URL.match(location):
        from mediaproc.database.postgres import PostgresDatabase

        return PostgresDatabase(location)
    from mediaproc.database.sqlite import SqliteDatabase

    return SqliteDatabase(location)


def masked(text: str) -> str:
    """``text`` with the password of a URL replaced, for logs and messages."""
    return _PARAMETER.sub(r"\1=***", _USERINFO.sub(r"\1:***@", text))


class Transaction(ABC):
    """Statements that happen all or not at all; placeholders are ``?``."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows that it changed."""
        self._cursor.execute(self._translated(sql), values)
        return int(self._cursor.rowcount)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        self.execute(sql, values)
        return list(self._cursor.fetchall())

    def row(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        found = self.rows(sql, values)
        return found[0] if found else None

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row of a query, or None."""
        found = self.row(sql, values)
        return None if found is None else found[0]

    def now(self) -> float:
        """The database's clock: seconds since 1970."""
        return self._now()

    def has_table(self, name: str) -> bool:
        """Whether there is a table of that name."""
        return self._has_table(name)

    def lock(self, key: str, *, shared: bool = False) -> None:
        """Wait until no other transaction holds the lock ``key``, and hold it to the end.

        Args:
            key: any text.
            shared: let others that ask for a shared lock hold it too.
        """
        self._lock(key, shared)

    @abstractmethod
    def _translated(self, sql: str) -> str:
        """``sql`` with the driver's placeholders."""

    @abstractmethod
    def _now(self) -> float: ...

    @abstractmethod
    def _has_table(self, name: str) -> bool: ...

    @abstractmethod
    def _lock(self, key: str, shared: bool) -> None: ...


class Database(ABC):
    """A database; safe to use from several threads.

    Attributes:
        name: where it is, for messages; a password is masked.
        dialect: which of the two it is.
    """

    name: str
    dialect: Literal["sqlite", "postgres"]

    def __str__(self) -> str:
        return self.name

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads."""
        return self._transaction(write=False)

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that may write; it is undone where its block raises."""
        return self._transaction(write=True)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what the driver raises into a JobError of one line."""
        try:
            yield
        except self._driver_error() as error:
            raise JobError(f"the job database {self} cannot be used: {self._why(error)}") from error

    def reclaim(self) -> None:
        """Give the space of deleted rows back to the file system, where that takes a call."""
        self._reclaim()

    def close(self) -> None:
        """End its connections; it is of no use any more."""
        self._close()

    @abstractmethod
    def _transaction(self, *, write: bool) -> AbstractContextManager[Transaction]: ...

    @abstractmethod
    def _driver_error(self) -> type[Exception]:
        """The base class of what the driver raises."""

    @abstractmethod
    def _why(self, error: Exception) -> str:
        """What went wrong and what to do, in one line."""

    @abstractmethod
    def _reclaim(self) -> None: ...

    @abstractmethod
    def _close(self) -> None: ...
