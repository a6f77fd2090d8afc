"""What mediaproc is held against: RapidOCR's own call on each sampled frame of a clip.

    python bench/peer_text.py CLIP --every 12 --lines FILE.json

The frames are decoded as mediaproc decodes them, one at a time; RapidOCR keeps its own settings,
but for the direction of lines, which mediaproc does not ask for either.
"""

from __future__ import annotations

import argparse
import json
import logging

from clips import ROOT as ROOT  # the path, before mediaproc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip")
    parser.add_argument("--every", type=int, required=True)
    parser.add_argument("--confidence", type=float, default=0.7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--lines", required=True)
    arguments = parser.parse_args()
    from rapidocr import RapidOCR

    from mediaproc.media import decode_frames, index_video

    params = {"Global.log_level": "error"}
    if arguments.threads:
        params["EngineConfig.onnxruntime.intra_op_num_threads"] = arguments.threads
    engine = RapidOCR(params=params)
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    _, index = index_video(arguments.clip)
    found = []
    for frame in decode_frames(arguments.clip, index, range(0, len(index), arguments.every)):
        read = engine(frame.image, use_cls=False, text_score=arguments.confidence)
        if read.txts is None:
            continue
        for text, score, box in zip(read.txts, read.scores, read.boxes, strict=True):
            (x1, y1), (x2, y2) = box.min(axis=0).tolist(), box.max(axis=0).tolist()
            found.append([frame.frame_index, text, float(score), x1, y1, x2, y2])
    with open(arguments.lines, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
