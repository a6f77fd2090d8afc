"""MOTChallenge: what TrackEval and motmetrics make of it."""

from __future__ import annotations

import configparser
import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

from mediaproc.outputs import mot, write_export
from tests.outputs.found import findings


def test_mot_the_sequence_tells_size_length_and_whole_frame_rate(tmp_path: Path) -> None:
    write_export(mot.EXPORTER, tmp_path / "out", findings("vertical-odd"))
    parser = configparser.ConfigParser()
    parser.read(tmp_path / "out" / "seqinfo.ini")
    assert dict(parser["Sequence"]) == {
        "name": "a_clip",
        "imdir": "img1",
        "framerate": "30",
        "seqlength": "9",
        "imwidth": "243",
        "imheight": "431",
        "imext": ".jpg",
    }


def test_mot_detections_come_back_with_their_confidence(tmp_path: Path) -> None:
    import motmetrics

    found = findings("plain")
    write_export(mot.EXPORTER, tmp_path / "out", found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        data = motmetrics.io.loadtxt(tmp_path / "out" / "det" / "det.txt", fmt="mot15-2D")
    truth = found.tables["detections"]
    assert [frame - 1 for frame, _ in data.index] == truth.values("frame_index")
    assert data.Confidence.round(6).tolist() == [round(c, 6) for c in truth.values("confidence")]


def test_mot_trackeval_finds_results_equal_to_the_ground_truth(tmp_path: Path) -> None:
    root, found = tmp_path, findings("plain")
    options: dict[str, Any] = {"labels": "car"}
    write_export(mot.EXPORTER, root / "gt" / "clip", found, options=options)
    results = options | {"tracks_as": "results"}
    write_export(mot.EXPORTER, root / "made", found, table="tracks", options=results)
    (root / "trackers" / "ours" / "data").mkdir(parents=True)
    (root / "made" / "a_clip.txt").rename(root / "trackers" / "ours" / "data" / "clip.txt")
    scores = evaluated(root)
    assert scores["HOTA"]["HOTA"].min() == 1.0
    assert scores["Identity"]["IDF1"] == 1.0
    rows = sum(label == "car" for label in found.tables["tracks"].values("label"))
    assert scores["Count"]["GT_Dets"] == scores["Count"]["Dets"] == rows


def test_mot_images_are_named_by_frames_from_1(tmp_path: Path) -> None:
    write_export(mot.EXPORTER, tmp_path / "out", findings("every-frame"), options={"images": True})
    names = sorted(path.name for path in (tmp_path / "out" / "img1").iterdir())
    assert names == [f"{number:06d}.jpg" for number in range(1, 11)]


def evaluated(root: Path) -> Any:
    """TrackEval's scores of ``trackers/ours`` against ``gt``, of the sequence ``clip``."""
    import trackeval

    settings = {
        "GT_FOLDER": str(root / "gt"),
        "TRACKERS_FOLDER": str(root / "trackers"),
        "SEQ_INFO": {"clip": None},
        "SKIP_SPLIT_FOL": True,
        "DO_PREPROC": False,
        "CLASSES_TO_EVAL": ["pedestrian"],  # its name for the first class
        "PRINT_CONFIG": False,
    }
    quiet = {"PRINT_RESULTS": False, "OUTPUT_SUMMARY": False, "PLOT_CURVES": False}
    quiet |= {"PRINT_CONFIG": False, "OUTPUT_DETAILED": False, "TIME_PROGRESS": False}
    quiet |= {"DISPLAY_LESS_PROGRESS": True, "LOG_ON_ERROR": None, "BREAK_ON_ERROR": True}
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = trackeval.datasets.MotChallenge2DBox(settings)
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.Identity({"PRINT_CONFIG": False})]
        results, _ = trackeval.Evaluator(quiet).evaluate([dataset], metrics)
    return results["MotChallenge2DBox"]["ours"]["clip"]["pedestrian"]
