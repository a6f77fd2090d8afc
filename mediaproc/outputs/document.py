"""JSON documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mediaproc.outputs.files import replacing


def write_document(path: Path, document: Any) -> None:
    """Write a JSON document, indented, keys in their own order, with a newline at the end."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")
