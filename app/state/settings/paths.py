"""Where the app keeps its files: one function a folder, by the platform's own conventions."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NAME = "trt-playground"


def settings_file() -> Path:
    """The settings; TRT_PLAYGROUND_CONFIG names another file."""
    named = os.environ.get("TRT_PLAYGROUND_CONFIG")
    return Path(named) if named else platformdirs.user_config_path(NAME) / "settings.toml"


def engine_store() -> Path:
    """Built engines: large, and made again when deleted."""
    return platformdirs.user_cache_path(NAME)


def log_folder() -> Path:
    """One log a worker, the newest ten kept."""
    return platformdirs.user_log_path(NAME)


def conversation_folder() -> Path:
    """One JSON-lines file a conversation."""
    return platformdirs.user_data_path(NAME) / "conversations"


def prompt_history_file() -> Path:
    """The prompts that were sent, one a line."""
    return platformdirs.user_data_path(NAME) / "prompts.jsonl"


def draft_file() -> Path:
    """What was written and not sent."""
    return platformdirs.user_data_path(NAME) / "draft.json"


def environment_folder() -> Path:
    """Environments of backends that cannot live in ours: gigabytes, but nothing that comes back by itself."""
    return platformdirs.user_data_path(NAME) / "environments"


def document_folder() -> Path:
    """Where conversations are exported to."""
    return platformdirs.user_documents_path()
