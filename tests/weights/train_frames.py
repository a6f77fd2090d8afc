"""Train ``frames.pt``: a tiny YOLO11 classifier of the shapes of ``tests/scenes.py``.

    python tests/weights/train_frames.py [--images 400] [--epochs 12]

A few minutes on two CPU cores. It starts from nothing, and is kept in half precision.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.scenes import COLOURS, LABELS, Scene, Shape  # noqa: E402
from tests.weights.train_shapes import keep  # noqa: E402

SIZE_WH = (256, 144)
IMAGE_SIZE = 96
# A fraction of the width of YOLO11n.
WIDTH = 0.125


def render(folder: Path, count: int, seed: int) -> None:
    """Pictures of one shape each, in folders named as it is."""
    random = np.random.default_rng(seed)
    width, height = SIZE_WH
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            colour = COLOURS[int(random.integers(len(COLOURS)))]
            # Within the middle square, which is what a classifier sees of a wide frame.
            across = float(random.uniform((width - height) / 2 + 40, (width + height) / 2 - 40))
            down = float(random.uniform(45, height - 45))
            shape = Shape(label, colour, float(random.uniform(22, 38)), (across, down), (0, 0))
            scene = Scene(1, size_wh=SIZE_WH, shapes=[shape], seed=seed * 1000 + number)
            quality = int(random.integers(40, 95))
            cv2.imwrite(
                str(folder / f"{label}/{number:05}.jpg"), next(scene.images()), [1, quality]
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    import ultralytics
    from ultralytics import YOLO

    published = Path(ultralytics.__file__).parent / "cfg/models/11/yolo11-cls.yaml"
    layout = yaml.safe_load(published.read_text())
    layout["nc"] = len(LABELS)
    layout["scales"] = {"n": [0.5, WIDTH, 1024]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render(folder / "train", arguments.images, 1)
        render(folder / "val", 50, 2)
        (folder / "yolo11n-cls-frames.yaml").write_text(yaml.safe_dump(layout))
        model = YOLO(str(folder / "yolo11n-cls-frames.yaml"), task="classify")
        model.train(
            data=str(folder),
            imgsz=IMAGE_SIZE,
            epochs=arguments.epochs,
            batch=32,
            device="cpu",
            workers=0,
            seed=0,
            deterministic=True,
            amp=False,
            optimizer="AdamW",
            lr0=0.003,
            auto_augment=None,
            erasing=0.0,
            scale=0.2,
            plots=False,
            val=False,
            project=str(folder / "runs"),
            name="frames",
        )
        trained = folder / "runs/frames/weights/last.pt"
        measured = YOLO(str(trained)).val(
            data=str(folder), imgsz=IMAGE_SIZE, plots=False, project=str(folder / "runs")
        )
        print(f"top-1 {measured.top1:.3f}")
        keep(trained, Path(__file__).with_name("frames.pt"), IMAGE_SIZE, "classify")


if __name__ == "__main__":
    main()
