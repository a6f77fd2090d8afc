"""Where the jobs that are killed live: this machine's disk, or Postgres and S3."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from mediaproc.blobs import BlobStore, open_blob_store
from mediaproc.detect.serializer import StrictSerializer
from tests.postgres import Server, running_server
from tests.s3 import REAL, S3Place, empty, moto_place, moto_server, real_place
from tests.scenes import COLOURS, Caption, Scene, Shape
from tests.weights import SHAPES

REPOSITORY = Path(__file__).parents[2]

_HEAD = """
version: 1
name: kills
segment: {max_s: 2}
nodes:
  frames: {stage: sample_frames, config: {fps: 5, keep: KEEP}}
  boxes:
    {stage: detect_objects, config: {model: "MODEL", image_size: 320}, from: {frames: [frames]}}
  track: {stage: track_objects, from: {frames: [frames]}}
  report: {stage: report}
"""
# What reads the video itself, beside what is kept of it.
SHOTS = """
  scores: {stage: score_frames}
  shots: {stage: detect_shots}
"""
# Its models take most of the time, so it sees few frames.
TEXTS = """
  few: {stage: sample_frames, config: {every: 50, keep: KEEP}}
  texts: {stage: detect_text, from: {frames: [few]}}
"""

# 6 s in three segments: two shots, a caption, two shapes.
SCENE = Scene(
    150,
    shapes=[
        Shape("circle", COLOURS[0], 34, (60, 60), (90, 30)),
        Shape("square", COLOURS[1], 32, (580, 135), (-70, 0)),
    ],
    captions=[Caption("LIVE FROM HERE", 0, 150, (60, 290))],
    cuts=[70],
    seed=11,
)

# What a call of a stage is known by: its node, and its segment or "None".
Call = tuple[str, str]


@dataclass
class Machine:
    """What a process finds when it starts.

    Attributes:
        root: the folder of everything that is local.
        env: variables that lead to the database and the blobs.
    """

    root: Path
    env: dict[str, str]

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def work(self) -> Path:
        return self.root / "work"

    def variables(self) -> dict[str, str]:
        """The environment of its processes."""
        paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        path = os.pathsep.join(paths)
        return {**os.environ, **self.env, "MEDIAPROC_HOME": str(self.home), "PYTHONPATH": path}


class Ground(ABC):
    """A kind of storage.

    Args:
        folder: for everything that is local.
        nodes: of the profile, besides those that find and follow objects.
    """

    def __init__(self, folder: Path, nodes: str = SHOTS + TEXTS) -> None:
        self.folder = folder
        self.video = ""
        self.nodes = nodes
        self.profile = ""

    def machine(self) -> Machine:
        """A machine that has nothing, and storage that nobody used."""
        return self._machine(self._storage())

    @abstractmethod
    def next_machine(self, before: Machine) -> Machine:
        """The machine on which a job goes on after a kill."""

    @abstractmethod
    def prepare(self, clip: Path, weights: Path) -> None:
        """Put copies of the video and the weights where jobs find them."""

    @abstractmethod
    def _storage(self) -> dict[str, str]:
        """Variables that lead to storage that nobody used."""

    def _profile(self, model: str, keep: str) -> str:
        return (_HEAD + self.nodes).replace("MODEL", model).replace("KEEP", keep)

    def _machine(self, env: dict[str, str]) -> Machine:
        machine = Machine(self.folder / f"machine-{uuid.uuid4().hex[:8]}", env)
        machine.work.mkdir(parents=True)
        return machine

    def database(self, machine: Machine) -> str:
        return machine.env.get("MEDIAPROC_DATABASE") or str(machine.home / "jobs.db")

    def blobs(self, machine: Machine) -> BlobStore:
        return open_blob_store(machine.env.get("MEDIAPROC_BLOBS") or str(machine.home / "blobs"))

    def digests(self, machine: Machine) -> set[str]:
        """The digests of all blobs, each of them read and checked."""
        store = self.blobs(machine)
        return {store.get(stored.ref) and stored.ref.sha256 for stored in store.list()}

    def saved(self, machine: Machine, job_id: str) -> set[Call]:
        """The calls whose result is in the checkpoint database, in any namespace of a job.

        LangGraph's own saver reads it: ours is among what is looked at.
        """
        config: Any = {"configurable": {"thread_id": job_id}}
        found: set[Call] = set()
        with _official_saver(self.database(machine)) as saver:
            for saved in saver.list(config):
                pending = [(c, v) for _, c, v in saved.pending_writes or ()]
                for channel, value in [*saved.checkpoint["channel_values"].items(), *pending]:
                    if channel == "parts":
                        _place, parts = value
                        found |= {(part["node"], str(part["segment"])) for part in parts}
                    elif channel == "report":  # an output, which travels as it is
                        found.add(("report", "None"))
        return found


class Local(Ground):
    """SQLite, a folder of blobs, a video and weights on this disk.

    Args:
        folder: for everything that is local.
        nodes: of the profile, besides those that find and follow objects.
        keep: whether frames are kept: ``"none"`` or ``"all"``.
    """

    def __init__(self, folder: Path, nodes: str = SHOTS + TEXTS, keep: str = "none") -> None:
        super().__init__(folder, nodes)
        self.keep = keep

    def next_machine(self, before: Machine) -> Machine:
        return before

    def prepare(self, clip: Path, weights: Path) -> None:
        self.video = shutil.copy2(clip, self.folder / "video.mp4")
        self.profile = self._profile(str(weights), self.keep)

    def _storage(self) -> dict[str, str]:
        return {}


class Shared(Ground):
    """Postgres and S3; the video and the weights too are in S3, and frames are kept there.

    Args:
        folder: for everything that is local.
        server: the Postgres server.
        place: where in S3.
        nodes: of the profile, besides those that find and follow objects.
    """

    def __init__(
        self, folder: Path, server: Server, place: S3Place, nodes: str = SHOTS + TEXTS
    ) -> None:
        super().__init__(folder, nodes)
        self._server = server
        self._place = place

    def next_machine(self, before: Machine) -> Machine:
        shutil.rmtree(before.root)
        return self._machine(before.env)

    def prepare(self, clip: Path, weights: Path) -> None:
        from mediaproc.s3 import s3_client

        for file in (clip, weights):
            key = f"{self._place.prefix}/material/{file.name}"
            s3_client().put_object(Bucket=self._place.bucket, Key=key, Body=file.read_bytes())
        self.video = f"{self._place.url}/material/{clip.name}"
        self.profile = self._profile(f"{self._place.url}/material/{weights.name}", "all")

    def _storage(self) -> dict[str, str]:
        return {
            **self._place.env,
            "MEDIAPROC_DATABASE": self._server.new_database(),
            "MEDIAPROC_BLOBS": f"{self._place.url}/{uuid.uuid4().hex}",
        }


def make_material(folder: Path) -> tuple[Path, Path]:
    """A clip and the weights that know what is in it, as ONNX so that no process needs torch."""
    from mediaproc.detect.models.ultralytics import export

    clip, weights = folder / "clip.mp4", folder / "shapes.onnx"
    SCENE.render(clip, g="25")
    export(SHAPES, weights, "onnx", 320)
    return clip, weights


@contextmanager
def opened(storage: str, folder: Path) -> Iterator[Ground]:
    """The ground of that name, with material; shared ones on the S3 server that the tests use."""
    material = folder / "material"
    material.mkdir()
    clip, weights = make_material(material)
    if storage == "local":
        ground: Ground = Local(folder)
        ground.prepare(clip, weights)
        yield ground
        return
    with running_server() as server, _place() as place:
        os.environ.update(place.env)
        ground = Shared(folder, server, place)
        ground.prepare(clip, weights)
        shutil.rmtree(material)
        yield ground


@contextmanager
def _place() -> Iterator[S3Place]:
    from mediaproc.s3 import forget_s3_client, s3_client

    if os.environ.get(REAL):
        place = real_place()
        yield place
        forget_s3_client()
        empty(s3_client(), place)
        return
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with moto_server() as url:
        place = moto_place(url)
        os.environ.update(place.env)
        s3_client().create_bucket(Bucket=place.bucket)
        yield place


@contextmanager
def _official_saver(database: str) -> Iterator[BaseCheckpointSaver[str]]:
    serializer = StrictSerializer()
    if database.startswith("postgresql://"):
        import psycopg
        from langgraph.checkpoint.postgres import PostgresSaver
        from psycopg.rows import dict_row

        with psycopg.connect(database, autocommit=True, row_factory=dict_row) as connection:
            yield PostgresSaver(connection, serde=serializer)
    else:
        with closing(sqlite3.connect(database, check_same_thread=False)) as connection:
            yield SqliteSaver(connection, serde=serializer)
