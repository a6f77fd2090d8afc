"""mediaproc: video files into structured findings, through a pipeline declared in YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediaproc.api import build_graph, export, load_profile, open_checkpointer, open_workspace

__all__ = ["build_graph", "export", "load_profile", "open_checkpointer", "open_workspace"]


def __getattr__(name: str) -> Any:
    # On first use, so that importing the package, as every command does, stays instant.
    if name in __all__:
        from mediaproc import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
