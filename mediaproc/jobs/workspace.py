"""Where jobs live, and running them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediaproc.addresses import is_url, shown
from mediaproc.blobs import BlobStore, LocalBlobStore
from mediaproc.errors import JobError, MediaError, MediaprocError
from mediaproc.jobs.cache import DatabaseCache
from mediaproc.jobs.database import open_database
from mediaproc.jobs.events import EventLog
from mediaproc.jobs.housekeeping import Housekeeping
from mediaproc.jobs.lease import Holder, Lease, holder, request_cancel
from mediaproc.jobs.ledger import BlobLedger, LedgeredBlobStore
from mediaproc.jobs.progress import Progress, stopped_at
from mediaproc.jobs.questions import Asked, answered, asked
from mediaproc.jobs.results import write_results
from mediaproc.jobs.store import Job, JobStore, new_job_id

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.runtime import RunControl

    from mediaproc.detect.checkpoint import StageCheckpointer
    from mediaproc.detect.models import ModelStore
    from mediaproc.detect.plan import Plan
    from mediaproc.media import FingerprintMemory

# Versions that results may depend on.
_PACKAGES = ("mediaproc", "langgraph", "av", "onnxruntime", "rapidocr", "torch", "ultralytics")


class Workspace:
    """A folder of jobs: their database, blobs and models.

    Args:
        home: the folder.
        database: the job database, checkpoints included: a SQLite file or a ``postgresql://`` URL;
            ``jobs.db`` in ``home`` where None.
        blobs: where blobs are kept; a folder in ``home`` where None.
        concurrency: how many stages work at once.
        threads: threads of one model call.
        retention_days: days after which a done job loses its checkpoints and blobs, whenever a
            job starts; never where None.
        cache_mb: most that results kept for later jobs may take, in MB (1e6 bytes), blobs
            included; 0 keeps none.
        chat_models: LangChain chat models by name, which profiles call ``given:NAME``.

    Raises:
        JobError: the database cannot be used; the text says why and what to do.
    """

    def __init__(
        self,
        home: Path,
        *,
        database: Path | str | None = None,
        blobs: BlobStore | None = None,
        concurrency: int = 2,
        threads: int = 1,
        retention_days: float | None = None,
        cache_mb: float = 4000.0,
        chat_models: Mapping[str, BaseChatModel] | None = None,
    ) -> None:
        self.home = home
        self.concurrency = concurrency
        self.threads = threads
        self.retention_days = retention_days
        self.database = open_database(database or home / "jobs.db")
        self.store = JobStore(self.database)
        self.log = EventLog(self.database)
        self.ledger = BlobLedger(self.database)
        self.blobs = blobs or LocalBlobStore(home / "blobs")
        self.cache_mb = cache_mb
        self.chat_models = chat_models
        self._model_store: ModelStore | None = None
        self.cache = DatabaseCache(self.database, self.ledger, self.blobs)

    def checkpointer(
        self, *, guard: Callable[[], None] = lambda: None
    ) -> AbstractContextManager[StageCheckpointer]:
        """The checkpointer in which the jobs are kept.

        Args:
            guard: called before every write; it raises where this process may write no more.
        """
        from mediaproc.detect.checkpoint import open_saver

        return open_saver(self.database, guard=guard)

    def blobs_of(self, owner: str) -> BlobStore:
        """The blob store, for what an owner puts there; see ``BlobLedger``."""
        return LedgeredBlobStore(self.blobs, self.ledger, owner)

    def create(
        self,
        plan: Plan,
        video: str,
        *,
        span: Mapping[str, Any] | None = None,
        out_dir: str | None = None,
        job_id: str | None = None,
        reuse: bool = True,
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
                reuse=reuse,
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
            The job as it ended: done, failed, interrupted, or waiting for a person. One that waits
            and has no answers yet is left as it is.

        Raises:
            BlobError: the blob store cannot be used.
            JobError: another process runs it or took it over, it is done, or its video is not the
                one that it began with.
            StageError: a stage of it is not installed any more.
        """
        from langgraph.runtime import RunControl

        self.blobs.check()
        control = control or RunControl()
        if self.retention_days is not None:
            self.prune(older_than_s=self.retention_days * 86400)
        with Lease(self.database, job.id, on_stop=control.request_drain) as lease:
            job = self.store.get(job.id)  # another process may have gone on with it
            if job.status == "done":
                raise JobError(f"job {job.id} is done: its results are in {job.out_dir}")
            return self._run(job, lease, control, on_event)

    def _run(
        self,
        job: Job,
        lease: Lease,
        control: RunControl,
        on_event: Callable[[dict[str, Any]], None],
    ) -> Job:
        from langgraph.errors import GraphDrained
        from langgraph.types import Command

        progress = Progress(job.id)
        notes: list[dict[str, Any]] = []

        def noted(event: dict[str, Any]) -> None:
            notes.append(event)
            on_event(event)

        with self.checkpointer(guard=lease.check) as saver:
            graph = self._graph(job, saver)
            config: Any = {"configurable": {"thread_id": job.id}}
            state = graph.get_state(config)
            answers = answered(state, job.answers)
            if job.status == "waiting" and state.interrupts and not answers:
                return job
            if state.values.get("header"):
                self._can_go_on(job, state.values["header"], noted)
            begun = bool(state.next or state.values)
            job = self.store.update(replace(job, status="running", error=None, runs=job.runs + 1))
            self.log.began(job)
            for event in notes:
                self.log.heard(job, event, progress)
            try:
                given: Any = None if begun else {"video": job.video, "span": job.span}
                events: Any = graph.stream(
                    Command(resume=answers) if answers else given,
                    config,
                    stream_mode="custom",
                    subgraphs=True,
                    durability="sync",
                    control=control,
                )
                with closing(events):  # its threads end before the saver does, whatever happens
                    for _, event in events:
                        told = progress.add(event)
                        on_event(told)  # first: it may want to stop ahead of the next stage
                        self.log.heard(job, told, progress)
                lease.check()
                state = graph.get_state(config)
                if state.interrupts:
                    questions = [{"id": q.id, "node": q.node} for q in asked(state)]
                    on_event({"type": "waiting", "job": job.id, "questions": questions})
                    return self._ended(job, progress, saver, lease, status="waiting", answers={})
                values = state.values
                timings = progress.timings(job.timings)
                elapsed = progress.elapsed(job.elapsed, saver.write_seconds)
                failures = write_results(job, values, self.blobs, timings, elapsed)
                lease.check()
                saver.prune([job.id])  # what a done job has no use for
            except GraphDrained:
                return self._ended(job, progress, saver, lease, status="interrupted")
            except Exception as error:
                said = _one_line(error)
                try:
                    job = self._ended(job, progress, saver, lease, status="failed", error=said)
                except MediaprocError as second:
                    if str(second) == str(error):
                        raise
                    raise JobError(f"{said}; and that could not be kept: {second}") from error
                if isinstance(error, MediaprocError):
                    return job
                raise
        self.cache.trim(int(self.cache_mb * 1e6))
        self.database.reclaim()
        spans = ", ".join(f"{f['node']} {f['start_s']:.3f}-{f['end_s']:.3f} s" for f in failures)
        skipped = f"finished, but these failed and were skipped: {spans}" if failures else None
        return self._ended(job, progress, saver, lease, status="done", error=skipped, answers={})

    def _graph(self, job: Job, saver: StageCheckpointer) -> CompiledStateGraph[Any, Any, Any, Any]:
        from mediaproc.detect.graph import build_graph
        from mediaproc.detect.plan import Plan

        return build_graph(
            Plan.from_json(job.plan),
            blobs=self.blobs_of(job.id),
            models=self._models(),
            checkpointer=saver,
            concurrency=self.concurrency,
            fingerprints=self._fingerprints(),
            cache=self.cache if self.cache_mb > 0 else None,
            reuse=job.reuse,
        )

    def cancel(self, job_id: str) -> Holder:
        """Ask a running job, here or on another machine, to stop at the next safe point.

        Returns:
            The process that was asked; it looks every few seconds.

        Raises:
            JobError: there is no such job, or it is not running.
        """
        self.store.get(job_id)
        return request_cancel(self.database, job_id)

    def remove(self, job_id: str) -> Job:
        """Forget a job, its checkpoints and the blobs that no other job holds.

        Its results stay where they are.

        Raises:
            JobError: there is no such job, or a process runs it.
        """
        with self._housekeeping() as housekeeping:
            return housekeeping.remove(job_id)

    def prune(self, *, older_than_s: float, remove: bool = False) -> list[Job]:
        """Take checkpoints and blobs from jobs that have been done for a while.

        Their results stay where they are. Jobs that can still go on keep everything.

        Args:
            older_than_s: for how long, in seconds.
            remove: forget the jobs too.

        Returns:
            The jobs that lost something.
        """
        with self._housekeeping() as housekeeping:
            return housekeeping.prune(older_than_s=older_than_s, remove=remove)

    def stored(self, job_id: str) -> dict[str, int]:
        """What a job takes: bytes in the database and in the blob store, and number of blobs."""
        with self._housekeeping() as housekeeping:
            return housekeeping.stored(job_id)

    def job(self, job_id: str) -> Job:
        """A job as it is: one whose process died without a word is interrupted.

        Raises:
            JobError: there is no such job.
        """
        return self._as_it_is(self.store.get(job_id))

    def jobs(self) -> list[Job]:
        """All jobs as they are, newest first."""
        return [self._as_it_is(job) for job in self.store.list()]

    def _as_it_is(self, job: Job) -> Job:
        dead = job.status == "running" and self.running(job.id) is None
        return replace(job, status="interrupted") if dead else job

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """What happened in the runs of a job, oldest first; see ``EventLog``.

        Returns:
            Events, each with its ``type``, its ``run``, from 1, and the time ``at`` which it came.

        Raises:
            JobError: there is no such job.
        """
        self.store.get(job_id)
        return self.log.of(job_id)

    def running(self, job_id: str) -> Holder | None:
        """The process that runs a job now, or None."""
        return holder(self.database, job_id)

    def stopped_at(self, job: Job) -> list[dict[str, Any]]:
        """Where an unfinished job goes on: nodes, and the segments that they were in.

        Returns:
            ``{"node": id, "segment": number or None}`` for each node that was at work or next.

        Raises:
            StageError: a stage of it is not installed any more.
        """
        with self.checkpointer() as saver:
            config: Any = {"configurable": {"thread_id": job.id}}
            return stopped_at(self._graph(job, saver).get_state(config, subgraphs=True))

    def state(self, job: Job) -> dict[str, Any]:
        """What the graph of a job holds at its end; empty where it was pruned.

        Raises:
            StageError: a stage of it is not installed any more.
        """
        with self.checkpointer() as saver:
            config: Any = {"configurable": {"thread_id": job.id}}
            values: dict[str, Any] = self._graph(job, saver).get_state(config).values
            return values

    def questions(self, job: Job) -> list[Asked]:
        """What an unfinished job waits for a person to answer.

        Raises:
            StageError: a stage of it is not installed any more.
        """
        with self.checkpointer() as saver:
            config: Any = {"configurable": {"thread_id": job.id}}
            return asked(self._graph(job, saver).get_state(config))

    def answer(self, job_id: str, node: str, answer: Any) -> Job:
        """Keep a person's answer, with which the job goes on when it is run next.

        Args:
            job_id: a job that waits.
            node: the node that asks.
            answer: JSON values; what a review takes, see ``detect.stages.asking.reviewing``.

        Raises:
            JobError: there is no such job, a process runs it, the node asks nothing, or the answer
                is not one that the review takes.
        """
        self.store.get(job_id)
        with Lease(self.database, job_id) as lease:
            job = self.store.get(job_id)
            found = [question for question in self.questions(job) if question.node == node]
            if not found:
                raise JobError(f"job {job_id}: node {node!r} asks nothing")
            try:
                found[0].check(answer)
            except ValueError as error:
                raise JobError(f"job {job_id}: {error}") from None
            lease.check()
            return self.store.update(replace(job, answers={**job.answers, found[0].id: answer}))

    @contextmanager
    def _housekeeping(self) -> Iterator[Housekeeping]:
        with self.checkpointer() as saver:
            yield Housekeeping(self.database, self.blobs, saver)

    def _ended(
        self,
        job: Job,
        progress: Progress,
        saver: StageCheckpointer,
        lease: Lease,
        **changes: Any,
    ) -> Job:
        lease.check()  # who lost the job writes nothing more, this least of all
        changes["timings"] = progress.timings(job.timings)
        changes["elapsed"] = progress.elapsed(job.elapsed, saver.write_seconds)
        ended = replace(job, **changes)
        self.log.ended(ended, progress)
        return self.store.update(ended)

    def _models(self) -> ModelStore:
        from mediaproc.detect.models import ModelStore

        if self._model_store is None:
            self._model_store = ModelStore(
                self.home / "models", threads=self.threads, chat_models=self.chat_models
            )
        return self._model_store

    def _fingerprints(self) -> FingerprintMemory:
        from mediaproc.media import FingerprintMemory

        return FingerprintMemory(self.home / "fingerprints.sqlite")

    def _can_go_on(
        self,
        job: Job,
        header: Mapping[str, Any],
        on_event: Callable[[dict[str, Any]], None],
    ) -> None:
        """See that what the job builds on is what it began with, before any work.

        Raises:
            JobError: its video or a model is gone or another one.
        """
        from mediaproc.detect.graph import changes_since, keeps_frames
        from mediaproc.detect.plan import Plan
        from mediaproc.media import VideoInfo, is_same_video

        plan = Plan.from_json(job.plan)
        changed, elsewhere = changes_since(header, plan, self._models(), self.blobs)
        if changed:
            raise JobError(
                f"job {job.id}: since it began, {'; '.join(changed)}; put back what it began with, "
                "or start a new job, which takes over the results that this does not touch"
            )
        if elsewhere:
            on_event({"type": "elsewhere", "job": job.id, "changes": elsewhere})
        info = VideoInfo.from_json(header["info"])
        try:
            same = is_same_video(job.video, info, self._fingerprints())
        except MediaError as error:
            if not keeps_frames(plan, self.blobs):
                raise JobError(
                    f"job {job.id} needs its video to go on: {error}; see that it is there, then "
                    f"go on with: mediaproc resume {job.id}"
                ) from error
            # A stage that needs more than the kept frames fails, and says so.
            on_event({"type": "without_video", "job": job.id, "why": str(error)})
            return
        if not same:
            raise JobError(
                f"job {job.id}: {shown(job.video)} is not the video that the job began with; put "
                "that one back, or start a new job"
            )


def _one_line(error: Exception) -> str:
    text = str(error) if isinstance(error, MediaprocError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
