"""Where jobs live, and running them."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediaproc.addresses import is_url, shown
from mediaproc.blobs import BlobStore, LocalBlobStore
from mediaproc.errors import JobError, MediaprocError
from mediaproc.jobs.progress import Progress
from mediaproc.jobs.store import Job, JobStore, new_job_id
from mediaproc.outputs import TableColumn, write_document, write_parquet

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.runtime import RunControl

    from mediaproc.detect.checkpoint import StageCheckpointer
    from mediaproc.detect.plan import Plan
    from mediaproc.media import FingerprintMemory

# Versions that results may depend on.
_PACKAGES = ("mediaproc", "langgraph", "av", "onnxruntime", "rapidocr", "torch", "ultralytics")


class Workspace:
    """A folder of jobs: their database, checkpoints, blobs and models.

    Args:
        home: the folder.
        database: SQLite file of the jobs; in ``home`` where None.
        blobs: where blobs are kept; a folder in ``home`` where None.
        concurrency: how many stages work at once.
        threads: threads of one model call.
    """

    def __init__(
        self,
        home: Path,
        *,
        database: Path | None = None,
        blobs: BlobStore | None = None,
        concurrency: int = 2,
        threads: int = 1,
    ) -> None:
        self.home = home
        self.concurrency = concurrency
        self.threads = threads
        self.store = JobStore(database or home / "jobs.sqlite")
        self.blobs = blobs or LocalBlobStore(home / "blobs")

    def checkpointer(self) -> AbstractContextManager[StageCheckpointer]:
        """The checkpointer in which the jobs are kept."""
        from mediaproc.detect.checkpoint import open_sqlite_saver

        return open_sqlite_saver(self.home / "checkpoints.sqlite")

    def create(
        self,
        plan: Plan,
        video: str,
        *,
        span: Mapping[str, Any] | None = None,
        out_dir: str | None = None,
        job_id: str | None = None,
    ) -> Job:
        """Add a job that has not begun.

        Raises:
            BlobError: the blob store cannot be used.
            JobError: the id is not legal, or taken.
        """
        self.blobs.check()
        job_id = job_id or new_job_id()
        return self.store.create(
            Job(
                id=job_id,
                video=video if is_url(video) else str(Path(video).absolute()),
                profile=plan.name,
                plan=plan.to_json(),
                span=dict(span or {}),
                out_dir=str(Path(out_dir or f"runs/{job_id}").absolute()),
            )
        )

    def run(
        self,
        job: Job,
        *,
        control: RunControl | None = None,
        on_event: Callable[[dict[str, Any]], None] = lambda event: None,
    ) -> Job:
        """Run a job from its beginning or from where it stopped, and write its results.

        Args:
            job: a job that is not done.
            control: lets another thread stop the job at the next safe point.
            on_event: called with each event, on this thread.

        Returns:
            The job as it ended: done, failed or interrupted.

        Raises:
            BlobError: the blob store cannot be used.
            JobError: its video is not the one that it began with.
        """
        self.blobs.check()
        from langgraph.errors import GraphDrained

        from mediaproc.detect.graph import build_graph
        from mediaproc.detect.models import ModelStore
        from mediaproc.detect.plan import Plan

        progress = Progress(job.id)
        with self.checkpointer() as saver:
            graph = build_graph(
                Plan.from_json(job.plan),
                blobs=self.blobs,
                models=ModelStore(self.home / "models", threads=self.threads),
                checkpointer=saver,
                concurrency=self.concurrency,
                fingerprints=self._fingerprints(),
            )
            config: Any = {"configurable": {"thread_id": job.id}}
            state = graph.get_state(config)
            if state.values.get("header"):
                self._same_video(job, state.values["header"])
            begun = bool(state.next or state.values)
            job = self.store.update(replace(job, status="running", error=None, runs=job.runs + 1))
            try:
                events: Any = graph.stream(
                    None if begun else {"video": job.video, "span": job.span},
                    config,
                    stream_mode="custom",
                    subgraphs=True,
                    durability="sync",
                    control=control,
                )
                for _, event in events:
                    on_event(progress.add(event))
                failures = self._write(job, graph, config, progress)
            except GraphDrained:
                return self._ended(job, progress, status="interrupted")
            except Exception as error:
                job = self._ended(job, progress, status="failed", error=_one_line(error))
                if isinstance(error, MediaprocError):
                    return job
                raise
        if failures:
            spans = ", ".join(
                f"{f['node']} {f['start_s']:.3f}-{f['end_s']:.3f} s" for f in failures
            )
            error_text = f"finished, but these failed and were skipped: {spans}"
            return self._ended(job, progress, status="done", error=error_text)
        return self._ended(job, progress, status="done")

    def remove(self, job_id: str) -> Job:
        """Forget a job and its checkpoints; its results stay where they are."""
        job = self.store.get(job_id)
        with self.checkpointer() as saver:
            saver.delete_thread(job_id)
        self.store.remove(job_id)
        return job

    def _ended(self, job: Job, progress: Progress, **changes: Any) -> Job:
        return self.store.update(replace(job, timings=progress.timings(job.timings), **changes))

    def _fingerprints(self) -> FingerprintMemory:
        from mediaproc.media import FingerprintMemory

        return FingerprintMemory(self.home / "fingerprints.sqlite")

    def _same_video(self, job: Job, header: Mapping[str, Any]) -> None:
        from mediaproc.media import VideoInfo, is_same_video

        if not is_url(job.video) and not Path(job.video).is_file():
            raise JobError(f"job {job.id}: its video {job.video} is gone; put it back to go on")
        if not is_same_video(job.video, VideoInfo.from_json(header["info"]), self._fingerprints()):
            raise JobError(
                f"job {job.id}: {shown(job.video)} is not the video that the job began with; put "
                "that one back, or start a new job"
            )

    def _write(
        self,
        job: Job,
        graph: CompiledStateGraph[Any, Any, Any, Any],
        config: Any,
        progress: Progress,
    ) -> list[dict[str, Any]]:
        """Write the results; what failed and was skipped."""
        from mediaproc.detect.graph import collect_tables

        values = graph.get_state(config).values
        out = Path(job.out_dir)
        for channel, table in collect_tables(values, self.blobs).items():
            columns = [
                TableColumn(c.name, c.kind, table.column(c.name), c.description)
                for c in table.columns
            ]
            write_parquet(out / f"{channel}.parquet", columns)
        if "report" in values:
            write_document(out / "report.json", values["report"])
        failures: list[dict[str, Any]] = values.get("failures", [])
        write_document(
            out / "run.json",
            {
                "job": job.id,
                "video": values["header"]["info"],
                "plan": job.plan,
                "runs": job.runs,
                "segments": len(values["segments"]),
                "nodes": progress.timings(job.timings),
                "failures": failures,
                "versions": _versions(),
                "machine": platform.machine(),
                "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        )
        return failures


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _one_line(error: Exception) -> str:
    text = str(error) if isinstance(error, MediaprocError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
