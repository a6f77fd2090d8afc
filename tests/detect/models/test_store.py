"""Where models come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediaproc.detect.models import CLASSIFIER_TASKS, DETECTOR_TASKS, ModelStore, ultralytics
from mediaproc.errors import ModelError
from mediaproc.s3 import forget_s3_client, s3_client
from tests.s3 import FaultyProxy, S3Place
from tests.weights import SHAPES

WEIGHTS = os.urandom(3000)


@pytest.fixture
def proxy(s3_place: S3Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    if not s3_place.endpoint.startswith("http://"):
        pytest.skip("the signatures of this server are bound to its name: no proxy can stand there")
    s3_client().put_object(Bucket=s3_place.bucket, Key=f"{s3_place.prefix}/m.onnx", Body=WEIGHTS)
    with FaultyProxy(s3_place.endpoint).running() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        forget_s3_client()
        yield proxy


def test_store_fetches_weights_from_s3_once(
    proxy: FaultyProxy, s3_place: S3Place, tmp_path: Path
) -> None:
    for _ in range(2):
        path = ModelStore(tmp_path).weights(f"{s3_place.url}/m.onnx")
        assert path.name == "m.onnx"
        assert path.read_bytes() == WEIGHTS
    assert proxy.count["GET"] == 1


def test_store_fetches_weights_again_when_their_body_broke_off(
    proxy: FaultyProxy, s3_place: S3Place, tmp_path: Path
) -> None:
    proxy.fail("GET", "truncate")
    path = ModelStore(tmp_path).weights(f"{s3_place.url}/m.onnx")
    assert path.read_bytes() == WEIGHTS
    assert proxy.count["GET"] == 2


def test_store_names_weights_that_are_not_in_s3(s3_place: S3Place, tmp_path: Path) -> None:
    message = f"^{s3_place.url}/x.onnx at {s3_place.host} cannot be fetched: there is no such obj"
    with pytest.raises(ModelError, match=message):
        ModelStore(tmp_path).weights(f"{s3_place.url}/x.onnx")


def test_store_refuses_an_s3_address_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="model 's3://bucket' is not of the form s3://bucket/key"):
        ModelStore(tmp_path).weights("s3://bucket")


def test_store_loads_weights_once_to_learn_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ModelStore(tmp_path).class_names(str(SHAPES), DETECTOR_TASKS)
    assert list(names.values()) == ["circle", "square", "triangle", "star"]

    def loaded(path: Path) -> None:
        raise AssertionError(f"{path} was loaded again")

    monkeypatch.setattr(ultralytics, "facts_of", loaded)
    assert ModelStore(tmp_path).class_names(str(SHAPES), DETECTOR_TASKS) == names


def test_store_refuses_weights_that_are_made_for_something_else(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a model for 'detect', where one for classify is wanted"):
        ModelStore(tmp_path).class_names(str(SHAPES), CLASSIFIER_TASKS)
