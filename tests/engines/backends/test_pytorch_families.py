"""The PyTorch backend answers as transformers does without a cache, for every kind of state and wrapper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from engines.backends.pytorch import PyTorchBackend
from engines.backends.transformers_cache import cache_usage
from engines.backends.weight_scan import scan_weights
from engines.build.spec import EngineSpec
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.mismatch import refuse_mismatch
from engines.worker.protocol import Sampling
from tests.doubles.log_report import LogReport
from tests.families import CONFIGS, WRAPPERS, make_checkpoint

HYBRID = (
    "lfm2", "lfm2-350m", "qwen3.5-text", "qwen3-next", "granite4-h", "nemotron-h", "falcon-h1", "bamba",
    "jamba", "recurrentgemma", "olmo-hybrid", "minimax-text",
)  # fmt: skip
"""Families with layers that keep a state, and layers that keep keys and values."""
TURNS = ([20, 31, 45, 52, 60], [70, 71], [80, 81, 82])
TOKENS = 14


def loaded(folder: Path) -> PyTorchBackend:
    """Return a loaded backend."""
    backend = PyTorchBackend()
    backend.load(EngineSpec(str(folder), "pytorch", "fp32", context=256), folder, None, LogReport())
    return backend


def without_cache(model: Any, prompt: list[int], answer: list[int]) -> list[int]:
    """Return transformers' choices after the prompt and after each token of the answer but the last.

    From one forward pass; they are the answer exactly if it is the greedy one.
    """
    ids = torch.tensor([[*prompt, *answer[:-1]]])
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 :]
    return [int(token) for token in logits.argmax(-1)]


@pytest.mark.parametrize(
    "family", [*HYBRID, *WRAPPERS, "mamba", "mpt", "gemma2", "gemma3n-text", "deepseek-v3"]
)
def test_turns_are_those_without_a_cache(family: str, tmp_path: Path) -> None:
    """Each turn of a conversation has the tokens of transformers without a cache."""
    folder = make_checkpoint(family, tmp_path)
    kind = AutoModelForImageTextToText if family in WRAPPERS else AutoModelForCausalLM
    backend, model = loaded(folder), kind.from_pretrained(folder).eval()
    conversation: list[int] = []
    for turn in TURNS:
        conversation += turn
        answer: list[int] = []
        sampling = Sampling(max_tokens=TOKENS, ignore_eos=True)
        backend.generate(conversation, sampling, frozenset(), answer.extend, lambda: False)
        assert len(answer) == TOKENS
        assert answer == without_cache(model, conversation, answer)
        conversation += answer


@pytest.mark.parametrize("family", [name for name in HYBRID if name != "recurrentgemma"] + ["mamba"])
def test_states_are_not_tokens(family: str, tmp_path: Path) -> None:
    """A longer answer has more keys and values, and states of the same size.

    RecurrentGemma is left out: it keeps its states in its modules, not in the cache.
    """
    backend = loaded(make_checkpoint(family, tmp_path))
    assert (backend.kv_usage().tokens, backend.kv_usage().state_bytes) == (0, 0)
    usages = []
    for tokens in (4, 9):
        sampling = Sampling(max_tokens=tokens, ignore_eos=True)
        backend.generate(TURNS[0], sampling, frozenset(), [].extend, lambda: False)
        usages.append(backend.kv_usage())
    short, long = usages
    assert short.state_bytes == long.state_bytes > 0
    if family == "mamba":
        assert (long.tokens, long.bytes_used) == (0, 0)
    else:
        assert (short.tokens, long.tokens) == (8, 13)
        assert long.bytes_used * 8 == short.bytes_used * 13


def test_the_state_of_lfm2() -> None:
    """Four convolutions of 3 tokens with 128 channels, and two attention layers, in 32-bit floats."""
    config = AutoConfig.for_model(**CONFIGS["lfm2"])
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.inference_mode():
        made = model(torch.tensor([TURNS[0]])).past_key_values
    found = cache_usage(made)
    assert (found.tokens, found.state_bytes) == (5, 4 * 3 * 128 * 4)
    assert found.kv_bytes == 2 * 2 * 2 * 32 * 5 * 4


@pytest.mark.parametrize("family", WRAPPERS)
def test_only_the_text_part_is_loaded_and_counted(family: str, tmp_path: Path) -> None:
    """The plan counts the parameters that the worker loads, and knows that the files have more."""
    folder = make_checkpoint(family, tmp_path)
    planned, backend = read_checkpoint(folder), loaded(folder)
    tensors = backend._model.state_dict()
    assert not [name for name in tensors if "vis" in name or "projector" in name]
    assert planned.is_text_part
    assert planned.parameters == sum({one.data_ptr(): one.numel() for one in tensors.values()}.values())
    assert planned.weight_bytes == 4 * planned.parameters < planned.download_bytes
    assert planned.shape.vocabulary == 4096
    assert backend.context_tokens == 256
    scan_weights(folder)
    refuse_mismatch(folder)
