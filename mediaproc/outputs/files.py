"""Files that appear whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mediaproc.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends well.

    One process at a time writes a path: what another that was killed left of it is removed.

    Raises:
        OutputError: the file cannot be written there, for instance because the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}-*"):
            left.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp makes files that only their owner may read.
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} cannot be written: {reason}") from error


# Stands in every folder that an export made, so that no other folder is ever replaced.
MARKER = ".mediaproc-export"


@contextmanager
def replacing_folder(path: Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder that becomes ``path`` when the block ends well.

    One process at a time writes a path: what another that was killed left of it is removed.

    Args:
        path: the folder to make; an empty one may be there already.
        force: replace a folder that was made here earlier.

    Raises:
        OutputError: something is there that must not be replaced, or it cannot be written.
    """
    _refuse_to_replace(path, force=force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}-????????"):
            if (left / MARKER).exists():
                shutil.rmtree(left)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
        try:
            # mkdtemp makes folders that only their owner may enter.
            temporary.chmod(0o755)
            (temporary / MARKER).touch()
            yield temporary
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} cannot be written: {reason}") from error


def write_zip(path: Path, folder: Path) -> None:
    """Pack the files of a folder, whatever their times, so that equal files give equal bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MARKER):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with file.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target)


def _refuse_to_replace(path: Path, *, force: bool) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OutputError(f"{path} is there already and is not a folder; give another path")
    if not path.exists() or not any(path.iterdir()):
        return
    if not (path / MARKER).exists():
        raise OutputError(f"{path} holds files that no export made; give another path")
    if not force:
        raise OutputError(f"{path} exists already; replace it with --force")
