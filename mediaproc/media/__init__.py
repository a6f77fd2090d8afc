"""Pixels and sound: probing, indexing, decoding and encoding video. Knows no graph."""

from mediaproc.media.audio import AUDIO_HZ, decode_audio
from mediaproc.media.decode import (
    DecodedFrame,
    Decoder,
    Resample,
    Scaler,
    decode_frames,
    prefetch,
)
from mediaproc.media.encode import decode_jpeg, encode_jpeg, write_video
from mediaproc.media.fingerprint import FingerprintMemory, SameVideo, fingerprint, is_same_video
from mediaproc.media.index import AnchorBlock, FrameIndex, anchors, index_video
from mediaproc.media.packs import PackIndex, PackWriter, read_frames
from mediaproc.media.pieces import Encoding, encode_piece, even_size, join_pieces
from mediaproc.media.pool import FramePool
from mediaproc.media.probe import VideoInfo, open_video
from mediaproc.media.sound import Sound

__all__ = [
    "AUDIO_HZ",
    "AnchorBlock",
    "DecodedFrame",
    "Decoder",
    "Encoding",
    "FingerprintMemory",
    "FrameIndex",
    "FramePool",
    "PackIndex",
    "PackWriter",
    "Resample",
    "SameVideo",
    "Scaler",
    "Sound",
    "VideoInfo",
    "anchors",
    "decode_audio",
    "decode_frames",
    "decode_jpeg",
    "encode_jpeg",
    "encode_piece",
    "even_size",
    "fingerprint",
    "index_video",
    "is_same_video",
    "join_pieces",
    "open_video",
    "prefetch",
    "read_frames",
    "write_video",
]
