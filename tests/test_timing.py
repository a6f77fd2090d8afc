"""The clock that counts kinds of work."""

from __future__ import annotations

import time

from mediaproc.timing import clocked, timed


def test_timing_adds_up_each_kind_of_work() -> None:
    with clocked() as clock:
        for kind in ("inference", "inference", "store"):
            with timed(kind):  # type: ignore[arg-type]
                time.sleep(0.01)
    seconds = clock.seconds()
    assert set(seconds) == {"inference", "store"}
    assert seconds["inference"] >= 0.02 > 0.01 <= seconds["store"]


def test_timing_counts_work_that_failed() -> None:
    with clocked() as clock:
        try:
            with timed("store"):
                raise ValueError
        except ValueError:
            pass
    assert "store" in clock.seconds()


def test_timing_without_a_clock_counts_nothing_for_the_next_one() -> None:
    with timed("store"):
        pass
    with clocked() as clock:
        pass
    assert clock.seconds() == {}
