"""The profiles that ship: each compiles and runs, and the schema that they name is today's."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from mediaproc.detect.analysis import analyze
from mediaproc.detect.profile import load_profile
from mediaproc.detect.schema import profile_schema
from mediaproc.detect.stages.base import get_stage
from tests.clips import real_clip
from tests.detect.running import run_plan
from tests.weights import SHAPES

PROFILES = sorted((Path(__file__).parents[1] / "profiles").glob("*.yaml"))
PAGES = sorted((Path(__file__).parents[1] / "docs" / "profiles").glob("*.md"))
SCHEMA = PROFILES[0].with_name("profile.schema.json")

# What each profile is for, and so must write.
TABLES = {
    "archive_index": {"shots", "texts", "detections", "exposure", "totals"},
    "brand_exposure": {"shots", "texts", "matches", "exposure", "totals"},
    "moderation": {"detections", "texts", "matches", "events", "totals"},
    "objects": {"detections", "tracks"},
    "people_counting": {"detections", "tracks", "events", "totals"},
    "privacy_redaction": {"detections", "tracks", "files"},
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_profiles_page_shows_a_small_picture_of_a_profile_that_ships(page: Path) -> None:
    text = page.read_text()
    assert f"--profile profiles/{page.stem}.yaml" in text
    assert page.stem in {path.stem for path in PROFILES}
    (picture,) = re.findall(r"!\[.+?\]\((\S+)\)", text)
    assert 0 < (page.parent / picture).stat().st_size < 150_000


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "\n    - " in page.read_text()], ids=lambda page: page.stem
)
def test_profiles_page_gives_settings_that_are_legal(page: Path) -> None:
    blocks = re.findall(r"(?m)^(?:    - .*\n)(?:    .*\n|\n)*", page.read_text())
    assert blocks
    for block in blocks:
        for item in YAML(typ="safe").load(textwrap.dedent(block)):
            for name, config in item.items():
                stage = get_stage(name)
                fields = {field.name: field for field in stage.config_fields}
                assert [fields[key].check(value) for key, value in config.items()] == (
                    [None] * len(config)
                )
                filled = stage.filled_config(config)
                assert stage.check_fn is None or list(stage.check_fn(filled)) == []


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
