"""Find weights that cannot be right before an engine is made of them: NaN, infinity, zeros.

numpy and the standard library, Python 3.10 and newer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import read_json_object
from engines.plan.checkpoint.quantisation import find_quantisation
from engines.plan.checkpoint.tensors import TensorEntry, tensor_entries
from engines.plan.checkpoint.text_part import text_config
from engines.plan.checkpoint.weights import BUFFERS, SCALES
from engines.plan.random_shape import random_seed

THREADS = 4
"""The scan runs at the speed of memory with these; it warms the page cache for the library that loads."""
BLOCK_BYTES = 1 << 26
ZERO_CENTRED = ("gemma", "qwen3_next", "qwen3_5", "nemotron")
"""Parts of the model_type of families that add 1 to the weight of a norm: zero is a common value there."""


@dataclass(frozen=True)
class _Format:
    """A floating-point format, as integers: a reduction without a copy finds what is not finite."""

    unsigned: str
    signed: str
    infinity: int
    """The bits of +infinity, or of the first NaN above the largest value."""

    @property
    def sign(self) -> int:
        return 1 << (8 * np.dtype(self.unsigned).itemsize - 1)


FORMATS = {
    "F64": _Format("<u8", "<i8", 0x7FF0_0000_0000_0000),
    "F32": _Format("<u4", "<i4", 0x7F80_0000),
    "F16": _Format("<u2", "<i2", 0x7C00),
    "BF16": _Format("<u2", "<i2", 0x7F80),
    "F8_E5M2": _Format("u1", "i1", 0x7C),
    "F8_E4M3": _Format("u1", "i1", 0x7F),
}
"""Integers are never NaN, and zeros are common in packed weights."""


def scan_weights(checkpoint: Path) -> None:
    """Read every tensor of a checkpoint once.

    Raises:
        EngineError: `broken-weights`: a tensor holds NaN or infinity, or a matrix, the weight of a norm or
            the scales of a quantisation are all zero; the message names the tensor.
    """
    if random_seed(checkpoint) is not None:
        return
    config, found = read_json_object(checkpoint / "config.json"), tensor_entries(checkpoint)
    model_type = str(text_config(config).get("model_type", ""))
    if find_quantisation(checkpoint, config) is None:
        _refuse_integers(found)
    entries = {name: entry for name, entry in found.items() if entry.dtype in FORMATS}
    files = {entry.file: np.memmap(entry.file, np.uint8, "r") for entry in entries.values() if entry.size}
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        names = [name for name, entry in entries.items() if entry.size]
        problems = pool.map(lambda name: _problem(name, entries[name], files, model_type), names)
        for name, problem in zip(names, problems, strict=True):
            if problem:
                pool.shutdown(wait=False, cancel_futures=True)
                hint = "The file is damaged: download the checkpoint again."
                raise EngineError("broken-weights", f"{name[:120]} {problem}.", hint)


def _refuse_integers(entries: Mapping[str, TensorEntry]) -> None:
    for name, entry in entries.items():
        if name.endswith(".weight") and entry.dtype not in FORMATS:
            message = f"{name[:120]} has the type {entry.dtype}, and config.json has no quantisation."
            raise EngineError("broken-weights", message, "Choose the unquantised checkpoint.")


def _problem(
    name: str, entry: TensorEntry, files: Mapping[Path, npt.NDArray[np.uint8]], model_type: str
) -> str:
    """Return what is wrong with a tensor, as the end of a sentence; empty if nothing is."""
    form, raw = FORMATS[entry.dtype], files[entry.file][entry.offset : entry.offset + entry.size]
    has_value = False
    for begin in range(0, entry.size, BLOCK_BYTES):
        block = raw[begin : begin + BLOCK_BYTES]
        aligned = block if block.ctypes.data % np.dtype(form.unsigned).itemsize == 0 else block.copy()
        # Bits grow with the magnitude: the largest as a signed number is the largest positive value, the
        # largest as an unsigned number the most negative one.
        positive, negative = aligned.view(form.signed).max(), aligned.view(form.unsigned).max()
        if positive >= form.infinity or negative >= form.infinity + form.sign:
            return "contains NaN or infinity"
        has_value = has_value or positive > 0 or negative > form.sign
    return "" if has_value or _may_be_zero(name, entry, model_type) else "is all zero"


def _may_be_zero(name: str, entry: TensorEntry, model_type: str) -> bool:
    last = name.rpartition(".")[2]
    if last in SCALES:
        return "zero" in last
    if last.endswith("bias") or "token_type" in name or name.endswith(BUFFERS):
        return True
    if len(entry.shape) >= 2:
        return False
    return not (last == "weight" and "norm" in name) or any(part in model_type for part in ZERO_CENTRED)
