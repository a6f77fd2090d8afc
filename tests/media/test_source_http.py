"""Faults of HTTP servers, redirects, proxies, and what is secret in a URL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mediaproc.errors import MediaError
from mediaproc.media import decode_frames, http_connection, http_object, index_video, remote
from tests.media.sources import digests
from tests.servers import Served, http_server

FAULTS = [
    ("404", 0, r"no such file \(HTTP 404\)"),
    ("403", 0, r"access is denied \(HTTP 403\)"),
    ("418", 0, r"cannot be read \(HTTP 418"),
    ("503", 0, "in 4 tries: HTTP 503"),
    ("no-ranges", 0, "sends no ranges of bytes"),
    ("no-ranges", 1, "sends no ranges of bytes"),
    ("no-size", 0, "does not tell its size"),
    ("other-range", 0, "another range of bytes"),
    ("reset", 1, "in 4 tries: .*reset"),
    ("truncated", 1, r"in 4 tries: the answer broke off after \d+ of \d+ bytes"),
    ("slow", 1, "in 4 tries: timed out"),
    ("etag", 1, "the object changed while it was read"),
    ("404", 1, "no such file"),
]


@pytest.mark.parametrize(("fault", "after", "message"), FAULTS)
def test_source_http_fault_is_an_error_that_names_it(
    served: Served,
    clips: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    after: int,
    message: str,
) -> None:
    monkeypatch.setattr(http_connection, "READ_TIMEOUT_S", 0.1)
    served.files["/clip.mp4"] = clips["mp4"].read_bytes()
    served.faults, served.after = {fault}, after
    with pytest.raises(MediaError, match=message) as caught:
        index_video(f"{served.url}/clip.mp4")
    assert str(caught.value).startswith(f"{served.url}/clip.mp4: ")


@pytest.mark.parametrize("fault", ["503", "reset", "truncated", "slow"])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_source_http_goes_on_after_a_fault_that_passes(
    served: Served,
    clips: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    after: int,
) -> None:
    monkeypatch.setattr(http_connection, "READ_TIMEOUT_S", 0.1)
    served.files["/clip.mp4"] = clips["mp4"].read_bytes()
    served.faults, served.after, served.times = {fault}, after, 2
    info, _ = index_video(f"{served.url}/clip.mp4")
    assert info.fingerprint == hashlib.sha256(clips["mp4"].read_bytes()).hexdigest()


def test_source_http_gives_no_frame_of_bytes_that_changed(
    served: Served, clips: dict[str, Path]
) -> None:
    _, index = index_video(str(clips["ts"]))
    served.files["/clip.ts"] = clips["ts"].read_bytes()
    served.faults, served.after = {"etag"}, 2
    good = digests(str(clips["ts"]), index, list(range(100)))
    seen: dict[int, str] = {}

    def read() -> None:
        for frame in decode_frames(f"{served.url}/clip.ts", index, list(range(100))):
            seen[frame.frame_index] = hashlib.sha256(frame.image.tobytes()).hexdigest()

    with pytest.raises(MediaError, match="changed while it was read"):
        read()
    assert seen
    assert seen == {number: good[number] for number in seen}


def test_source_http_masks_what_is_secret_in_a_url(served: Served, squares_clip: Path) -> None:
    served.files["/clip.mp4"] = squares_clip.read_bytes()
    secret = served.url.replace("http://", "http://me:hunter2@") + "/clip.mp4?X-Signature=hunter2"
    info, _ = index_video(secret)
    assert info.path == f"{served.url.replace('http://', 'http://***@')}/clip.mp4?***"
    assert "hunter2" not in str(info.to_json())
    assert served.requests[0][2] == "Basic bWU6aHVudGVyMg=="
    del served.files["/clip.mp4"]
    with pytest.raises(MediaError) as caught:
        index_video(secret)
    assert "hunter2" not in f"{caught.value} {caught.value.path}"


def test_source_http_keeps_the_url_that_it_is_redirected_to(
    served: Served, clips: dict[str, Path]
) -> None:
    served.files["/deep/clip.mp4"] = clips["mp4"].read_bytes()
    served.redirects["/clip.mp4"] = "/deep/clip.mp4"
    info, _ = index_video(f"{served.url}/clip.mp4")
    assert info.path == f"{served.url}/clip.mp4"
    assert [path for path, _, _ in served.requests].count("/clip.mp4") == 1


def test_source_http_redirect_takes_no_password_to_another_host(
    served: Served, squares_clip: Path
) -> None:
    with http_server() as other:
        other.files["/clip.mp4"] = squares_clip.read_bytes()
        served.redirects["/clip.mp4"] = f"{other.url}/clip.mp4"
        index_video(served.url.replace("http://", "http://me:hunter2@") + "/clip.mp4")
        assert served.requests[0][2] is not None
        assert {authorization for _, _, authorization in other.requests} == {None}


def test_source_http_redirect_on_one_host_keeps_the_password(
    served: Served, squares_clip: Path
) -> None:
    served.files["/deep/clip.mp4"] = squares_clip.read_bytes()
    served.redirects["/clip.mp4"] = f"{served.url}/deep/clip.mp4"
    index_video(served.url.replace("http://", "http://me:hunter2@") + "/clip.mp4")
    assert {authorization for _, _, authorization in served.requests} == {"Basic bWU6aHVudGVyMg=="}


def test_source_http_redirects_in_a_circle_are_an_error(served: Served) -> None:
    served.redirects["/clip.mp4"] = "/clip.mp4"
    with pytest.raises(MediaError, match="more than 5 redirects"):
        index_video(f"{served.url}/clip.mp4")


def test_source_http_refuses_a_redirect_to_a_local_file(served: Served, squares_clip: Path) -> None:
    served.redirects["/clip.mp4"] = f"file://{squares_clip}"
    with pytest.raises(MediaError, match="is not an address of the form"):
        index_video(f"{served.url}/clip.mp4")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + made.public_bytes(Encoding.PEM)
    )
    return path


@pytest.fixture
def secured(certificate: Path, squares_clip: Path) -> Iterator[Served]:
    http_connection._tls.cache_clear()
    with http_server(certificate) as server:
        server.files["/clip.mp4"] = squares_clip.read_bytes()
        yield server
    http_connection._tls.cache_clear()


def test_source_https_reads_from_a_server_that_is_trusted(
    secured: Served, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert index_video(f"{secured.url}/clip.mp4")[0].frame_count == 150


def test_source_https_refuses_a_server_that_is_not_trusted(secured: Served) -> None:
    with pytest.raises(MediaError, match="the server's certificate is not valid"):
        index_video(f"{secured.url}/clip.mp4")


def test_source_https_refuses_a_redirect_to_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    class Redirect:
        status, headers, will_close = 302, {"Location": "http://host/clip.mp4?sig=1"}, False

    class Connection:
        def __init__(self, url: Any) -> None:
            pass

        def get(self, url: Any, headers: Any) -> Redirect:
            return Redirect()

        def close(self) -> None:
            pass

    monkeypatch.setattr(http_object, "Connection", Connection)
    with pytest.raises(MediaError, match=r"plain http, to http://host/clip.mp4\?\*\*\*, which"):
        index_video("https://host/clip.mp4")


def test_source_http_goes_through_the_proxy_of_the_environment(
    served: Served, squares_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.files["/clip.mp4"] = squares_clip.read_bytes()
    monkeypatch.setenv("HTTP_PROXY", served.url)
    info, _ = index_video("http://videos.invalid/clip.mp4")
    assert info.frame_count == 150
    assert served.requests[0][0] == "http://videos.invalid/clip.mp4"


def test_source_http_reads_a_name_with_spaces_and_umlauts(
    served: Served, squares_clip: Path
) -> None:
    served.files["/%C3%BCber%20all.mp4"] = squares_clip.read_bytes()
    assert index_video(f"{served.url}/über all.mp4")[0].frame_count == 150


def test_source_http_server_that_cannot_be_reached_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "RETRY_WAIT_S", 0.001)
    with http_server() as gone:
        url = f"{gone.url}/clip.mp4"
    with pytest.raises(MediaError, match=r"clip.mp4: cannot be read, in 4 tries: .*refused"):
        index_video(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http:///clip.mp4", "not an address of the form"),
        ("http://host:port/clip.mp4", "not an address of the form"),
        ("ftp://me:hunter2@host/clip.mp4", r"ftp://\*\*\*@host/clip.mp4: videos are read from"),
        ("s3://bucket", "not of the form s3://bucket/key"),
    ],
)
def test_source_address_that_cannot_be_read_is_an_error(url: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        index_video(url)
