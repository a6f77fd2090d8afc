"""The cache: after a change, exactly what it touches is computed again, with the same results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.analysis import check
from mediaproc.detect.cache import Keys, difference
from mediaproc.detect.models import ModelStore
from mediaproc.detect.plan import Plan
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.base import REGISTRY, StageDefinition, StageIO
from mediaproc.detect.stages.channels import DETECTIONS, table_serializers
from mediaproc.detect.tables import Detections
from mediaproc.jobs import Job, Workspace

NODES = """
nodes:
  frames: {{stage: sample_frames, config: {{fps: {fps}, keep: {keep}}}}}
  found: {{stage: fake_detect, config: {{least: {least}}}}}
  kept: {{stage: fake_filter, when: "any(detections, confidence > {when})"}}
  shots: {{stage: detect_shots, config: {{threshold: 20}}}}
  track: {{stage: track_objects, from: {{detections: [kept]}}, config: {{min_sights: 1}}}}
  report: {{stage: report}}
"""


def fake_detect(state: Any, *, config: dict[str, Any]) -> dict[str, Any]:
    """A box for each image whose confidence follows from its frame."""
    rows = [
        {
            **{c.name: None for c in Detections.columns},
            "node": "",
            "frame_index": frame.index,
            "pts": frame.pts,
            "time_s": frame.time_s,
            "label": "thing",
            "class_id": 0,
            "confidence": frame.index % 10 / 10,
            "x1": frame.index,
            "y1": 10,
            "x2": frame.index + 40,
            "y2": 60,
        }
        for frame in state["frames"].images()
        if frame.index % 10 / 10 >= config["least"]
    ]
    return {"detections": Detections.from_records(rows)}


def fake_filter(state: Any) -> dict[str, Any]:
    """The same boxes, of the frames that the guard lets through."""
    wanted = set(state["frames"].indexes.tolist())
    found = state["detections"]
    keep = [i for i, f in enumerate(found.column("frame_index").tolist()) if f in wanted]
    return {"detections": found.take(keep)}


@pytest.fixture(autouse=True)
def _stages(monkeypatch: pytest.MonkeyPatch) -> None:
    from mediaproc.detect.stages.base import StageConfigField

    REGISTRY.load()
    serialize, deserialize = table_serializers("detections", Detections)
    common: dict[str, Any] = {
        "serialize_fn": serialize,
        "deserialize_fn": deserialize,
        "channels": [DETECTIONS],
    }
    monkeypatch.setattr(REGISTRY, "_stages", dict(REGISTRY._stages))
    REGISTRY.register(
        StageDefinition(
            "fake_detect",
            "Fake",
            "",
            StageIO(["frames"], ["detections"]),
            [StageConfigField("least", "float", 0.0)],
            fn=fake_detect,
            **common,
        )
    )
    REGISTRY.register(
        StageDefinition(
            "fake_filter",
            "Filter",
            "",
            StageIO(["frames", "detections"], ["detections"]),
            fn=fake_filter,
            **common,
        )
    )


Run = Callable[..., tuple[dict[str, Any], dict[str, bytes]]]


@pytest.fixture
def run(tmp_path: Path, squares_clip: Path) -> Run:
    """Runs a job; what each node reused, of how many blocks, and the result files."""
    workspace = Workspace(tmp_path / "home")

    def run(
        *,
        max_s: float = 2,
        span: Mapping[str, Any] | None = None,
        reuse: bool = True,
        **settings: Any,
    ) -> tuple[dict[str, Any], dict[str, bytes]]:
        given = {"fps": 5, "keep": "none", "least": 0.0, "when": 0.2, **settings}
        text = f"version: 1\nname: t\nsegment: {{max_s: {max_s}}}\n{NODES.format(**given)}"
        job: Job = workspace.create(
            check(parse_profile(text)), str(squares_clip), span=span, reuse=reuse
        )
        job = workspace.run(job)
        assert job.status == "done", job.error
        out = Path(job.out_dir)
        files = {f.name: f.read_bytes() for f in sorted(out.iterdir()) if f.name != "run.json"}
        assert len(files) >= 4
        return json.loads((out / "run.json").read_text())["nodes"], files

    return run


def reused(nodes: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {node: (timing["reused"], timing["blocks"]) for node, timing in nodes.items()}


ALL = {"frames": 6, "found": 6, "kept": 6, "score_frames": 6, "shots": 1, "track": 1, "report": 1}


@pytest.mark.parametrize(
    ("change", "anew", "why"),
    [
        ({}, set(), {}),
        ({"least": 0.3}, {"found", "kept", "track"}, {"found": "least changed: 0.0 -> 0.3"}),
        (
            {"when": 0.4},
            {"kept", "track"},
            {
                "kept": 'when changed: "any(detections, confidence > 0.2)" -> '
                '"any(detections, confidence > 0.4)"'
            },
        ),
        (
            {"fps": 10},
            {"frames", "found", "kept", "track"},
            {"found": "it reads from frames, which changed"},
        ),
        ({"max_s": 3}, set(), {}),
        ({"max_s": 100}, set(), {}),
    ],
)
def test_cache_computes_again_what_a_change_touches_and_nothing_else(
    run: Run, change: dict[str, Any], anew: set[str], why: dict[str, str]
) -> None:
    _, before = run()
    nodes, files = run(**change)
    expected = {node: (0 if node in {*anew, "report"} else n, n) for node, n in ALL.items()}
    assert reused(nodes) == expected
    for node, said in why.items():
        assert nodes[node]["why"] == said
    # The same as without a cache.
    assert run(**change, reuse=False)[1] == files
    if not anew:
        assert files == before


def test_cache_of_a_piece_serves_the_whole_video(run: Run) -> None:
    run(span={"from_s": 2, "to_s": 4})
    nodes, files = run()
    assert reused(nodes)["found"] == (2, 6)
    assert reused(nodes)["score_frames"] == (2, 6)
    assert reused(nodes)["track"] == (0, 1)
    assert run(reuse=False)[1] == files


def test_cache_serves_a_piece_out_of_the_whole_video(run: Run) -> None:
    run()
    nodes, files = run(span={"from_s": 2, "to_s": 4})
    assert reused(nodes)["found"] == (2, 2)
    assert run(span={"from_s": 2, "to_s": 4}, reuse=False)[1] == files


def test_cache_of_kept_frames_gives_each_once_where_a_piece_was_kept_again(run: Run) -> None:
    run(max_s=100, keep="all")
    run(max_s=100, keep="all", span={"from_s": 2, "to_s": 4}, reuse=False)
    _, files = run(max_s=100, keep="all", least=0.3)
    assert run(max_s=100, keep="all", least=0.3, reuse=False)[1] == files


def test_cache_is_not_read_where_it_is_not_wanted_but_written(run: Run) -> None:
    run(reuse=False)
    nodes, _ = run(reuse=False)
    assert nodes["found"]["reused"] == 0
    assert nodes["found"]["why"] == "results of earlier jobs were not to be used"
    assert reused(run()[0])["found"] == (6, 6)


def test_cache_keeps_what_it_holds_when_its_jobs_are_removed(
    run: Run, tmp_path: Path, squares_clip: Path
) -> None:
    _, files = run()
    workspace = Workspace(tmp_path / "home")
    for job in workspace.jobs():
        workspace.remove(job.id)
    nodes, again = run()
    assert reused(nodes)["score_frames"] == (6, 6)
    assert again == files


def test_cache_is_trimmed_to_its_bound_and_gives_its_blobs_back(run: Run, tmp_path: Path) -> None:
    run()
    workspace = Workspace(tmp_path / "home")
    entries, size = workspace.cache.size()
    assert entries == 3 * 4 + 2
    workspace.cache.trim(size // 2)
    assert 0 < workspace.cache.size()[1] <= size // 2
    workspace.cache.trim(0)
    assert workspace.cache.size() == (0, 0)
    for job in workspace.jobs():
        workspace.remove(job.id)
    left = list(workspace.blobs.list())
    assert left == []
    nodes, _ = run()
    assert reused(nodes)["score_frames"] == (0, 6)


def test_cache_recomputes_what_is_damaged(run: Run, tmp_path: Path) -> None:
    _, files = run()
    for blob in LocalBlobStore(tmp_path / "home/blobs").list():
        path = tmp_path / "home/blobs" / blob.ref.key
        data = bytearray(path.read_bytes())
        if data[0] != 0x78:  # no table, which zlib packs
            continue
        data[len(data) // 2] ^= 4
        path.write_bytes(bytes(data))
    nodes, again = run()
    assert nodes["score_frames"]["reused"] < 6
    assert again == files


def test_cache_takes_nothing_over_that_builds_on_a_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = NODES.replace("{{stage: fake_detect,", "{{stage: fake_detect, on_error: skip,")
    monkeypatch.setitem(globals(), "NODES", text)

    def broken(state: Any, *, config: dict[str, Any]) -> dict[str, Any]:
        if state["segment"].number == 1:
            raise ValueError("not today")
        return fake_detect(state, config=config)

    stage = REGISTRY.get("fake_detect")
    object.__setattr__(stage, "fn", broken)
    run()
    object.__setattr__(stage, "fn", fake_detect)
    nodes, files = run()
    assert reused(nodes)["found"] == (4, 6)
    assert reused(nodes)["track"] == (0, 1)
    assert run(reuse=False)[1] == files


def plan(**settings: Any) -> Plan:
    given = {"fps": 5, "keep": "none", "least": 0.0, "when": 0.2, **settings}
    return check(parse_profile(f"version: 1\nname: t\n{NODES.format(**given)}"))


def test_cache_keys_follow_from_the_content_of_a_model(tmp_path: Path) -> None:
    text = (
        "version: 1\nname: t\nstages: [sample_frames, detect_objects: {model: "
        f"{tmp_path}/m.onnx}}]"
    )
    digests = []
    for content in (b"one", b"two", b"one"):
        (tmp_path / "m.onnx").write_bytes(content)
        made = check(parse_profile(text))
        keys = Keys(made, ModelStore(tmp_path), LocalBlobStore(tmp_path))
        digests.append(keys.digest(made.node("detect_objects")))
    assert digests[0] == digests[2] != digests[1]


def test_cache_keys_know_threads_and_the_kind_of_cpu(tmp_path: Path) -> None:
    made, blobs = plan(), LocalBlobStore(tmp_path)
    one = Keys(made, ModelStore(tmp_path, threads=1), blobs)
    two = Keys(made, ModelStore(tmp_path, threads=2), blobs)
    node = made.node("found")
    assert one.digest(node) != two.digest(node)
    assert one.facts(node)["environment"]["machine"]
    assert difference(one.facts(node), two.facts(node)) == 'environment threads changed: "1" -> "2"'


def test_cache_never_keeps_what_a_person_answered(tmp_path: Path) -> None:
    def asking(state: Any, *, ask: Any) -> dict[str, Any]:
        return {"detections": ask("?")}

    stage = REGISTRY.get("fake_detect")
    object.__setattr__(stage, "fn", asking)
    made = plan()
    keys = Keys(made, ModelStore(tmp_path), LocalBlobStore(tmp_path))
    found = {node.id: keys.cacheable(node) for node in made.nodes}
    assert found["frames"]
    assert not found["found"], "it asks a person"
    assert not found["track"], "it builds on what a person said"
