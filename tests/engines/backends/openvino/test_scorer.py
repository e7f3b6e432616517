"""Scores are of the engine as the pipeline runs it, the KV cache's precision included."""

from __future__ import annotations

import numpy as np
import pytest

from engines.backends.openvino.backend import OpenVINOBackend
from engines.backends.openvino.pipeline import PipelineSettings
from engines.backends.openvino.request import generation_config, read_outputs
from engines.backends.openvino.score_graph import ScoreGraph
from engines.backends.openvino.scorer import Scorer
from engines.demo import CHECKPOINT
from engines.worker.protocol import Sampling
from tests.engines.backends.openvino.conftest import Load

PROMPT = [(37 * number) % 4000 + 5 for number in range(300)]
"""Over more than one part, and not of whole blocks."""


def pipeline_logprob(backend: OpenVINOBackend, prompt: list[int]) -> tuple[int, float]:
    """Return the token that the pipeline writes after a prompt, and its log-probability."""
    config = generation_config(Sampling(max_tokens=1), frozenset())
    config.logprobs = 1
    handle = backend.pipeline.add_request(prompt, config)
    while backend.pipeline.is_busy:
        backend.pipeline.step()
    [output] = read_outputs(handle)
    return output.generated_ids[0], output.generated_log_probs[0]


@pytest.mark.parametrize("precision", ["fp32", "int4"])
@pytest.mark.parametrize("kv_precision", ["f32", "f16", "u8"])
def test_scores_are_those_of_the_pipeline(load: Load, precision: str, kv_precision: str) -> None:
    backend = load(CHECKPOINT, precision, context=1024, kv_precision=kv_precision)
    for length in (17, 255, 300):
        # Other first tokens each time: with a prefix from its cache the pipeline computes it in other parts.
        prompt = [length, *PROMPT[1:length]]
        token, logprob = pipeline_logprob(backend, prompt)
        scores = backend.score([*prompt, token], 3)
        assert scores.top_ids[-1][0] == token
        assert scores.logprobs[-1] == pytest.approx(logprob, abs=1e-4)
        assert scores.ranks[-1] == 0


def test_a_coarser_kv_cache_is_further_from_the_exact_one(load: Load) -> None:
    exact, half, eight = (
        np.array(load(CHECKPOINT, "fp32", context=512, kv_precision=kv).score(PROMPT).logprobs)
        for kv in ("f32", "f16", "u8")
    )
    assert 0 < np.abs(exact - half).mean() < np.abs(exact - eight).mean() / 3


def test_a_text_after_a_longer_one_has_the_same_scores(load: Load) -> None:
    """The blocks of the cache still hold the longer text."""
    backend = load(CHECKPOINT, "int8", context=512)
    first = backend.score(PROMPT[:40]).logprobs
    backend.score(PROMPT)
    assert backend.score(PROMPT[:40]).logprobs == first


@pytest.mark.parametrize(("spare", "opened"), [(0, 1), (1 << 60, 2)])
def test_the_scorer_is_kept_for_the_next_answer_if_memory_suffices(
    load: Load, monkeypatch: pytest.MonkeyPatch, spare: int, opened: int
) -> None:
    made: list[Scorer] = []

    def count(settings: PipelineSettings) -> Scorer:
        made.append(Scorer(settings))
        return made[-1]

    monkeypatch.setattr("engines.backends.openvino.scorer.Scorer", count)
    monkeypatch.setattr("engines.backends.openvino.backend.SPARE_BYTES", spare)
    backend = load(CHECKPOINT, "int8", context=512)
    first = backend.score(PROMPT).logprobs
    backend.generate(PROMPT[:20], Sampling(max_tokens=3), frozenset(), lambda _: None, lambda: False)
    assert backend.score(PROMPT).logprobs == first
    assert len(made) == opened


def test_the_graph_equals_float64() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 5, (7, 1000)).astype(np.float32)
    half, targets = random.normal(-8, 2, (7, 1000)).astype(np.float16), random.integers(0, 1000, 7)
    found = ScoreGraph(compares=True)(logits, targets, 4, half)
    q, p = (
        rows - np.log(np.exp(rows).sum(-1, keepdims=True)) for rows in (np.float64(logits), np.float64(half))
    )
    chosen = q[np.arange(7), targets]
    assert np.abs(found.chosen - chosen).max() < 1e-5
    assert (found.ranks == (q > chosen[:, None]).sum(-1)).all()
    assert (found.top_ids == np.argsort(-q)[:, :4]).all()
    assert np.abs(found.top_logprobs + np.sort(-q)[:, :4]).max() < 1e-5
    assert found.kl == pytest.approx((np.exp(p) * (p - q)).sum(-1), abs=1e-4)
    assert found.half.dtype == np.float16


def test_a_token_that_cannot_be_written_makes_no_divergence_infinite() -> None:
    """The reference gives it no probability either: a padded vocabulary."""
    logits = np.array([[1.0, 1.0, -np.inf]], np.float32)
    half = np.array([[-0.6931, -0.6931, -65504.0]], np.float16)
    assert ScoreGraph(compares=True)(logits, [0], 1, half).kl == pytest.approx([0.0], abs=1e-5)
