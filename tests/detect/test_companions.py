"""Stages that work ahead of another one, each node with nodes of its own."""

from __future__ import annotations

from mediaproc.detect.analysis import analyze, check
from mediaproc.detect.plan import Plan
from mediaproc.detect.profile import parse_profile

HEAD = "version: 1\nname: t\n"
TWO = """
nodes:
  frames: {stage: sample_frames}
  boxes: {stage: detect_objects, config: {model: "pkg:nudenet/320n.onnx"}}
  few: {stage: track_objects, config: {lost_s: 0.1}}
  many: {stage: track_objects}
  faces: {stage: redact, config: {margin: 0.5, crf: 30, sound: none}, from: {tracks: [few]}}
  all: {stage: redact, from: {tracks: [many]}, when: "any(tracks, confidence > 0.5)"}
"""


def plan_of(text: str) -> Plan:
    return check(parse_profile(HEAD + text))


def test_companions_belong_to_one_node_each() -> None:
    plan = plan_of(TWO)
    reads = {
        node.id: node.inputs
        for node in plan.nodes
        if node.stage in ("plan_redaction", "render_pieces", "redact")
    }
    assert reads == {
        "faces_overlays": {"tracks": ("few",), "detections": ("boxes",)},
        "faces_pieces": {"overlays": ("faces_overlays",)},
        "faces": {"pieces": ("faces_pieces",)},
        "all_overlays": {"tracks": ("many",), "detections": ("boxes",)},
        "all_pieces": {"overlays": ("all_overlays",)},
        "all": {"pieces": ("all_pieces",)},
    }


def test_companions_take_the_settings_that_they_have() -> None:
    plan = plan_of(TWO)
    assert plan.node("faces_overlays").config["margin"] == 0.5
    assert plan.node("faces_pieces").config == {"crf": 30, "preset": "veryfast"}
    assert plan.node("faces").config["sound"] == "none"


def test_companions_run_in_a_later_phase_of_segments() -> None:
    plan = plan_of(TWO)
    assert [(plan.node(n).scope, plan.node(n).phase) for n in ("faces_pieces", "faces")] == [
        ("segment", 2),
        ("video", 2),
    ]


def test_companions_first_one_carries_the_guard() -> None:
    plan = plan_of(TWO)
    guards = {node.id: node.when for node in plan.nodes if node.when}
    assert guards == {"all_overlays": "any(tracks, confidence > 0.5)"}


def test_companions_follow_given_edges() -> None:
    edges = """edges:
  - frames -> boxes
  - boxes -> few
  - few -> faces
"""
    only_faces = "".join(line for line in TWO.splitlines(True) if "many" not in line)
    plan = plan_of(only_faces + edges)
    assert {n.id: n.predecessors for n in plan.nodes if n.id.startswith("faces")} == {
        "faces_overlays": ("few",),
        "faces_pieces": ("faces_overlays",),
        "faces": ("faces_pieces",),
    }


def test_companions_bring_what_they_imply_in_turn() -> None:
    plan = plan_of("stages: [sample_frames, detect_objects: {model: yolo11n.pt}, redact]\n")
    assert [node.id for node in plan.nodes] == [
        "sample_frames",
        "detect_objects",
        "track_objects",
        "redact_overlays",
        "redact_pieces",
        "redact",
    ]


def test_companions_a_wrong_setting_is_told_once() -> None:
    text = TWO.replace("margin: 0.5", "margin: 9").replace("crf: 30", "crf: 99")
    said = [str(p) for p in analyze(parse_profile(HEAD + text)).problems]
    assert [line.partition("'faces' (redact): ")[2] for line in said] == [
        "margin: 9 is above the maximum 2",
        "crf: 99 is above the maximum 51",
    ]


def test_companions_missing_input_is_told_at_the_node_of_the_profile() -> None:
    text = "stages:\n  - sample_frames\n  - redact\n"
    [said] = [str(p) for p in analyze(parse_profile(HEAD + text)).problems]
    assert said.startswith("<profile>:5:5: node 'track_objects': reads 'detections', which no")


def test_companions_names_are_not_for_other_nodes() -> None:
    text = TWO + "  faces_pieces: {stage: sample_frames}\n"
    said = [str(p) for p in analyze(parse_profile(HEAD + text)).problems]
    assert any("the name 'faces_pieces' is that of a part of 'faces'" in line for line in said)
