"""``crop_objects``: the best picture of each tracked object.

Which sights are worth a look follows from the tracks; a phase of segments decodes those frames only
and keeps the best of each block; of these the best one is the track's. So hours of video are
looked at in parallel, and little is stored that is not used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mediaproc.detect.products import Crops
from mediaproc.detect.stages.base import StageDefinition, StageIO
from mediaproc.detect.stages.channels import CROPS, FILES, tables_serializers
from mediaproc.detect.stages.rendering import cut_crops, plan_crops
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import Files


def crop_objects(state: DetectState) -> dict[str, Any]:
    """The best of each track's pictures, the earliest of equals."""
    cuts = state["crop_cuts"]
    scores, frames = cuts.column("score"), cuts.column("frame_index")
    best: dict[int, int] = {}
    for row in np.lexsort((frames, -scores)).tolist():
        best.setdefault(int(cuts.column("track_id")[row]), row)
    crops = cuts.take(sorted(best.values()))
    blobs = crops.column("blob")
    # The rows are this node's now.
    data = {c.name: crops.column(c.name) for c in Crops.columns} | {"node": [""] * len(crops)}
    files = Files(
        {
            "node": [""] * len(crops),
            "name": [f"crops/{{node}}/{track}.jpg" for track in crops.column("track_id").tolist()],
            "media_type": ["image/jpeg"] * len(crops),
            "blob": blobs,
            "bytes": [blob["size"] for blob in blobs],
        }
    )
    return {"crops": Crops(data), "files": files}


_SERIALIZE, _DESERIALIZE = tables_serializers({"crops": Crops, "files": Files})

STAGE = StageDefinition(
    name="crop_objects",
    label="Crop objects",
    description="Cuts out the best picture of each tracked object: large, sharp, sure and whole.",
    io=StageIO(reads=["crop_cuts"], writes=["crops", "files"]),
    config_fields=[*plan_crops.FIELDS, *cut_crops.FIELDS],
    category="output",
    fn=crop_objects,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[CROPS, FILES],
    companions=(plan_crops.STAGE.name, cut_crops.STAGE.name),
)
