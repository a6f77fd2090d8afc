"""A job that is killed and goes on, with all that must hold of it checked at each step."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace

from mediaproc.errors import BlobError
from mediaproc.jobs.database import open_database
from mediaproc.jobs.store import JobStore
from tests.reliability.child import KINDS, inside
from tests.reliability.grounds import SCENE, SHOTS, TEXTS, Call, Ground, Machine

BETWEEN = "between them"
# Longest that any process may take, in seconds.
_PATIENCE_S = 180


# By table, a column that shows what was found.
_TELLING = {
    "detections.parquet": "label",
    "frame_scores.parquet": "pts",
    "shots.parquet": "shot",
    "texts.parquet": "text",
    "tracks.parquet": "label",
}


class BrokenError(AssertionError):
    """Something that must hold does not."""


@dataclass(frozen=True)
class Aim:
    """Where to kill.

    Attributes:
        kind: the name of a moment, or ``"clock"``.
        number: of its entry, from 1.
        delay_s: seconds from that entry on; of ``"clock"``, from the first call of a stage on.
    """

    kind: str
    number: int
    delay_s: float

    def sooner(self) -> Aim:
        """A kill that comes about half as late."""
        return replace(self, number=max(1, self.number // 2), delay_s=self.delay_s / 2)


@dataclass(frozen=True)
class Unbroken:
    """A run that nobody killed.

    Attributes:
        results: its files but ``run.json``.
        calls: the calls of stages.
        digests: its blobs.
        moments: the seconds of each moment, by name.
        seconds: from the first call of a stage to the end.
    """

    results: dict[str, bytes]
    calls: set[Call]
    digests: set[str]
    moments: dict[str, list[float]]
    seconds: float


def unbroken_run(ground: Ground) -> Unbroken:
    """A run to hold the others to, which found what is in the clip."""
    job = Job(ground, "unbroken")
    job.detect()
    if job.returncode != 0:
        raise BrokenError(f"the unbroken run failed: {job.said}")
    results = job.results()
    _check_content(ground, results)
    moments: dict[str, list[float]] = {}
    for line in (job.watch / "entries").read_text().splitlines():
        name, seconds = line.split("\t")
        moments.setdefault(name, []).append(float(seconds))
    return Unbroken(
        results,
        set(job.calls()),
        ground.digests(job.machine),
        moments,
        job.ended_at - job.first_call_at,
    )


def _check_content(ground: Ground, results: dict[str, bytes]) -> None:
    """See that a run has found what the clip shows, so that equal results mean something."""
    import pyarrow.parquet as pq

    found: dict[str, object] = {}
    for name, data in results.items():
        if name.endswith(".parquet"):
            table = pq.read_table(io.BytesIO(data)).to_pydict()
            column = table[_TELLING[name]]
            found[name] = len(column) if _TELLING[name] in ("shot", "pts") else {*column}
        elif name != "report.json" or not data:
            found[name] = data
    shapes = {"circle", "square"}
    there: dict[str, object] = {"detections.parquet": shapes, "tracks.parquet": shapes}
    if SHOTS in ground.nodes:
        there |= {"frame_scores.parquet": SCENE.frames, "shots.parquet": 1 + len(SCENE.cuts)}
    if TEXTS in ground.nodes:
        there |= {"texts.parquet": {caption.text for caption in SCENE.captions}}
    if found != there or "report.json" not in results:
        raise BrokenError(f"the unbroken run found {found}, and not {there}")


class Job:
    """A job and its processes."""

    def __init__(self, ground: Ground, job_id: str) -> None:
        self.ground = ground
        self.job_id = job_id
        self.machine: Machine = ground.machine()
        self.profile = self.machine.work / "profile.yaml"
        self.profile.write_text(ground.profile)
        self.out = self.machine.root / "out"
        self.runs = 0

    def detect(self, aim: Aim | None = None) -> None:
        """Begin the job; results of other jobs are not taken over."""
        where = ("--out", str(self.out), "--job-id", self.job_id)
        profile = str(self.profile)
        self.start("detect", "-p", profile, self.ground.video, "--no-cache", *where, aim=aim)

    def start(self, *arguments: str, aim: Aim | None = None) -> None:
        """Run a command to its end, or to where it is killed.

        Raises:
            BrokenError: it hangs.
        """
        self.runs += 1
        self.watch = self.ground.folder / f"{self.job_id}-{self.runs}"
        self.watch.mkdir()
        by_clock = aim is not None and aim.kind == "clock"
        kill = "-" if aim is None or by_clock else f"{aim.kind}:{aim.number}:{aim.delay_s}"
        command = [sys.executable, "-m", "tests.reliability.child", str(self.watch), kill]
        with open(self.watch / "said", "w") as said:
            process = subprocess.Popen(
                [*command, *arguments],
                cwd=self.machine.work,
                env=self.machine.variables(),
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
            until = time.monotonic() + _PATIENCE_S
            try:
                while process.poll() is None and not self._called() and time.monotonic() < until:
                    time.sleep(0.01)
                self.first_call_at = time.monotonic()
                if aim is not None and by_clock:
                    time.sleep(aim.delay_s)
                    process.kill()
                self.returncode = process.wait(until - time.monotonic())
            except subprocess.TimeoutExpired as error:
                text = f"{self.job_id}: {arguments[0]} did not end within {_PATIENCE_S} s"
                raise BrokenError(text) from error
            finally:
                process.kill()
                process.wait()
        self.ended_at = time.monotonic()
        self.said = (self.watch / "said").read_text().strip().replace("\n", " / ")

    def _called(self) -> bool:
        calls = self.watch / "calls"
        return calls.exists() and calls.stat().st_size > 0

    def calls(self) -> list[Call]:
        """The calls of stages in the latest run, in their order."""
        lines = (self.watch / "calls").read_text().splitlines()
        return [(node, segment) for node, segment in (line.split() for line in lines)]

    def results(self) -> dict[str, bytes]:
        """What is in the folder of results, whatever it is; of ``run.json``, that it is there."""
        return {f.name: f.read_bytes() for f in sorted(self.out.iterdir()) if f.name != "run.json"}


class KilledJob(Job):
    """A job that is killed, perhaps more than once, and goes on.

    Args:
        ground: where it lives.
        unbroken: what it is held to.
        job_id: its id.

    Attributes:
        done: whether it has ended.
        landed: where each kill landed.
        resumed: how often it went on.
        called_again: calls that a kill cut short, and that were begun again.
        found_saved: calls whose result was there when it went on.
    """

    def __init__(self, ground: Ground, unbroken: Unbroken, job_id: str) -> None:
        super().__init__(ground, job_id)
        self.unbroken = unbroken
        self.done = False
        self.landed: list[str] = []
        self.resumed = 0
        self.called_again = 0
        self.found_saved = 0
        self._saved: set[Call] = set()
        self._begun: set[Call] = set()

    def begin(self, aim: Aim) -> bool:
        """Begin the job and kill it; False where it ended before that.

        Raises:
            BrokenError: something does not hold.
        """
        self.detect(aim)
        return self._ended(aim)

    def resume(self, aim: Aim | None = None) -> bool:
        """Go on with the job; whether it was killed once more.

        Raises:
            BrokenError: something does not hold.
        """
        self.machine = self.ground.next_machine(self.machine)
        self.found_saved += len(self._saved)
        self.start("resume", self.job_id, aim=aim)
        killed = self._ended(aim)
        self.resumed += 1
        return killed

    def _ended(self, aim: Aim | None) -> bool:
        killed = aim is not None and self.returncode == -signal.SIGKILL
        if killed and self._is_done():  # by the clock, when all was over
            killed, self.returncode = False, 0
        if killed:
            self.landed.append(self._where(aim))
        elif self.returncode != 0:
            raise BrokenError(f"{self.job_id}: exit code {self.returncode}: {self.said}")
        calls = Counter(self.calls())
        if twice := [call for call, times in calls.items() if times > 1]:
            self._broken("was called twice in one run", twice)
        if again := calls.keys() & self._saved:
            self._broken("was called although its result was saved", again)
        self.called_again += len(calls.keys() & self._begun)
        self._begun |= calls.keys()
        if killed:
            self._check_killed()
        else:
            self._check_done(set(calls))
        return killed

    def _where(self, aim: Aim | None) -> str:
        if aim is not None and aim.kind != "clock":
            return aim.kind
        now = inside(self.watch)
        # Decoding runs ahead on its own thread, so it comes last.
        return next((kind for kind in reversed(KINDS) if kind in now), BETWEEN)

    def _is_done(self) -> bool:
        database = open_database(self.ground.database(self.machine))
        try:
            return JobStore(database).get(self.job_id).status == "done"
        finally:
            database.close()

    def _check_killed(self) -> None:
        saved = self.ground.saved(self.machine, self.job_id)
        if lost := self._saved - saved:
            self._broken("was saved before and is not any more", lost)
        if unknown := saved - self._begun:
            self._broken("is saved and was never called", unknown)
        self._saved = saved
        if strange := self._digests() - self.unbroken.digests:
            self._broken("is a blob that the unbroken run has not", strange)
        for name, data in self.results().items() if self.out.exists() else ():
            if not name.startswith(".") and data != self.unbroken.results.get(name):
                self._broken("is among the results, and not whole", [name])

    def _check_done(self, calls: set[Call]) -> None:
        self.done = True
        if differ := calls ^ (self.unbroken.calls - self._saved):
            self._broken("was called with a result, or not called without one", differ)
        results = self.results()
        if results != self.unbroken.results:
            names = results.keys() | self.unbroken.results.keys()
            others = [n for n in names if results.get(n) != self.unbroken.results.get(n)]
            self._broken("is not as the unbroken run left it", others)
        if not (self.out / "run.json").stat().st_size:
            self._broken("is empty", ["run.json"])
        if either := self._digests() ^ self.unbroken.digests:
            self._broken("is a blob of this job or of the unbroken run only", either)

    def _digests(self) -> set[str]:
        try:
            return self.ground.digests(self.machine)
        except BlobError as error:
            raise BrokenError(f"{self.job_id}: {error}") from error

    def _broken(self, what: str, which: object) -> None:
        named = ", ".join(sorted(map(str, which)))  # type: ignore[call-overload]
        raise BrokenError(f"{self.job_id}: {what}: {named}")
