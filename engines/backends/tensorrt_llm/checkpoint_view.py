"""A temporary folder that the library loads: links to the files of a checkpoint, and changed settings.

The PyTorch-based class takes the type of the weights from `config.json` and ignores its argument `dtype`, and
it reads that file with `trust_remote_code=True`, whatever it was given. So the type is written there, and
names of Python code are left out. Source: NVIDIA/TensorRT-LLM, `model_loader.py` and `config_utils.py` of
`tensorrt_llm/_torch/pyexecutor`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from engines.backends.base import Report
from engines.errors import EngineError
from engines.plan.checkpoint.json_file import read_json_object
from engines.plan.checkpoint.view import CONFIG, DTYPE_KEYS, write_view

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
        write_view(checkpoint, self.folder, dtype, trust_remote_code=trust_remote_code)

    def close(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


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


def _text_settings(settings: dict[str, object]) -> dict[str, object]:
    text = settings.get("text_config")
    return text if isinstance(text, dict) else settings


def _delete_left_over() -> None:
    """Delete the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            shutil.rmtree(folder, ignore_errors=True)
