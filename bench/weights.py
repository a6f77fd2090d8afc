"""YOLO11n for speed: its architecture and arithmetic, with weights that no one trained.

The weights are drawn from a fixed seed; batch normalisation is fitted to a few real frames, and the
scores are shifted, so that a frame holds some boxes, as with trained weights. What is found means
nothing; how long it takes is the same. ``--weights yolo11n.pt`` takes the trained ones.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from clips import WORK, pictures

# Read when it is imported: nothing is fetched or installed, and stdout is left to the results.
os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true", YOLO_VERBOSE="false")

# Of all places in a frame at which the model could find something, those above the threshold.
_FOUND = 0.002
CONFIDENCE = 0.25


def untrained(clip: Path) -> Path:
    """``yolo11n-untrained.pt``, made once; ``clip`` gives the frames for its normalisation."""
    target = WORK / "yolo11n-untrained.pt"
    if target.exists():
        return target
    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO("yolo11n.yaml")
    network = model.model
    frames = [image[..., ::-1] for image in list(pictures(clip, (640, 384)))[::25]]
    batch = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all that it sees
    network.train()
    with torch.no_grad():
        for part in batch.split(5):
            network(part)
        network.eval()
        best = network(batch)[0][:, 4:].amax(1).flatten()
        shift = torch.logit(torch.tensor(CONFIDENCE)) - torch.logit(best.quantile(1 - _FOUND))
        for scores in network.model[-1].cv3:
            scores[-1].bias += shift
    model.save(target)
    return target


def exported(weights: Path, engine: str) -> Path:
    """Ultralytics' export for ``"onnx"`` or ``"openvino"``, of a free input size; made once."""
    ending = ".onnx" if engine == "onnx" else "_openvino_model"
    target = WORK / f"{weights.stem}{ending}"
    if not target.exists():
        from ultralytics import YOLO

        copy = WORK / weights.name
        if copy != weights:
            shutil.copyfile(weights, copy)
        more = {"simplify": False} if engine == "onnx" else {}
        YOLO(str(copy)).export(format=engine, imgsz=640, dynamic=True, device="cpu", **more)
    return target
