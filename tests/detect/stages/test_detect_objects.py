"""Objects: Ultralytics' own boxes, however they are computed, and truth on rendered scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mediaproc.detect.models import ModelStore
from mediaproc.errors import StageError
from mediaproc.media import decode_frames, index_video
from tests.clips import real_clip
from tests.detect.running import run_profile
from tests.scenes import moving_shapes
from tests.weights import SHAPES

NUDENET = "pkg:nudenet/320n.onnx"
CONFIDENCE = 0.1
EVERY = 10


def boxes_by_frame(rows: Any) -> dict[int, npt.NDArray[np.float64]]:
    """Class, confidence and box of each row, shape (N, 6), by frame."""
    columns = [rows.column("class_id"), rows.column("confidence"), *rows.xyxy.T]
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
    frames = rows.column("frame_index")
    return {int(frame): table[frames == frame] for frame in np.unique(frames)}


def predicted(
    weights: Path, clip: Path, size: int, confidence: float
) -> dict[int, npt.NDArray[np.float64]]:
    """The same from Ultralytics' own ``predict`` on the same frames."""
    from ultralytics import YOLO

    model = YOLO(str(weights), task="detect")
    _, index = index_video(str(clip))
    found = {}
    for frame in decode_frames(str(clip), index, list(range(0, len(index), EVERY))):
        boxes = model.predict(
            frame.image, imgsz=size, conf=confidence, iou=0.7, device="cpu", verbose=False
        )[0].boxes
        if len(boxes):
            parts = [boxes.cls[:, None], boxes.conf[:, None], boxes.xyxy]
            found[frame.frame_index] = np.concatenate(
                [part.cpu().numpy().astype(np.float64) for part in parts], axis=1
            )
    return found


def detected(
    folder: Path, clip: Path, model: str, size: int, confidence: float, **more: Any
) -> dict[int, npt.NDArray[np.float64]]:
    settings = {"model": model, "image_size": size, "min_confidence": confidence, **more}
    text = ", ".join(
        f"{key}: {str(value).lower() if isinstance(value, bool) else value}"
        for key, value in settings.items()
    )
    stages = f"stages: [sample_frames: {{every: {EVERY}}}, detect_objects: {{{text}}}]"
    _, tables = run_profile(folder, clip, stages)
    return boxes_by_frame(tables["detections"])


def iou(one: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> Any:
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    overlap = (high - low).clip(0).prod(axis=1)
    areas = (one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1)
    return overlap / (areas - overlap)


def matched(
    ours: dict[int, npt.NDArray[np.float64]], theirs: dict[int, npt.NDArray[np.float64]]
) -> tuple[int, int]:
    """How many of their boxes are matched at IoU 0.95 by ours of the class, and how many are."""
    hits = total = 0
    for frame, boxes in theirs.items():
        for box in boxes:
            total += 1
            mine = ours.get(frame, np.empty((0, 6)))
            mine = mine[mine[:, 0] == box[0]]
            hits += bool(len(mine)) and bool((iou(box[2:], mine[:, 2:]) >= 0.95).any())
    return hits, total


@pytest.fixture(scope="module")
def nudenet() -> Path:
    return ModelStore(Path()).weights(NUDENET)


@pytest.fixture(scope="module")
def weights(nudenet: Path) -> dict[str, tuple[Path, str, int, float]]:
    """File, ``model:``, input size and a confidence at which each finds a lot on real clips."""
    return {
        "nudenet": (nudenet, NUDENET, 320, CONFIDENCE),
        "shapes": (SHAPES, str(SHAPES), 320, 0.01),
    }


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["bikes", "carphone", "bigbuckbunny"])
@pytest.mark.parametrize(
    ("name", "engine"),
    [("nudenet", "onnx"), ("shapes", "torch"), ("shapes", "onnx"), ("shapes", "openvino")],
)
def test_detect_objects_exact_boxes_are_ultralytics_own(
    tmp_path: Path, weights: dict[str, Any], name: str, engine: str, clip: str
) -> None:
    path, model, size, confidence = weights[name]
    ours = detected(tmp_path, real_clip(clip), model, size, confidence, exact=True, engine=engine)
    if engine != "torch" and path.suffix == ".pt":
        path = next((tmp_path / "models/exports").iterdir())
    theirs = predicted(path, real_clip(clip), size, confidence)
    assert sum(map(len, theirs.values())) > 3
    assert ours.keys() == theirs.keys()
    for frame, boxes in theirs.items():
        assert np.abs(ours[frame] - boxes)[:, 2:].max() <= 1e-3, frame
        assert np.abs(ours[frame] - boxes)[:, :2].max() <= 1e-6, frame


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("name", ["nudenet", "shapes"])
def test_detect_objects_matches_99_percent_of_ultralytics_boxes_by_default(
    tmp_path: Path, weights: dict[str, Any], name: str, engine: str
) -> None:
    path, model, size, confidence = weights[name]
    hits = total = 0
    for clip in ("bikes", "carphone", "bigbuckbunny"):
        ours = detected(tmp_path, real_clip(clip), model, size, confidence, engine=engine)
        theirs = predicted(path, real_clip(clip), size, confidence)
        more_hits, more = matched(ours, theirs)
        hits, total = hits + more_hits, total + more
    assert total >= 40
    assert hits >= 0.99 * total, (hits, total)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "onnx", "openvino"])
def test_detect_objects_finds_every_shape_of_a_rendered_scene(tmp_path: Path, engine: str) -> None:
    scene = moving_shapes(100).render(tmp_path / "scene.mp4")
    found = detected(tmp_path, tmp_path / "scene.mp4", str(SHAPES), 320, 0.5, engine=engine)
    from tests.scenes import LABELS

    assert sorted(found) == list(range(0, 100, EVERY))
    for frame, boxes in found.items():
        truth = scene.boxes(frame)
        assert len(boxes) == len(truth)
        for _, label, xyxy in truth:
            mine = boxes[boxes[:, 0] == LABELS.index(label)]
            assert iou(np.array(xyxy), mine[:, 2:]).max() > 0.8, (frame, label)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["seg", "pose"])
def test_detect_objects_hands_on_outlines_and_keypoints(tmp_path: Path, task: str) -> None:
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    path = tmp_path / f"tiny-{task}.pt"
    # Untrained: what it finds means nothing, but it is found by the same arithmetic.
    model = YOLO(f"yolo11n-{task}.yaml")
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.save(str(path))
    stages = (
        f"stages: [sample_frames: {{every: 60}}, detect_objects: {{model: {path}, "
        "image_size: 160, min_confidence: 0.0, max_detections: 5, engine: torch}]"
    )
    _, tables = run_profile(tmp_path, real_clip("carphone"), stages)
    rows = tables["detections"].records()
    assert len(rows) == 10
    column = "polygon" if task == "seg" else "keypoints"
    assert all(row[column] for row in rows)
    for row in rows:
        points = np.array(row[column])[:, :2]
        assert (points >= 0).all()
        assert (points <= [176, 144]).all()


def test_detect_objects_counts_renamed_classes_as_one(tmp_path: Path) -> None:
    rename = "[FACE_FEMALE=face, FACE_MALE=face]"
    stages = (
        f"stages: [sample_frames: {{fps: 2}}, detect_objects: {{model: '{NUDENET}', "
        f"image_size: 320, classes: [FACE_FEMALE, FACE_MALE], rename: {rename}}}]"
    )
    _, tables = run_profile(tmp_path, real_clip("carphone"), stages)
    rows = tables["detections"].records()
    assert [row["label"] for row in rows] == ["face"] * 8
    assert len({row["frame_index"] for row in rows}) == 8


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("classes: [FACE_FEMAL]", "knows no class 'FACE_FEMAL', did you mean 'FACE_FEMALE'"),
        ("rename: [FACE_MALE]", "'FACE_MALE' is not of the form CLASS=LABEL"),
    ],
)
def test_detect_objects_refuses_unknown_classes_before_the_video_is_opened(
    tmp_path: Path, setting: str, message: str
) -> None:
    stages = f"stages: [sample_frames, detect_objects: {{model: '{NUDENET}', {setting}}}]"
    with pytest.raises(StageError, match=message):
        run_profile(tmp_path, tmp_path / "there-is-no-video.mp4", stages)
