"""``track_objects``: the same object in frame after frame.

The trackers are those of the ``trackers`` package, one per label, so that an id never changes its
label: ByteTrack (Zhang et al., 2022, https://arxiv.org/abs/2110.06864), SORT (Bewley et al., 2016,
https://arxiv.org/abs/1602.00763), OC-SORT (Cao et al., 2023, https://arxiv.org/abs/2203.14360) and
C-BIoU (Yang et al., 2023, https://arxiv.org/abs/2211.14317). Where ``track_camera`` told how the
camera moves, they see all boxes as from where it began.
"""

from __future__ import annotations

import cmath
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import TRACKS, table_serializers
from mediaproc.detect.state import DetectState, Frames
from mediaproc.detect.tables import Detections, Tracks

# The tracker counts how long an object may be unseen in frames of a 30 Hz video.
_TRACKER_HZ = 30.0


def track_objects(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Follow the detections of the whole video."""
    detections = state["detections"]
    times = _frame_times(state)
    rows_of_frame: dict[int, list[int]] = {}
    for row, frame in enumerate(detections.column("frame_index").tolist()):
        rows_of_frame.setdefault(frame, []).append(row)
    ids = np.zeros(len(detections), dtype=np.int64)
    labels = detections.column("label")
    boxes = _steadied(state, times)
    offset = 0
    for label in sorted(set(labels)):
        mine = {
            frame: [row for row in rows if labels[row] == label]
            for frame, rows in rows_of_frame.items()
        }
        offset = _follow(detections, boxes, mine, times, ids, offset, config)
    kept = np.flatnonzero(ids > 0)
    numbers: dict[int, int] = {}
    for track in ids[kept].tolist():
        numbers.setdefault(track, len(numbers) + 1)
    found = detections.take(kept)
    columns = {
        c.name: found.column(c.name) for c in Tracks.columns if c.name not in ("track_id", "node")
    }
    return {
        "tracks": Tracks(
            {
                **columns,
                "node": [""] * len(found),
                "track_id": [numbers[track] for track in ids[kept].tolist()],
            }
        )
    }


def identity() -> dict[str, Any]:
    """The release of the tracker."""
    return {"trackers": version("trackers")}


def _frame_times(state: DetectState) -> dict[int, float]:
    """Seconds of every frame that was looked at, also of those in which nothing was found."""
    times = dict(
        zip(
            state["detections"].column("frame_index").tolist(),
            state["detections"].column("time_s").tolist(),
            strict=True,
        )
    )
    seen: Any = state.get("frames", [])
    for frames in [seen] if isinstance(seen, Frames) else seen:
        times.update(zip(frames.indexes.tolist(), frames.time_s.tolist(), strict=True))
    return dict(sorted(times.items()))


def _steadied(state: DetectState, times: dict[int, float]) -> npt.NDArray[np.float64]:
    """The boxes of all detections, as the camera would see them had it not moved, shape (N, 4)."""
    boxes = state["detections"].xyxy
    camera = state.get("camera")
    if camera is None or not len(camera):
        return boxes
    moves = dict(zip(camera.column("frame_index").tolist(), camera.records(), strict=True))
    # From pixels of the frame at hand to pixels of the first, as z -> turn * z + shift with
    # complex numbers, which is what a similarity is.
    turn, shift = complex(1), complex(0)
    views: dict[int, tuple[complex, complex]] = {}
    wanted = iter([*times, None])
    frame = next(wanted)
    for index, move in sorted(moves.items()):
        step = cmath.rect(move["scale"], move["angle"])
        turn, shift = turn / step, shift - turn * complex(move["dx"], move["dy"]) / step
        while frame is not None and frame <= index:
            views[frame] = turn, shift
            frame = next(wanted)
    steadied = boxes.copy()
    for row, number in enumerate(state["detections"].column("frame_index").tolist()):
        turn, shift = views.get(number, (turn, shift))
        x1, y1, x2, y2 = boxes[row].tolist()
        centre = turn * complex((x1 + x2) / 2, (y1 + y2) / 2) + shift
        across, down = abs(turn) * (x2 - x1) / 2, abs(turn) * (y2 - y1) / 2
        steadied[row] = (
            centre.real - across,
            centre.imag - down,
            centre.real + across,
            centre.imag + down,
        )
    return steadied


def _follow(
    detections: Detections,
    boxes: npt.NDArray[np.float64],
    rows_of_frame: dict[int, list[int]],
    times: dict[int, float],
    ids: npt.NDArray[np.int64],
    offset: int,
    config: dict[str, Any],
) -> int:
    """Track one label; ids above ``offset`` go into ``ids``. Returns the highest one.

    Args:
        detections: of all labels.
        boxes: theirs as the tracker is to see them, shape (N, 4), xyxy.
        rows_of_frame: rows of the label, by frame.
        times: seconds of every frame that was looked at.
        ids: shape (N,), 0 where a row belongs to no track yet.
        offset: ids up to this one are taken.
        config: the stage's settings.
    """
    import supervision as sv

    gaps = np.diff(list(times.values()))
    tracker = _tracker(config, 1.0 / float(np.median(gaps)) if len(gaps) else _TRACKER_HZ)
    confidences = detections.column("confidence")
    known: set[int] = set()
    earlier: list[list[int]] = []
    highest = offset
    for frame, time_s in times.items():
        rows = rows_of_frame.get(frame, [])
        update = tracker.update(
            sv.Detections(
                xyxy=boxes[rows].astype(np.float32).reshape(-1, 4),
                confidence=confidences[rows].astype(np.float32),
                data={"row": np.array(rows, dtype=np.int64)},
            ),
            timestamp=time_s,
        )
        given = update.data.get("row", []) if len(update) else []
        for row, track in zip(given, update.tracker_id if len(update) else [], strict=True):
            if track < 0:
                continue
            number = offset + int(track) + 1
            ids[row] = number
            highest = max(highest, number)
            if number not in known:
                known.add(number)
                _fill_back(int(row), number, earlier, boxes, ids, config["min_iou"])
        earlier = [*earlier, rows][-max(1, config["min_sights"]) :]
    return highest


def _tracker(config: dict[str, Any], frame_rate: float) -> Any:
    """The tracker of the configuration, for frames that come at ``frame_rate``, Hz."""
    import trackers

    common = {
        "lost_track_buffer": max(1, round(config["lost_s"] * _TRACKER_HZ)),
        "frame_rate": frame_rate,
        "minimum_consecutive_frames": config["min_sights"],
    }
    start, iou = config["min_confidence"], config["min_iou"]
    if config["tracker"] == "sort":
        return trackers.SORTTracker(
            **common, track_activation_threshold=start, minimum_iou_threshold=iou
        )
    if config["tracker"] == "ocsort":
        return trackers.OCSORTTracker(
            **common, high_conf_det_threshold=start, minimum_iou_threshold=iou
        )
    if config["tracker"] == "cbiou":
        return trackers.CBIoUTracker(
            **common,
            track_activation_threshold=start,
            high_conf_det_threshold=start,
            minimum_iou_threshold_first_assoc=iou,
            minimum_iou_threshold_second_assoc=iou,
            minimum_iou_threshold_unconfirmed_assoc=iou,
            # Otherwise only what the first frame shows would begin at once.
            instant_first_frame_activation=False,
        )
    return trackers.ByteTrackTracker(
        **common,
        track_activation_threshold=start,
        high_conf_det_threshold=start,
        minimum_iou_threshold=iou,
    )


def _fill_back(
    row: int,
    number: int,
    earlier: list[list[int]],
    boxes: npt.NDArray[np.float64],
    ids: npt.NDArray[np.int64],
    min_iou: float,
) -> None:
    """Give a track its first sights, which the tracker holds back until it is sure of them."""
    for rows in reversed(earlier):
        free = [r for r in rows if ids[r] == 0]
        if not free:
            return
        overlaps = [_iou(boxes[row], boxes[r]) for r in free]
        best = int(np.argmax(overlaps))
        if overlaps[best] < min_iou:
            return
        row = free[best]
        ids[row] = number


def _iou(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    overlap = float(
        np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    )
    union = float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - overlap
    return overlap / union if union > 0 else 0.0


_SERIALIZE, _DESERIALIZE = table_serializers("tracks", Tracks)

STAGE = StageDefinition(
    name="track_objects",
    label="Track objects",
    description="Follows detected objects from frame to frame and numbers them.",
    io=StageIO(reads=["detections"], writes=["tracks"], optional_reads=["frames", "camera"]),
    config_fields=[
        StageConfigField(
            "tracker",
            "str",
            "bytetrack",
            "bytetrack: prolongs tracks by weak sights too; sort: the simplest; ocsort: for what "
            "turns while it is hidden, by sights of min_confidence alone; cbiou: for what moves "
            "far between frames.",
            options=["bytetrack", "sort", "ocsort", "cbiou"],
        ),
        StageConfigField(
            "lost_s",
            "float",
            1.0,
            "Seconds for which an unseen object keeps its id. Raising it bridges longer gaps.",
            min=0.0,
            max=3600.0,
        ),
        StageConfigField(
            "min_confidence",
            "float",
            0.5,
            "Confidence at which an object may start a track; weaker sights only prolong one.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "min_sights",
            "int",
            2,
            "Sights in a row that make a track. Raising it drops brief mistakes.",
            min=1,
            max=100,
        ),
        StageConfigField(
            "min_iou",
            "float",
            0.1,
            "Least overlap of two sights of one object. Raising it splits fast objects.",
            min=0.0,
            max=1.0,
        ),
    ],
    category="tracking",
    fn=track_objects,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[TRACKS],
)
