"""``cut_crops``: the best picture of each track within an anchor block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobStore
from mediaproc.detect.products import Crops
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import CROP_CUTS, table_serializers
from mediaproc.detect.stages.rendering.crop_scores import place_scores, sharpness, whole_score
from mediaproc.detect.state import DetectState, VideoSource
from mediaproc.detect.tables import Tracks

Image = npt.NDArray[np.uint8]


def cut_crops(
    state: DetectState, *, config: dict[str, Any], media: VideoSource, blobs: BlobStore
) -> dict[str, Any]:
    """Look at the chosen sights of the segment, and store the best of each track and block."""
    from mediaproc.media import encode_jpeg

    video, rows = state["video"], []
    for start, end in state["segment"].blocks:
        plan = state["crop_plan"].within(start, end)
        best: dict[int, tuple[float, dict[str, Any], Image]] = {}
        for row, image in _seen(plan, media):
            box = np.array([[row[side] for side in ("x1", "y1", "x2", "y2")]])
            part = _cut(image, box[0], config["margin"])
            size_wh = (video.width, video.height)
            [place] = place_scores(box, np.array([row["confidence"]]), size_wh).tolist()
            sharp = sharpness(part)
            score = whole_score(place, sharp)
            known = best.get(row["track_id"])
            if known is None or score > known[0]:
                found = {**row, "node": "", "sharpness": sharp, "score": score}
                best[row["track_id"]] = score, found, part
        for _, found, part in best.values():
            ref = blobs.put(encode_jpeg(part, config["quality"]))
            rows.append({**found, "blob": ref.to_json()})
    rows.sort(key=lambda row: (row["pts"], row["track_id"]))
    return {"crop_cuts": Crops.from_records(rows)}


def _seen(plan: Tracks, media: VideoSource) -> Iterator[tuple[dict[str, Any], Image]]:
    """Each sight with the image of its frame, which is decoded once for all that are in it."""
    by_frame: dict[int, list[dict[str, Any]]] = {}
    for row in plan.records():
        by_frame.setdefault(row["frame_index"], []).append(row)
    for frame in media.images(sorted(by_frame)):
        for row in by_frame[frame.index]:
            yield row, frame.image


def _cut(image: Image, box: npt.NDArray[np.float64], margin: float) -> Image:
    height, width = image.shape[:2]
    more = margin * (box[2:] - box[:2])
    x1, y1 = np.floor(box[:2] - more).astype(int).clip(0, [width - 1, height - 1]).tolist()
    x2, y2 = np.ceil(box[2:] + more).astype(int).clip([x1 + 1, y1 + 1], [width, height]).tolist()
    return image[y1:y2, x1:x2].copy()


_SERIALIZE, _DESERIALIZE = table_serializers("crop_cuts", Crops)

FIELDS = [
    StageConfigField(
        "margin",
        "float",
        0.1,
        "Share of an object's width and height that is shown around it.",
        min=0.0,
        max=2.0,
    ),
    StageConfigField("quality", "int", 90, "JPEG quality.", min=1, max=100),
]

STAGE = StageDefinition(
    name="cut_crops",
    label="Cut crops",
    description="Works ahead of crop_objects: cuts the best picture of each track and block.",
    io=StageIO(reads=["video", "crop_plan"], writes=["crop_cuts"]),
    config_fields=FIELDS,
    category="output",
    fn=cut_crops,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[CROP_CUTS],
)
