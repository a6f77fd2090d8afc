"""The Python API: an entry point that reads the settings, as the command line does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mediaproc.blobs import BlobStore, open_blob_store
from mediaproc.detect.profile import Profile, load_profile
from mediaproc.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from langchain_core.language_models import BaseChatModel
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from mediaproc.detect.checkpoint import StageCheckpointer
    from mediaproc.detect.plan import Plan
    from mediaproc.jobs import Workspace

# Holds the blobs of graphs that run outside of jobs, which no removed job may take along.
GRAPHS = "graph:"

__all__ = ["build_graph", "export", "load_profile", "open_checkpointer", "open_workspace"]


def build_graph(
    profile: Profile | Plan,
    *,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    blobs: BlobStore | None = None,
    chat_models: Mapping[str, BaseChatModel] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph of a profile, with models, blobs and concurrency from the settings.

    Args:
        profile: what ``load_profile`` gave.
        checkpointer: what ``open_checkpointer`` gave, any other LangGraph saver, or None.
        blobs: where stages keep binary data; the settings' store where None.
        chat_models: LangChain chat models by name, which profiles call ``given:NAME``.

    Returns:
        A graph that takes ``{"video": path}`` and returns ``{"report": {...}}``, sync and async.

    Raises:
        ProfileError: the profile has problems; all are in it.
        SettingsError: a setting is not valid.
    """
    from mediaproc.detect import graph
    from mediaproc.detect.models import ModelStore
    from mediaproc.media import FingerprintMemory

    settings = load_settings()
    return graph.build_graph(
        profile,
        blobs=blobs or open_workspace().blobs_of(GRAPHS),
        models=ModelStore(
            settings.home / "models", threads=settings.threads, chat_models=chat_models
        ),
        checkpointer=checkpointer,
        concurrency=settings.concurrency,
        fingerprints=FingerprintMemory(settings.home / "fingerprints.sqlite"),
    )


@contextmanager
def open_checkpointer() -> Iterator[StageCheckpointer]:
    """The checkpointer that the settings name; the one in which jobs are kept."""
    with open_workspace().checkpointer() as saver:
        yield saver


def export(
    job_id: str,
    format: str,
    path: Path | str,
    *,
    table: str | None = None,
    nodes: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    force: bool = False,
) -> dict[str, int]:
    """Write what a finished job found in another format; ``mediaproc export`` in Python.

    Args:
        job_id: the job's id.
        format: ``json``, ``coco``, ...: ``mediaproc export --list`` tells all, with their options.
        path: the file or folder to make.
        table: the table to write; what the format takes by itself where None.
        nodes: take the rows of these nodes only; those of all where empty.
        options: values of the format's options.
        force: replace a file, or a folder that an earlier export made.

    Returns:
        The tables that were written, each with its number of rows.

    Raises:
        JobError: there is no such job, it is not done, or what it stored is gone.
        OutputError: there is no such format, table, node or option; or ``path`` is there already
            or cannot be written.
        MediaError: pixels are asked for and cannot be had.
    """
    from mediaproc.jobs.exports import export_job

    return export_job(
        open_workspace(),
        job_id,
        format,
        path,
        table=table,
        nodes=nodes,
        options=options,
        force=force,
    )


def open_workspace(
    *,
    concurrency: int | None = None,
    chat_models: Mapping[str, BaseChatModel] | None = None,
) -> Workspace:
    """The jobs of the settings' home folder.

    Args:
        concurrency: how many stages work at once; the settings' number where None.
        chat_models: LangChain chat models by name, which profiles call ``given:NAME``.
    """
    from mediaproc.jobs import Workspace

    settings = load_settings()
    return Workspace(
        settings.home,
        database=settings.database_location,
        blobs=open_blob_store(settings.blobs_location),
        concurrency=concurrency or settings.concurrency,
        threads=settings.threads,
        retention_days=settings.retention_days,
        cache_mb=settings.cache_mb,
        chat_models=chat_models,
    )
