"""Train ``shapes.pt``: a tiny YOLO11 that knows the shapes of ``tests/scenes.py``.

    python tests/weights/train_shapes.py [--images 900] [--epochs 22]

About a quarter of an hour on two CPU cores. The weights are kept in half precision, so that they
stay small; they start from nothing, so no one else's weights are in them.
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

from tests.scenes import LABELS, Caption, Scene, random_shapes  # noqa: E402

SIZE_WH = (640, 360)
IMAGE_SIZE = 320
# A fraction of the width of YOLO11n: 0.7 million parameters.
WIDTH = 0.125
WORDS = ("BREAKING NEWS", "Score 3:2", "THE END", "example.org", "12:45", "LIVE")


def render(folder: Path, count: int, seed: int) -> None:
    """Pictures of random shapes with their labels, as Ultralytics reads them."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir(parents=True)
    random = np.random.default_rng(seed)
    width, height = SIZE_WH
    for number in range(count):
        shapes = random_shapes(seed * 100_000 + number, int(random.integers(0, 6)), SIZE_WH)
        place = (int(random.integers(20, 400)), int(random.integers(20, 300)))
        captions = [Caption(str(random.choice(WORDS)), 0, 1, place)] if number % 3 == 0 else []
        scene = Scene(1, size_wh=SIZE_WH, shapes=shapes, captions=captions, seed=number % 211)
        image = next(scene.images())
        quality = int(random.integers(40, 95))
        cv2.imwrite(str(folder / f"images/{number:05}.jpg"), image, [1, quality])
        lines = [
            f"{LABELS.index(label)} {(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f} "
            f"{(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}"
            for _, label, (x1, y1, x2, y2) in scene.boxes(0)
        ]
        (folder / f"labels/{number:05}.txt").write_text("\n".join(lines))


def keep(trained: Path, target: Path, size: int, task: str) -> None:
    """The weights alone: without the folders, dates and settings of the training."""
    import torch

    checkpoint = torch.load(trained, map_location="cpu", weights_only=False)
    model = checkpoint["model"].half()
    name = target.stem
    model.args = {"imgsz": size, "task": task, "model": name}
    model.yaml_file = f"{name}.yaml"
    if isinstance(model.yaml, dict):
        model.yaml["yaml_file"] = f"{name}.yaml"
    for attribute in ("pt_path", "cfg"):
        if hasattr(model, attribute):
            delattr(model, attribute)
    torch.save({"model": model, "train_args": dict(model.args)}, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=900)
    parser.add_argument("--epochs", type=int, default=22)
    arguments = parser.parse_args()
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    import ultralytics
    from ultralytics import YOLO

    published = Path(ultralytics.__file__).parent / "cfg/models/11/yolo11.yaml"
    layout = yaml.safe_load(published.read_text())
    layout["nc"] = len(LABELS)
    layout["scales"] = {"n": [0.5, WIDTH, 1024]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render(folder / "train", arguments.images, 1)
        render(folder / "val", 200, 2)
        (folder / "yolo11n-shapes.yaml").write_text(yaml.safe_dump(layout))
        data = {"train": "train/images", "val": "val/images", "names": dict(enumerate(LABELS))}
        (folder / "data.yaml").write_text(yaml.safe_dump({"path": str(folder), **data}))
        model = YOLO(str(folder / "yolo11n-shapes.yaml"))
        model.train(
            data=str(folder / "data.yaml"),
            imgsz=IMAGE_SIZE,
            epochs=arguments.epochs,
            batch=16,
            device="cpu",
            workers=0,
            cache="ram",
            seed=0,
            deterministic=True,
            amp=False,
            optimizer="AdamW",
            lr0=0.004,
            warmup_epochs=2,
            # A square that is turned or squeezed is another shape's neighbour: leave them upright.
            mosaic=0.5,
            close_mosaic=6,
            hsv_h=0.02,
            scale=0.3,
            fliplr=0.5,
            plots=False,
            val=False,
            project=str(folder / "runs"),
            name="shapes",
        )
        trained = folder / "runs/shapes/weights/last.pt"
        measured = YOLO(str(trained)).val(
            data=str(folder / "data.yaml"),
            imgsz=IMAGE_SIZE,
            plots=False,
            project=str(folder / "runs"),
        )
        print(f"mAP50 {measured.box.map50:.3f}, mAP50-95 {measured.box.map:.3f}")
        keep(trained, Path(__file__).with_name("shapes.pt"), IMAGE_SIZE, "detect")


if __name__ == "__main__":
    main()
