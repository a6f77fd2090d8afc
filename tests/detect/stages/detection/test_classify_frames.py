"""Labels of whole frames: truth on rendered scenes, and Ultralytics' own confidences."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.detect.models.classify import ExportedClassifier
from mediaproc.detect.models.exported import Header
from mediaproc.errors import ModelError
from mediaproc.media import decode_frames, index_video, write_video
from tests.detect.running import run_profile
from tests.scenes import COLOURS, LABELS, Picture, Scene, Shape
from tests.weights import FRAMES, SHAPES

SIZE_WH = (256, 144)
# In the order of the folders that the classifier was trained on.
CLASSES = sorted(LABELS)


def images() -> list[Picture]:
    """Two frames of each shape, each at a place of its own."""
    found = []
    for number in range(8):
        place = (110.0 + 5 * number, 60.0 + 3 * number)
        shape = Shape(LABELS[number % 4], COLOURS[number % 5], 30, place, (0, 0))
        scene = Scene(1, size_wh=SIZE_WH, shapes=[shape], seed=500 + number)
        found.append(next(scene.images()))
    return found


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("classify") / "shapes.mp4"
    write_video(path, iter(images()), fps=Fraction(5), size_wh=SIZE_WH)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose models are exported once for all tests."""
    return tmp_path_factory.mktemp("home")


def labels(folder: Path, clip: Path, **settings: Any) -> list[dict[str, Any]]:
    text = ", ".join(f"{k}: {str(v).lower()}" for k, v in {"image_size": 96, **settings}.items())
    stages = f"stages: [sample_frames: {{every: 1}}, classify_frames: {{model: {FRAMES}, {text}}}]"
    return run_profile(folder, clip, stages)[1]["frame_labels"].records()


@pytest.mark.parametrize("exact", [False, True])
def test_classify_frames_tells_what_each_frame_shows(home: Path, clip: Path, exact: bool) -> None:
    rows = labels(home, clip, exact=exact)
    assert [row["frame_index"] for row in rows] == list(range(8))
    assert [row["label"] for row in rows] == [*LABELS, *LABELS]
    assert all(row["label"] == CLASSES[row["class_id"]] for row in rows)


def test_classify_frames_confidences_are_near_ultralytics_own(home: Path, clip: Path) -> None:
    from ultralytics import YOLO

    ours = np.zeros((8, 4))
    for row in labels(home, clip, top_k=4, min_confidence=0):
        ours[row["frame_index"], row["class_id"]] = row["confidence"]
    model, (_, index) = YOLO(str(FRAMES)), index_video(str(clip))
    for frame in decode_frames(str(clip), index, list(range(8))):
        probabilities = model.predict(frame.image, imgsz=96, device="cpu", verbose=False)[0].probs
        theirs = probabilities.data.numpy()
        assert np.abs(ours[frame.frame_index] - theirs).max() < 0.05, frame.frame_index


def test_classify_frames_gives_the_surest_labels_first(home: Path, clip: Path) -> None:
    rows = labels(home, clip, top_k=3, min_confidence=0)
    assert len(rows) == 24
    for frame in range(8):
        found = [row["confidence"] for row in rows if row["frame_index"] == frame]
        assert found == sorted(found, reverse=True)


def test_classify_frames_leaves_doubtful_frames_without_a_label(home: Path, clip: Path) -> None:
    rows = labels(home, clip, top_k=4, min_confidence=0)
    bound = sorted(row["confidence"] for row in rows)[-4]
    sure = labels(home, clip, top_k=4, min_confidence=bound)
    assert len(sure) == 4
    assert min(row["confidence"] for row in sure) == bound


@pytest.mark.parametrize(
    ("source_wh", "scaled_wh"),
    [((3840, 2160), (398, 224)), ((1080, 1920), (224, 398)), ((101, 99), (228, 224))],
)
def test_classifier_sees_the_middle_of_frames_of_any_shape(
    source_wh: tuple[int, int], scaled_wh: tuple[int, int]
) -> None:
    seen = []

    def run(batch: Any) -> Any:
        seen.append(batch)
        return np.array([[0.25, 0.75]], dtype=np.float32)

    header = Header({0: "a", 1: "b"}, "classify", 32, "images", None)
    classifier = ExportedClassifier(header, run, size=224)
    assert classifier.input_size(source_wh) == scaled_wh
    columns = np.arange(scaled_wh[0]) % 256
    image = np.broadcast_to(columns[None, :, None], (scaled_wh[1], scaled_wh[0], 3))
    assert classifier.classify(image.astype(np.uint8)).tolist() == [0.25, 0.75]
    (batch,) = seen
    assert batch.shape == (1, 3, 224, 224)
    left = round((scaled_wh[0] - 224) / 2)
    assert np.allclose(batch[0, 0, 0] * 255, columns[left : left + 224])


def test_classify_frames_refuses_a_detector_before_the_video_is_opened(tmp_path: Path) -> None:
    stages = f"stages: [sample_frames, classify_frames: {{model: '{SHAPES}'}}]"
    with pytest.raises(ModelError, match=r"a model for 'detect'.* the stage detect_objects takes"):
        run_profile(tmp_path, tmp_path / "there-is-no-video.mp4", stages)
