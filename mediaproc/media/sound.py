"""The sound of a video, for another file: taken over as it is, or encoded as AAC."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

# What MP4 takes and browsers play.
COPIED = ("aac", "mp3", "opus", "flac")
# Rates that AAC has; others are converted to the first.
_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 64000, 88200, 96000)
_AAC_FRAME = 1024
_BITS_PER_CHANNEL = 96_000


class Sound:
    """The sound of an open video.

    Args:
        container: the video, in which nothing else is read meanwhile.
        end_s: where the sound ends, seconds of the source's clock.
    """

    def __init__(self, container: InputContainer, end_s: Fraction) -> None:
        self._container = container
        self._end_s = end_s
        self._stream: AudioStream | None = next(iter(container.streams.audio), None)

    def packets(
        self, output: OutputContainer, start_s: Fraction
    ) -> Iterator[tuple[Fraction, Packet[Any]]]:
        """Add a stream to ``output``; its packets, each with its time.

        The stream is there at once, the packets are read as they are asked for. A source without
        sound adds nothing.

        Args:
            output: a file that is being written.
            start_s: what becomes the time 0, in seconds of the source's clock.
        """
        if self._stream is None or self._stream.codec_context.sample_rate == 0:
            return iter(())
        if self._stream.codec_context.name in COPIED:
            target = output.add_stream_from_template(self._stream)
            return self._copied(self._stream, target, start_s)
        rate = self._stream.codec_context.sample_rate
        encoder: Any = output.add_stream("aac", rate=rate if rate in _RATES else _RATES[0])
        encoder.codec_context.layout = (
            "mono" if self._stream.codec_context.channels == 1 else "stereo"
        )
        encoder.codec_context.bit_rate = _BITS_PER_CHANNEL * encoder.codec_context.channels
        return self._encoded(self._stream, encoder, start_s)

    def _copied(
        self, stream: AudioStream, target: Any, start_s: Fraction
    ) -> Iterator[tuple[Fraction, Packet[Any]]]:
        before: Packet[Any] | None = None
        for packet in self._demuxed(stream, start_s):
            if _time_s(packet) < start_s:
                # Of what comes before the first frame, a decoder needs the last packet to begin.
                before = packet
                continue
            for each in [before, packet] if before is not None else [packet]:
                yield self._placed(each, target, start_s)
            before = None

    def _placed(
        self, packet: Packet[Any], target: Any, start_s: Fraction
    ) -> tuple[Fraction, Packet[Any]]:
        base = packet.time_base
        stamp = round((_time_s(packet) - start_s) / base)
        packet.stream = target
        packet.pts = packet.dts = stamp
        return stamp * base, packet

    def _encoded(
        self, stream: AudioStream, encoder: Any, start_s: Fraction
    ) -> Iterator[tuple[Fraction, Packet[Any]]]:
        context = encoder.codec_context
        base = Fraction(1, context.sample_rate)
        graph = self._filters(stream, context, start_s)
        for packet in self._demuxed(stream, start_s):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue  # silence stands there
            for frame in frames:
                graph.push(frame)
                yield from self._drained(graph, encoder, base)
        graph.push(None)
        yield from self._drained(graph, encoder, base)
        for packet in encoder.encode(None):
            yield packet.pts * base, packet

    def _drained(
        self, graph: Any, encoder: Any, base: Fraction
    ) -> Iterator[tuple[Fraction, Packet[Any]]]:
        while True:
            try:
                frame = graph.pull()
            except (BlockingIOError, EOFError):
                return
            for packet in encoder.encode(frame):
                yield packet.pts * base, packet

    def _filters(self, stream: AudioStream, context: Any, start_s: Fraction) -> Any:
        """Sound from time 0 on without a gap: silence stands where nothing was."""
        source_base = stream.time_base
        assert source_base is not None
        graph = av.filter.Graph()
        steps = [
            graph.add_abuffer(template=stream),
            graph.add("asetpts", f"PTS-({float(start_s / source_base)!r})"),
            graph.add("aresample", f"{context.sample_rate}:async=1:first_pts=0"),
            graph.add("aformat", f"sample_fmts=fltp:channel_layouts={context.layout.name}"),
            graph.add("asetnsamples", f"n={_AAC_FRAME}:p=0"),
            graph.add("abuffersink"),
        ]
        for one, other in itertools.pairwise(steps):
            one.link_to(other)
        graph.configure()
        return graph

    def _demuxed(self, stream: AudioStream, start_s: Fraction) -> Iterator[Packet[Any]]:
        base = stream.time_base
        assert base is not None
        if start_s > 0:
            # A second early, since a decoder needs a while.
            self._container.seek(
                max(0, int((start_s - 1) / base)), stream=stream, backward=True, any_frame=False
            )
        for packet in self._container.demux(stream):
            if packet.pts is None or not packet.size:
                continue
            if _time_s(packet) >= self._end_s:
                return
            yield packet


def _time_s(packet: Packet[Any]) -> Fraction:
    """When a packet is heard, seconds of its source's clock."""
    assert packet.pts is not None
    return packet.pts * packet.time_base
