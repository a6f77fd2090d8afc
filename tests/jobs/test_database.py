"""The job database: its version, its transactions, and what it says when it cannot be used."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mediaproc.database import SqliteDatabase, masked
from mediaproc.errors import JobError
from mediaproc.jobs.database import MIGRATIONS, open_database
from tests.postgres import Server


def test_database_opened_again_keeps_what_it_holds(location: str) -> None:
    for opened in range(2):
        database = open_database(location)
        with database.write() as transaction:
            transaction.execute(
                "INSERT INTO mediaproc_jobs (id, created_at, data) VALUES (?, ?, ?)",
                (f"job-{opened}", 1.5, "{}"),
            )
            rows = transaction.rows("SELECT id, created_at FROM mediaproc_jobs ORDER BY id")
            assert rows == [(f"job-{number}", 1.5) for number in range(opened + 1)]
        database.close()


def test_database_of_a_newer_version_is_refused(location: str) -> None:
    database = open_database(location)
    with database.write() as transaction:
        transaction.execute("UPDATE mediaproc_schema SET version = ?", (len(MIGRATIONS) + 1,))
    database.close()
    with pytest.raises(
        JobError,
        match=f"has version {len(MIGRATIONS) + 1}, and this mediaproc knows {len(MIGRATIONS)}: up",
    ):
        open_database(location)


def test_database_undoes_a_transaction_whose_block_raises(location: str) -> None:
    database = open_database(location)

    def write() -> None:
        with database.write() as transaction:
            transaction.execute("INSERT INTO mediaproc_blobs VALUES ('a', 'b', 1)")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    with database.read() as transaction:
        assert transaction.value("SELECT count(*) FROM mediaproc_blobs") == 0
    database.close()


def test_database_can_be_opened_by_several_at_once(location: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        for database in pool.map(lambda _: open_database(location), range(6)):
            database.close()


def test_database_of_checkpoints_can_be_opened_by_several_processes_at_once(location: str) -> None:
    code = (
        "import sys\nfrom mediaproc.detect.checkpoint import open_saver\n"
        "from mediaproc.jobs.database import open_database\n"
        "open_database(sys.argv[1]).close()\nwith open_saver(sys.argv[1]): pass"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, location], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [(p.communicate()[1], p.returncode) for p in processes] == [(b"", 0)] * 3


# ---- SQLite


def test_database_locked_by_another_says_so(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "jobs.db", busy_s=0.05)
    other = database.connect()
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JobError, match="another program holds it locked"), database.write():
        pass
    other.close()


def test_database_that_is_read_only_says_so(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "jobs.db")
    connection = sqlite3.connect(f"file:{tmp_path}/jobs.db?mode=ro", uri=True)
    expected = "read-only; make the file and its folder writable"
    with pytest.raises(JobError, match=expected), database.errors():
        connection.execute("CREATE TABLE a (b)")
    connection.close()


def test_database_on_a_full_disk_says_so(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "jobs.db")
    connection = database.connect()
    connection.execute("CREATE TABLE a (b)")
    connection.execute("PRAGMA max_page_count = 4")
    with pytest.raises(JobError, match="the disk is full; free some space"), database.errors():
        connection.execute("INSERT INTO a VALUES (zeroblob(100000))")
    connection.close()


def test_database_that_is_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="it cannot be opened; check that its folder"):
        open_database(tmp_path)


def test_database_in_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match=r"the folder of the job database .* cannot be made"):
        open_database(tmp_path / "file" / "jobs.db")


def test_database_file_shrinks_when_rows_go(tmp_path: Path) -> None:
    database = open_database(tmp_path / "jobs.db")
    with database.write() as transaction:
        transaction.execute("INSERT INTO mediaproc_jobs VALUES ('a', 0, ?)", ("x" * 5_000_000,))
    with database.write() as transaction:
        transaction.execute("DELETE FROM mediaproc_jobs")
    database.reclaim()
    assert (tmp_path / "jobs.db").stat().st_size < 100_000


# ---- Postgres


def test_database_server_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(JobError) as raised:
        open_database("postgresql://me:s3cret@127.0.0.1:1/jobs")
    text = str(raised.value)
    assert text.startswith("the job database postgresql://me:***@127.0.0.1:1/jobs cannot be used: ")
    assert "check that the server runs" in text
    assert "s3cret" not in text
    assert "\n" not in text


def test_database_server_refuses_a_wrong_password(postgres: Server) -> None:
    with pytest.raises(JobError, match=r"authentication failed.*; check user and pass") as raised:
        open_database(postgres.tcp_url("postgres", "wrong-pw"))
    assert "wrong-pw" not in str(raised.value)


def test_database_goes_on_after_the_server_ended_its_idle_connections(postgres: Server) -> None:
    database = open_database(postgres.new_database())
    for _ in range(10):
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        with database.write() as transaction:
            assert transaction.value("SELECT 1") == 1
    database.close()


def test_database_that_the_server_does_not_have_is_named(postgres: Server) -> None:
    with pytest.raises(JobError, match=r'"nowhere" does not exist; create the database first'):
        open_database(postgres.url("nowhere"))


def test_database_whose_user_may_not_make_tables_says_so(postgres: Server) -> None:
    postgres.execute("CREATE ROLE reader LOGIN PASSWORD 'pw'")
    with pytest.raises(JobError, match=r"permission denied.*; grant the user the right"):
        open_database(postgres.tcp_url("reader", "pw"))


def test_database_address_that_is_none_does_not_show_its_password() -> None:
    with pytest.raises(JobError, match="is no address of a database") as raised:
        open_database("postgresql://me:s3cret@host:notaport:5/jobs?nonsense=1")
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_database_server_without_the_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(JobError, match=r"pip install 'mediaproc\[postgres\]'"):
        open_database("postgresql://host/jobs")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pw@host/a", "postgresql://me:***@host/a"),
        ("postgresql://me:p@w/x@host/a", "postgresql://me:***@host/a"),
        ("postgresql://host/a?user=me&password=pw&x=1", "postgresql://host/a?user=me&password=***&x=1"),
        ("postgresql://host:5432/a", "postgresql://host:5432/a"),
        ("s3://bucket/a", "s3://bucket/a"),
    ],
)  # fmt: skip
def test_database_masks_passwords(text: str, shown: str) -> None:
    assert masked(text) == shown
