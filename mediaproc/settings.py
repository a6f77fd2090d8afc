"""Settings from the environment and ``.env``. Only entry points read them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mediaproc.errors import SettingsError


class Settings(BaseSettings):
    """What an operator chooses, as ``MEDIAPROC_...`` variables."""

    model_config = SettingsConfigDict(env_prefix="MEDIAPROC_", env_file=".env", extra="ignore")

    home: Path = Field(
        default_factory=lambda: user_data_path("mediaproc"),
        description="Folder of the job database, local blobs and exported models.",
    )
    concurrency: int = Field(
        2, ge=1, le=256, description="How many stages work at once, and segments are open."
    )
    threads: int = Field(
        1, ge=1, le=256, description="Threads of one model call on the CPU. Results depend on it."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="How much is logged to stderr."
    )


def load_settings() -> Settings:
    """The settings.

    Raises:
        SettingsError: a value is not valid; the text names the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        found = error.errors()[0]
        name = f"MEDIAPROC_{str(found['loc'][0]).upper()}"
        raise SettingsError(
            f"{name} (environment or .env): {found['msg'].lower()}, got {found['input']!r}"
        ) from error
