"""Settings: defaults, sources, messages, and `.env.example`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mediaproc.errors import SettingsError
from mediaproc.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parent.parent


def test_settings_defaults_lie_in_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDIAPROC_HOME", str(tmp_path))
    settings = load_settings()
    assert settings.home == tmp_path
    assert settings.database_location == str(tmp_path / "jobs.db")
    assert settings.blobs_location == str(tmp_path / "blobs")
    assert settings.concurrency == 2
    assert settings.threads == 1
    assert settings.log_level == "warning"


def test_settings_default_home_is_the_platform_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDIAPROC_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert load_settings().home.is_absolute()
    assert load_settings().home.name == "mediaproc"


def test_settings_paths_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAPROC_HOME", "~/data")
    monkeypatch.setenv("MEDIAPROC_BLOBS", "store")
    monkeypatch.setenv("MEDIAPROC_DATABASE", "jobs.db")
    settings = load_settings()
    assert settings.home == Path("~/data").expanduser()
    assert settings.blobs_location == str(Path.cwd() / "store")
    assert settings.database_location == str(Path.cwd() / "jobs.db")


def test_settings_environment_wins_over_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MEDIAPROC_CONCURRENCY=2\nMEDIAPROC_LOG_LEVEL=INFO\nOTHER=1\n")
    assert load_settings().concurrency == 2
    assert load_settings().log_level == "info"
    monkeypatch.setenv("MEDIAPROC_CONCURRENCY", "3")
    assert load_settings().concurrency == 3


def test_settings_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAPROC_BLOBS", "")
    monkeypatch.setenv("MEDIAPROC_CONCURRENCY", "")
    settings = load_settings()
    assert settings.blobs is None
    assert settings.concurrency == 2


def test_settings_names_each_bad_value_and_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MEDIAPROC_LOG_LEVEL=loud\nMEDIAPROC_CONCURENCY=2\n")
    monkeypatch.setenv("MEDIAPROC_CONCURRENCY", "0")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).splitlines() == [
        "MEDIAPROC_CONCURENCY (from .env): is no setting; did you mean MEDIAPROC_CONCURRENCY?",
        "MEDIAPROC_CONCURRENCY='0' (from the environment): "
        "Input should be greater than or equal to 1",
        "MEDIAPROC_LOG_LEVEL='loud' (from .env): "
        "Input should be 'debug', 'info', 'warning' or 'error'",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("MEDIAPROC_BLOBS", "gs://bucket", "should be a folder or s3://bucket/prefix"),
        ("MEDIAPROC_BLOBS", "s3:///prefix", "names no bucket: s3://bucket/prefix"),
        ("MEDIAPROC_DATABASE", "mysql://host/db", "should be a file or postgresql://host/database"),
    ],
)
def test_settings_unknown_location_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"{variable}='{value}' (from the environment): {reason}"


@pytest.mark.parametrize("password", ["hunter2", "a:b@c", "p@hunter2"])
def test_settings_password_is_never_shown(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("MEDIAPROC_DATABASE", f"postgresql://me:{password}@host/db")
    settings = load_settings()
    assert settings.database == f"postgresql://me:{password}@host/db"
    for text in (repr(settings), str(settings)):
        assert "postgresql://me:***@host/db" in text
        assert password not in text
    monkeypatch.setenv("MEDIAPROC_DATABASE", f"mysql://me:{password}@host/db")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert password not in str(caught.value)


def test_settings_unreadable_env_file_is_named() -> None:
    Path(".env").write_bytes(b"MEDIAPROC_HOME=\xff\n")
    with pytest.raises(SettingsError, match=r"^\.env cannot be read: "):
        load_settings()


def test_settings_import_loads_no_heavy_library() -> None:
    code = "import sys, mediaproc.settings; print(*sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "langgraph", "numpy", "cv2", "boto3"} & set(modules)


def test_env_example_lists_every_setting_and_no_other() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    listed = re.findall(r"^#?(MEDIAPROC_[A-Z_]+)=", text, re.MULTILINE)
    assert sorted(listed) == sorted(f"MEDIAPROC_{name.upper()}" for name in Settings.model_fields)


def test_env_example_values_are_valid_and_commented() -> None:
    blocks = (ROOT / ".env.example").read_text(encoding="utf-8").strip().split("\n\n")[1:]
    assert len(blocks) == len(Settings.model_fields)
    values = []
    for block in blocks:
        *comment, assignment = block.splitlines()
        assert comment, block
        assert all(line.startswith("# ") for line in comment), block
        values.append(assignment.removeprefix("#"))
    Path(".env").write_text("\n".join(values))
    assert load_settings().blobs == "/data/mediaproc/blobs"
