"""Model weights: found, fetched, exported once, and shared by all segments of a process."""

from mediaproc.detect.models.base import Detector, Found
from mediaproc.detect.models.store import CLASSIFIER_TASKS, DETECTOR_TASKS, ModelStore

__all__ = ["CLASSIFIER_TASKS", "DETECTOR_TASKS", "Detector", "Found", "ModelStore"]
