"""The kinds of findings that the shipped stages write.

Times are seconds from the first frame (float), with the exact container PTS beside them; frame
indexes count displayed frames from 0; boxes are ``xyxy`` in pixels of the displayed source
frame; confidences lie in 0..1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mediaproc.detect.rows import Column, Rows

_FRAME_COLUMNS = (
    Column("node", "str", "id of the node that made the row"),
    Column("frame_index", "int", "index of the frame, from 0"),
    Column("pts", "int", "presentation time stamp, in the video's time base"),
    Column("time_s", "float", "seconds from the first frame"),
)
_BOX_COLUMNS = (
    Column("x1", "float", "left edge, pixels"),
    Column("y1", "float", "upper edge, pixels"),
    Column("x2", "float", "right edge, pixels"),
    Column("y2", "float", "lower edge, pixels"),
)


class Detections(Rows):
    """Objects found in frames, one row each."""

    columns = (
        *_FRAME_COLUMNS,
        Column("label", "str", "class name"),
        Column("class_id", "int", "class number of the model"),
        Column("confidence", "float", "0..1"),
        *_BOX_COLUMNS,
        Column("polygon", "json", "outline as [[x, y], ...] in pixels, or null"),
        Column("keypoints", "json", "[[x, y, confidence], ...], or null"),
    )

    @property
    def xyxy(self) -> npt.NDArray[np.float64]:
        """Boxes, shape (N, 4), ``(x1, y1, x2, y2)`` in pixels."""
        return _xyxy(self)


class Tracks(Rows):
    """Objects followed through frames: a row for each sight of each track."""

    columns = (
        *_FRAME_COLUMNS,
        Column("track_id", "int", "number of the track, from 1, unique within node and job"),
        Column("label", "str", "class name"),
        Column("class_id", "int", "class number of the model"),
        Column("confidence", "float", "0..1"),
        *_BOX_COLUMNS,
    )

    @property
    def xyxy(self) -> npt.NDArray[np.float64]:
        """Boxes, shape (N, 4), ``(x1, y1, x2, y2)`` in pixels."""
        return _xyxy(self)


class Texts(Rows):
    """Lines of text seen in frames, one row each."""

    columns = (
        *_FRAME_COLUMNS,
        Column("text", "str", "what was read"),
        Column("confidence", "float", "0..1"),
        *_BOX_COLUMNS,
        Column("quad", "json", "corners as [[x, y] x 4] in pixels, clockwise from the upper left"),
    )


class FrameScores(Rows):
    """How each frame differs from the one before it; what shots are decided from."""

    columns = (
        *_FRAME_COLUMNS,
        Column("content", "float", "mean change of hue, saturation and value, 0..255"),
        Column("luma", "float", "mean brightness, 0..255"),
    )


class Shots(Rows):
    """Runs of frames between two transitions."""

    columns = (
        Column("node", "str", "id of the node that made the row"),
        Column("shot", "int", "number of the shot, from 0"),
        Column("pts", "int", "presentation time stamp of the first frame"),
        Column("start_frame", "int", "first frame"),
        Column("end_frame", "int", "frame after the last one"),
        Column("start_s", "float", "time of the first frame, seconds"),
        Column("end_s", "float", "time at which the last frame ends, seconds"),
        Column("transition", "str", "how the shot begins: start, cut or fade"),
    )


class Events(Rows):
    """What happens in a video, or holds for a while: crossings, flagged moments, stretches."""

    columns = (
        Column("node", "str", "id of the node that made the row"),
        Column("kind", "str", "what kind of event: flag, crossing, dwell, motion, ..."),
        Column("label", "str", "what it is about: a class, a brand, a zone, a rule"),
        Column("pts", "int", "presentation time stamp of its first frame"),
        Column("start_frame", "int", "first frame"),
        Column("end_frame", "int", "frame after the last one"),
        Column("start_s", "float", "time of the first frame, seconds"),
        Column("end_s", "float", "time at which the last frame ends, seconds"),
        Column("score", "float", "0..1: how sure or how grave; 1 where neither is asked"),
        Column("track_id", "int", "the track it is of, or 0"),
        Column("details", "json", "what else the kind has to say, as an object"),
    )


class FrameLabels(Rows):
    """What frames show as a whole: a row for each label of a frame, the surest first."""

    columns = (
        *_FRAME_COLUMNS,
        Column("label", "str", "class name"),
        Column("class_id", "int", "class number of the model"),
        Column("confidence", "float", "0..1"),
    )


class Codes(Rows):
    """QR codes and barcodes read in frames, one row each; of barcodes, where they were read."""

    columns = (
        *_FRAME_COLUMNS,
        Column("kind", "str", "kind of code: qr, ean_13, code_128, ..."),
        Column("text", "str", "what it says"),
        *_BOX_COLUMNS,
        Column("quad", "json", "corners as [[x, y] x 4] in pixels, clockwise from its upper left"),
    )

    @property
    def xyxy(self) -> npt.NDArray[np.float64]:
        """Boxes, shape (N, 4), ``(x1, y1, x2, y2)`` in pixels."""
        return _xyxy(self)


class Motion(Rows):
    """What moves in each frame before a background that stands still."""

    columns = (
        *_FRAME_COLUMNS,
        Column("share", "float", "share of the frame that moves, 0..1"),
        Column("boxes", "json", "where: [[x1, y1, x2, y2], ...] in pixels, the largest first"),
    )


class CameraMotion(Rows):
    """How the picture moves from each frame to the next because the camera does.

    A point ``z`` (x + iy) of the frame before is at ``scale * exp(i * angle) * z + (dx + i * dy)``.
    """

    columns = (
        *_FRAME_COLUMNS,
        Column("dx", "float", "shift to the right, pixels"),
        Column("dy", "float", "shift downwards, pixels"),
        Column("scale", "float", "factor by which the picture grows"),
        Column("angle", "float", "angle by which it turns clockwise, radians"),
        Column("agreement", "float", "share of the corners that move so, 0..1; 0: not known"),
    )


def _xyxy(rows: Rows) -> npt.NDArray[np.float64]:
    return np.stack([rows.column(name) for name in ("x1", "y1", "x2", "y2")], axis=1)
