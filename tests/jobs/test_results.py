"""Files that stages make, from the blob store into the results folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediaproc.blobs import BlobRef, BlobStore, LocalBlobStore
from mediaproc.detect.analysis import check
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.base import REGISTRY, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FILES, table_serializers
from mediaproc.detect.tables import Files
from mediaproc.errors import BlobError, StageError
from mediaproc.jobs import Job, Workspace
from mediaproc.outputs import replacing

CONTENT = b"made by a stage"


def _note(state: Any, *, blobs: BlobStore) -> dict[str, Any]:
    with blobs.scratch(".txt") as path:
        path.write_bytes(CONTENT)
        return {"files": Files.of("{node}/note.txt", "text/plain", blobs.put_file(path))}


def _fixed(state: Any, *, blobs: BlobStore) -> dict[str, Any]:
    return {"files": Files.of("one.txt", "text/plain", blobs.put(CONTENT))}


@pytest.fixture(autouse=True)
def _stages(monkeypatch: pytest.MonkeyPatch) -> None:
    REGISTRY.load()
    monkeypatch.setattr(REGISTRY, "_stages", dict(REGISTRY._stages))
    monkeypatch.setattr(REGISTRY, "_channels", dict(REGISTRY._channels))
    serialize, deserialize = table_serializers("files", Files)
    for name, fn in (("note", _note), ("fixed", _fixed)):
        REGISTRY.register(
            StageDefinition(
                name,
                name,
                "",
                StageIO(["video"], ["files"]),
                fn=fn,
                serialize_fn=serialize,
                deserialize_fn=deserialize,
                scope="video",
                channels=[FILES],
            )
        )


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "home")
    yield opened
    opened.database.close()


def _job(workspace: Workspace, clip: Path, out: Path, nodes: str, job_id: str = "a") -> Job:
    plan = check(parse_profile(f"version: 1\nname: t\nnodes: {nodes}\n"))
    return workspace.create(plan, str(clip), job_id=job_id, out_dir=str(out))


def test_results_hold_the_files_that_stages_made(
    workspace: Workspace, squares_clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    job = _job(workspace, squares_clip, out, "{a: {stage: note}, b: {stage: note}}")
    assert workspace.run(job).status == "done"
    assert [(out / node / "note.txt").read_bytes() for node in "ab"] == [CONTENT] * 2
    assert sorted(path.name for path in out.iterdir()) == ["a", "b", "run.json"]


def test_results_list_the_files_with_their_digests(
    workspace: Workspace, squares_clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    workspace.run(_job(workspace, squares_clip, out, "{a: {stage: note}}"))
    [file] = json.loads((out / "run.json").read_text())["files"]
    ref = BlobRef.of(CONTENT)
    expected = {"node": "a", "name": "a/note.txt", "media_type": "text/plain"}
    assert file == {**expected, "sha256": ref.sha256, "size": ref.size}


def test_results_refuse_two_files_of_one_name(
    workspace: Workspace, squares_clip: Path, tmp_path: Path
) -> None:
    nodes = "{a: {stage: fixed}, b: {stage: fixed}}"
    job = workspace.run(_job(workspace, squares_clip, tmp_path / "out", nodes))
    assert job.status == "failed"
    assert "nodes 'b' and 'a' made files that cannot both be in the results" in str(job.error)


def test_results_files_taken_from_the_cache_outlive_the_job_that_made_them(
    workspace: Workspace, squares_clip: Path, tmp_path: Path
) -> None:
    nodes = "{a: {stage: note}}"
    workspace.run(_job(workspace, squares_clip, tmp_path / "one", nodes))
    workspace.remove("a")
    job = workspace.run(_job(workspace, squares_clip, tmp_path / "two", nodes, "b"))
    assert job.status == "done"
    assert (tmp_path / "two" / "a" / "note.txt").read_bytes() == CONTENT


def test_results_removed_job_and_cache_leave_no_bytes_of_its_files(
    workspace: Workspace, squares_clip: Path, tmp_path: Path
) -> None:
    workspace.run(_job(workspace, squares_clip, tmp_path / "one", "{a: {stage: note}}"))
    workspace.remove("a")
    workspace.cache.trim(0)
    assert not workspace.blobs.contains(BlobRef.of(CONTENT))


def test_results_damaged_file_is_no_result(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path / "blobs")
    ref = blobs.put(CONTENT)
    (blobs.root / ref.key).write_bytes(b"?" + CONTENT[1:])
    target = tmp_path / "out" / "note.txt"
    with (
        pytest.raises(BlobError, match="its bytes do not match its digest"),
        replacing(target) as t,
    ):
        blobs.copy_to(ref, t)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "is absolute"),
        ("../up.txt", "leads out of the folder"),
        ("a/../../up.txt", "leads out of the folder"),
        ("a//b.txt", "holds more than"),
        (".hidden", "holds more than"),
        ("a\\b.txt", "holds more than"),
        ("", "holds more than"),
        ("run.json", "is that of a result of every job"),
        ("Tracks.PARQUET", "is that of a result of every job"),
    ],
)
def test_files_refuse_a_name_outside_the_results(name: str, why: str) -> None:
    with pytest.raises(StageError, match=f"node 'n' made a file named .*, which {why}"):
        Files.of(name, "text/plain", BlobRef.of(b"")).made_by("n")


def test_files_put_the_node_into_their_names_once() -> None:
    made = Files.of("{node}.mp4", "video/mp4", BlobRef.of(b"")).made_by("n")
    assert made.made_by("other").records()[0]["name"] == "n.mp4"


def test_files_in_a_blob_name_the_blobs_that_they_refer_to(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)
    refs = [blobs.put(b"%d" % number) for number in range(100)]
    table = Files.concat(
        [Files.of(f"{number}", "text/plain", ref) for number, ref in enumerate(refs)]
    )
    data = table.to_json(blobs)
    assert data["refers_to"] == [ref.to_json() for ref in refs]
    assert Files.from_json(data, blobs).records() == table.records()
