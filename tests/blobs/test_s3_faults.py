"""Blobs in S3 when the wire or the server fails: retried, or an error that says what to do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from mediaproc.blobs import BlobRef, S3BlobStore
from mediaproc.blobs.s3 import PART_BYTES
from mediaproc.errors import BlobError
from mediaproc.s3 import forget_s3_client
from tests.s3 import FaultyProxy, S3Place

DATA = bytes(range(256)) * 8
REF = BlobRef.of(DATA)


@pytest.fixture
def proxy(s3_place: S3Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    if not s3_place.endpoint.startswith("http://"):
        pytest.skip("the signatures of this server are bound to its name: no proxy can stand there")
    with FaultyProxy(s3_place.endpoint).running() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        forget_s3_client()
        yield proxy


@pytest.fixture
def store(proxy: FaultyProxy, s3_place: S3Place) -> S3BlobStore:
    return S3BlobStore(s3_place.bucket, s3_place.prefix, attempts=2, read_timeout_s=0.5)


ACTIONS: dict[str, Callable[[S3BlobStore], object]] = {
    "PUT": lambda store: store.put(DATA),
    "GET": lambda store: store.get(REF),
    "HEAD": lambda store: store.contains(REF),
    "DELETE": lambda store: store.delete(REF),
    "GET list": lambda store: list(store.list()),
    "GET range": lambda store: store.get_range(REF, 10, 100),
}
RESULTS: dict[str, object] = {"GET": DATA, "HEAD": True, "GET range": DATA[10:110], "PUT": REF}

ANSWERS = {
    "500 InternalError": r"the server failed with 500 InternalError, after 2 tries; try again",
    "503 SlowDown": r"the server asks to slow down, after 2 tries; try again later, or lower",
    "reset": r"the connection broke, after 2 tries \(.*\); check the network",
    "stall": r"the server gave no answer within 0\.5 s, after 2 tries; try again later",
}
BODIES = {
    "truncate": r"cannot be read: its body broke off \(\w+\) \(read 2 times\)",
    "cut": r"cannot be read: its body broke off \(\w+\) \(read 2 times\)",
    "hang": r"cannot be read: its body broke off \(ReadTimeoutError\) \(read 2 times\)",
}
WRONG = r"is damaged: its bytes do not match its digest; delete it .* \(read 2 times\)"


@pytest.mark.parametrize("action", ["GET", "PUT", "HEAD"])
@pytest.mark.parametrize("fault", [*ANSWERS, "lost"])
def test_s3_one_failed_answer_is_retried(
    store: S3BlobStore, proxy: FaultyProxy, fault: str, action: str
) -> None:
    if action != "PUT":
        store.put(DATA)
    proxy.fail(action, fault)
    assert ACTIONS[action](store) == RESULTS[action]
    assert proxy.count[action] == 2


@pytest.mark.parametrize("action", ["GET", "GET range"])
@pytest.mark.parametrize("fault", BODIES)
def test_s3_one_broken_body_is_read_again(
    store: S3BlobStore, proxy: FaultyProxy, fault: str, action: str
) -> None:
    store.put(DATA)
    proxy.fail("GET", fault)
    assert ACTIONS[action](store) == RESULTS[action]
    assert proxy.count["GET"] == 2


def test_s3_bytes_wrong_once_are_read_again(store: S3BlobStore, proxy: FaultyProxy) -> None:
    store.put(DATA)
    proxy.fail("GET", "flip")
    assert store.get(REF) == DATA
    assert proxy.count["GET"] == 2


def test_s3_one_failed_part_is_sent_again(store: S3BlobStore, proxy: FaultyProxy) -> None:
    data = DATA * (PART_BYTES // len(DATA) + 1)
    proxy.fail("PUT", "500 InternalError")
    assert store.get(store.put(data)) == data
    assert proxy.count["PUT"] == 3  # two parts, one of them twice


@pytest.mark.parametrize("fault", ANSWERS)
@pytest.mark.parametrize("action", ["GET", "PUT"])
def test_s3_answers_that_go_on_failing_are_an_error(
    store: S3BlobStore, proxy: FaultyProxy, fault: str, action: str
) -> None:
    if action != "PUT":
        store.put(DATA)
    proxy.fail(action, fault, times=2)
    verb = "written" if action == "PUT" else "read"
    with pytest.raises(BlobError, match=rf"/{REF.key} at .* cannot be {verb}: {ANSWERS[fault]}"):
        ACTIONS[action](store)
    assert proxy.count[action] == 2


@pytest.mark.parametrize("action", ["GET", "GET range"])
@pytest.mark.parametrize("fault", BODIES)
def test_s3_bodies_that_go_on_breaking_are_an_error(
    store: S3BlobStore, proxy: FaultyProxy, fault: str, action: str
) -> None:
    store.put(DATA)
    proxy.fail("GET", fault, times=2)
    with pytest.raises(BlobError, match=rf"/{REF.key} at 127\.0\.0\.1:\d+ {BODIES[fault]}"):
        ACTIONS[action](store)
    assert proxy.count["GET"] == 2


def test_s3_bytes_that_go_on_being_wrong_are_an_error(
    store: S3BlobStore, proxy: FaultyProxy
) -> None:
    store.put(DATA)
    proxy.fail("GET", "flip", times=2)
    with pytest.raises(BlobError, match=rf"/{REF.key} at 127\.0\.0\.1:\d+ {WRONG}"):
        store.get(REF)
    assert proxy.count["GET"] == 2


def test_s3_object_shorter_than_its_range_is_named(store: S3BlobStore, proxy: FaultyProxy) -> None:
    store._write(REF.key, DATA[:50])
    with pytest.raises(BlobError, match=f"/{REF.key} at .* the object is shorter than it should"):
        store.get_range(REF, 100, 10)


REFUSALS = {
    "403 AccessDenied": "access denied; the credentials need s3:GetObject, s3:PutObject",
    "403 InvalidAccessKeyId": "the server does not know the access key; check AWS_ACCESS_KEY_ID",
    "403 SignatureDoesNotMatch": "the secret key is not the right one; check AWS_SECRET_ACCESS_KEY",
    "400 ExpiredToken": "the credentials have expired; renew them",
    "403 RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "403 QuotaExceeded": "the store is full",
    "418 Teapot": "the server answered 418 Teapot: On purpose.",
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_s3_refusal_is_said_in_words_and_not_retried(
    store: S3BlobStore, proxy: FaultyProxy, refusal: str
) -> None:
    proxy.fail("PUT", refusal)
    with pytest.raises(BlobError, match=f"/{REF.key} at .* cannot be written: {REFUSALS[refusal]}"):
        store.put(DATA)
    assert proxy.count["PUT"] == 1


@pytest.mark.parametrize("action", ["HEAD", "DELETE", "GET list"])
def test_s3_access_denied_is_named_whatever_was_asked(
    store: S3BlobStore, proxy: FaultyProxy, action: str
) -> None:
    proxy.fail(action.split()[0], "403 AccessDenied")
    with pytest.raises(BlobError, match=f"^{store}.* cannot be .*: access denied; the credentials"):
        ACTIONS[action](store)


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_s3_check_fails_where_a_permission_is_missing(
    store: S3BlobStore, proxy: FaultyProxy, method: str
) -> None:
    proxy.fail(method, "403 AccessDenied")
    with pytest.raises(BlobError, match=r"access denied; the credentials need"):
        store.check()


@pytest.mark.parametrize("action", ["PUT", "GET", "DELETE", "GET list"])
def test_s3_missing_bucket_is_named(s3_place: S3Place, action: str) -> None:
    store = S3BlobStore("mediaproc-no-such-bucket", "p")
    message = (
        f"^s3://mediaproc-no-such-bucket/p/.* at {s3_place.host} cannot be .*: there is no suc"
    )
    with pytest.raises(BlobError, match=f"{message}h bucket; create it, or correct its name$"):
        ACTIONS[action](store)


def test_s3_check_names_a_missing_bucket(s3_place: S3Place) -> None:
    with pytest.raises(BlobError, match="there is no such bucket; create it, or correct its name"):
        S3BlobStore("mediaproc-no-such-bucket").check()


def test_s3_missing_object_is_named(s3_place: S3Place) -> None:
    message = f"^{s3_place.url}/{REF.key} at {s3_place.host} cannot be read: there is no such obj"
    with pytest.raises(BlobError, match=message):
        S3BlobStore(s3_place.bucket, s3_place.prefix).get(REF)


def test_s3_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    forget_s3_client()
    message = r"at 127\.0\.0\.1:9 cannot be written: there are no credentials .* set AWS_ACCESS_KEY"
    with pytest.raises(BlobError, match=message):
        S3BlobStore("bucket").check()


def test_s3_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    forget_s3_client()
    with pytest.raises(BlobError, match=r"^blob store s3://bucket/: S3 cannot be used: .*nobody"):
        S3BlobStore("bucket").check()


def test_s3_server_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    host = closed_port()
    with_credentials(monkeypatch, f"http://{host}")
    message = f"at {host} cannot be written: the server cannot be reached, after 2 tries; check "
    with pytest.raises(BlobError, match=message):
        S3BlobStore("bucket", attempts=2).check()


def test_s3_messages_hold_no_password_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    with_credentials(monkeypatch, f"http://me:hunter2@{closed_port()}")
    with pytest.raises(BlobError) as caught:
        S3BlobStore("bucket", attempts=1).check()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("fault", ["403 InvalidAccessKeyId", "403 SignatureDoesNotMatch", "reset"])
def test_s3_messages_hold_no_credentials(
    store: S3BlobStore, proxy: FaultyProxy, s3_place: S3Place, fault: str
) -> None:
    proxy.fail("PUT", fault, times=2)
    with pytest.raises(BlobError) as caught:
        store.put(DATA)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert s3_place.env[name] not in str(caught.value)


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def with_credentials(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    forget_s3_client()
