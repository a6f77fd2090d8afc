"""Train ``shapes.pt``, the tiny YOLO of the tests, from rendered scenes. Minutes on a CPU.

``python -m tests.weights.train_shapes`` writes it beside this file.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2

from tests.scenes import LABELS, Scene, random_shapes

SIZE_WH = (320, 192)
TRAIN, HELD_OUT = 1400, 150
EPOCHS = 30

# yolo11n's layout with an eighth of the width of yolo11l and a smaller depth.
SCALE = [0.33, 0.125, 512]


def draw(folder: Path, seeds: range) -> None:
    """Images and labels in YOLO's layout."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for seed in seeds:
        scene = Scene(1, size_wh=SIZE_WH, shapes=_apart(seed), seed=seed)
        cv2.imwrite(str(folder / "images" / f"{seed}.png"), next(scene.images()))
        lines = []
        for _, label, (x1, y1, x2, y2) in scene.boxes(0):
            width, height = SIZE_WH
            x1, x2 = max(0.0, x1), min(float(width), x2)
            y1, y2 = max(0.0, y1), min(float(height), y2)
            numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height)
            numbers += ((x2 - x1) / width, (y2 - y1) / height)
            lines.append(f"{LABELS.index(label)} " + " ".join(f"{n:.6f}" for n in numbers))
        (folder / "labels" / f"{seed}.txt").write_text("\n".join(lines))


def _apart(seed: int) -> list[Any]:
    """Shapes of which none hides another."""
    from dataclasses import replace

    kept: list[Any] = []
    for shape in random_shapes(seed, 6, SIZE_WH):
        small = replace(shape, radius=shape.radius * 0.6)
        x, y = small.centre(0.0, SIZE_WH)
        others = [(o.centre(0.0, SIZE_WH), o.radius) for o in kept]
        if all(
            abs(x - ox) + abs(y - oy) > 1.6 * (small.radius + radius) for (ox, oy), radius in others
        ):
            kept.append(small)
    return kept[: seed % 5]


def main() -> None:
    """Train, check on held-out scenes, and keep the weights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(YOLO_CONFIG_DIR=name, YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")
        import torch
        import ultralytics
        import yaml

        draw(folder / "train", range(TRAIN))
        draw(folder / "val", range(TRAIN, TRAIN + HELD_OUT))
        layout = Path(ultralytics.__file__).parent / "cfg" / "models" / "11" / "yolo11.yaml"
        model = yaml.safe_load(layout.read_text())
        model["scales"] = {"n": SCALE}
        model["nc"] = len(LABELS)
        (folder / "shapesn.yaml").write_text(yaml.safe_dump(model))
        data = {"path": name, "train": "train/images", "val": "val/images"}
        data["names"] = dict(enumerate(LABELS))  # type: ignore[assignment]
        (folder / "data.yaml").write_text(yaml.safe_dump(data))
        yolo = ultralytics.YOLO(str(folder / "shapesn.yaml"))
        yolo.train(
            data=str(folder / "data.yaml"),
            imgsz=320,
            epochs=EPOCHS,
            batch=32,
            device="cpu",
            workers=0,
            amp=False,
            plots=False,
            cache="ram",
            mosaic=0.3,
            close_mosaic=8,
            degrees=0.0,
            fliplr=0.5,
            hsv_h=0.0,
            seed=1,
            optimizer="AdamW",
            lr0=0.004,
            project=name,
            name="run",
            verbose=False,
        )
        metrics = yolo.val(data=str(folder / "data.yaml"), imgsz=320, plots=False, verbose=False)
        sys.stdout.write(f"mAP50 {metrics.box.map50:.4f}, mAP50-95 {metrics.box.map:.4f}\n")
        checkpoint = torch.load(folder / "run" / "weights" / "best.pt", weights_only=False)
        # Settings of the run name folders of the machine it ran on.
        kept = {key: checkpoint[key] for key in ("model", "version", "license", "docs")}
        kept["train_args"] = {"imgsz": 320, "task": "detect"}
        kept["model"].args = {"imgsz": 320, "task": "detect"}
        kept["model"].yaml.pop("yaml_file", None)
        kept["model"].yaml_file = "shapes.yaml"
        torch.save(kept, folder / "shapes.pt")
        shutil.copyfile(folder / "shapes.pt", Path(__file__).with_name("shapes.pt"))


if __name__ == "__main__":
    main()
