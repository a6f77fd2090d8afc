"""The profiles that ship: each compiles and runs, and the schema that they name is today's."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from mediaproc.detect.analysis import analyze
from mediaproc.detect.profile import load_profile
from mediaproc.detect.schema import profile_schema
from tests.clips import real_clip
from tests.detect.running import run_plan
from tests.weights import SHAPES

PROFILES = sorted((Path(__file__).parents[1] / "profiles").glob("*.yaml"))
SCHEMA = PROFILES[0].with_name("profile.schema.json")

# What each profile is for, and so must write.
TABLES = {
    "archive_index": {"shots", "texts", "detections", "exposure", "totals"},
    "brand_exposure": {"shots", "texts", "matches", "exposure", "totals"},
    "moderation": {"detections", "texts", "matches", "events", "totals"},
    "objects": {"detections", "tracks"},
    "people_counting": {"detections", "tracks", "events", "totals"},
    "quickstart": {"shots", "texts", "detections"},
}


def test_profiles_name_a_schema_that_is_up_to_date() -> None:
    assert json.loads(SCHEMA.read_text()) == profile_schema(), "run: make schema"
    for profile in PROFILES:
        first = profile.read_text().splitlines()[0]
        assert first == f"# yaml-language-server: $schema={SCHEMA.name}", profile


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profiles_keep_to_the_schema_and_have_no_problem(path: Path) -> None:
    jsonschema.Draft202012Validator(profile_schema()).validate(YAML(typ="safe").load(path))
    assert analyze(load_profile(path)).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profiles_run_on_a_real_clip(path: Path, tmp_path: Path) -> None:
    # The published weights cannot be fetched everywhere; the profile is the same but for them.
    settings = {
        "objects": [f"detect_objects.model={SHAPES}"],
        "people_counting": [f"detect_objects.model={SHAPES}", "detect_objects.classes=[]"],
    }.get(path.stem, [])
    profile = load_profile(path).with_overrides([*settings, "sample_frames.fps=1"])
    values, tables = run_plan(tmp_path, real_clip("carphone"), profile)
    assert values["report"]["sampled_frames"] == 4
    assert set(tables) >= TABLES[path.stem]
