"""Pixels and sound: probing, indexing, decoding and encoding video. Knows no graph."""

from mediaproc.media.audio import AUDIO_HZ, decode_audio
from mediaproc.media.decode import DecodedFrame, Resample, decode_frames, prefetch
from mediaproc.media.encode import decode_jpeg, encode_jpeg, write_video
from mediaproc.media.fingerprint import FingerprintMemory, SameVideo, fingerprint, is_same_video
from mediaproc.media.index import AnchorBlock, FrameIndex, anchors, index_video
from mediaproc.media.packs import PackIndex, PackWriter, read_frames
from mediaproc.media.probe import VideoInfo, open_video

__all__ = [
    "AUDIO_HZ",
    "AnchorBlock",
    "DecodedFrame",
    "FingerprintMemory",
    "FrameIndex",
    "PackIndex",
    "PackWriter",
    "Resample",
    "SameVideo",
    "VideoInfo",
    "anchors",
    "decode_audio",
    "decode_frames",
    "decode_jpeg",
    "encode_jpeg",
    "fingerprint",
    "index_video",
    "is_same_video",
    "open_video",
    "prefetch",
    "read_frames",
    "write_video",
]
