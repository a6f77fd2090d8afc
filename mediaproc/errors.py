"""The exception tree. Imports nothing of ours.

MediaprocError
├── MediaError            a video that cannot be opened, indexed or decoded
├── ProfileError          a profile with problems (all of them, in ``problems``)
├── StageError            a stage broke its contract or failed
│   └── MissingExtraError a package that an optional stage needs is not installed
├── ModelError            model weights that cannot be found, fetched or loaded
├── BlobError             a stored blob that is missing or damaged, or a store that fails
├── CheckpointError       a checkpoint that cannot be read by this version
│   └── DamageError       a checkpoint that is not what was stored
├── OutputError           a result that cannot be written
├── JobError              a job that does not exist or is in the wrong state, or its database
│   └── LeaseError        another process runs the job, or took it over
└── SettingsError         an environment variable or .env value that is not valid
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class MediaprocError(Exception):
    """Base of every error that mediaproc raises on purpose; its text is one line for a user."""


class MediaError(MediaprocError):
    """A video that cannot be opened, indexed or decoded.

    Attributes:
        path: the file, as it was given, or None where no file is known.
    """

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class ProfileError(MediaprocError):
    """A profile with problems.

    Attributes:
        problems: every problem found, each printable as ``file:line:col: text``.
    """

    def __init__(self, problems: Sequence[Any]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


class StageError(MediaprocError):
    """A stage broke its contract or failed; the text names stage, node and channel."""


class MissingExtraError(StageError):
    """A package that an optional stage needs is not installed; the text says what to install."""


class ModelError(MediaprocError):
    """Model weights that cannot be found, fetched or loaded; the text says what to set."""


class BlobError(MediaprocError):
    """A stored blob that is missing or damaged, or a store that fails; the text names it."""


class CheckpointError(MediaprocError):
    """A checkpoint that this version cannot read; the text says what to do."""


class DamageError(CheckpointError):
    """A checkpoint that is not what was stored; the text names the job and the way out.

    Attributes:
        what: what was found.
        job: the job's id, or None where it is not known yet.
    """

    def __init__(self, what: str, *, job: str | None = None) -> None:
        where = "a checkpoint" if job is None else f"job {job}: its checkpoints"
        super().__init__(
            f"{where} in the job database cannot be relied on: {what}; remove the job with "
            f"'mediaproc jobs rm {job or 'ID'}' and start it anew, which takes over what the "
            "cache holds"
        )
        self.what = what
        self.job = job


class OutputError(MediaprocError):
    """A result that cannot be written; the text names the file and says why."""


class JobError(MediaprocError):
    """A job that does not exist, or is in a state that does not allow what was asked.

    Also a job database that cannot be used; the text says why.
    """


class LeaseError(JobError):
    """Another process runs the job, or took it over; the text says which one."""


class SettingsError(MediaprocError):
    """An environment variable or ``.env`` value that is not valid; the text names it."""
