"""`doctor --report`: one text file to attach to a bug report."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from app.cli.doctor import report
from app.cli.engines import engine_lines
from app.cli.environments import check_lines
from app.cli.redact import redact
from app.state.settings import paths
from app.state.settings.interpreters import known_environments, named_in_settings
from app.state.settings.settings import ChatOptions, Settings, SettingsError, load_settings
from app.terminal_text import displayable
from engines.build.store import EngineStore
from engines.worker.log_files import last_lines, newest_logs

LOG_LINES = 80
"""Number of lines from the end of each log."""
LOG_BYTES = 64 * 1024
INTRODUCTION = """\
trt-playground {version}, {time:%Y-%m-%d %H:%M} UTC

For a bug report. Home folders, the names of user and machine, and what looks like a token or a password
have been redacted; it contains no prompts or answers. Read it before you send it."""


def write_report(file: Path, import_seconds: float) -> None:
    """Write the report to a new file.

    Args:
        import_seconds: how long the import of a library may neither compute nor read.

    Raises:
        OSError: the file exists already, or cannot be written.
    """
    # Opened before the minutes of collecting, so that a bad path fails early.
    with file.open("x", encoding="utf-8") as sink:
        try:
            text = redact(displayable("\n".join(_lines(import_seconds)) + "\n"))  # it may be shown with cat
            sink.write(text)
        except BaseException:
            file.unlink()
            raise


def _lines(import_seconds: float) -> Iterator[str]:
    yield INTRODUCTION.format(version=version("trt-playground"), time=datetime.now(UTC))
    yield from ("", "## doctor", "", *asyncio.run(report()))
    for environment in known_environments(named_in_settings()):
        lines, _ = check_lines(environment, import_seconds)
        yield from ("", f"## env check {environment.name}", "", *lines)
    yield from ("", "## engines ls", "", *engine_lines(EngineStore(paths.engine_store())))
    yield from ("", "## settings", "", *_settings())
    for log in newest_logs(paths.log_folder()):
        yield from ("", f"## {log.name}, last {LOG_LINES} lines", "", *_tail(log))


def _settings() -> list[str]:
    """Return the settings as TOML lines, without system prompts, stop sequences and presets."""
    try:
        settings = load_settings(paths.settings_file())
    except SettingsError as error:
        return [str(error)]
    redacted = msgspec.structs.replace(
        settings,
        left_chat=_without_texts(settings.left_chat),
        right_chat=_without_texts(settings.right_chat),
        presets=Settings().presets,
    )
    return msgspec.toml.encode(redacted).decode().splitlines()


def _without_texts(options: ChatOptions) -> ChatOptions:
    """Return the options with the system prompt replaced by its length, and without stop sequences."""
    length = len(options.system_prompt)
    return ChatOptions(f"{length} characters" if length else "", replace(options.sampling, stop=()))


def _tail(log: Path) -> list[str]:
    try:
        return last_lines(log, LOG_LINES, LOG_BYTES)
    except OSError as error:
        return [f"The log cannot be read: {error}"]
