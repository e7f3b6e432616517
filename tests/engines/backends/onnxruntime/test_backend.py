"""The ONNX Runtime backend: answers, scores, prefix reuse, usage and refused options."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.backends.onnxruntime.backend import PRECISIONS, OnnxRuntimeBackend
from engines.backends.onnxruntime.runner import CHUNK_TOKENS
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import KVUsage, Sampling
from tests.doubles.recording_report import RecordingReport
from tests.engines.backends.onnxruntime.conftest import Build, Load
from tests.engines.conftest import Checkpoint, Reference
from tests.engines.measures import NO_EOS, answer, reference_answer, reference_logits, tokens


def usage(backend: OnnxRuntimeBackend) -> KVUsage:
    found = backend.kv_usage()
    assert found is not None
    return found


def test_prepare_reports_stages_progress_and_facts(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder, report = checkpoint(), RecordingReport()
    spec = EngineSpec(str(folder), "onnxruntime", "int8")
    facts = OnnxRuntimeBackend().prepare(spec, folder, tmp_path, report)
    assert report.stages == list(OnnxRuntimeBackend.prepare_stages)
    done = [progress[0] for progress in report.progresses]
    assert len(done) > 10
    assert done == sorted(done)
    assert report.progresses[-1][0] == report.progresses[-1][1]
    assert facts["weight_bytes"] == (tmp_path / "model.onnx.data").stat().st_size
    assert facts["precision"] == "int8"
    assert facts["onnx"]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_greedy_answers_equal_transformers(
    family: str, checkpoint: Checkpoint, load: Load, reference: Reference
) -> None:
    folder, prompt = checkpoint(family), tokens(40)
    assert answer(load(folder), prompt) == reference_answer(reference(folder), prompt)


def test_a_prompt_longer_than_a_chunk_equals_transformers(
    checkpoint: Checkpoint, load: Load, reference: Reference
) -> None:
    folder = checkpoint()
    backend = load(folder, context=2048)
    for count in (CHUNK_TOKENS, CHUNK_TOKENS + 1, 2 * CHUNK_TOKENS + 100):
        prompt = tokens(count, seed=count)
        assert answer(backend, prompt, 4) == reference_answer(reference(folder), prompt, 4)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_answers(precision: str, checkpoint: Checkpoint, load: Load) -> None:
    backend = load(checkpoint(), precision)
    first = answer(backend, tokens(30))
    assert len(first) == 24
    assert answer(backend, tokens(30)) == first


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
    seen: list[int] = []
    result = backend.generate(prompt, Sampling(max_tokens=12), frozenset({end}), seen.extend, lambda: False)
    assert seen == free[: free.index(end) + 1]
    assert result.reason == "stop"
    seen.clear()
    ignoring = Sampling(max_tokens=12, ignore_eos=True)
    assert backend.generate(prompt, ignoring, frozenset({end}), seen.extend, lambda: False).reason == "length"
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


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_stop_during_prefill_keeps_what_was_computed(
    chunks: int, checkpoint: Checkpoint, load: Load
) -> None:
    backend, fresh = load(checkpoint(), context=2048), load(checkpoint(), context=2048)
    prompt, calls, seen = tokens(3 * CHUNK_TOKENS - 20), 0, list[int]()

    def stopped() -> bool:
        nonlocal calls
        calls += 1
        return calls >= chunks

    result = backend.generate(prompt, Sampling(max_tokens=20), NO_EOS, seen.extend, stopped)
    assert (result.reason, seen, calls) == ("stopped", [], chunks)
    assert usage(backend).tokens == min(chunks * CHUNK_TOKENS, len(prompt))
    again = backend.generate(prompt, Sampling(max_tokens=1), NO_EOS, seen.extend, lambda: False)
    assert again.cached == min(chunks * CHUNK_TOKENS, len(prompt) - 1)
    assert answer(backend, prompt) == answer(fresh, prompt)


def test_an_exception_in_emit_leaves_the_engine_usable(checkpoint: Checkpoint, load: Load) -> None:
    backend, fresh = load(checkpoint()), load(checkpoint())

    def broken(new: Any) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        backend.generate(tokens(10), Sampling(max_tokens=9), NO_EOS, broken, lambda: False)
    assert answer(backend, tokens(10)) == answer(fresh, tokens(10))


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
    assert answer(backend, prompt, **({"temperature": 1.0, "seed": 3} | narrow)) == answer(backend, prompt)


def test_a_repetition_penalty_changes_the_answer(checkpoint: Checkpoint, load: Load) -> None:
    backend, prompt = load(checkpoint()), [5, 6, 7] * 8
    plain, penalised = answer(backend, prompt, 60), answer(backend, prompt, 60, repetition_penalty=2.0)
    assert len(set(penalised)) > len(set(plain))


@pytest.mark.parametrize("prompt", [[], [5, 384], [-1]], ids=str)
def test_ids_outside_the_vocabulary_never_reach_the_library(
    prompt: list[int], checkpoint: Checkpoint, load: Load
) -> None:
    for call in (answer, lambda backend, ids: backend.score([*ids, *ids])):
        with pytest.raises(EngineError) as caught:
            call(load(checkpoint()), prompt)
        assert caught.value.code == "bad-tokens"


def test_a_prompt_beyond_the_cache_is_refused_and_the_next_one_runs(
    checkpoint: Checkpoint, load: Load
) -> None:
    """The worker limits prompts to the context window; without that the library refuses them."""
    backend = load(checkpoint(), context=128)
    for call in (lambda: answer(backend, tokens(600)), lambda: backend.score(tokens(600))):
        with pytest.raises(EngineError) as caught:
            call()
        assert caught.value.code == "engine-failed"
        assert len(answer(backend, tokens(60))) == 24


def test_the_context_window_can_be_filled(checkpoint: Checkpoint, load: Load, reference: Reference) -> None:
    folder = checkpoint()
    backend = load(folder, context=200)
    assert backend.context_tokens == 200
    for seed in (0, 1):
        prompt = tokens(150, seed=seed)
        assert answer(backend, prompt, 50) == reference_answer(reference(folder), prompt, 50)
    assert len(backend.score(tokens(200)).logprobs) == 199


def test_the_context_is_limited_by_the_positions(checkpoint: Checkpoint, load: Load) -> None:
    report = RecordingReport()
    backend = load(checkpoint("gpt2", n_positions=64), context=512, report=report)
    assert backend.context_tokens == usage(backend).capacity_tokens == 64
    assert report.lines == ["The context window is 64 tokens, the model's own limit."]
    assert len(answer(backend, tokens(44), 20)) == 20


def test_the_second_turn_computes_only_what_is_new(checkpoint: Checkpoint, load: Load) -> None:
    backend, fresh = load(checkpoint()), load(checkpoint())
    prompt = tokens(100)
    first = answer(backend, prompt)
    following = [*prompt, *first, *tokens(20, seed=2)]
    computed: list[int] = []
    runner = backend.runner
    compute = runner.compute

    def counted(token_ids: Any, start: int, *, all_rows: bool) -> Any:
        computed.append(len(token_ids))
        return compute(token_ids, start, all_rows=all_rows)

    runner.compute = counted  # type: ignore[method-assign]
    seen: list[int] = []
    wanted = Sampling(max_tokens=24, ignore_eos=True)
    result = backend.generate(following, wanted, NO_EOS, seen.extend, lambda: False)
    # The last token of the first answer was emitted and not computed.
    assert result.cached == len(prompt) + len(first) - 1
    assert computed == [21] + [1] * 23
    assert seen == answer(fresh, following)
    edited = [*prompt[:60], *tokens(30, seed=3)]
    assert backend.generate(edited, wanted, NO_EOS, lambda _: None, lambda: False).cached == 60
    assert answer(backend, edited) == answer(fresh, edited)


def test_the_last_token_of_a_prompt_is_always_computed(checkpoint: Checkpoint, load: Load) -> None:
    backend, prompt = load(checkpoint()), tokens(50)
    expected, wanted = answer(backend, prompt), Sampling(max_tokens=1)
    for length, cached in ((50, 49), (10, 9), (1, 0)):
        found = backend.generate(prompt[:length], wanted, NO_EOS, lambda _: None, lambda: False)
        assert found.cached == cached
    assert answer(backend, prompt) == expected


def test_scores_are_those_of_the_logits_also_after_an_answer(
    checkpoint: Checkpoint, load: Load, reference: Reference
) -> None:
    folder, prompt = checkpoint(), tokens(CHUNK_TOKENS + 50)
    backend = load(folder)
    ids = [*prompt, *answer(backend, prompt)]
    exact = reference_logits(reference(folder), ids).log_softmax(-1)
    expected = [float(exact[i, ids[i + 1]]) for i in range(len(ids) - 1)]
    for _ in range(2):
        scores = backend.score(ids, 3)
        assert list(scores.logprobs) == pytest.approx(expected, abs=1e-3)
        assert [ids_[0] for ids_ in scores.top_ids] == exact[:-1].argmax(-1).tolist()
    assert answer(backend, prompt) == ids[len(prompt) :]


def test_kv_usage_counts_bytes(checkpoint: Checkpoint, load: Load, build: Build) -> None:
    backend = load(checkpoint(), context=1024)
    # 2 layers, 2 key and value heads of 32 values, 4 bytes each: keys and values of one token.
    each = 2 * 2 * 2 * 32 * 4
    assert (usage(backend).tokens, usage(backend).bytes_used) == (0, 0)
    answer(backend, tokens(100), 5)
    assert usage(backend).tokens == 104
    assert usage(backend).capacity_tokens == 1024
    assert usage(backend).bytes_used == 104 * each
    assert usage(backend).bytes_total == 1024 * each
    memory = backend.memory_usage()
    assert memory is not None
    assert memory.kv == 1024 * each
    assert memory.weights == (build(checkpoint()) / "model.onnx.data").stat().st_size


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"precision": "fp8"}, "unsupported-precision"),
        ({"precision": "bf16"}, "unsupported-precision"),
        ({"kv_precision": "u8"}, "unsupported-kv-precision"),
        ({"device": "cuda:0"}, "unsupported-device"),
    ],
    ids=str,
)
def test_unsupported_options_are_refused_before_any_work(
    change: dict[str, Any], code: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    spec = replace(EngineSpec(str(checkpoint()), "onnxruntime", "fp32"), **change)
    for call in (OnnxRuntimeBackend().prepare, OnnxRuntimeBackend().load):
        with pytest.raises(EngineError) as caught:
            call(spec, checkpoint(), tmp_path, RecordingReport())
        assert caught.value.code == code
    assert not list(tmp_path.iterdir())


def test_generating_without_a_loaded_engine_is_an_error(checkpoint: Checkpoint, load: Load) -> None:
    closed = load(checkpoint())
    closed.close()
    for backend in (OnnxRuntimeBackend(), closed):
        with pytest.raises(EngineError) as caught:
            answer(backend, [1])
        assert caught.value.code == "not-loaded"
        assert backend.kv_usage() is None
        assert backend.memory_usage() is None
        backend.close()


def test_an_engine_that_was_not_built_is_refused(checkpoint: Checkpoint) -> None:
    spec = EngineSpec(str(checkpoint()), "onnxruntime", "fp32")
    with pytest.raises(EngineError) as caught:
        OnnxRuntimeBackend().load(spec, checkpoint(), None, RecordingReport())
    assert caught.value.code == "not-built"
