"""Tables of what stages make out of pixels, and of how: pictures, encoded pieces, what is drawn."""

from __future__ import annotations

from mediaproc.detect.rows import Column, Rows
from mediaproc.detect.tables import Tracks


class Crops(Rows):
    """Pictures of tracked objects, cut out of frames."""

    columns = (
        # Of the sight that is shown.
        *(column for column in Tracks.columns if column.name != "class_id"),
        Column("sharpness", "float", "0..1: how much fine detail the picture has"),
        Column("score", "float", "0..1: how good a picture of the object it is"),
        Column("blob", "json", 'the JPEG, as {"sha256": digest, "size": bytes}'),
    )
    blob_columns = ("blob",)


class Overlays(Rows):
    """What is drawn over the frames of a video, from one frame up to another.

    A box goes straight from its place at one time to its place at another one, and stays where it
    is ahead of the first and after the second.
    """

    columns = (
        Column("node", "str", "id of the node that made the row"),
        Column("kind", "str", "box, outline, banner, blur, pixelate or fill"),
        Column("label", "str", "what is written at it, or nothing"),
        Column("colour", "int", "0xRRGGBB"),
        Column("detail", "int", "cells that are left across what is blurred or pixelated"),
        Column("start_frame", "int", "first frame"),
        Column("end_frame", "int", "frame after the last one"),
        Column("start_s", "float", "time of the first place, seconds"),
        Column("end_s", "float", "time of the second place, seconds"),
        Column("x1", "float", "left edge at the first place, pixels"),
        Column("y1", "float", "upper edge at the first place, pixels"),
        Column("x2", "float", "right edge at the first place, pixels"),
        Column("y2", "float", "lower edge at the first place, pixels"),
        Column("to_x1", "float", "left edge at the second place, pixels"),
        Column("to_y1", "float", "upper edge at the second place, pixels"),
        Column("to_x2", "float", "right edge at the second place, pixels"),
        Column("to_y2", "float", "lower edge at the second place, pixels"),
        Column("points", "json", "of an outline, [[x, y], ...] in pixels, or null"),
    )


class Pieces(Rows):
    """Encoded pieces of a video, one for each anchor block."""

    columns = (
        Column("node", "str", "id of the node that made the row"),
        Column("frame_index", "int", "first frame"),
        Column("end_frame", "int", "frame after the last one"),
        Column("blob", "json", 'H.264 in MP4, as {"sha256": digest, "size": bytes}'),
    )
    blob_columns = ("blob",)
