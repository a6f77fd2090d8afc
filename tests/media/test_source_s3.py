"""Videos in S3: the same as files, and clear about what is missing or changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mediaproc.errors import MediaError
from mediaproc.media import index_video, is_same_video, open_video, remote
from mediaproc.s3 import forget_s3_client, s3_client
from tests.media.conftest import ENDINGS
from tests.media.sources import check_same_as_file
from tests.servers import Served, s3_server


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Credentials for any server, and a client of this test's own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(remote, "RETRY_WAIT_S", 0.001)
    forget_s3_client()
    yield
    s3_client().close()
    forget_s3_client()


@pytest.fixture
def bucket(s3_url: str, connected: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of this test's own, with versions."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_url)
    s3_client().create_bucket(Bucket="videos")
    s3_client().put_bucket_versioning(
        Bucket="videos", VersioningConfiguration={"Status": "Enabled"}
    )
    yield "videos"
    for version in s3_client().list_object_versions(Bucket="videos").get("Versions", []):
        s3_client().delete_object(
            Bucket="videos", Key=version["Key"], VersionId=version["VersionId"]
        )
    s3_client().delete_bucket(Bucket="videos")


@pytest.mark.parametrize("ending", ENDINGS)
def test_source_s3_gives_the_frames_of_the_file(
    bucket: str, clips: dict[str, Path], ending: str
) -> None:
    s3_client().upload_file(str(clips[ending]), bucket, f"in/clip.{ending}")
    check_same_as_file(clips[ending], f"s3://{bucket}/in/clip.{ending}")


@pytest.mark.parametrize(
    ("key", "message"),
    [("none.mp4", r"no such file \(NoSuchKey\)"), ("empty.mp4", "the file is empty")],
)
def test_source_s3_fault_is_an_error_that_names_it(bucket: str, key: str, message: str) -> None:
    s3_client().put_object(Bucket=bucket, Key="empty.mp4", Body=b"")
    with pytest.raises(MediaError, match=f"s3://videos/{key}: {message}"):
        index_video(f"s3://{bucket}/{key}")


def test_source_s3_bucket_that_is_not_there_is_an_error(bucket: str) -> None:
    with pytest.raises(MediaError, match="there is no bucket 'none'"):
        index_video("s3://none/clip.mp4")


def test_source_s3_object_that_changes_is_an_error(bucket: str, clips: dict[str, Path]) -> None:
    s3_client().upload_file(str(clips["ts"]), bucket, "clip.ts")

    def read() -> None:
        with open_video(f"s3://{bucket}/clip.ts") as (container, stream):
            s3_client().put_object(Bucket=bucket, Key="clip.ts", Body=bytes(5_000_000))
            for _ in container.demux(stream):
                pass

    with pytest.raises(MediaError, match="the object changed while it was read"):
        read()


def test_source_s3_object_is_known_again_without_reading_it(
    bucket: str, clips: dict[str, Path]
) -> None:
    url = f"s3://{bucket}/clip.mp4"
    s3_client().upload_file(str(clips["mp4"]), bucket, "clip.mp4")
    info, _ = index_video(url)
    s3_client().upload_file(str(clips["ts"]), bucket, "clip.mp4")
    assert not is_same_video(url, info)
    s3_client().upload_file(str(clips["mp4"]), bucket, "clip.mp4")
    # Another version of the same bytes is the same video.
    assert is_same_video(url, info)


@pytest.mark.parametrize(
    ("fault", "after", "message"),
    [
        ("403", 0, "access is denied"),
        ("no-ranges", 0, "sends no ranges of bytes"),
        ("truncated", 1, "in 4 tries: the answer broke off"),
        ("etag", 1, "the object changed while it was read"),
    ],
)
def test_source_s3_fault_of_a_server_is_an_error_that_names_it(
    served: Served,
    connected: None,
    clips: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    after: int,
    message: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
    served.files["/videos/clip.mp4"] = clips["mp4"].read_bytes()
    served.faults, served.after = {fault}, after
    with pytest.raises(MediaError, match=f"^s3://videos/clip.mp4: .*{message}"):
        index_video("s3://videos/clip.mp4")


def test_source_s3_without_credentials_is_an_error(
    connected: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(MediaError, match=r"s3://videos/clip.mp4: .*credentials"):
        index_video("s3://videos/clip.mp4")
