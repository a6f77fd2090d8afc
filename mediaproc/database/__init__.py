"""One way to reach a database, for jobs and for checkpoints: a SQLite file or a Postgres server."""

from mediaproc.database.base import Database, Transaction, connect, masked
from mediaproc.database.postgres import PostgresDatabase
from mediaproc.database.sqlite import SqliteDatabase

__all__ = [
    "Database",
    "PostgresDatabase",
    "SqliteDatabase",
    "Transaction",
    "connect",
    "masked",
]
