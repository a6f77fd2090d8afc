"""``mediaproc export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mediaproc.outputs.formats import EXPORTERS
from tests.cli.test_cli import call


@pytest.fixture
def job(tmp_path: Path, squares_clip: Path) -> str:
    profile = tmp_path / "p.yaml"
    profile.write_text("version: 1\nname: t\nstages: [detect_shots, report]\n")
    out = str(tmp_path / "results")
    done = call("detect", "-p", str(profile), str(squares_clip), "--out", out, "--job-id", "a")
    assert done.returncode == 0, done.stderr
    return "a"


def test_export_writes_and_says_what_it_wrote(job: str, tmp_path: Path) -> None:
    out = tmp_path / "chapters.vtt"
    done = call("export", job, "--format", "webvtt", "--out", str(out))
    assert (done.returncode, done.stdout) == (0, f"a: 2 shots in {out}\n")
    assert out.read_text().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:03.000\nShot 1\n")
    again = call("export", job, "--format", "webvtt", "--out", str(out))
    assert (again.returncode, again.stdout) == (1, "")
    assert f"job a: {out} exists already; replace it with --force" in again.stderr
    data = call(
        *("export", job, "-f", "webvtt", "--out", str(out), "--force", "--json"),
        *("--set", "kind=metadata"),
    )
    assert json.loads(data.stdout)["tables"] == {"shots": 2}
    assert '"shots": [{' in out.read_text()


def test_export_lists_every_format_with_its_options() -> None:
    lines = call("export", "--list").stdout.splitlines()
    for exporter in EXPORTERS:
        assert f"{exporter.name}: {exporter.description}" in lines
    options = {f"  --set {o.name}=" for exporter in EXPORTERS for o in exporter.options}
    assert options == {line[: line.index("=") + 1] for line in lines if "--set" in line}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-f", "webvt"], 2, "there is no export format 'webvt'; did you mean 'webvtt'?"),
        (
            ["-f", "coco", "--set", "labels"],
            2,
            "'labels' is no option of a format: give OPTION=VALUE",
        ),
        (["-f", "coco"], 1, "there is no job 'nope'"),
    ],
)
def test_export_says_what_is_wrong(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    done = call("export", "nope", *arguments, "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (code, "")
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
