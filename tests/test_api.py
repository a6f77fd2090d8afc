"""The Python API of the README."""

from __future__ import annotations

from pathlib import Path

import mediaproc


def test_api_runs_a_profile_as_the_readme_does(tmp_path: Path, squares_clip: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nname: t\nstages: [sample_frames, detect_shots, report]\n")
    profile = mediaproc.load_profile(path)
    with mediaproc.open_checkpointer() as saver:
        graph = mediaproc.build_graph(profile, checkpointer=saver)
        config = {"configurable": {"thread_id": "job-1"}}
        result = graph.invoke({"video": str(squares_clip)}, config, durability="sync")
    assert result["report"]["video"]["frame_count"] == 150


def test_api_names_everything_it_offers() -> None:
    assert mediaproc.__all__ == sorted(mediaproc.__all__)
    assert all(callable(getattr(mediaproc, name)) for name in mediaproc.__all__)
