"""Jobs: made, run, resumed, listed. What the command line and every other front end call."""

from mediaproc.jobs.questions import Asked
from mediaproc.jobs.store import Job, JobStatus, JobStore
from mediaproc.jobs.workspace import Workspace

__all__ = ["Asked", "Job", "JobStatus", "JobStore", "Workspace"]
