"""The PyTorch backend does exactly what transformers does, without the checkpoint's generation defaults."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from engines.backends.device_map import on_several_gpus
from engines.backends.pytorch import PyTorchBackend
from engines.build.spec import GPUS, EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import Sampling
from tests.doubles.log_report import LogReport

PROMPT = list(range(10, 30))


def loaded(checkpoint: Path, precision: str = "fp32", **fields: Any) -> PyTorchBackend:
    """Return a loaded backend."""
    backend = PyTorchBackend()
    spec = EngineSpec(str(checkpoint), "pytorch", precision, **fields)
    backend.load(spec, checkpoint, None, LogReport())
    return backend


@pytest.fixture(scope="module")
def backend(tiny_llama: Path) -> Iterator[PyTorchBackend]:
    """A backend with the tiny Llama."""
    backend = loaded(tiny_llama)
    yield backend
    backend.close()
    backend.close()


@pytest.fixture(scope="module")
def model(tiny_llama: Path) -> Any:
    """The same model, loaded by transformers."""
    return AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32).eval()


def generate(
    backend: PyTorchBackend, eos: frozenset[int] = frozenset(), **sampling: Any
) -> tuple[list[int], str]:
    """Return the tokens and the finish reason of an answer."""
    seen: list[int] = []
    options = Sampling(**({"max_tokens": 24} | sampling))
    return seen, backend.generate(PROMPT, options, eos, seen.extend, lambda: False).reason


def greedy_reference(model: Any, tokens: int) -> list[int]:
    """Return greedy tokens, from one forward pass per token."""
    ids = list(PROMPT)
    with torch.inference_mode():
        for _ in range(tokens):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(PROMPT) :]


def test_greedy_is_the_argmax_of_forward_passes(backend: PyTorchBackend, model: Any) -> None:
    assert generate(backend) == (greedy_reference(model, 24), "length")


def test_scores_are_those_of_a_forward_pass(backend: PyTorchBackend, model: Any) -> None:
    ids = [int(n) for n in torch.randint(384, (700,), generator=torch.Generator().manual_seed(0))]
    scores = backend.score(ids, 5)
    with torch.inference_mode():
        rows = model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    wanted = rows.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    assert torch.allclose(torch.tensor(scores.logprobs), wanted, atol=1e-5)
    assert torch.equal(torch.tensor(scores.top_ids), rows.topk(5).indices)
    assert len(scores.top_logprobs) == 699


def test_generation_defaults_of_the_checkpoint_are_ignored(
    tiny_llama: Path, tmp_path: Path, model: Any
) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "checkpoint")
    greedy = greedy_reference(model, 24)
    (folder / "generation_config.json").write_text(
        json.dumps(
            {"do_sample": True, "temperature": 9.0, "repetition_penalty": 3.0, "no_repeat_ngram_size": 1,
             "eos_token_id": greedy[3], "max_new_tokens": 2, "suppress_tokens": [greedy[0]]}
        )
    )  # fmt: skip
    assert generate(loaded(folder)) == (greedy, "length")


def test_the_end_of_an_answer(backend: PyTorchBackend, model: Any) -> None:
    greedy = greedy_reference(model, 24)
    end = greedy[5]
    first = greedy.index(end)
    assert generate(backend, frozenset({end})) == (greedy[: first + 1], "stop")
    assert generate(backend, frozenset({end}), ignore_eos=True) == (greedy, "length")


def test_stopped_within_a_step(backend: PyTorchBackend) -> None:
    seen: list[int] = []
    made = backend.generate(
        PROMPT, Sampling(max_tokens=500), frozenset(), seen.extend, lambda: len(seen) >= 3
    )
    assert (made.reason, made.cached) == ("stopped", 0)
    assert len(seen) <= 4


def test_the_cache_is_counted_while_it_grows(backend: PyTorchBackend) -> None:
    tokens: list[int] = []
    sampling = Sampling(max_tokens=6, ignore_eos=True)
    backend.generate(
        PROMPT, sampling, frozenset(), lambda _: tokens.append(backend.kv_usage().tokens), lambda: False
    )
    assert tokens == list(range(len(PROMPT), len(PROMPT) + 6))


@pytest.mark.parametrize(("precision", "size"), [("fp32", 4), ("bf16", 2), ("fp16", 2)])
def test_bytes_of_weights_and_cache(tiny_llama: Path, precision: str, size: int) -> None:
    backend = loaded(tiny_llama, precision)
    assert backend.kv_usage().bytes_used == 0
    generate(backend)
    usage, memory = backend.kv_usage(), backend.memory_usage()
    assert usage.tokens == len(PROMPT) + 24 - 1
    assert usage.bytes_used == 2 * 2 * 2 * 32 * size * usage.tokens
    assert memory.weights is not None
    assert 0 <= memory.weights - 393_856 * size < 1000  # the RoPE tables stay in fp32


def test_the_context_is_limited_by_the_positions(tiny_llama: Path) -> None:
    assert loaded(tiny_llama, context=10**6).context_tokens == 2048
    assert loaded(tiny_llama, context=64).context_tokens == 64


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        ("tensor", "broken-weights", "The checkpoint lacks 1 of the model's tensors, such as model.norm"),
        ("file", "broken-weights", "model.safetensors is damaged: "),
        ("family", "load-failed", "transformers cannot load this checkpoint: "),
    ],
)
def test_a_checkpoint_that_cannot_be_loaded(
    tiny_llama: Path, tmp_path: Path, damage: str, code: str, words: str
) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_llama, tmp_path / "checkpoint")
    file = folder / "model.safetensors"
    if damage == "tensor":
        tensors = load_file(file)
        del tensors["model.norm.weight"]
        save_file(tensors, file, {"format": "pt"})
    elif damage == "file":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        config = (folder / "config.json").read_text().replace('"llama"', '"abacus"')
        (folder / "config.json").write_text(config)
    with pytest.raises(EngineError) as caught:
        loaded(folder)
    assert caught.value.code == code
    assert caught.value.message.startswith(words)


def test_unsupported_precision_and_device(tiny_llama: Path) -> None:
    with pytest.raises(EngineError, match="PyTorch eager runs fp32, bf16, fp16, not int4"):
        loaded(tiny_llama, "int4")
    if not torch.cuda.is_available():
        with pytest.raises(EngineError, match="finds no NVIDIA GPU"):
            loaded(tiny_llama, device="cuda:0")


def test_probe_returns_the_versions() -> None:
    found = PyTorchBackend.probe()
    assert found.available
    assert set(found.versions) == {"torch", "transformers"}


def test_several_gpus_need_accelerate(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(EngineError, match="accelerate, which places a model on several GPUs") as raised:
        on_several_gpus(model, 2)
    assert "trt-playground[device-map]" in raised.value.hint


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_layers_on_two_gpus_answer_as_on_one(tiny_llama: Path) -> None:
    pytest.importorskip("accelerate", reason="places the layers (extra `device-map`)")
    one, both = (loaded(tiny_llama, device="cuda:0", options={GPUS: count}) for count in "12")
    assert {str(layer.device) for layer in both._model.model.layers.parameters()} == {"cuda:0", "cuda:1"}
    assert generate(both, max_tokens=40) == generate(one, max_tokens=40)
    assert both.score(PROMPT).logprobs == pytest.approx(one.score(PROMPT).logprobs, abs=1e-4)
    assert both.kv_usage() == one.kv_usage()
    assert both.memory_usage().weights == one.memory_usage().weights
    both.close()
    one.close()
