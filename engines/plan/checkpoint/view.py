"""A checkpoint with other settings: changed JSON files, and links to all others."""

from __future__ import annotations

import json
from pathlib import Path

from engines.plan.checkpoint.json_file import read_json_object

CONFIG = "config.json"
CODE_KEYS = ("auto_map", "custom_pipelines")
"""Keys of JSON files that name Python code of the checkpoint."""
DTYPE_KEYS = ("dtype", "torch_dtype")
"""What transformers 5 writes, and what earlier releases and TensorRT-LLM 1.2 read."""


def write_view(checkpoint: Path, folder: Path, dtype: str, *, trust_remote_code: bool) -> None:
    """Write the changed settings and links to all other files of a checkpoint into an empty folder.

    The links are absolute and lead to no further link, as those of a hub cache do, so that a container needs
    only the folders of the files themselves.

    Args:
        dtype: Type of the weights that are not quantised, such as `bfloat16`; empty for the checkpoint's own.
        trust_remote_code: Whether names of code and the code itself stay in it.
    """
    for file in sorted(checkpoint.iterdir()):
        if file.name == CONFIG or (file.suffix == ".json" and "config" in file.name):
            settings = read_json_object(file)
            if dtype and file.name == CONFIG:
                settings = _with_dtype(settings, dtype)
            shown = settings if trust_remote_code else _without_code(settings)
            (folder / file.name).write_text(json.dumps(shown, indent=2), "utf-8")
        elif trust_remote_code or (file.is_file() and file.suffix not in (".py", ".pyc")):
            (folder / file.name).symlink_to(file.resolve())


def _with_dtype(settings: dict[str, object], dtype: str) -> dict[str, object]:
    both = dict.fromkeys(DTYPE_KEYS, dtype)
    text = settings.get("text_config")
    inner = {"text_config": text | both} if isinstance(text, dict) else {}
    return settings | both | inner


def _without_code(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_code(inner) for key, inner in value.items() if key not in CODE_KEYS}
    return [_without_code(inner) for inner in value] if isinstance(value, list) else value
