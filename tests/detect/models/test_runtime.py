"""What may run a model, and that many images in one call are as good as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediaproc.detect.models import ModelStore
from mediaproc.detect.models.base import Thresholds
from mediaproc.detect.models.runtime import Runtime
from mediaproc.errors import ModelError
from mediaproc.media import decode_frames, index_video
from tests.clips import real_clip

PT, ONNX = Path("weights.pt"), Path("weights.onnx")


@pytest.mark.parametrize(
    ("path", "runtime", "engine", "batch"),
    [
        (PT, Runtime(device="cpu"), "onnx", 1),
        (PT, Runtime(device="cpu", exact=True), "torch", 1),
        (ONNX, Runtime(device="cpu", exact=True), "onnx", 1),
        (PT, Runtime(device="cuda", batch=4), "torch", 4),
        (ONNX, Runtime(device="cuda:1"), "onnx", 8),
        (PT, Runtime("tensorrt", "cuda", half=True), "tensorrt", 8),
        (PT, Runtime("openvino", "cpu", half=True), "openvino", 1),
    ],
)
def test_runtime_settles_engine_and_batch(
    path: Path, runtime: Runtime, engine: str, batch: int
) -> None:
    settled = runtime.settled(path)
    assert (settled.engine, settled.batch) == (engine, batch)


@pytest.mark.parametrize(
    ("path", "runtime", "message"),
    [
        (ONNX, Runtime("torch", "cpu"), "engine 'torch' cannot run an ONNX file"),
        (ONNX, Runtime("tensorrt", "cuda"), "engine 'tensorrt' cannot run an ONNX file"),
        (PT, Runtime("tensorrt", "cpu"), "runs on NVIDIA's GPUs, and the device is 'cpu'"),
        (PT, Runtime("openvino", "cuda:0"), "engine 'openvino' runs on the CPU here"),
        (PT, Runtime("onnx", "cuda", half=True), "engine 'onnx' on 'cuda' has no half precision"),
        (PT, Runtime("torch", "cpu", half=True), "engine 'torch' on 'cpu' has no half precision"),
    ],
)
def test_runtime_refuses_what_cannot_be(path: Path, runtime: Runtime, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        runtime.settled(path)


def test_detector_finds_in_a_batch_what_it_finds_in_single_images(tmp_path: Path) -> None:
    clip = str(real_clip("carphone"))
    info, index = index_video(clip)
    source = (info.display_width, info.display_height)
    detector = ModelStore(tmp_path).detector("pkg:nudenet/320n.onnx", size=320)
    size = detector.input_size(source)
    images = [f.image for f in decode_frames(clip, index, [0, 30, 60], size_wh=size)]
    thresholds = Thresholds(0.2, 0.7, 300)
    together = detector.detect(images, source, thresholds)
    for image, found in zip(images, together, strict=True):
        (alone,) = detector.detect([image], source, thresholds)
        assert len(found.xyxy) == len(alone.xyxy) >= 1
        assert np.abs(found.xyxy - alone.xyxy).max() < 0.01
        assert found.class_id.tolist() == alone.class_id.tolist()
