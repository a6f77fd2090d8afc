"""What tests of sources compare."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mediaproc.media import FrameIndex, decode_frames, index_video


def digests(address: str, index: FrameIndex, wanted: list[int]) -> dict[int, str]:
    return {
        frame.frame_index: hashlib.sha256(frame.image.tobytes()).hexdigest()
        for frame in decode_frames(address, index, wanted)
    }


def check_same_as_file(local: Path, address: str) -> None:
    info, index = index_video(address)
    local_info, local_index = index_video(str(local))
    expected = {**local_info.to_json(), "path": address, "identity": info.identity}
    assert info.to_json() == expected
    assert index.to_bytes() == local_index.to_bytes()
    for wanted in (list(range(0, 100, 7)), [61, 62, 70]):
        assert digests(address, index, wanted) == digests(str(local), local_index, wanted)
