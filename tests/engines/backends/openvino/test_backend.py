"""The OpenVINO backend: generation, finish reasons, usage and errors."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.backends.openvino.backend import PRECISIONS, OpenVINOBackend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.kv_precision import kv_choices
from engines.worker.protocol import KVUsage, Sampling
from tests.doubles.recording_report import RecordingReport
from tests.engines.backends.openvino.conftest import Load
from tests.engines.conftest import Checkpoint
from tests.engines.measures import NO_EOS, answer, reference_logits, tokens


def usage(backend: OpenVINOBackend) -> KVUsage:
    found = backend.kv_usage()
    assert found is not None
    return found


def test_prepare_reports_stages_progress_and_facts(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder, report = checkpoint(), RecordingReport()
    facts = OpenVINOBackend().prepare(EngineSpec(str(folder), "openvino", "int8"), folder, tmp_path, report)
    assert report.stages == ["convert", "save"]
    done = [progress[0] for progress in report.progresses]
    assert len(done) > 10
    assert done == sorted(done)
    assert report.progresses[-1][0] == report.progresses[-1][1]
    assert facts["weight_bytes"] == (tmp_path / "openvino_model.bin").stat().st_size
    assert facts["precision"] == "int8"
    assert facts["openvino"]


def test_each_token_is_emitted_and_the_reason_is_length(checkpoint: Checkpoint, load: Load) -> None:
    emitted: list[list[int]] = []
    result = load(checkpoint()).generate(
        tokens(10), Sampling(max_tokens=7), NO_EOS, lambda new: emitted.append(list(new)), lambda: False
    )
    assert [len(new) for new in emitted] == [1] * 7
    assert result.reason == "length"


def test_an_end_token_is_emitted_and_ends_the_answer(checkpoint: Checkpoint, load: Load) -> None:
    backend, prompt = load(checkpoint()), tokens(10)
    free = answer(backend, prompt, 12)
    end = free[5]
    first = free.index(end)
    seen: list[int] = []
    ends = frozenset({end, 383})
    result = backend.generate(prompt, Sampling(max_tokens=12), ends, seen.extend, lambda: False)
    assert seen == free[: first + 1]
    assert result.reason == "stop"
    seen.clear()
    ignoring = Sampling(max_tokens=12, ignore_eos=True)
    assert backend.generate(prompt, ignoring, ends, seen.extend, lambda: False).reason == "length"
    assert seen == free


def test_a_stop_ends_within_a_step_and_leaves_the_engine_usable(checkpoint: Checkpoint, load: Load) -> None:
    backend, prompt = load(checkpoint()), tokens(50)
    expected = answer(backend, prompt)
    seen: list[int] = []
    wanted = Sampling(max_tokens=500, ignore_eos=True)
    result = backend.generate(prompt, wanted, NO_EOS, seen.extend, lambda: len(seen) >= 5)
    assert result.reason == "stopped"
    assert seen == expected[:5]
    assert answer(backend, prompt) == expected


@pytest.mark.parametrize("reload", [False, True], ids=["completes the prefill", "reloads"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_stop_during_prefill_does_not_corrupt_the_cache(
    steps: int, reload: bool, checkpoint: Checkpoint, load: Load
) -> None:
    """The library stores a half-computed block under the hash of the full one; see `Pipeline._abandon`."""
    backend, fresh = load(checkpoint()), load(checkpoint())
    start = tokens(37)
    prompt = [*start, *answer(backend, start), *tokens(1100, seed=1)]
    backend.pipeline.load_seconds = 0.0 if reload else 1e9
    calls, seen = 0, list[int]()

    def stopped() -> bool:
        nonlocal calls
        calls += 1
        return calls >= steps

    wanted = Sampling(max_tokens=20)
    result = backend.generate(prompt, wanted, NO_EOS, seen.extend, stopped)
    assert (result.reason, seen) == ("stopped", [])
    assert answer(backend, prompt) == answer(fresh, prompt)
    assert backend.score(prompt).logprobs == fresh.score(prompt).logprobs


def test_an_exception_in_emit_leaves_the_engine_usable(checkpoint: Checkpoint, load: Load) -> None:
    backend = load(checkpoint())

    def broken(new: Any) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        backend.generate(tokens(10), Sampling(max_tokens=9), NO_EOS, broken, lambda: False)
    assert len(answer(backend, tokens(10))) == 24


def test_seeds_are_reproducible_and_differ(checkpoint: Checkpoint, load: Load) -> None:
    backend, prompt = load(checkpoint()), tokens(20)
    first, again, other = (answer(backend, prompt, temperature=1.0, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 0.999}, {"temperature": 1e-4}], ids=str
)
def test_sampling_narrowed_to_one_token_is_greedy(
    narrow: dict[str, float], checkpoint: Checkpoint, load: Load
) -> None:
    backend, prompt = load(checkpoint()), tokens(20)
    sampled = answer(backend, prompt, **({"temperature": 1.0, "seed": 3} | narrow))
    assert sampled == answer(backend, prompt)


def test_a_repetition_penalty_works_with_greedy_and_changes_the_answer(
    checkpoint: Checkpoint, load: Load
) -> None:
    backend = load(checkpoint())
    prompt = [5, 6, 7] * 8
    plain, penalised = answer(backend, prompt, 60), answer(backend, prompt, 60, repetition_penalty=2.0)
    assert plain != penalised
    assert len(set(penalised)) > len(set(plain))


def test_sampling_that_the_library_rejects_is_an_error(checkpoint: Checkpoint, load: Load) -> None:
    with pytest.raises(EngineError) as caught:
        answer(load(checkpoint()), tokens(5), temperature=1.0, top_p=7.0)
    assert caught.value.code == "bad-sampling"


@pytest.mark.parametrize("prompt", [[], [5, 384], [-1]], ids=str)
def test_ids_outside_the_vocabulary_never_reach_the_library(
    prompt: list[int], checkpoint: Checkpoint, load: Load
) -> None:
    with pytest.raises(EngineError) as caught:
        answer(load(checkpoint()), prompt)
    assert caught.value.code == "bad-tokens"


def test_a_prompt_that_never_fits_is_refused_and_the_next_one_runs(
    checkpoint: Checkpoint, load: Load
) -> None:
    backend = load(checkpoint(), context=128)
    with pytest.raises(EngineError) as caught:
        answer(backend, tokens(600))
    assert caught.value.code == "context-full"
    assert len(answer(backend, tokens(60))) == 24


def test_the_context_window_can_be_filled(checkpoint: Checkpoint, load: Load) -> None:
    backend = load(checkpoint(), context=200)
    assert backend.context_tokens == 200
    assert len(answer(backend, tokens(150), 50)) == 50
    assert len(answer(backend, tokens(150, seed=1), 50)) == 50


def test_the_context_is_limited_by_the_positions(checkpoint: Checkpoint, load: Load) -> None:
    folder = checkpoint("gpt2", n_positions=64)
    backend = load(folder, context=512)
    assert backend.context_tokens == 64


def test_kv_usage_follows_the_library(checkpoint: Checkpoint, load: Load) -> None:
    backend = load(checkpoint(), context=1024)
    answer(backend, tokens(100), 5)
    small = usage(backend)
    assert (small.block_tokens, small.tokens) == (32, 104 + 1)
    assert small.used_blocks == 4
    answer(backend, tokens(400, seed=1), 5)
    large = usage(backend)
    assert large.used_blocks == 13
    assert large.total_blocks == large.used_blocks + (large.free_blocks or 0) == 34
    # 2 layers, 2 key and value heads of 32 values, 4 bytes each: keys and values of one token.
    assert large.bytes_total == 34 * 32 * (2 * 2 * 2 * 32 * 4)
    assert large.bytes_used == 13 * 32 * (2 * 2 * 2 * 32 * 4)
    memory = backend.memory_usage()
    assert memory is not None
    assert memory.kv == large.bytes_total
    assert memory.weights


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_kv_precision_works_and_has_its_size(
    precision: str, checkpoint: Checkpoint, load: Load, reference: Any
) -> None:
    folder, ids = checkpoint(standard_deviation=0.06), tokens(100)
    exact = reference_logits(reference(folder), ids).log_softmax(-1)
    sizes = {}
    for kv_precision in kv_choices("openvino", precision):
        backend = load(folder, precision, kv_precision=kv_precision, context=256)
        assert len(answer(backend, ids)) == 24
        sizes[kv_precision] = usage(backend).bytes_total or 0
        off = [abs(float(exact[i, ids[i + 1]]) - p) for i, p in enumerate(backend.score(ids).logprobs)]
        limit = 1e-4 if (precision, kv_precision) == ("fp32", "f32") else 0.25
        assert sum(off) / len(off) < limit
    widths = {"f32": 4, "f16": 2, "bf16": 2, "u8": 1.25}  # u8 also stores scales
    assert len({size / widths[name] for name, size in sizes.items()}) == 1
    automatic = load(folder, precision, context=256)
    answer(automatic, ids)
    assert usage(automatic).bytes_total == sizes[kv_choices("openvino", precision)[0]]


def test_scores_equal_transformers_even_after_an_answer_to_the_same_prompt(
    checkpoint: Checkpoint, load: Load, reference: Any
) -> None:
    """With a cached prefix the pipeline for answers would return noise; see `OpenVINOBackend.score`."""
    folder, prompt = checkpoint(), tokens(300)
    backend = load(folder)
    ids = [*prompt, *answer(backend, prompt)]
    exact = reference_logits(reference(folder), ids).log_softmax(-1)
    expected = [float(exact[i, ids[i + 1]]) for i in range(len(ids) - 1)]
    for _ in range(2):
        assert list(backend.score(ids).logprobs) == pytest.approx(expected, abs=1e-3)
    assert answer(backend, prompt) == ids[300:]


def test_the_second_turn_computes_only_what_is_new(checkpoint: Checkpoint, load: Load) -> None:
    backend = load(checkpoint(num_hidden_layers=6, hidden_size=256, intermediate_size=1024), context=2048)
    prompt = tokens(1500)
    for ids, expected in ((prompt, 0), ([*prompt, *tokens(20, seed=2)], 1500), (prompt, 1499)):
        found = backend.generate(ids, Sampling(max_tokens=1), NO_EOS, lambda _: None, lambda: False)
        assert expected - 32 < found.cached <= expected
    assert usage(backend).reused_blocks == 1500 // 32


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"precision": "fp8"}, "unsupported-precision"),
        ({"kv_precision": "fp8"}, "unsupported-kv-precision"),
        ({"kv_precision": "bf16"}, "unsupported-kv-precision"),
        ({"precision": "bf16", "kv_precision": "f16"}, "unsupported-kv-precision"),
        ({"device": "cuda:0"}, "unsupported-device"),
    ],
    ids=str,
)
def test_unsupported_options_are_refused_before_any_work(
    change: dict[str, Any], code: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    spec = replace(EngineSpec(str(checkpoint()), "openvino", "fp32"), **change)
    for call in (OpenVINOBackend().prepare, OpenVINOBackend().load):
        with pytest.raises(EngineError) as caught:
            call(spec, checkpoint(), tmp_path, RecordingReport())
        assert caught.value.code == code
    assert not list(tmp_path.glob("*.xml"))


@pytest.mark.parametrize("damage", ["nothing there", "graph cut", "graph changed", "weights cut"])
def test_a_missing_or_damaged_engine_is_an_error(damage: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = checkpoint()
    spec = EngineSpec(str(folder), "openvino", "fp32")
    graph, weights = tmp_path / "openvino_model.xml", tmp_path / "openvino_model.bin"
    if damage != "nothing there":
        OpenVINOBackend().prepare(spec, folder, tmp_path, RecordingReport())
        text = graph.read_text()
        if damage == "weights cut":
            os.truncate(weights, weights.stat().st_size - 1)
        else:
            graph.write_text(text[:9000] if damage == "graph cut" else text.replace("MatMul", "Mystery"))
    with pytest.raises(EngineError) as caught:
        OpenVINOBackend().load(spec, folder, tmp_path, RecordingReport())
    assert caught.value.code == "load-failed"


def test_generating_without_a_loaded_engine_is_an_error() -> None:
    backend = OpenVINOBackend()
    with pytest.raises(EngineError) as caught:
        answer(backend, [1])
    assert caught.value.code == "not-loaded"
    assert backend.kv_usage() is None
    assert backend.memory_usage() is None
    backend.close()


def test_an_answer_that_fills_the_cache_ends_with_the_reason_context(
    checkpoint: Checkpoint, load: Load
) -> None:
    """The worker limits max_tokens to the context window; without that the library drops the request."""
    backend, seen = load(checkpoint(), context=128), list[int]()
    wanted = Sampling(max_tokens=500, ignore_eos=True)
    result = backend.generate(tokens(100), wanted, NO_EOS, seen.extend, lambda: False)
    assert result.reason == "context"
    assert 28 <= len(seen) < 500
    assert len(answer(backend, tokens(60))) == 24
