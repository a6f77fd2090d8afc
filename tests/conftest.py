"""What every test gets: a clean environment, and a home and working directory of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.postgres import Server, running_server
from tests.s3 import SERVERS, S3Place, moto_place, moto_server, place_on

_CLEARED_PREFIXES = ("AWS_", "LANGCHAIN_", "LANGGRAPH_", "LANGSMITH_", "MEDIAPROC_", "YOLO_")
_KEPT_PREFIX = "MEDIAPROC_TEST_"  # names the servers that tests may use: docs/development
_CLEARED_NAMES = ("ALL_PROXY", "FTP_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

# At import, before any test module: some libraries read these when they are imported, and the
# subprocesses of tests inherit them.
for _name in list(os.environ):
    if _name.startswith(_KEPT_PREFIX):
        continue
    if _name.upper().startswith(_CLEARED_PREFIXES) or _name.upper() in _CLEARED_NAMES:
        del os.environ[_name]
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    LANGGRAPH_STRICT_MSGPACK="true",
    LANGSMITH_TRACING="false",
    YOLO_AUTOINSTALL="false",
    YOLO_OFFLINE="true",
)


@pytest.fixture(scope="session", autouse=True)
def _session_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Homes for what fixtures of a wider scope than a test write."""
    os.environ["MEDIAPROC_HOME"] = str(tmp_path_factory.mktemp("home"))
    os.environ["YOLO_CONFIG_DIR"] = str(tmp_path_factory.mktemp("ultralytics"))


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own home, and an empty working directory: no ``.env``, no ``runs/``."""
    monkeypatch.setenv("MEDIAPROC_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """An S3 server of moto's, with the bucket that tests use."""
    import boto3

    with moto_server() as url:
        place = moto_place(url)
        boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=place.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=place.env["AWS_SECRET_ACCESS_KEY"],
            region_name=place.env["AWS_DEFAULT_REGION"],
        ).create_bucket(Bucket=place.bucket)
        yield url


@pytest.fixture(params=SERVERS)
def s3_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Place]:
    """A place of the test's own, on each S3 server there is."""
    with place_on(request.param, request, monkeypatch) as place:
        yield place


@pytest.fixture(scope="session")
def squares_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s of 320x240 at 25 fps, keyframes every second, a cut at 3 s, B-frames."""
    from mediaproc.media import write_video

    path = tmp_path_factory.mktemp("clips") / "squares.mp4"
    noise = np.random.default_rng(1).integers(0, 60, (240, 320, 3), dtype=np.uint8)

    def frames() -> Iterator[npt.NDArray[np.uint8]]:
        for number in range(150):
            image = noise.copy() if number < 75 else 255 - noise
            left = 2 * (number % 75)
            image[80:140, left : left + 60] = (40, 40, 220) if number < 75 else (220, 160, 30)
            yield image

    options = {"g": "25", "bf": "2", "sc_threshold": "0"}
    write_video(path, frames(), fps=Fraction(25), size_wh=(320, 240), options=options)
    return path


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Whisper model with random weights; skips without faster-whisper."""
    pytest.importorskip("faster_whisper", reason="needs mediaproc[transcribe]")
    from tests.weights.tiny_whisper import write_tiny_whisper

    return write_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A Postgres server; what needs it is skipped where it cannot start."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody used yet, on each of the two kinds."""
    if request.param == "sqlite":
        return str(tmp_path / "jobs.db")
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()
