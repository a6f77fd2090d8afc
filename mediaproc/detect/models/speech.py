"""Silero VAD (ONNX weights in its wheel, run by ONNX Runtime; no torch): how likely is speech.

https://github.com/snakers4/silero-vad. A recurrent network over windows of 512 samples, each with
the last 64 of the one before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.store import ModelStore
from mediaproc.timing import timed

WEIGHTS = "pkg:silero_vad/data/silero_vad_16k_sequence.onnx"
# Samples of a window at 16 kHz, and of its overlap with the one before: the network's own.
WINDOW = 512
CONTEXT = 64

_STATE_SHAPE = (1, 1, 128)
_ERRORS_ONLY = 3


class SpeechScorer:
    """The loaded network. Calls from several threads are safe.

    Args:
        models: finds the weights, and says how many threads a call has.

    Raises:
        ModelError: the installed silero-vad has no such weights.
    """

    def __init__(self, models: ModelStore) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = models.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        self._session: Any = onnxruntime.InferenceSession(
            str(models.weights(WEIGHTS)), options, providers=["CPUExecutionProvider"]
        )

    def scores(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The likelihood of speech in each window, from a network that has heard nothing before.

        Args:
            samples: shape (CONTEXT + N * WINDOW,), float32, 16 kHz, mono, -1..1.

        Returns:
            Shape (N,), float64, 0..1.
        """
        windows = np.lib.stride_tricks.sliding_window_view(samples, CONTEXT + WINDOW)[::WINDOW]
        zeros = np.zeros(_STATE_SHAPE, dtype=np.float32)
        given = {"input": np.ascontiguousarray(windows), "h": zeros, "c": zeros}
        with timed("inference"):
            (likely,) = self._session.run(["speech_probs"], given)
        found: npt.NDArray[np.float64] = likely.reshape(-1).astype(np.float64)
        return found
