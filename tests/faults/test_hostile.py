"""A selection of the hostile checkpoints, each prepared, loaded and asked in real workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.build.store import EngineStore
from engines.errors import EngineError
from engines.worker import protocol
from tests.doubles.fork_server import start_forked
from tests.faults.attack import attack, verdict
from tests.faults.hostile import CASES, write

QUERY = "model.layers.0.self_attn.q_proj.weight"
BROKEN = (
    ("weights: one NaN in a query", f"{QUERY} contains NaN or infinity."),
    ("weights: only zeros in the norm", "model.norm.weight is all zero."),
    ("weights: tensors overlap", "overlap"),
    ("config: epsilon NaN", "rms_norm_eps is NaN"),
    ("config: vocab_size doubled", "has the shape [384, 128], and config.json says [3000, 128]."),
    ("file: generation_config.json is a pipe", "it is a named pipe, not a regular file"),
    ("file: tokenizer.json is a link to /dev/zero", "it is a device, not a regular file"),
    ("file: name that is not UTF-8", "not valid UTF-8"),
    ("config: random weights: seed a word", "its seed is not a whole number"),
    ("tokenizer: empty object", "The tokenizer of checkpoint cannot be read"),
    ("gguf: tensors overlap", "overlap"),
)


async def ending(
    name: str, backend: str, tiny_llama: Path, tmp_path: Path, precision: str = ""
) -> protocol.Event | EngineError:
    folder = write(name, tiny_llama, tmp_path / "checkpoint")
    store = EngineStore(tmp_path / "store")
    end, _ = await attack(folder, backend, start_forked, store, tmp_path / "worker.log", precision)
    return end


@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
@pytest.mark.parametrize(("name", "words"), BROKEN)
async def test_what_is_broken_is_named(
    name: str, words: str, backend: str, tiny_llama: Path, tmp_path: Path
) -> None:
    result = await ending(name, backend, tiny_llama, tmp_path)
    assert not verdict(result)
    assert isinstance(result, (protocol.Error, EngineError)), result
    assert words in result.message


@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
async def test_weights_that_overflow_end_the_load_with_an_error(
    backend: str, tiny_llama: Path, tmp_path: Path
) -> None:
    """Each of them is finite."""
    result = await ending(
        "weights: only the largest number in a query", backend, tiny_llama, tmp_path, "fp32"
    )
    assert isinstance(result, (protocol.Error, EngineError)), result
    assert (result.code, result.message) == (
        "no-distribution",
        "The model's output is NaN or infinite: no token can be sampled from it.",
    )


@pytest.mark.parametrize(
    ("backend", "words"), [("pytorch", "the same token twice"), ("openvino", "It is a GGUF file")]
)
async def test_a_gguf_file_is_refused(backend: str, words: str, tiny_llama: Path, tmp_path: Path) -> None:
    result = await ending("gguf: a token twice", backend, tiny_llama, tmp_path)
    assert isinstance(result, (protocol.Error, EngineError)), result
    assert words in result.message


async def test_a_shape_that_does_not_fit_names_the_tensor_and_both_shapes(
    tiny_llama: Path, tmp_path: Path
) -> None:
    """Before transformers allocates 800 GB for it."""
    result = await ending("config: intermediate_size enormous", "pytorch", tiny_llama, tmp_path)
    assert isinstance(result, protocol.Error), result
    assert result.message.endswith("has the shape [128, 256], and config.json says [128, 2147483647].")


def test_there_are_enough_cases_of_each_kind() -> None:
    kinds = [name.partition(":")[0] for name in CASES]
    assert len(CASES) >= 150
    assert min(kinds.count(kind) for kind in set(kinds)) >= 30
