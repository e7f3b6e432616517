"""Run the weights of a GGUF file in transformers, dequantised: what llama.cpp's answers are compared with.

The values of the file are computed once, by the package `gguf`, and kept in the precision of the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.backends.base import Report
from engines.errors import EngineError, first_line
from engines.gguf.dequantised import (
    ADDS_ONE_TO_NORMS,
    INTERLEAVED,
    ROPE_FACTORS,
    dequantised_config,
    why_not_dequantised,
)
from engines.gguf.facts import architecture_of, config_of
from engines.gguf.model_file import GgufModel, read_model
from engines.gguf.tensor_table import TensorInfo

Floats = npt.NDArray[np.float32]
CHUNK_VALUES = 1 << 22
"""Values that are dequantised at a time: the package needs several temporary arrays of their size."""


def dequantised_model(file: Path, dtype: Any, report: Report) -> Any:
    """Return transformers' model with the dequantised weights of a GGUF file, on the CPU.

    Args:
        file: the first one of the model's parts.
        dtype: of torch, for the weights.

    Raises:
        EngineError: `unsupported-checkpoint`: its architecture or its metadata are not known;
            `broken-weights`: tensors are missing, too many, of other shapes or not finite; `load-failed`.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model = read_model(file)
    architecture = architecture_of(model)
    found = config_of(model, architecture)
    if why := why_not_dequantised(model, architecture, found):
        raise EngineError("unsupported-checkpoint", why, "Choose llama.cpp for this file.")
    reader = _Reader(model, architecture, report)
    try:
        config = _config(reader, dequantised_config(model, architecture, found))
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config, dtype=dtype)
        state = dict(reader.state(empty, dtype))
        # Without a name of a folder nothing is read but the state.
        return type(empty).from_pretrained(None, config=config, state_dict=state, dtype=dtype)
    except EngineError:
        raise
    except Exception as error:  # ValueError, KeyError, RuntimeError, …
        raise EngineError(
            "load-failed",
            f"transformers cannot run the dequantised form of this file: {first_line(error)}",
            "Choose llama.cpp for this file.",
        ) from error


def _config(reader: _Reader, fields: dict[str, Any]) -> Any:
    """Return the configuration of transformers, with RoPE as the file has it."""
    from transformers import AutoConfig

    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    rope = {"rope_theta": reader.rope_theta, "rope_type": "default"}
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if (factors := reader.rope_factors(width // 2)) is not None:
        # This type takes a factor for each frequency; here the same ones for any length.
        same = {"short_factor": factors, "long_factor": factors, "attention_factor": 1.0}
        rope |= {"rope_type": "longrope", "factor": 1.0, **same}
        rope["original_max_position_embeddings"] = config.max_position_embeddings
    config.rope_parameters = rope
    return config


class _Reader:
    """Reads the tensors of a model by the names that they have in transformers."""

    def __init__(self, model: GgufModel, architecture: str, report: Report) -> None:
        self._model = model
        self._architecture = architecture
        self._report = report
        self._heads = {
            "attn_q": self._number("attention.head_count"),
            "attn_k": self._number("attention.head_count_kv", self._number("attention.head_count")),
        }
        self._done = 0

    @property
    def rope_theta(self) -> float:
        """The base of RoPE's frequencies."""
        value = self._model.metadata.get(f"{self._architecture}.rope.freq_base", 10_000.0)
        return float(value) if isinstance(value, int | float) else 10_000.0

    def rope_factors(self, count: int) -> list[float] | None:
        """Return what each of RoPE's `count` frequencies is divided by; None for plain RoPE."""
        if ROPE_FACTORS not in self._model.tensors:
            return None
        values = [float(one) for one in self._values(ROPE_FACTORS).reshape(-1)]
        if len(values) != count or not all(value > 0 for value in values):
            raise _broken(f"{ROPE_FACTORS} has not {count} factors that are positive")
        return values

    def state(self, empty: Any, dtype: Any) -> Iterator[tuple[str, Any]]:
        """Yield each of the model's tensors.

        Raises:
            EngineError: `broken-weights`.
        """
        import gguf
        import torch

        number = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == self._architecture)
        names = gguf.get_tensor_name_map(number, self._number("block_count"))
        tied = empty.config.tie_word_embeddings
        wanted = {
            name: names.get_name(name, try_suffixes=(".weight", ".bias")) or ""
            for name in empty.state_dict()
            if not (tied and name == "lm_head.weight")
        }
        _refuse_others(set(self._model.tensors) - {ROPE_FACTORS}, set(wanted.values()))
        for name, stored in wanted.items():
            shape = self._model.tensors[stored].shape[::-1]
            if shape != tuple(empty.state_dict()[name].shape):
                raise _broken(f"{stored} has the shape {list(shape)}, and the metadata say another")
            yield name, torch.from_numpy(self._turned(stored)).to(dtype)

    def _number(self, key: str, default: int = 0) -> int:
        value = self._model.metadata.get(f"{self._architecture}.{key}")
        return value if isinstance(value, int) else default

    def _turned(self, name: str) -> Floats:
        """Return a tensor as transformers has it."""
        values, kind = self._values(name), name.split(".")[-2]
        if self._architecture in INTERLEAVED and kind in self._heads:
            heads = self._heads[kind]
            pairs = values.reshape(heads, len(values) // heads // 2, 2, *values.shape[1:])
            return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)
        if self._architecture in ADDS_ONE_TO_NORMS and kind.endswith("norm"):
            return values - 1
        return values

    def _values(self, name: str) -> Floats:
        """Return the values of a tensor in fp32, in the order of its shape in transformers."""
        import gguf

        tensor = self._model.tensors[name]
        kind = gguf.GGMLQuantizationType[tensor.type.name]
        raw = np.memmap(self._file_of(name), np.uint8, "r", offset=tensor.offset, shape=(tensor.size,))
        rows = raw.reshape(-1, tensor.shape[0] // tensor.type.block * tensor.type.block_bytes)
        values = np.empty((len(rows), tensor.shape[0]), np.float32)
        step = max(1, CHUNK_VALUES // tensor.shape[0])
        for begin in range(0, len(rows), step):
            # A copy, because views of other types must be aligned.
            values[begin : begin + step] = gguf.dequantize(np.array(rows[begin : begin + step]), kind)
        if not np.isfinite(np.sum(values, dtype=np.float64)):
            raise _broken(f"{name[:60]} contains NaN or infinity")
        self._count(tensor)
        return values.reshape(tensor.shape[::-1])

    def _file_of(self, name: str) -> Path:
        return next(part.file for part in self._model.parts if name in part.tensors)

    def _count(self, tensor: TensorInfo) -> None:
        self._done += tensor.size
        total = sum(one.size for one in self._model.tensors.values())
        self._report.progress(self._done, total, "bytes")


def _refuse_others(found: set[str], wanted: set[str]) -> None:
    if unknown := sorted(found - wanted):
        raise _broken(f"it has the tensor {unknown[0][:60]!a}, which this architecture does not have")
    if missing := sorted(wanted - found):
        raise _broken(f"it lacks {len(missing)} of the model's tensors, such as {missing[0][:60]}")


def _broken(why: str) -> EngineError:
    return EngineError("broken-weights", f"The GGUF file is not dequantised: {why}.", "Choose llama.cpp.")
