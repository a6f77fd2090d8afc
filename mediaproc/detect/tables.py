"""The kinds of findings that the shipped stages write.

Times are seconds from the first frame (float), with the exact container PTS beside them; frame
indexes count displayed frames from 0; boxes are ``xyxy`` in pixels of the displayed source
frame; confidences lie in 0..1.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobRef
from mediaproc.detect.rows import Column, Rows
from mediaproc.errors import StageError

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


class Boxed(Rows):
    """Rows with a box each."""

    @property
    def xyxy(self) -> npt.NDArray[np.float64]:
        """Boxes, shape (N, 4), ``(x1, y1, x2, y2)`` in pixels."""
        return np.stack([self.column(name) for name in ("x1", "y1", "x2", "y2")], axis=1)


class Detections(Boxed):
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


class Tracks(Boxed):
    """Objects followed through frames: a row for each sight of each track."""

    columns = (
        *_FRAME_COLUMNS,
        Column("track_id", "int", "number of the track, from 1, unique within node and job"),
        Column("label", "str", "class name"),
        Column("class_id", "int", "class number of the model"),
        Column("confidence", "float", "0..1"),
        *_BOX_COLUMNS,
    )


class Texts(Boxed):
    """Lines of text seen in frames, one row each."""

    columns = (
        *_FRAME_COLUMNS,
        Column("text", "str", "what was read"),
        Column("confidence", "float", "0..1"),
        *_BOX_COLUMNS,
        Column("quad", "json", "corners as [[x, y] x 4] in pixels, clockwise from the upper left"),
    )


class FrameScores(Rows):
    """How each frame differs from the one after it; what shots are decided from."""

    columns = (
        *_FRAME_COLUMNS,
        Column(
            "change",
            "float",
            "mean change of hue, saturation and value to the next frame, 0..255; 0 in the last one",
        ),
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


class Files(Rows):
    """Files that stages made, for the results folder; their bytes are in the blob store.

    A stage writes ``{node}`` in a name where the id of its node is to stand, so that two nodes of
    one stage do not meet.
    """

    columns = (
        Column("node", "str", "id of the node that made the file"),
        Column("name", "str", "path inside the results folder, with / between its parts"),
        Column("media_type", "str", "what it is, such as video/mp4"),
        Column("blob", "json", 'its bytes, as {"sha256": digest, "size": bytes}'),
        Column("bytes", "int", "its size"),
    )
    blob_columns = ("blob",)

    @classmethod
    def of(cls, name: str, media_type: str, ref: BlobRef) -> Files:
        """One file."""
        return cls(
            {
                "node": [""],
                "name": [name],
                "media_type": [media_type],
                "blob": [ref.to_json()],
                "bytes": [ref.size],
            }
        )

    def made_by(self, node: str) -> Files:
        """The same files, with ``node`` as the maker of those that name none, in names too.

        Raises:
            StageError: a name does not stay inside the results folder, or is not a plain one.
        """
        made = {c.name: self.column(c.name) for c in self.columns}
        makers = [maker or node for maker in made["node"]]
        names = [
            name if maker else name.replace("{node}", node)
            for maker, name in zip(made["node"], made["name"], strict=True)
        ]
        for maker, name in zip(makers, names, strict=True):
            if problem := _name_problem(name):
                raise StageError(
                    f"node {maker!r} made a file named {name!r}, which {problem}; results keep "
                    "files under plain relative paths, such as crops/faces/1.jpg"
                )
        return Files({**made, "node": makers, "name": names})


# Names that every file system takes, and that mean nothing to a shell.
_PLAIN_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_RESERVED = ("report.json", "run.json")


def _name_problem(name: str) -> str | None:
    """Why a file must not have this name in the results folder, or None where it may."""
    parts = name.split("/")
    if name.startswith("/"):
        return "is absolute"
    if ".." in parts:
        return "leads out of the folder"
    if not all(_PLAIN_PART.fullmatch(part) for part in parts):
        return "holds more than letters, digits, '.', '_' and '-', or a part that begins with '.'"
    if name.lower() in _RESERVED or (len(parts) == 1 and name.lower().endswith(".parquet")):
        return "is that of a result of every job"
    return None


class FrameLabels(Rows):
    """What frames show as a whole: a row for each label of a frame, the surest first."""

    columns = (
        *_FRAME_COLUMNS,
        Column("label", "str", "class name"),
        Column("class_id", "int", "class number of the model"),
        Column("confidence", "float", "0..1"),
    )


class Codes(Boxed):
    """QR codes and barcodes read in frames, one row each; of barcodes, where they were read."""

    columns = (
        *_FRAME_COLUMNS,
        Column("kind", "str", "kind of code: qr, ean_13, code_128, ..."),
        Column("text", "str", "what it says"),
        *_BOX_COLUMNS,
        Column("quad", "json", "corners as [[x, y] x 4] in pixels, clockwise from its upper left"),
    )


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


class Matches(Boxed):
    """Names and words of a list, found in what was read or said; a row for each place.

    What was said has a box of zeros.
    """

    columns = (
        *_FRAME_COLUMNS,
        Column("label", "str", "the brand, name or list that it stands for"),
        Column("alias", "str", "the spelling of the list that was found"),
        Column("text", "str", "the line in which it was found"),
        Column("source", "str", "what the line is: texts (read) or transcript (said)"),
        Column("score", "float", "0..1: how well the spelling fits; 1 where letter for letter"),
        Column("confidence", "float", "0..1: of the line"),
        *_BOX_COLUMNS,
    )


class Exposure(Rows):
    """Stretches of time in which a brand or class is on screen."""

    columns = (
        Column("node", "str", "id of the node that made the row"),
        Column("label", "str", "brand or class"),
        Column("pts", "int", "presentation time stamp of the first frame"),
        Column("start_frame", "int", "first frame"),
        Column("end_frame", "int", "frame after the last one"),
        Column("start_s", "float", "time of the first frame, seconds"),
        Column("end_s", "float", "time at which the last frame ends, seconds"),
        Column("seen_s", "float", "seconds of it in which it was seen, bridged gaps left out"),
        Column("sights", "int", "sampled frames in which it was seen"),
        Column("area_share", "float", "0..1: mean share of the frame, while seen"),
        Column("prominence", "float", "0..1: mean prominence, while seen"),
        Column("confidence", "float", "0..1: mean confidence of the sights"),
        Column("peak_frame", "int", "sampled frame of the highest prominence"),
    )


class Totals(Rows):
    """Sums over a whole video: what a stage has to tell a report, one row for each subject."""

    columns = (
        Column("node", "str", "id of the node that made the row"),
        Column("topic", "str", "what is summed up: exposure, flag, zone, ..."),
        Column("label", "str", "what it is about: a brand, a class, a zone, a rule"),
        Column("values", "json", "the sums as an object of numbers and texts; units in the names"),
    )


class SpeechScores(Rows):
    """How likely each 32 ms of sound are speech; what stretches of speech are decided from."""

    columns = (
        Column("node", "str", "id of the node that made the row"),
        Column("frame_index", "int", "the frame on screen when the window begins"),
        Column("pts", "int", "presentation time stamp of that frame"),
        Column("time_s", "float", "when the window begins, seconds from the first frame"),
        Column("speech", "float", "0..1"),
    )


_STRETCH_COLUMNS = (
    Column("node", "str", "id of the node that made the row"),
    Column("pts", "int", "presentation time stamp of the frame on screen when it begins"),
    Column("start_frame", "int", "the frame on screen when it begins"),
    Column("end_frame", "int", "frame after the last one on screen"),
    Column("start_s", "float", "when it begins, seconds from the first frame"),
    Column("end_s", "float", "when it ends, seconds from the first frame"),
)


class Speech(Rows):
    """Stretches of sound in which somebody speaks."""

    columns = (*_STRETCH_COLUMNS, Column("confidence", "float", "mean likelihood of speech, 0..1"))


class Transcript(Rows):
    """What is said, a row for each phrase."""

    columns = (
        *_STRETCH_COLUMNS,
        Column("text", "str", "what was said"),
        Column("language", "str", "ISO 639-1 code of the language spoken"),
        Column("confidence", "float", "mean probability of its words, 0..1"),
        Column("words", "json", "[[word, start_s, end_s, confidence], ...]"),
    )


class Answers(Rows):
    """What a model with more insight said about rows that were uncertain, one question each."""

    columns = (
        *_FRAME_COLUMNS,
        Column("source", "str", "the channel of the row in question"),
        Column("maker", "str", "id of the node that made that row"),
        Column("keys", "json", "keys of the rows that the answer is about, for review"),
        Column("label", "str", "what the row says"),
        Column("confidence", "float", "how sure the row is, 0..1"),
        Column("box", "json", "[x1, y1, x2, y2] in pixels, or null for the whole frame"),
        Column("question", "str", "what was asked"),
        Column("answer", "str", "yes, no, unsure, unreadable, or not_asked: beyond the budget"),
        Column("answer_label", "str", "what it is instead, where the model says so"),
        Column("score", "float", "how sure the model is, 0..1"),
        Column("reason", "str", "why, in the model's words; or why it could not be read"),
        Column("input_tokens", "int", "tokens of the question, all tries included"),
        Column("output_tokens", "int", "tokens of the answer, all tries included"),
        Column("cost", "float", "what it cost, by the prices of the profile"),
        Column("model", "str", "the model asked"),
        Column("crop", "json", "the picture shown: reference to a JPEG in the blob store, or null"),
    )


class Reviews(Rows):
    """What a person, or a model that was trusted, decided about rows that were open."""

    columns = (
        *_FRAME_COLUMNS,
        Column("source", "str", "the channel of the row in question"),
        Column("maker", "str", "id of the node that made that row"),
        Column("keys", "json", "keys of the rows that the decision is about"),
        Column("label", "str", "what the row says"),
        Column("confidence", "float", "how sure or grave the row is, 0..1"),
        Column("box", "json", "[x1, y1, x2, y2] in pixels, or null for the whole frame"),
        Column("decision", "str", "accept, reject, correct, or leave: still open"),
        Column("new_label", "str", "what it is instead, where it is corrected"),
        Column("note", "str", "why, in the words of who decided"),
        Column("by", "str", "who decided: a person or a model; nobody where it was not asked"),
        Column("crop", "json", "the picture shown: reference to a JPEG in the blob store, or null"),
    )
