"""Debian's Chromium, without a window: it plays videos and takes pictures of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_PLAYED = """
async ({name, seconds}) => {
  const video = document.createElement('video');
  video.muted = true;
  video.src = name;
  document.body.append(video);
  const ended = new Promise((done) => {
    video.onended = () => done('ended');
    video.onerror = () => done(`error ${video.error.code}: ${video.error.message}`);
    setTimeout(() => done('timed out'), seconds * 1000);
  });
  video.playbackRate = 4;
  try { await video.play(); } catch (error) { return {how: String(error)}; }
  const how = await ended;
  return {
    how,
    size: [video.videoWidth, video.videoHeight],
    duration: video.duration,
    frames: video.getVideoPlaybackQuality().totalVideoFrames,
    sound_bytes: video.webkitAudioDecodedByteCount,
  };
}
"""


@contextmanager
def browser() -> Iterator[Any]:
    """A browser of playwright's; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


def played(opened: Any, video: Path, *, seconds: float = 30.0) -> dict[str, Any]:
    """How a video plays from beginning to end, at four times its speed and without a sound.

    Returns:
        ``how`` it ended, its ``size``, its ``duration`` in seconds, the ``frames`` that were shown
        and the ``sound_bytes`` that were decoded.
    """
    page_file = video.with_suffix(".player.html")
    page_file.write_text("<!doctype html><title>player</title>")
    page = opened.new_page()
    try:
        page.goto(page_file.as_uri())
        found: dict[str, Any] = page.evaluate(_PLAYED, {"name": video.name, "seconds": seconds})
        return found
    finally:
        page.close()
