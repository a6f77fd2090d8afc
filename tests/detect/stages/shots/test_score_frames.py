"""Frame scores: PySceneDetect's own measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from mediaproc.media import decode_frames, index_video
from tests.clips import real_clip
from tests.detect.running import run_profile


@pytest.mark.parametrize("clip", ["bikes", "carphone"])
def test_score_frames_measures_what_pyscenedetect_measures(tmp_path: Path, clip: str) -> None:
    path = str(real_clip(clip))
    _, tables = run_profile(
        tmp_path, real_clip(clip), "stages: [score_frames: {size: 160}]", more="segment: {max_s: 1}"
    )
    info, index = index_video(path)
    scale = 160 / info.display_width
    size = (160, round(info.display_height * scale / 2) * 2)
    theirs = ContentDetector()
    expected = []
    for frame in decode_frames(path, index, range(len(index)), size_wh=size):
        theirs.process_frame(FrameTimecode(frame.frame_index, 25.0), frame.image)
        assert theirs._frame_score is not None
        expected.append(theirs._frame_score)
    ours = tables["frame_scores"].column("change")
    assert len(ours) == len(index)
    assert np.abs(ours - [*expected[1:], 0.0]).max() < 1e-9
