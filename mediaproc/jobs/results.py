"""What a finished job leaves in its folder."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaproc.blobs import BlobStore
from mediaproc.jobs.store import Job
from mediaproc.outputs import TableColumn, write_document, write_parquet

# Versions that results may depend on.
_PACKAGES = ("mediaproc", "langgraph", "av", "onnxruntime", "rapidocr", "torch", "ultralytics")


def write_results(
    job: Job, values: Mapping[str, Any], blobs: BlobStore, timings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Write the report, the tables and ``run.json`` into the job's folder.

    Args:
        job: the job.
        values: the state of its finished graph.
        blobs: where large tables are.
        timings: what each node took, over all runs.

    Returns:
        What failed and was skipped.
    """
    from mediaproc.detect.graph import collect_tables
    from mediaproc.detect.plan import Plan

    out = Path(job.out_dir)
    for channel, table in collect_tables(values, blobs, Plan.from_json(job.plan)).items():
        columns = [
            TableColumn(c.name, c.kind, table.column(c.name), c.description) for c in table.columns
        ]
        write_parquet(out / f"{channel}.parquet", columns)
    if "report" in values:
        write_document(out / "report.json", values["report"])
    failures: list[dict[str, Any]] = values.get("failures", [])
    run = {
        "job": job.id,
        "video": values["header"]["info"],
        "plan": job.plan,
        "runs": job.runs,
        "segments": len(values["segments"]),
        "nodes": timings,
        "failures": failures,
        "versions": _versions(),
        "environment": values["header"]["environment"],
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_document(out / "run.json", run)
    return failures


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
