"""What every registered stage keeps to."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.models import ModelStore
from mediaproc.detect.nodes import StageNode
from mediaproc.detect.parts import Part
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import (
    GIVEN_CHANNELS,
    REGISTRY,
    StageConfigField,
    StageDefinition,
    StageIO,
    StageRegistry,
    definition_problems,
    get_palette,
    get_stage,
    list_stages,
    register_stage,
)
from tests.chat import fake_model, verdict
from tests.detect.running import run_profile
from tests.weights import FRAMES

NAMES = REGISTRY.names()

# Every shipped stage stands in this profile.
ALL = """
nodes:
  score_frames: {stage: score_frames}
  detect_shots: {stage: detect_shots}
  sample_scenes: {stage: sample_scenes}
  classify_frames:
    stage: classify_frames
    config: {model: FRAMES, image_size: 96}
    from: {frames: [sample_scenes]}
  sample_frames: {stage: sample_frames, config: {fps: 1}}
  filter_frames: {stage: filter_frames, from: {frames: [sample_frames]}}
  detect_codes: {stage: detect_codes, from: {frames: [filter_frames]}}
  score_motion: {stage: score_motion, from: {frames: [filter_frames]}}
  detect_motion: {stage: detect_motion}
  detect_faces: {stage: detect_faces, from: {frames: [filter_frames]}}
  detect_objects:
    stage: detect_objects
    config: {model: "pkg:nudenet/320n.onnx", image_size: 320, min_confidence: 0.001}
    from: {frames: [filter_frames]}
  detect_text:
    stage: detect_text
    config: {min_confidence: 0.1}
    from: {frames: [filter_frames]}
  track_camera: {stage: track_camera}
  track_objects:
    stage: track_objects
    config: {min_confidence: 0.05, min_iou: 0.0}
    from: {detections: [detect_objects], frames: [filter_frames]}
  score_speech: {stage: score_speech}
  detect_speech: {stage: detect_speech}
  transcribe: {stage: transcribe, config: {model: WHISPER}}
  match_text: {stage: match_text, config: {terms: [Acme]}}
  measure_exposure:
    stage: measure_exposure
    config: {of: [matches, tracks, detections]}
    from: {frames: [filter_frames], detections: [detect_objects], matches: [match_text]}
  zones:
    stage: zones
    config: {lines: ["middle: 0.5,0 0.5,1"]}
    from: {frames: [filter_frames]}
  moderate:
    stage: moderate
    config: {rules: ["matches.Acme: mild"]}
    from: {frames: [filter_frames], detections: [detect_objects], matches: [match_text]}
  escalate_vlm:
    stage: escalate_vlm
    config: {model: "given:judge", low: 0.0, high: 1.0}
    from: {frames: [filter_frames], detections: [detect_objects], matches: [match_text]}
  human_review:
    stage: human_review
    config: {low: 0.0, high: 1.0, max_items: 0}
    from: {frames: [filter_frames], detections: [detect_objects]}
  redact: {stage: redact}
  render_video: {stage: render_video}
  crop_objects: {stage: crop_objects, config: {min_size_px: 1}}
  contact_sheet: {stage: contact_sheet, config: {width_px: 64}}
  export: {stage: export}
  report: {stage: report}
  report_html: {stage: report_html, config: {width_px: 64}}
"""


class Recorded(dict[str, Any]):
    """A state that notes what is read from it."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(state)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


@pytest.fixture(scope="module")
def ran(
    squares_clip: Path, tiny_whisper: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What each stage read and wrote in one run of all of them."""
    folder = tmp_path_factory.mktemp("contract")
    reads: dict[str, set[str]] = {}
    call = StageNode._call

    def recording(self: StageNode, view: Any, state: Any) -> Any:
        recorded = Recorded(view)
        update = call(self, recorded, state)  # type: ignore[arg-type]
        reads.setdefault(self.stage.name, set()).update(recorded.read)
        return update

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StageNode, "_call", recording)
        values, _ = run_profile(
            folder,
            squares_clip,
            ALL.replace("WHISPER", str(tiny_whisper)).replace("FRAMES", str(FRAMES)),
            more="segment: {max_s: 3}",
            chat_models={"judge": fake_model(itertools.repeat(verdict()))},
        )
    return {"values": values, "reads": reads, "blobs": LocalBlobStore(folder / "blobs")}


def test_contract_profile_holds_every_shipped_stage(ran: dict[str, Any]) -> None:
    assert sorted(ran["reads"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_contract_declaration_is_legal(name: str) -> None:
    assert list(definition_problems(get_stage(name))) == []


@pytest.mark.parametrize("name", NAMES)
def test_contract_stage_reads_what_it_declares_and_nothing_else(
    ran: dict[str, Any], name: str
) -> None:
    given = {*GIVEN_CHANNELS, "segment", "spans", "failures"}
    declared = {*get_stage(name).io.all_reads(), *given}
    assert ran["reads"][name] <= declared
    assert set(get_stage(name).io.reads) - set(GIVEN_CHANNELS) <= ran["reads"][name]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "report"])
def test_contract_output_is_json_and_survives_a_round_trip(ran: dict[str, Any], name: str) -> None:
    parts = [part for part in ran["values"]["parts"] if part.stage == name]
    assert parts
    stage = get_stage(name)
    services = Services(ran["blobs"], ModelStore(Path()))
    for part in parts:
        envelope = json.loads(json.dumps(part.envelope()))
        writes = Part.from_envelope(envelope).open(
            services.restore(ran["values"]["header"], {}, "test")
        )
        assert sorted(writes) == sorted(stage.io.writes)
        if stage.serialize_fn is not None:
            keywords = services.bind(stage.serialize_fn)
            assert stage.serialize_fn(writes, "test", **keywords) == envelope["data"]


def test_contract_report_is_a_plain_document(ran: dict[str, Any]) -> None:
    assert json.loads(json.dumps(ran["values"]["report"])) == ran["values"]["report"]


def test_registry_names_the_stages_there_are() -> None:
    with pytest.raises(KeyError, match=r"Unknown stage: 'x'\. Registered: \[.*'detect_objects'"):
        get_stage("x")


def test_registry_palette_groups_all_stages() -> None:
    grouped = [stage.name for found in get_palette().values() for stage in found]
    assert sorted(grouped) == [stage.name for stage in list_stages()]


def fine(state: Any) -> dict[str, Any]:
    return {"x": 1}


def greedy(state: Any, *, gpu: Any) -> dict[str, Any]:
    return {"x": gpu}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Bad Name"}, "the name must match"),
        ({"fn": None}, "it has no fn"),
        ({"fn": greedy}, "greedy asks for 'gpu'; there are: config, blobs"),
        ({"serialize_fn": fine}, "serialize_fn and deserialize_fn go together"),
        ({"scope": "frame"}, "scope 'frame' is not one of segment, video"),
        ({"io": StageIO(["frames"], ["video"])}, "channel 'video' is given by the pipeline"),
        ({"config_fields": [StageConfigField("a", "int", 5, max=3)]}, "the default is not legal"),
        ({"config_fields": [StageConfigField("a", "tuple", 5)]}, "has type 'tuple', not one of"),  # type: ignore[arg-type]
        ({"config_fields": [StageConfigField("a", "int", 5)] * 2}, "'a' is declared twice"),
    ],
)
def test_registry_refuses_a_declaration_that_is_not_legal(
    change: dict[str, Any], message: str
) -> None:
    fields = {"name": "n", "label": "N", "description": "", "io": StageIO([], ["x"]), "fn": fine}
    with pytest.raises(ValueError, match=message):
        StageRegistry().register(StageDefinition(**{**fields, **change}))


def test_registry_refuses_a_second_stage_of_a_name() -> None:
    other = StageDefinition("report", "R", "", StageIO([], ["x"]), fn=fine)
    with pytest.raises(ValueError, match="a stage named 'report' is registered already"):
        register_stage(other)
