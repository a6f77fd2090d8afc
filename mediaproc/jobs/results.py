"""What a finished job leaves in its folder."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.detect.stages.base import REGISTRY
from mediaproc.detect.tables import Files
from mediaproc.errors import OutputError
from mediaproc.jobs.store import Job
from mediaproc.outputs import TableColumn, replacing, write_document, write_parquet

# Versions that results may depend on.
_PACKAGES = ("mediaproc", "langgraph", "av", "onnxruntime", "rapidocr", "torch", "ultralytics")


def write_results(
    job: Job,
    values: Mapping[str, Any],
    blobs: BlobStore,
    timings: Mapping[str, Any],
    elapsed: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Write the report, the tables, the stages' files and ``run.json`` into the job's folder.

    Args:
        job: the job.
        values: the state of its finished graph.
        blobs: where large tables and files are.
        timings: what each node took, over all runs.
        elapsed: seconds in all and of writing checkpoints, over all runs.

    Returns:
        What failed and was skipped.

    Raises:
        BlobError: a file or a table is missing or damaged in the blob store.
        OutputError: something cannot be written, or two files have one name.
    """
    from mediaproc.detect.collect import collect_tables
    from mediaproc.detect.plan import Plan

    out = Path(job.out_dir)
    tables = collect_tables(values, blobs, Plan.from_json(job.plan))
    files = tables.pop("files", Files.empty()).records()
    _check_names(files)
    for file in files:
        with replacing(out / file["name"]) as temporary:
            blobs.copy_to(BlobRef.from_json(file["blob"]), temporary)
    for channel, table in tables.items():
        if not REGISTRY.channel(channel).result:
            continue
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
        "seconds": dict(elapsed),
        "nodes": timings,
        "files": [
            {"node": f["node"], "name": f["name"], "media_type": f["media_type"], **f["blob"]}
            for f in files
        ],
        "failures": failures,
        "versions": _versions(),
        "environment": values["header"]["environment"],
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_document(out / "run.json", run)
    return failures


def _check_names(files: Sequence[Mapping[str, Any]]) -> None:
    """OutputError where two files need one name, or one a folder where the other is a file.

    Letter case makes no difference, as on the disks of some machines.
    """
    folded = [file["name"].casefold() for file in files]
    owners = dict(zip(folded, files, strict=True))
    for name, file in zip(folded, files, strict=True):
        above = ["/".join(name.split("/")[:depth]) for depth in range(1, name.count("/") + 1)]
        for other in (owners[taken] for taken in [name, *above] if taken in owners):
            if other is not file:
                raise OutputError(
                    f"nodes {other['node']!r} and {file['node']!r} made files that cannot both be "
                    f"in the results: {other['name']} and {file['name']}"
                )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
