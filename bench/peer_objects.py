"""What mediaproc is held against: Ultralytics' own stream over a clip.

    python bench/peer_objects.py MODEL CLIP --every 5 [--threads 2] [--boxes FILE.npz] [--same]

``--boxes`` keeps what it found: rows of (frame, class, confidence, x1, y1, x2, y2).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np


def images(clip: str, every: int) -> Iterator[Any]:
    """Every Nth frame from the first on; ``vid_stride`` begins with the Nth."""
    import cv2

    video, number = cv2.VideoCapture(clip), 0
    while video.grab():
        if number % every == 0:
            yield video.retrieve()[1]
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("clip")
    parser.add_argument("--every", type=int, required=True)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--confidence", type=float, default=0.25)
    parser.add_argument("--threads", type=int, help="torch's; its own choice where left out")
    parser.add_argument("--boxes")
    parser.add_argument("--same", action="store_true", help="frames 0, N, 2N, ... one by one")
    arguments = parser.parse_args()
    from ultralytics import YOLO

    if arguments.threads:
        import torch
        from ultralytics.utils import torch_utils

        # It sets torch's threads, to one less than there are cores, when it chooses a device.
        torch_utils.NUM_THREADS = arguments.threads
    model = YOLO(arguments.model, task="detect")
    settings = {
        "imgsz": arguments.size,
        "conf": arguments.confidence,
        "device": "cpu",
        "verbose": False,
    }
    if arguments.same:
        results = (model.predict(i, **settings)[0] for i in images(arguments.clip, arguments.every))
    else:
        results = model.predict(arguments.clip, stream=True, vid_stride=arguments.every, **settings)
    found, count = [], 0
    for result in results:
        boxes = result.boxes
        frame = np.full((len(boxes), 1), count * arguments.every)
        found.append(
            np.concatenate([frame, boxes.cls[:, None], boxes.conf[:, None], boxes.xyxy], axis=1)
        )
        count += 1
    if arguments.threads:
        assert torch.get_num_threads() == arguments.threads
    if arguments.boxes:
        np.savez(arguments.boxes, boxes=np.concatenate(found))
    print(count)  # for who measures


if __name__ == "__main__":
    main()
