"""Model weights: found, fetched, exported once, and shared by all segments of a process."""

from mediaproc.detect.models.base import Detector, Found
from mediaproc.detect.models.store import ModelStore

__all__ = ["Detector", "Found", "ModelStore"]
