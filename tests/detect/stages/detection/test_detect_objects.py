"""Objects: Ultralytics' own boxes, however they are computed, and truth on rendered scenes."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mediaproc.detect.models import ModelStore
from mediaproc.errors import ModelError, StageError
from mediaproc.media import decode_frames, index_video
from tests.clips import real_clip
from tests.detect.running import run_profile
from tests.scenes import moving_shapes
from tests.weights import FRAMES, SHAPES

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


def untrained(folder: Path, kind: str, layout: str) -> Path:
    """Weights that find something: it means nothing, but it is found by the same arithmetic."""
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO(layout)
    with torch.no_grad():
        for weight in model.model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    path = folder / f"{kind}.pt"
    model.save(str(path))
    return path


def found_by(folder: Path, weights: Path, settings: str) -> list[dict[str, Any]]:
    stages = (
        f"stages: [sample_frames: {{every: 60}}, detect_objects: {{model: {weights}, "
        f"image_size: 160, min_confidence: 0.0, max_detections: 5, {settings}}}]"
    )
    return run_profile(folder, real_clip("carphone"), stages)[1]["detections"].records()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["seg", "pose"])
def test_detect_objects_hands_on_outlines_and_keypoints(tmp_path: Path, task: str) -> None:
    rows = found_by(tmp_path, untrained(tmp_path, task, f"yolo11n-{task}.yaml"), "engine: torch")
    assert len(rows) == 10
    column = "polygon" if task == "seg" else "keypoints"
    assert all(row[column] for row in rows)
    for row in rows:
        points = np.array(row[column])[:, :2]
        assert (points >= 0).all()
        assert (points <= [176, 144]).all()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_detect_objects_hands_on_the_corners_of_turned_boxes(tmp_path: Path, engine: str) -> None:
    from ultralytics import YOLO

    path = untrained(tmp_path, "obb", "yolo11n-obb.yaml")
    rows = found_by(tmp_path, path, f"engine: {engine}")
    model = YOLO(str(path))
    _, index = index_video(str(real_clip("carphone")))
    theirs: list[Any] = []
    for frame in decode_frames(str(real_clip("carphone")), index, [0, 60]):
        turned = model.predict(
            frame.image, imgsz=160, conf=0.0, iou=0.7, max_det=5, device="cpu", verbose=False
        )[0].obb
        theirs += turned.xyxyxyxy.numpy().tolist()
    assert len(rows) == len(theirs) == 10
    for row, corners in zip(rows, theirs, strict=True):
        assert np.abs(np.array(row["polygon"]) - corners).max() < 0.1
        upright = [*np.min(corners, axis=0), *np.max(corners, axis=0)]
        expected = np.clip(upright, 0, [176, 144, 176, 144])
        assert (
            np.abs(np.array([row[side] for side in ("x1", "y1", "x2", "y2")]) - expected).max()
            < 0.1
        )


class WordsAsNumbers:
    """Stands for CLIP's text encoder, whose weights are fetched: a vector for each word."""

    def tokenize(self, words: list[str]) -> Any:
        import torch

        return torch.tensor([[sum(word.encode())] for word in words])

    def encode_text(self, tokens: Any, dtype: Any = None) -> Any:
        import torch

        vectors = [
            torch.randn(512, generator=torch.Generator().manual_seed(int(token[0])))
            for token in tokens
        ]
        return torch.nn.functional.normalize(torch.stack(vectors), dim=-1)


@pytest.fixture
def text_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("ultralytics.nn.text_model")
    module.build_text_model = lambda variant, device=None: WordsAsNumbers()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ultralytics.nn.text_model", module)


@pytest.mark.slow
@pytest.mark.usefixtures("text_encoder")
@pytest.mark.parametrize(
    ("layout", "engine"), [("yolov8s-worldv2", "onnx"), ("yoloe-11s-seg", "torch")]
)
def test_detect_objects_looks_for_the_words_of_a_vocabulary(
    tmp_path: Path, layout: str, engine: str
) -> None:
    from ultralytics import YOLO

    path = untrained(tmp_path, layout, f"{layout}.yaml")
    settings = (
        f"engine: {engine}, vocabulary: [red bus, dog, traffic cone], classes: [dog, red bus]"
    )
    rows = found_by(tmp_path, path, settings)
    model = YOLO(str(path))
    model.set_classes(["red bus", "dog", "traffic cone"])
    _, index = index_video(str(real_clip("carphone")))
    theirs: list[Any] = []
    for frame in decode_frames(str(real_clip("carphone")), index, [0, 60]):
        boxes = model.predict(
            frame.image,
            imgsz=160,
            conf=0.0,
            iou=0.7,
            max_det=5,
            classes=[0, 1],
            device="cpu",
            verbose=False,
        )[0].boxes
        theirs += [model.names[int(number)] for number in boxes.cls]
    assert theirs
    assert [row["label"] for row in rows] == theirs


@pytest.mark.slow
def test_detect_objects_names_the_text_encoder_that_a_vocabulary_needs(tmp_path: Path) -> None:
    path = untrained(tmp_path, "yolov8s-worldv2", "yolov8s-worldv2.yaml")
    with pytest.raises(ModelError, match=r"needs the model's text encoder .*ultralytics/CLIP\.git"):
        found_by(tmp_path, path, "vocabulary: [dog]")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (str(SHAPES), "works for open-vocabulary models only"),
        (NUDENET, "needs the .pt file of YOLO-World or YOLOE"),
    ],
)
def test_detect_objects_refuses_a_vocabulary_for_a_model_of_fixed_classes(
    tmp_path: Path, model: str, message: str
) -> None:
    stages = f"stages: [sample_frames, detect_objects: {{model: '{model}', vocabulary: [dog]}}]"
    with pytest.raises(ModelError, match=message):
        run_profile(tmp_path, tmp_path / "there-is-no-video.mp4", stages)


def test_detect_objects_refuses_a_classifier_and_names_the_stage_for_it(tmp_path: Path) -> None:
    stages = f"stages: [sample_frames, detect_objects: {{model: '{FRAMES}'}}]"
    message = "a model for 'classify', where one for detect or segment or pose or obb is wanted; "
    with pytest.raises(ModelError, match=f"{message}the stage classify_frames takes this one"):
        run_profile(tmp_path, tmp_path / "there-is-no-video.mp4", stages)


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
