"""What an export format declares, and writing findings in one.

A format is a file of its own with an ``Exporter`` in it, and a line in ``formats.py``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mediaproc.errors import OutputError
from mediaproc.outputs.files import replacing, replacing_folder
from mediaproc.outputs.tables import Findings, Table

# What makes a row a box in a frame.
BOX_COLUMNS = ("frame_index", "time_s", "x1", "y1", "x2", "y2")

Shape = Literal["file", "folder", "file per table"]
Write = Callable[[Path, Findings, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ExportOption:
    """One option of a format.

    Attributes:
        name: its name.
        type: ``"bool"``, ``"int"``, ``"str"`` or ``"list"`` (of texts; as one text, with commas).
        default: the value where none is given.
        description: one sentence.
        choices: the legal values, or None.
        min: lowest legal number.
    """

    name: str
    type: Literal["bool", "int", "str", "list"]
    default: Any
    description: str
    choices: tuple[str, ...] | None = None
    min: int | None = None

    def parse(self, value: Any) -> Any:
        """A value of the option's type, from itself or from text; ValueError says why not."""
        if self.type == "list":
            return _texts(value)
        if self.type == "bool":
            return _bool(value)
        if self.type == "int":
            try:
                number = int(str(value))
            except ValueError:
                raise ValueError(f"{value!r} is not a whole number") from None
            if self.min is not None and number < self.min:
                raise ValueError(f"{number} is below the minimum {self.min}")
            return number
        if self.choices is not None and value not in self.choices:
            raise ValueError(f"{value!r} is not one of: {', '.join(self.choices)}")
        return str(value)


@dataclass(frozen=True, slots=True)
class Exporter:
    """An export format.

    Attributes:
        name: by which it is asked for.
        description: one sentence: what it is, and what it rounds.
        shape: ``"file"``, ``"folder"``, or ``"file per table"``: a folder of files named after
            their tables, and a file where one table is asked for.
        write: ``(path, findings, options) -> None`` writes a new file, or into a new folder.
            ``findings.tables`` holds the chosen tables only; with ``"file per table"`` it is
            called for each.
        extension: of the file or files, with its dot; empty for a folder of several kinds.
        media_type: of the file or files.
        tables: the tables that it takes, best first: the first that there is, or with ``several``
            all that there are. Empty: every table.
        several: whether it takes several tables at once.
        columns: what any other table must have to be asked for.
        options: its options.
    """

    name: str
    description: str
    shape: Shape
    write: Write
    extension: str = ""
    media_type: str = ""
    tables: tuple[str, ...] = ()
    several: bool = False
    columns: tuple[str, ...] = ()
    options: tuple[ExportOption, ...] = ()

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every option with its value; OutputError where one is unknown or not legal."""
        known = {option.name: option for option in self.options}
        for name in given:
            if name not in known:
                raise OutputError(
                    f"format {self.name} has no option {name!r}; {_there_are(list(known), name)}"
                )
        filled = {name: option.default for name, option in known.items()}
        for name, value in given.items():
            try:
                filled[name] = known[name].parse(value)
            except ValueError as error:
                raise OutputError(f"format {self.name}, option {name}: {error}") from None
        return filled

    def chosen(self, tables: Mapping[str, Table], asked: str | None) -> dict[str, Table]:
        """The tables to write: the one asked for, or what the format takes by itself.

        Raises:
            OutputError: there is no such table, it is not of this format, or there is none.
        """
        have = ", ".join(sorted(tables)) or "no table"
        if asked is not None:
            if asked not in tables:
                raise OutputError(f"there is no table {asked!r}; there is: {have}")
            if not tables[asked].has(*self.columns):
                raise OutputError(
                    f"format {self.name} cannot be made of {asked}, which has no "
                    f"{' and '.join(c for c in self.columns if not tables[asked].has(c))}"
                )
            return {asked: tables[asked]}
        found = [name for name in self.tables or sorted(tables) if name in tables]
        if not found:
            wanted = " or ".join(self.tables) or "a table"
            raise OutputError(
                f"format {self.name} takes {wanted}, of which there is none; there is: {have}"
            )
        if not self.tables or self.several:
            return {name: tables[name] for name in found}
        return {found[0]: tables[found[0]]}

    def is_folder(self, asked: str | None) -> bool:
        """Whether a folder comes out; ``asked`` is the table asked for."""
        return self.shape == "folder" or (self.shape == "file per table" and asked is None)


def write_export(
    exporter: Exporter,
    path: Path,
    findings: Findings,
    *,
    table: str | None = None,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
) -> list[Table]:
    """Write findings in a format; the file or folder appears whole or not at all.

    Args:
        exporter: the format.
        path: the file or folder to make.
        findings: what was found.
        table: the table to write; what the format takes by itself where None.
        options: values of the format's options, typed or as text.
        force: replace a file, or a folder that an earlier export made.

    Returns:
        The tables that were written.

    Raises:
        OutputError: ``path`` is there already or cannot be written, no table fits, or an option
            is not legal.
        MediaError: pixels are asked for and cannot be had.
    """
    filled = exporter.filled(options or {})
    chosen = exporter.chosen(findings.tables, table)
    narrowed = replace(findings, tables=chosen)
    if not exporter.is_folder(table):
        if path.is_dir():
            raise OutputError(f"{path} is a folder; format {exporter.name} makes a file")
        if path.exists() and not force:
            raise OutputError(f"{path} exists already; replace it with --force")
        with replacing(path) as temporary:
            exporter.write(temporary, narrowed, filled)
        return [*chosen.values()]
    with replacing_folder(path, force=force) as folder:
        if exporter.shape == "folder":
            exporter.write(folder, narrowed, filled)
        else:
            for name, one in chosen.items():
                alone = replace(findings, tables={name: one})
                exporter.write(folder / f"{name}{exporter.extension}", alone, filled)
    return [*chosen.values()]


def options_of(settings: Sequence[str]) -> dict[str, str]:
    """Options out of texts ``OPTION=VALUE``; OutputError where one is none."""
    options: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise OutputError(f"{setting!r} is no option of a format: give OPTION=VALUE")
        options[name.strip()] = value.strip()
    return options


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Sequence) and all(isinstance(part, str) for part in value):
        return list(value)
    raise ValueError(f"{value!r} is not a list of texts")


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ValueError(f"{value!r} is not true or false")


def _there_are(names: Sequence[str], name: str) -> str:
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(names)}" if names else "it has none"
