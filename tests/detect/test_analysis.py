"""Problems of profiles, all at once, each at its place."""

from __future__ import annotations

import importlib.metadata
import time
from pathlib import Path
from typing import Any

import pytest

from mediaproc.detect.analysis import analyze, check
from mediaproc.detect.plan import Plan
from mediaproc.detect.profile import load_profile, parse_profile
from mediaproc.detect.stages.base import (
    StageConfigField,
    StageDefinition,
    StageIO,
    StageRegistry,
)
from mediaproc.errors import ProfileError

QUICKSTART = Path(__file__).parents[2] / "profiles" / "quickstart.yaml"

TEN_MISTAKES = """\
version: 1
name: mistakes
colour: blue
nodes:
  frames: {stage: sample_framez}
  other: {stage: sample_frames, config: {fps: -1, evry: 3}}
  boxes: {stage: detect_objects, timeout: 3, when: "count(x", config: {engine: onxx}}
  texts: {stage: detect_text, config: {skip_unchanged: 3}}
  track: {stage: track_objects, from: {detections: [boxen]}}
edges:
  - other -> boxes
  - boxes -> track
"""

EXPECTED = [
    "<profile>:3:1: unknown key 'colour'; known: version, name",
    "<profile>:5:12: unknown stage 'sample_framez'; did you mean 'sample_frames'?",
    "<profile>:6:42: node 'other' (sample_frames): fps: -1 is below the minimum 0.01",
    "<profile>:6:51: node 'other' (sample_frames): unknown field 'evry'; did you mean 'every'?",
    "<profile>:7:34: node 'boxes' (detect_objects): timeout: works for async stages only",
    "<profile>:7:46: node 'boxes' (detect_objects): when: expected ')'",
    "<profile>:7:72: node 'boxes' (detect_objects): engine: 'onxx' is not one of: auto",
    "<profile>:8:3: node 'texts' (detect_text): reads 'frames', which 'other' writes, but no edge",
    "<profile>:8:40: node 'texts' (detect_text): skip_unchanged: 3 is not of type bool",
    "<profile>:9:40: node 'track' (track_objects): there is no node 'boxen'; did you mean 'boxes'?",
]


def test_analysis_reports_ten_mistakes_at_their_places() -> None:
    said = [str(problem) for problem in analyze(parse_profile(TEN_MISTAKES)).problems]
    for expected in EXPECTED:
        assert any(line.startswith(expected) for line in said), (expected, said)


def test_analysis_names_a_plugin_that_is_slow_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        name, value = "slow", "slow_package:stages"

        def load(self) -> list[StageDefinition]:
            time.sleep(0.25)
            return []

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Slow()])
    found = analyze(parse_profile("version: 1\nname: t\nstages: [report]"), StageRegistry())
    (problem,) = found.problems
    assert problem.severity == "warning"
    assert "the stage plugin slow_package:stages took 0." in problem.message
    assert found.plan is not None


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            "b: {stage: detect_text, when: 'any(detections, confidnce > 0.5)'}",
            "a row of 'detections' has no 'confidnce'; did you mean 'confidence'?",
        ),
        (
            "b: {stage: score_frames, when: 'any(detections, confidence > 0.5)'}",
            "'score_frames' runs per segment, so its guard may look at the rows of one frame only",
        ),
        ("b: {stage: detect_text, when: 'count(frames) > 0'}", "'frames' is not a table with rows"),
    ],
)
def test_analysis_checks_what_a_guard_looks_at(nodes: str, message: str) -> None:
    boxes = "{stage: detect_objects, config: {model: 'pkg:nudenet/320n.onnx'}}"
    text = f"version: 1\nname: t\nnodes:\n  a: {{stage: sample_frames}}\n  o: {boxes}\n  {nodes}"
    found = [p for p in analyze(parse_profile(text)).problems if p.code == "bad-when"]
    assert len(found) == 1
    assert message in found[0].message
    assert (found[0].line, found[0].node) == (6, "b")


def problems(stages: str) -> list[str]:
    text = f"version: 1\nname: t\n{stages}"
    return [problem.code for problem in analyze(parse_profile(text)).problems]


@pytest.mark.parametrize(
    ("stages", "codes"),
    [
        ("stages: [sample_frames, report]", []),
        ("stages: [report, sample_frames]", []),
        ("stages: [detect_text]", ["missing-read"]),
        ("stages: [detect_text, sample_frames]", ["missing-read"]),
        ("stages: [sample_frames, sample_frames]", ["duplicate-node"]),
        ("stages: []\nnodes: {}", ["malformed"]),
        ("stages: [sample_frames: {fps: two}]", ["bad-value"]),
        ("stages: [sample_frames, detect_objects: {model: no/such.pt}]", ["missing-model"]),
        ("stages: [sample_frames, detect_objects: {model: 'pkg:nope/x'}]", ["missing-model"]),
        (
            "nodes: {a: {stage: sample_frames}, b: {stage: sample_frames}, "
            "c: {stage: detect_text}}",
            ["ambiguous-read"],
        ),
        (
            "nodes: {a: {stage: sample_frames}, b: {stage: sample_frames}, "
            "c: {stage: detect_text, from: {frames: [a]}}}",
            [],
        ),
        (
            "nodes: {a: {stage: sample_frames}, b: {stage: detect_text}, "
            "c: {stage: sample_frames}}\nedges: [a -> b]",
            ["unreachable"],
        ),
        (
            "nodes: {a: {stage: sample_frames}, b: {stage: detect_text}}\nedges: [a -> b, b -> a]",
            ["cycle"],
        ),
        (
            "nodes: {a: {stage: report}, b: {stage: report}}",
            ["two-outputs"],
        ),
    ],
)
def test_analysis_finds(stages: str, codes: list[str]) -> None:
    assert problems(stages) == codes


def test_analysis_puts_in_the_stage_that_detect_shots_implies() -> None:
    plan = check(parse_profile("version: 1\nname: t\nstages: [detect_shots]"))
    assert [node.id for node in plan.nodes] == ["score_frames", "detect_shots"]


def test_analysis_puts_a_node_ahead_of_the_filter_that_reads_what_it_writes() -> None:
    nodes = """
  frames: {stage: sample_frames}
  boxes: {stage: detect_objects, config: {model: "pkg:nudenet/320n.onnx"}}
  review: {stage: human_review}
  asked: {stage: escalate_vlm, config: {model: "given:judge"}}
  track: {stage: track_objects}"""
    plan = check(parse_profile(f"version: 1\nname: t\nnodes:{nodes}"))
    read = {node.id: node.inputs.get("detections") for node in plan.nodes}
    assert read["asked"] == read["review"] == ("boxes",)
    assert read["track"] == ("review",)


def inputs_of(stages: str, node: str) -> dict[str, tuple[str, ...]]:
    return check(parse_profile(f"version: 1\nname: t\nstages: {stages}")).node(node).inputs


def test_analysis_puts_in_what_an_implied_stage_implies() -> None:
    scenes = check(parse_profile("version: 1\nname: t\nstages: [sample_scenes]"))
    assert [node.id for node in scenes.nodes] == ["score_frames", "detect_shots", "sample_scenes"]
    speech = check(parse_profile("version: 1\nname: t\nstages: [transcribe]"))
    names = ["score_speech", "detect_speech", "transcribe_phrases", "transcribe"]
    assert [node.id for node in speech.nodes] == names


@pytest.mark.parametrize(
    ("stages", "chosen"),
    [
        ("[sample_frames, filter_frames, detect_text]", "filter_frames"),
        ("[sample_frames, sample_scenes, detect_text]", "sample_scenes"),
        ("[sample_scenes, sample_frames, filter_frames, detect_text]", "filter_frames"),
        ("[sample_frames, detect_text, sample_scenes]", "sample_frames"),
    ],
)
def test_analysis_of_a_list_reads_the_frames_chosen_last(stages: str, chosen: str) -> None:
    assert inputs_of(stages, "detect_text") == {"frames": (chosen,)}


def test_analysis_of_a_list_tracks_on_the_frames_that_were_looked_at() -> None:
    boxes = "detect_objects: {model: 'pkg:nudenet/320n.onnx'}"
    stages = f"[sample_frames, filter_frames, {boxes}, sample_scenes, detect_text, track_objects]"
    assert inputs_of(stages, "track_objects")["frames"] == ("filter_frames",)
    assert inputs_of(stages, "detect_text") == {"frames": ("sample_scenes",)}


def test_plan_of_an_older_version_gets_the_defaults_of_newer_fields() -> None:
    plan = check(parse_profile("version: 1\nname: t\nstages: [sample_frames: {fps: 3}]"))
    data = plan.to_json()
    del data["nodes"][0]["config"]["quality"]
    assert Plan.from_json(data) == plan


def test_analysis_of_a_list_leaves_two_detectors_to_be_chosen_from() -> None:
    boxes = "detect_objects: {model: 'pkg:nudenet/320n.onnx'}"
    listed = f"stages: [sample_frames, {boxes}, detect_faces, track_objects]"
    assert problems(listed) == ["ambiguous-read"]


def test_analysis_plan_survives_json() -> None:
    plan = check(load_profile(QUICKSTART))
    assert Plan.from_json(plan.to_json()) == plan


def test_plan_of_before_gets_the_defaults_of_new_fields() -> None:
    plan = check(load_profile(QUICKSTART))
    data = plan.to_json()
    (config,) = [node["config"] for node in data["nodes"] if node["stage"] == "sample_frames"]
    del config["quality"]
    config["keep"] = "all"
    restored = Plan.from_json(data).node("sample_frames").config
    assert (restored["quality"], restored["keep"]) == (90, "all")


def test_profile_override_sets_a_field() -> None:
    profile = load_profile(QUICKSTART).with_overrides(["sample_frames.fps=4", "segment.max_s=3"])
    plan = check(profile)
    assert (plan.node("sample_frames").config["fps"], plan.segment.max_s) == (4.0, 3.0)


def test_profile_overrides_of_one_node_add_up() -> None:
    profile = load_profile(QUICKSTART).with_overrides(
        ["sample_frames.fps=4", "sample_frames.max_size=320", "detect_shots.ratio=2"]
    )
    config = check(profile).node("sample_frames").config
    assert (config["fps"], config["max_size"]) == (4.0, 320)


def test_profile_override_of_an_unknown_node_names_the_near_one() -> None:
    with pytest.raises(ProfileError, match="did you mean 'sample_frames'"):
        load_profile(QUICKSTART).with_overrides(["sample_frame.fps=4"])


def made_stage(**fields: Any) -> StageRegistry:
    registry = StageRegistry()
    registry.load()
    registry.register(
        StageDefinition(
            name="made",
            label="Made",
            description="",
            io=StageIO(["video"], ["x"], ["frames", "shots", "texts"]),
            config_fields=[StageConfigField("mode", "str", "plain")],
            fn=lambda state: {"x": 1},
            **fields,
        )
    )
    return registry


def test_analysis_tells_what_a_stage_has_against_its_settings_where_they_stand() -> None:
    registry = made_stage(check_fn=lambda config: [("mode", f"{config['mode']} is out of season")])
    given = parse_profile("version: 1\nname: t\nstages:\n  - made: {mode: odd}\n")
    default = parse_profile("version: 1\nname: t\nstages:\n  - made\n")
    (problem,) = analyze(given, registry).problems
    assert (problem.message, problem.line, problem.column) == (
        "mode: odd is out of season",
        4,
        12,
    )
    (problem,) = analyze(default, registry).problems
    assert (problem.message, problem.line) == ("mode: plain is out of season", 4)


def test_analysis_asks_a_stage_only_about_settings_that_are_legal_by_themselves() -> None:
    registry = made_stage(check_fn=lambda config: [("mode", config["mode"].upper())])
    profile = parse_profile("version: 1\nname: t\nstages:\n  - made: {mode: 5}\n")
    assert [p.message for p in analyze(profile, registry).problems] == [
        "mode: 5 is not of type str"
    ]


def test_analysis_reads_of_a_node_are_those_that_its_settings_use() -> None:
    registry = made_stage(
        uses_fn=lambda config: {"texts": config["mode"] == "text", "shots": False}
    )
    head = "version: 1\nname: t\nstages:\n  - sample_frames\n  - detect_shots\n"
    plain = check(parse_profile(f"{head}  - detect_text\n  - made\n"), registry).node("made")
    assert (sorted(plain.inputs), plain.required) == (["frames"], ())
    texts = parse_profile(f"{head}  - detect_text\n  - made: {{mode: text}}\n")
    node = check(texts, registry).node("made")
    assert (sorted(node.inputs), node.required) == (["frames", "texts"], ("texts",))
    (problem,) = analyze(parse_profile(f"{head}  - made: {{mode: text}}\n"), registry).problems
    assert "reads 'texts', which no earlier stage writes" in problem.message


def test_profile_that_is_not_yaml_says_where() -> None:
    with pytest.raises(ProfileError, match=r"<profile>:2:\d+: is not valid YAML"):
        parse_profile("version: 1\nname: [")
