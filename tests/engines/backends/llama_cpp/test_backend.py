"""The llama.cpp backend in this process: answers, sampling, stops, prefix reuse, scores, users' files."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from gguf import GGUFReader, dequantize
from transformers import AutoTokenizer

from engines.backends.calibration_rows import calibration_rows
from engines.backends.calibration_texts import calibration_texts
from engines.backends.llama_cpp.backend import PRECISIONS, LlamaCppBackend
from engines.backends.llama_cpp.distribution import LIKELY
from engines.backends.llama_cpp.importance import importance_of
from engines.backends.llama_cpp.server import BATCH_TOKENS
from engines.backends.token_sampler import TokenSampler
from engines.build.spec import CALIBRATED, RECIPE, EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.gguf.facts import config_of
from engines.gguf.model_file import GgufModel, read_model
from engines.gguf.quantisation import format_name
from engines.plan.calibration import calibration_pieces
from engines.worker.logprob_rows import RowWriter
from engines.worker.protocol import KVUsage, Sampling
from tests.doubles.recording_report import RecordingReport
from tests.engines.backends.llama_cpp.conftest import Load
from tests.engines.conftest import Checkpoint, Reference
from tests.engines.gguf.tiny_gguf import write_tiny_gguf
from tests.engines.measures import NO_EOS, answer, divergence, reference_logits, tokens
from tests.families import make_checkpoint

ARCHITECTURES = (
    "llama3.1-8b",  # scaled RoPE
    "vicuna-16k",
    "mistral-7b-v0.3",
    "qwen2.5",
    "qwen3",
    "smollm3",
    "gemma",
    "granite3",
    "phi4",
    "olmo2",
    "seed-oss",
    "arcee",
)


@pytest.fixture(scope="module")
def demo(load: Load) -> LlamaCppBackend:
    """The demo checkpoint in fp32."""
    return load(CHECKPOINT)


def usage(backend: LlamaCppBackend) -> KVUsage:
    found = backend.kv_usage()
    assert found is not None
    return found


def rows_of(backend: LlamaCppBackend, ids: list[int], ends: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.stack([backend.loaded.distributions.row(ids[:end]) for end in ends]))


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_every_architecture_computes_what_transformers_does(
    family: str, load: Load, reference: Reference, tmp_path: Path
) -> None:
    folder, ids, ends = make_checkpoint(family, tmp_path), tokens(48, vocabulary=4000), (1, 2, 17, 48)
    expected = reference_logits(reference(folder), ids)[[end - 1 for end in ends]]
    backend = load(folder)
    assert divergence(expected, rows_of(backend, ids, ends)).max() < 1e-5
    backend.close()


def test_scores_equal_those_of_transformers_and_8_bits_are_close(
    demo: LlamaCppBackend, load: Load, reference: Reference
) -> None:
    ids = tokens(40, seed=3, vocabulary=4000)
    logits = reference_logits(reference(CHECKPOINT), ids)
    expected = logits.log_softmax(-1)[range(39), ids[1:]]
    scores = demo.score(ids, top_k=3)
    assert torch.allclose(torch.tensor(scores.logprobs, dtype=torch.float64), expected, atol=1e-3)
    assert [row[0] for row in scores.top_ids] == logits[:-1].argmax(-1).tolist()
    assert usage(demo).tokens == 39
    quantised = rows_of(load(CHECKPOINT, "q8_0"), ids, (5, 20, 40))
    assert 0 < divergence(logits[[4, 19, 39]], quantised).mean() < 0.02


def test_scores_of_the_likely_tokens_equal_those_of_all(demo: LlamaCppBackend, tmp_path: Path) -> None:
    """Of random tokens some are not likely, so both ways are taken."""
    ids = tokens(30, seed=5, vocabulary=4000)
    likely = demo.score(ids, top_k=4)
    with closing(RowWriter(tmp_path / "rows", 29)) as keep:
        complete = demo.score(ids, top_k=4, keep=keep)
    assert max(likely.ranks) > LIKELY
    assert (likely.top_ids, likely.ranks) == (complete.top_ids, complete.ranks)
    assert likely.logprobs == pytest.approx(complete.logprobs, abs=1e-4)
    assert np.allclose(likely.top_logprobs, complete.top_logprobs, atol=1e-4)


def test_greedy_answers_to_20_prompts_are_those_of_transformers(
    demo: LlamaCppBackend, reference: Reference
) -> None:
    model, tokenizer = reference(CHECKPOINT), AutoTokenizer.from_pretrained(CHECKPOINT)
    for text in calibration_pieces(calibration_texts(""), 20):
        prompt = tokenizer(text)["input_ids"][:24]
        expected = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=32, eos_token_id=-1)
        wanted = expected[0, len(prompt) :].tolist()
        assert answer(demo, prompt, 32) == wanted, text


def test_a_calibrated_mixture_is_that_of_llama_cpp_and_errs_less_where_inputs_are_large(
    load: Load, reference: Reference
) -> None:
    model, ids, ends = reference(CHECKPOINT), tokens(40, seed=3, vocabulary=4000), (5, 20, 40)
    logits = reference_logits(model, ids)[[end - 1 for end in ends]]
    weight = model.model.layers[4].mlp.gate_proj.weight.detach().numpy()
    spec = EngineSpec(str(CHECKPOINT), "llama-cpp", "q4_k_m")
    power = importance_of(spec, CHECKPOINT, calibration_rows(CHECKPOINT, "", 2048)[:8])
    options: tuple[dict[str, str], ...] = ({}, {RECIPE: CALIBRATED})
    errors = []
    for chosen in options:
        backend = load(CHECKPOINT, "q4_k_m", options=chosen)
        assert divergence(logits, rows_of(backend, ids, ends)).mean() < 0.3
        file = backend.loaded.server.file
        backend.close()
        [stored] = [one for one in GGUFReader(file).tensors if one.name == "blk.4.ffn_gate.weight"]
        difference = dequantize(stored.data, stored.tensor_type) - weight
        errors.append(float((difference**2 * power["model.layers.4.mlp.gate_proj.weight"]).sum()))
    assert errors[1] < 0.99 * errors[0]
    assert_mixture(read_model(file))


def assert_mixture(model: GgufModel) -> None:
    """Of 8 layers the first eighth, the last and every third between have more bits."""
    assert format_name(model) == "Q4_K_M"
    types = {name: tensor.type.name for name, tensor in model.tensors.items()}
    assert types["token_embd.weight"] == "Q6_K"
    more = [layer for layer in range(8) if types[f"blk.{layer}.ffn_down.weight"] == "Q6_K"]
    assert more == [0, 3, 6, 7]
    assert {types[f"blk.{layer}.attn_v.weight"] for layer in more} == {"Q6_K"}
    assert {types[f"blk.{layer}.attn_q.weight"] for layer in range(8)} == {"Q4_K"}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_answers_the_same_again(precision: str, checkpoint: Checkpoint, load: Load) -> None:
    backend = load(checkpoint(), precision)
    first = answer(backend, tokens(30))
    assert len(first) == 24
    assert answer(backend, tokens(30)) == first
    backend.close()


def test_a_cache_in_8_bits_takes_a_quarter(demo: LlamaCppBackend, load: Load) -> None:
    small = load(CHECKPOINT, "fp32", kv_precision="q8_0")
    assert answer(small, tokens(30), 4) == answer(demo, tokens(30), 4)
    assert usage(small).bytes_used == pytest.approx(usage(demo).bytes_used * 34 / 32 / 4)
    memory = small.memory_usage()
    assert memory is not None
    assert memory.kv == usage(small).bytes_total
    small.close()


def test_tokens_come_one_by_one_and_an_end_token_ends_the_answer(demo: LlamaCppBackend) -> None:
    prompt, emitted = tokens(10), list[list[int]]()
    whole = demo.generate(
        prompt, Sampling(max_tokens=12), NO_EOS, lambda new: emitted.append(list(new)), lambda: False
    )
    free = [token for new in emitted for token in new]
    assert [len(new) for new in emitted] == [1] * 12
    assert whole.reason == "length"
    assert usage(demo).tokens == 10 + 11
    seen: list[int] = []
    end = frozenset({free[5]})
    ended = demo.generate(prompt, Sampling(max_tokens=12), end, seen.extend, lambda: False)
    assert seen == free[: free.index(free[5]) + 1]
    assert (ended.reason, ended.cached) == ("stop", 9)
    ignoring = Sampling(max_tokens=12, ignore_eos=True)
    assert demo.generate(prompt, ignoring, end, lambda _: None, lambda: False).reason == "length"


def test_a_stop_ends_an_answer_and_leaves_the_engine_usable(demo: LlamaCppBackend) -> None:
    prompt, seen = tokens(50), list[int]()
    expected = answer(demo, prompt)
    wanted = Sampling(max_tokens=500, ignore_eos=True)
    result = demo.generate(prompt, wanted, NO_EOS, seen.extend, lambda: len(seen) >= 5)
    assert (result.reason, seen) == ("stopped", expected[:5])
    assert answer(demo, prompt) == expected


def test_a_stop_during_prefill_and_an_exception_leave_it_usable(load: Load) -> None:
    backend, seen = load(CHECKPOINT, context=2048), list[int]()
    prompt = tokens(6 * BATCH_TOKENS)
    result = backend.generate(prompt, Sampling(max_tokens=20), NO_EOS, seen.extend, lambda: True)
    assert (result.reason, seen) == ("stopped", [])

    def broken(new: Any) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        backend.generate(tokens(10), Sampling(max_tokens=9), NO_EOS, broken, lambda: False)
    assert len(answer(backend, prompt, 4)) == 4
    backend.close()


def test_only_the_new_part_of_a_prompt_is_computed(demo: LlamaCppBackend) -> None:
    first = tokens(60, seed=9)
    continued = [*first, *answer(demo, first, 8), *tokens(20, seed=10)]
    result = demo.generate(continued, Sampling(max_tokens=1), NO_EOS, lambda _: None, lambda: False)
    assert result.cached == 60 + 7  # the last token of the answer was not computed
    other = [*first[:30], *tokens(20, seed=11)]
    result = demo.generate(other, Sampling(max_tokens=1), NO_EOS, lambda _: None, lambda: False)
    assert result.cached == 30


def test_sampling_has_every_field(demo: LlamaCppBackend, reference: Reference) -> None:
    prompt = tokens(30)
    warm = {"temperature": 1.0, "seed": 7}
    first = answer(demo, prompt, 16, **warm)
    assert answer(demo, prompt, 16, **warm) == first
    assert answer(demo, prompt, 16, temperature=1.0, seed=8) != first
    greedy = answer(demo, prompt, 16)
    for only in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        assert answer(demo, prompt, 16, **warm, **only) == greedy, only
    assert answer(demo, prompt, 16, temperature=0.01, seed=1) == greedy
    penalised = answer(demo, prompt, 16, repetition_penalty=1.5)
    assert penalised == penalised_reference(reference(CHECKPOINT), prompt, 16, 1.5)
    assert penalised != greedy
    largest = answer(demo, prompt, 4, temperature=1.0, seed=2**32 - 1)  # which llama.cpp takes for random
    assert answer(demo, prompt, 4, temperature=1.0, seed=2**32 - 1) == largest
    assert demo.ignored_sampling == ()


def penalised_reference(model: Any, prompt: list[int], count: int, penalty: float) -> list[int]:
    sampler = TokenSampler(
        Sampling(max_tokens=count, repetition_penalty=penalty), prompt, torch.device("cpu")
    )
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(sampler.choose(reference_logits(model, ids)[-1:].float())))
    return ids[len(prompt) :]


def test_every_token_of_the_users_file_arrives(tmp_path: Path) -> None:
    """Of random weights most tokens are parts of characters, which llama.cpp's stream withholds."""
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    backend = LlamaCppBackend()
    spec = EngineSpec(str(file), "llama-cpp", "fp32", context=4096, kv_precision="f32")
    backend.load(spec, file, None, RecordingReport())
    assert backend.context_tokens == 2048  # the model's own limit
    for seed in range(4):
        prompt = tokens(12, seed=seed)
        found = answer(backend, prompt, 24)
        assert len(found) == 24
        for end, token in enumerate(found):
            row = backend.loaded.distributions.row([*prompt, *found[:end]])
            assert row[token] == row.max()
    sampled = answer(backend, tokens(12), 24, temperature=2.0, seed=3)
    assert len(sampled) == 24
    assert answer(backend, tokens(12), 24, temperature=2.0, seed=3) == sampled
    facts = config_of(read_model(file), "llama")
    layers, heads, hidden, queries = (
        int(str(facts[name]))
        for name in ("num_hidden_layers", "num_key_value_heads", "hidden_size", "num_attention_heads")
    )
    assert usage(backend).bytes_total == 2048 * 2 * layers * heads * (hidden // queries) * 4
    backend.close()


def test_nobody_else_can_ask_the_server(demo: LlamaCppBackend) -> None:
    connections = psutil.Process().net_connections("all")
    assert not [one for one in connections if one.status == "LISTEN"]
    name = demo.loaded.server._socket
    assert name is not None
    assert Path(name).parent.stat().st_mode & 0o077 == 0
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(name)
        stranger.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        stranger.sendall(b"POST /completion HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert b"prompt" not in stranger.recv(1000)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"device": "cuda:0"}, "unsupported-device"),
        ({"precision": "int8"}, "unsupported-precision"),
        ({"kv_precision": "fp8"}, "unsupported-kv-precision"),
    ],
)
def test_what_it_cannot_do_is_refused(change: dict[str, str], code: str, tmp_path: Path) -> None:
    spec = replace(EngineSpec(str(CHECKPOINT), "llama-cpp", "fp32"), **change)  # type: ignore[arg-type]
    with pytest.raises(EngineError) as caught:
        LlamaCppBackend().load(spec, CHECKPOINT, tmp_path, RecordingReport())
    assert caught.value.code == code
