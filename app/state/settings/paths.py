"""Where the app keeps its files: one function for each, by the conventions of the platform."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NAME = "trt-playground"


def settings_file() -> Path:
    """The settings; the environment variable TRT_PLAYGROUND_CONFIG names another file."""
    named = os.environ.get("TRT_PLAYGROUND_CONFIG")
    return Path(named) if named else platformdirs.user_config_path(NAME) / "settings.toml"


def engine_store() -> Path:
    """Built engines: large, and built again when deleted."""
    return platformdirs.user_cache_path(NAME)


def comparison_folder() -> Path:
    """Log-probabilities of references, and finished rows: computed again when deleted."""
    return platformdirs.user_cache_path(NAME) / "comparisons"


def hub_folder() -> Path:
    """The last searches on the hub, and previews of its models: asked for again when deleted."""
    return platformdirs.user_cache_path(NAME) / "hub"


def log_folder() -> Path:
    """Logs of the workers, one file for each side of an app; the newest ten of a kind are kept."""
    return platformdirs.user_log_path(NAME)


def lock_folder() -> Path:
    """Locks that apps hold while they change a file or have it open."""
    return platformdirs.user_state_path(NAME) / "locks"


def conversation_folder() -> Path:
    """One JSON-lines file a conversation."""
    return platformdirs.user_data_path(NAME) / "conversations"


def prompt_history_file() -> Path:
    """The prompts that were sent, one a line."""
    return platformdirs.user_data_path(NAME) / "prompts.jsonl"


def draft_file() -> Path:
    """The draft of the first app; a second one that runs at the same time uses draft-2.json next to it."""
    return platformdirs.user_data_path(NAME) / "draft.json"


def environment_folder() -> Path:
    """Environments of backends that cannot share the app's: gigabytes, and not built again by themselves."""
    return platformdirs.user_data_path(NAME) / "environments"


def document_folder() -> Path:
    """Where conversations are exported to by default."""
    return platformdirs.user_documents_path()
