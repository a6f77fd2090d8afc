"""Kill jobs at random moments, and hold what comes of them to an unbroken run.

``python -m tests.reliability.kills --kills 50 [--seed N] [--storage local|shared]``; what is done
and what is asserted stands in docs/reliability.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.child import KINDS
from tests.reliability.grounds import Ground, opened
from tests.reliability.jobs import BETWEEN, Aim, BrokenError, KilledJob, Unbroken, unbroken_run

# Of the kills, one in so many is timed by the clock, from outside; the others are aimed.
_BY_CLOCK = 6
# After so many broken jobs there is no use in going on.
_ENOUGH = 5


@dataclass
class Tally:
    """What came of the kills.

    Attributes:
        kills: by kind of moment.
        resumed: those after which the job went on.
        identical: those whose job ended with the bytes of the unbroken run.
        called_again: calls of stages that a kill cut short, and that were begun again.
        saved: calls of stages whose result was there when a job went on.
        broken: what did not hold, in words.
    """

    kills: Counter[str] = field(default_factory=Counter)
    resumed: Counter[str] = field(default_factory=Counter)
    identical: Counter[str] = field(default_factory=Counter)
    called_again: int = 0
    saved: int = 0
    broken: list[str] = field(default_factory=list)

    def table(self) -> str:
        """The counts in Markdown."""
        kinds = [*KINDS, *([BETWEEN] if self.kills[BETWEEN] else [])]
        rows = [["kind", "kills", "resumed", "identical"], ["---", "---:", "---:", "---:"]]
        counts = (self.kills, self.resumed, self.identical)
        rows += [[kind, *(str(count[kind]) for count in counts)] for kind in kinds]
        rows.append(["all", *(str(count.total()) for count in counts)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def kill_jobs(
    ground: Ground,
    kills: int,
    seed: int,
    again: float = 0.3,
    say: Callable[[str], None] = lambda text: None,
) -> Tally:
    """Kill jobs until there were so many kills.

    Args:
        ground: where they live.
        kills: how many; a kill of a resume counts too.
        seed: of everything random.
        again: how likely it is that a resume is killed too, 0..1.
        say: called with a line for each job.

    Raises:
        BrokenError: the unbroken run is not what it should be.
    """
    chance = random.Random(seed)
    unbroken = unbroken_run(ground)
    tally = Tally()
    for number in itertools.count(1):
        by_clock = number % _BY_CLOCK == 0
        kind = KINDS[(number - number // _BY_CLOCK - 1) % len(KINDS)]
        aim = _by_clock(unbroken, chance) if by_clock else _aimed(kind, unbroken, chance)
        second = None
        if chance.random() < again and tally.kills.total() + 1 < kills:
            second = _aimed(chance.choice(KINDS), unbroken, chance, of=0.4)
        started = time.monotonic()
        outcome = _kill_one(ground, unbroken, f"k{seed}-{number}", aim, second, tally)
        seconds = time.monotonic() - started
        say(f"{tally.kills.total()}/{kills} killed in {outcome} ({seconds:.0f} s)")
        if tally.kills.total() >= kills or len(tally.broken) == _ENOUGH:
            break
    return tally


def _kill_one(
    ground: Ground, unbroken: Unbroken, job_id: str, aim: Aim, again: Aim | None, tally: Tally
) -> str:
    """A job from its beginning to its end; where it was killed and what came of it, in words."""
    job = KilledJob(ground, unbroken, job_id)
    outcome = "identical"
    try:
        # Not every run has as many moments; then another job is killed sooner.
        while not job.begin(aim):
            aim = aim.sooner()
            job = KilledJob(ground, unbroken, f"{job.job_id}x")
        if again is not None:
            job.resume(again)
        if not job.done:
            job.resume()
        tally.identical.update(job.landed)
    except BrokenError as error:
        tally.broken.append(str(error))
        outcome = f"BROKEN: {error}"
    tally.kills.update(job.landed)
    tally.resumed.update(job.landed[: job.resumed])
    tally.called_again += job.called_again
    tally.saved += job.found_saved
    return f"{', '.join(job.landed)}: {outcome}"


def _aimed(kind: str, unbroken: Unbroken, chance: random.Random, of: float = 1.0) -> Aim:
    """Any of the first moments of a kind, and any fraction of what such a moment takes."""
    seconds = unbroken.moments[kind]
    number = chance.randint(1, max(1, int(len(seconds) * of)))
    return Aim(kind, number, chance.random() * chance.choice(seconds))


def _by_clock(unbroken: Unbroken, chance: random.Random) -> Aim:
    return Aim("clock", 0, chance.random() * unbroken.seconds)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default: 1)")
    parser.add_argument("--storage", choices=["local", "shared"], default="local")
    given = parser.parse_args()
    import tests.conftest  # noqa: F401  (it clears the environment, as for the tests)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    folder = Path(tempfile.mkdtemp(prefix="mediaproc-kills-"))
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    with opened(given.storage, folder) as ground:
        tally = kill_jobs(ground, given.kills, given.seed, say=say)
    print(tally.table())
    print(
        f"\n{tally.saved} results of stage calls were there when jobs went on; "
        f"{tally.called_again} calls that a kill had cut short were begun again."
    )
    missed = [kind for kind in KINDS if given.kills >= 25 and not tally.kills[kind]]
    for text in [*tally.broken, *(f"no kill landed in: {kind}" for kind in missed)]:
        print(f"BROKEN: {text}")
    if tally.broken:
        print(f"What the jobs left is in {folder}")
    else:
        shutil.rmtree(folder)
    sys.exit(1 if tally.broken or missed else 0)


if __name__ == "__main__":
    main()
