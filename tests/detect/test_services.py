"""Data of an older stage version is migrated or refused; sound comes from the video alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.models import ModelStore
from mediaproc.detect.parts import Part
from mediaproc.detect.services import Services, migrated
from mediaproc.detect.stages.base import StageDefinition, StageIO, definition_problems
from mediaproc.errors import CheckpointError, MediaError
from tests.sounds import tone, write_clip


def stage(version: int, **more: Any) -> StageDefinition:
    return StageDefinition(
        "fake", "Fake", "", StageIO([], ["rows"]), fn=lambda state: {}, version=version, **more
    )


def part(version: int) -> Part:
    return Part("fake", version, "node", 0, data={"rows": [1]})


def renamed(data: dict[str, Any]) -> dict[str, Any]:
    data["lines"] = data.pop("rows")
    return data


def counted(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "count": len(data["lines"])}


def test_services_migrate_older_data_step_by_step() -> None:
    stored = {"rows": [1]}
    now = stage(3, migrate={1: renamed, 2: counted})
    assert migrated(part(1), now, stored) == {"lines": [1], "count": 1}
    assert stored == {"rows": [1]}


def test_services_give_data_of_the_same_version_as_it_is() -> None:
    assert migrated(part(2), stage(2), {"rows": [1]}) == {"rows": [1]}


def test_services_refuse_older_data_that_no_migration_reads() -> None:
    expected = "node 'node': .* version 1 of stage 'fake', which is now at 3 and cannot read it"
    with pytest.raises(CheckpointError, match=expected):
        migrated(part(1), stage(3, migrate={2: counted}), {"rows": [1]})


def test_services_refuse_data_of_a_newer_version() -> None:
    with pytest.raises(CheckpointError, match="version 2 of stage 'fake', and this is version 1"):
        migrated(part(2), stage(1), {"rows": [1]})


def test_services_accept_no_migration_from_a_version_that_is_not_older() -> None:
    found = list(definition_problems(stage(2, migrate={2: counted})))
    assert found == ["migrate starts from version 2, and version is 2"]


def test_services_say_that_sound_needs_the_video(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", tone(1.0))
    services = Services(LocalBlobStore(tmp_path / "blobs"), ModelStore(tmp_path))
    media = services.media(services.open_video(str(clip)))
    clip.unlink()
    with pytest.raises(MediaError, match=r"clip\.mp4: no such file; its sound is read from the v"):
        media.audio(0.0, 1.0)


def test_services_find_the_frame_on_screen(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", None, frames=30, delay_s=0.4)
    services = Services(LocalBlobStore(tmp_path / "blobs"), ModelStore(tmp_path))
    media = services.media(services.open_video(str(clip)))
    times = [-1.0, 0.0, 0.039, media.index.time_s(7), media.index.end_s(7), 99.0]
    assert [media.frame_at(time_s)[0] for time_s in times] == [0, 0, 0, 7, 8, 29]
    assert media.frame_at(0.0)[1] == int(media.index.pts[0])
