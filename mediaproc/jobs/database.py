"""The tables of jobs, leases and blobs, and how they change from version to version."""

from __future__ import annotations

from pathlib import Path

from mediaproc.database import Database, Transaction, connect
from mediaproc.errors import JobError

# The index of a migration, from 1, is the version that it leads to. Append only: what has been
# released stays as it is.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE mediaproc_jobs ("
        " id TEXT PRIMARY KEY, created_at DOUBLE PRECISION NOT NULL, data TEXT NOT NULL)",
        "CREATE TABLE mediaproc_leases ("
        " job_id TEXT PRIMARY KEY, token TEXT NOT NULL, host TEXT NOT NULL, machine TEXT,"
        " pid BIGINT NOT NULL, process TEXT, since DOUBLE PRECISION NOT NULL,"
        " expires_at DOUBLE PRECISION NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0)",
        "CREATE TABLE mediaproc_blobs ("
        " owner TEXT NOT NULL, sha256 TEXT NOT NULL, size BIGINT NOT NULL,"
        " PRIMARY KEY (owner, sha256))",
        "CREATE INDEX mediaproc_blobs_sha256 ON mediaproc_blobs (sha256)",
        "CREATE TABLE mediaproc_cache ("
        " id TEXT PRIMARY KEY, data TEXT NOT NULL, blocks TEXT NOT NULL, size BIGINT NOT NULL,"
        " used_at DOUBLE PRECISION NOT NULL)",
        "CREATE INDEX mediaproc_cache_used_at ON mediaproc_cache (used_at)",
        "CREATE TABLE mediaproc_cache_keys (key TEXT PRIMARY KEY, id TEXT NOT NULL)",
        "CREATE INDEX mediaproc_cache_keys_id ON mediaproc_cache_keys (id)",
        "CREATE TABLE mediaproc_cache_facts ("
        " fingerprint TEXT NOT NULL, node TEXT NOT NULL, facts TEXT NOT NULL,"
        " used_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (fingerprint, node))",
    ),
    # Of key and id, and of the facts and what they are about; rows without one are as good as none.
    (
        "ALTER TABLE mediaproc_cache_keys ADD COLUMN digest TEXT",
        "ALTER TABLE mediaproc_cache_facts ADD COLUMN digest TEXT",
    ),
    (
        "CREATE TABLE mediaproc_events ("
        " job_id TEXT NOT NULL, number BIGINT NOT NULL, run BIGINT NOT NULL,"
        " at DOUBLE PRECISION NOT NULL, data TEXT NOT NULL, PRIMARY KEY (job_id, number))",
    ),
)

_TABLE = "mediaproc_schema"


def open_database(location: Path | str) -> Database:
    """The job database at a path or a ``postgresql://`` URL, its tables made or brought up to date.

    Raises:
        JobError: it cannot be used, or a newer version of mediaproc wrote it.
    """
    database = connect(location)
    with database.read() as transaction:
        version = _version(database, transaction)
    if version < len(MIGRATIONS):
        with database.write() as transaction:
            transaction.lock(_TABLE)
            transaction.execute(f"CREATE TABLE IF NOT EXISTS {_TABLE} (version INTEGER NOT NULL)")
            # Once more: another process may have been faster.
            version = _version(database, transaction)
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    transaction.execute(statement)
            transaction.execute(f"DELETE FROM {_TABLE}")
            transaction.execute(f"INSERT INTO {_TABLE} VALUES (?)", (len(MIGRATIONS),))
    return database


def _version(database: Database, transaction: Transaction) -> int:
    found = None
    if transaction.has_table(_TABLE):
        found = transaction.row(f"SELECT version FROM {_TABLE}")
    version = 0 if found is None else int(found[0])
    if version > len(MIGRATIONS):
        raise JobError(
            f"the job database {database} has version {version}, and this mediaproc knows "
            f"{len(MIGRATIONS)}: update mediaproc, or set MEDIAPROC_DATABASE to another database"
        )
    return version
