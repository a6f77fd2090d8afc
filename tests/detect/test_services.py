"""Data of an older stage version is migrated or refused, never misread."""

from __future__ import annotations

from typing import Any

import pytest

from mediaproc.detect.parts import Part
from mediaproc.detect.services import migrated
from mediaproc.detect.stages.base import StageDefinition, StageIO, definition_problems
from mediaproc.errors import CheckpointError


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
