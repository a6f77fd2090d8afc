"""Files of model weights: where they come from, and what is made of them once."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediaproc.errors import ModelError
from mediaproc.s3 import s3_client, s3_errors, split_s3_url

if TYPE_CHECKING:
    from mediaproc.detect.models.exported import Header
    from mediaproc.detect.models.runtime import Runtime


class WeightFiles:
    """Weights, as files of this machine.

    Args:
        folder: where fetched weights are kept, and what is made of weights.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests: dict[Any, str] = {}
        self._lock = threading.RLock()

    def find(self, model: str) -> Path:
        """The local file of a ``model:`` value, fetched where it has to be."""
        if model.startswith("pkg:"):
            return _packaged(model)
        if model.startswith("s3://"):
            return self._from_s3(model)
        path = Path(model).expanduser()
        if path.exists():
            return path
        if path.name != model:
            raise ModelError(
                f"model {model!r}: no such file; it was looked for at {path.resolve()}"
            )
        kept = self.folder / "weights" / model
        if kept.exists():
            return kept
        from mediaproc.detect.models.ultralytics import fetch

        return fetch(model, kept.parent)

    def digest(self, path: Path) -> str:
        """SHA-256 of a file, hex; read once while size and time of change stay."""
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if key not in self._digests:
                with path.open("rb") as file:
                    self._digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
            return self._digests[key]

    def worded(self, path: Path, vocabulary: tuple[str, ...]) -> Path:
        """The weights that look for a vocabulary, made once per content and vocabulary."""
        if not vocabulary:
            return path
        if path.suffix != ".pt":
            raise ModelError(f"{path}: vocabulary: needs the .pt file of YOLO-World or YOLOE")
        what = json.dumps([self.digest(path), *vocabulary])
        name = hashlib.sha256(what.encode()).hexdigest()
        # Under its own name, by which Ultralytics knows what kind of model it is.
        target = self.folder / "vocabularies" / name / path.name
        if not target.exists():
            from mediaproc.detect.models.ultralytics import with_vocabulary

            target.parent.mkdir(parents=True, exist_ok=True)
            with_vocabulary(path, vocabulary, target)
        return target

    def facts(self, path: Path) -> dict[str, Any]:
        """What weights say of themselves: ``task``, ``names`` by number, of ONNX the whole header.

        Only the first look has to load the file, and what reads it; what it says is kept.
        """
        kept = self.folder / "facts" / f"{self.digest(path)}.json"
        if not kept.exists():
            from mediaproc.detect.models import exported, ultralytics

            onnx = path.suffix == ".onnx"
            said = exported.Header.read(path).to_json() if onnx else ultralytics.facts_of(path)
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                written = Path(folder) / "facts.json"
                written.write_text(json.dumps(said))
                os.replace(written, kept)
        facts = json.loads(kept.read_text())
        names = {int(number): name for number, name in facts["names"].items()}
        return {**facts, "names": names}

    def header(self, path: Path) -> Header:
        """The header of an ONNX file."""
        from mediaproc.detect.models.exported import Header

        return Header(**self.facts(path))

    def exported(self, path: Path, engine: str, size: int) -> Path:
        """The model in the engine's own format, exported once per content and size."""
        from mediaproc.detect.models.ultralytics import export

        # Ultralytics knows an OpenVINO export by the ending of its folder.
        ending = ".onnx" if engine == "onnx" else "_openvino_model"
        target = self.folder / "exports" / f"{self.digest(path)}-{size}{ending}"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            export(path, target, engine, size)
        return target

    def engine(self, path: Path, size: int, runtime: Runtime) -> Path:
        """A TensorRT engine, built once per content, size, runtime, GPU and release of TensorRT."""
        import torch

        from mediaproc.detect.models.ultralytics import export

        what = [
            self.digest(path),
            size,
            runtime.half,
            runtime.batch,
            torch.cuda.get_device_name(runtime.device),
            importlib.metadata.version("tensorrt"),
        ]
        name = hashlib.sha256(json.dumps(what).encode()).hexdigest()
        target = self.folder / "exports" / f"{name}.engine"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            export(path, target, "tensorrt", size, runtime)
        return target

    def _from_s3(self, model: str) -> Path:
        try:
            bucket, key = split_s3_url(model)
        except ValueError as error:
            raise ModelError(f"model {error}") from None
        client = s3_client()
        with s3_errors(ModelError, client, "fetched", bucket, key):
            tag = client.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
            target: Path = self.folder / "weights" / tag / Path(key).name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                    client.download_file(bucket, key, str(Path(folder) / "model"))
                    os.replace(Path(folder) / "model", target)
        return target


def _packaged(model: str) -> Path:
    package, _, file = model.removeprefix("pkg:").partition("/")
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"model {model!r}: no package {package!r} is installed")
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file():
        raise ModelError(f"model {model!r}: package {package!r} holds no file {file!r}")
    return path
