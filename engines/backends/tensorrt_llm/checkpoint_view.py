"""A temporary folder that the library loads: links to the files of a checkpoint, and changed settings.

The PyTorch-based class takes the type of the weights from `config.json` and ignores its argument `dtype`, and
it reads that file with `trust_remote_code=True`, whatever it was given. So the type is written there, and
names of Python code are left out. Source: NVIDIA/TensorRT-LLM, `model_loader.py` and `config_utils.py` of
`tensorrt_llm/_torch/pyexecutor`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from engines.backends.base import Report
from engines.errors import EngineError
from engines.plan.checkpoint.json_file import read_json_object

CONFIG = "config.json"
CODE_KEYS = ("auto_map", "custom_pipelines")
"""Keys of JSON files that name Python code of the checkpoint."""
DTYPE_KEYS = ("dtype", "torch_dtype")
"""What transformers 5 writes, and what earlier releases and TensorRT-LLM 1.2 read."""
_PREFIX = "trt-playground-model-"


class CheckpointView:
    """The folder of one loaded engine; `close` deletes it.

    Args:
        dtype: Type of the weights that are not quantised, such as `bfloat16`; empty for the checkpoint's own.
        trust_remote_code: Whether names of code and the code itself stay in it.
    """

    def __init__(self, checkpoint: Path, dtype: str, *, trust_remote_code: bool) -> None:
        _delete_left_over()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        for file in sorted(checkpoint.iterdir()):
            if file.name == CONFIG or (file.suffix == ".json" and "config" in file.name):
                self._write(file, dtype if file.name == CONFIG else "", trust_remote_code)
            elif trust_remote_code or (file.is_file() and file.suffix not in (".py", ".pyc")):
                (self.folder / file.name).symlink_to(file.absolute())

    def close(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, file: Path, dtype: str, trust_remote_code: bool) -> None:
        settings = read_json_object(file)
        if dtype:
            settings = _with_dtype(settings, dtype)
        shown = settings if trust_remote_code else _without_code(settings)
        (self.folder / file.name).write_text(json.dumps(shown, indent=2), "utf-8")


def check_dtype(llm: object, folder: Path, wanted: str, report: Report) -> None:
    """Log the type of the weights that the library has read, and compare it with the wanted one.

    Args:
        wanted: Such as `bfloat16`; empty to accept any.

    Raises:
        EngineError: `other-precision`.
    """
    config = getattr(llm, "_hf_model_config", None)
    named = getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)
    found = str(named or dtype_of(folder)).removeprefix("torch.")
    report.log(f"weights that are not quantised: {found or 'of the type that the library chose'}")
    if wanted and found and found != wanted:
        raise EngineError(
            "other-precision",
            f"TensorRT-LLM loaded the weights as {found}, not as {wanted}.",
            "Choose the precision of the checkpoint, and report this with the log.",
        )


def dtype_of(folder: Path) -> str:
    """Return the type of the weights by a folder's configuration, such as `bfloat16`; empty without one."""
    settings = read_json_object(folder / CONFIG)
    named = (_text_settings(settings).get(key) or settings.get(key) for key in DTYPE_KEYS)
    return str(next(filter(None, named), "")).removeprefix("torch.")


def _with_dtype(settings: dict[str, object], dtype: str) -> dict[str, object]:
    both = dict.fromkeys(DTYPE_KEYS, dtype)
    text = settings.get("text_config")
    inner = {"text_config": text | both} if isinstance(text, dict) else {}
    return settings | both | inner


def _text_settings(settings: dict[str, object]) -> dict[str, object]:
    text = settings.get("text_config")
    return text if isinstance(text, dict) else settings


def _without_code(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_code(inner) for key, inner in value.items() if key not in CODE_KEYS}
    return [_without_code(inner) for inner in value] if isinstance(value, list) else value


def _delete_left_over() -> None:
    """Delete the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            shutil.rmtree(folder, ignore_errors=True)
