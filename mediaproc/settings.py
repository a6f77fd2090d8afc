"""What the environment and a ``.env`` file in the working directory choose.

Only the entry points (``cli``, ``api``, ``web``, ``agent``, ``scale``) read this; all other code
takes values. The order is: flag, environment, ``.env``, default.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mediaproc.database import masked
from mediaproc.errors import SettingsError

PREFIX = "MEDIAPROC_"
ENV_FILE = ".env"

LogLevel = Literal["debug", "info", "warning", "error"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class Settings(BaseSettings):
    """What an operator chooses; each field is the variable ``MEDIAPROC_<FIELD>``.

    An empty variable counts as not set.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("mediaproc", appauthor=False)),
        description="Folder of the job database, local blobs and exported models.",
    )
    database: str | None = Field(
        None, description="Job database: a SQLite file or a postgresql:// URL."
    )
    blobs: str | None = Field(None, description="Blob store: a local folder or s3://bucket/prefix.")
    concurrency: int = Field(
        2, ge=1, le=256, description="How many stages work at once, and segments are open."
    )
    threads: int = Field(
        1, ge=1, le=256, description="Threads of one model call on the CPU. Results depend on it."
    )
    cache_mb: int = Field(
        4000,
        ge=0,
        description="Most that results kept for later jobs may take, in MB, blobs included; 0 "
        "keeps none.",
    )
    retention_days: int | None = Field(
        None,
        ge=0,
        description="Days after which a done job loses its checkpoints and blobs; never where not "
        "set. Looked at when a job starts.",
    )
    log_level: LogLevel = Field("warning", description="How much is logged to stderr.")

    @property
    def database_location(self) -> str:
        """``database``, or the SQLite file in ``home``."""
        return self.database or str(self.home / "jobs.db")

    @property
    def blobs_location(self) -> str:
        """``blobs``, or the folder in ``home``."""
        return self.blobs or str(self.home / "blobs")

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("database")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        return _location(value, ("postgresql", "postgres"), "a file or postgresql://host/database")

    @field_validator("blobs")
    @classmethod
    def _known_blobs(cls, value: str | None) -> str | None:
        if value is not None and value.lower().startswith("s3://") and not value[5:].split("/")[0]:
            raise ValueError("names no bucket: s3://bucket/prefix")
        return _location(value, ("s3",), "a folder or s3://bucket/prefix")

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, masked(value) if isinstance(value, str) else value


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: one line per problem, each with the variable, its value and where it was set.
    """
    try:
        file = dotenv_values(ENV_FILE, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{ENV_FILE} cannot be read: {exc}") from exc
    problems = _unknown(file)
    try:
        settings = Settings()
    except ValidationError as exc:
        problems += [_problem(str(error["loc"][0]), error["msg"], file) for error in exc.errors()]
        raise SettingsError("\n".join(problems)) from None  # the cause would show what is masked
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _location(value: str | None, schemes: tuple[str, ...], wanted: str) -> str | None:
    """A URL with one of ``schemes`` as it is; anything else is a path, made absolute."""
    if value is None:
        return None
    match = _SCHEME.match(value)
    if match is None:
        return str(Path(value).expanduser().absolute())
    if match[1].lower() not in schemes:
        raise ValueError(f"should be {wanted}")
    return value


def _problem(field: str, message: str, file: Mapping[str, str | None]) -> str:
    """One line for a value that is not valid: the variable, its value, its source, the reason."""
    for source, values in (("the environment", os.environ), (ENV_FILE, file)):
        for variable, value in values.items():
            # As pydantic-settings does: names in any case, and an empty value is no value.
            if variable.upper() == PREFIX + field.upper() and value:
                message = message.removeprefix("Value error, ")
                return f"{variable}={masked(value)!r} (from {source}): {message}"
    return f"{PREFIX}{field.upper()}: {message}"


def _unknown(file: Mapping[str, str | None]) -> list[str]:
    """A line for each ``MEDIAPROC_`` name in ``.env`` that is no setting.

    The environment is not checked: it is shared with others, while the file is written for us.
    """
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    lines = []
    for variable in file:
        name = variable.upper()
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            lines.append(f"{variable} (from {ENV_FILE}): is no setting; {hint}")
    return lines
