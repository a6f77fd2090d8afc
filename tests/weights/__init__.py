"""Small weights with known truth: see ``train_shapes.py`` and ``train_frames.py``."""

from __future__ import annotations

from pathlib import Path

# A YOLO11 of 0.7 million parameters that knows the shapes of ``tests/scenes.py``.
SHAPES = Path(__file__).with_name("shapes.pt")
# A classifier of frames that show one of those shapes.
FRAMES = Path(__file__).with_name("frames.pt")
