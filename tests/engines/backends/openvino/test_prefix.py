"""The predicted number of cached tokens, compared with what the library computes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from engines.backends.openvino.backend import OpenVINOBackend
from engines.backends.openvino.pipeline import Pipeline
from engines.backends.openvino.prefix import PrefixLedger
from engines.backends.openvino.request import generation_config
from engines.worker.protocol import Sampling
from tests.engines.backends.openvino.conftest import Load
from tests.engines.conftest import Checkpoint
from tests.engines.measures import NO_EOS, answer, tokens


def measured_cached(pipeline: Pipeline, prompt: Sequence[int]) -> int:
    """Return the number of tokens of `prompt` that the library takes from its cache.

    With `echo` and no generated tokens it returns log-probabilities only for the tokens that it computes.
    """
    config = generation_config(Sampling(max_tokens=0), NO_EOS)
    config.echo, config.logprobs = True, 1
    handle = pipeline.add_request(prompt, config)
    values = 0
    while pipeline.is_busy:
        pipeline.step()
        while handle.can_read():
            values += sum(len(output.generated_log_probs) for output in handle.read().values())
    pipeline.ledger.record(prompt)
    return len(prompt) - values


@pytest.mark.parametrize("first", [1, 31, 32, 33, 64, 100, 300])
def test_cached_tokens_of_chat_turns_are_exact(first: int, checkpoint: Checkpoint, load: Load) -> None:
    backend = load(checkpoint())
    pipeline, conversation = backend.pipeline, tokens(first)
    for turn in range(6):
        # More than a block: the measurement above has left a partial block.
        conversation += answer(backend, conversation, 33 + turn)
        computed = len(conversation) - 1
        conversation += tokens(17 + 29 * turn, seed=turn)
        predicted, measured = pipeline.ledger.cached(conversation), measured_cached(pipeline, conversation)
        assert predicted == measured if computed % 32 else predicted <= measured
        assert predicted > computed - 33


@pytest.mark.parametrize("seed", range(4))
def test_cached_tokens_are_never_overestimated(seed: int, checkpoint: Checkpoint, load: Load) -> None:
    """Branches, repetitions, unrelated prompts, and a cache too small for all of them."""
    backend = load(checkpoint(), context=512)
    pipeline, rng = backend.pipeline, random.Random(seed)
    known, reused = [tokens(60)], 0
    for round_ in range(200):
        old = rng.choice(known[-4:])
        cut = rng.choice([len(old), len(old), rng.randint(1, len(old))])
        prompt = [*old[:cut], *tokens(rng.choice([0, 1, 20, 90]), seed=round_)][:480]
        if rng.random() < 0.5:
            predicted, measured = pipeline.ledger.cached(prompt), measured_cached(pipeline, prompt)
            assert predicted <= measured
            reused += predicted
        known.append([*prompt, *answer(backend, prompt, rng.choice([1, 2, 20]))])
    assert reused > 500


def test_generate_reports_cached_tokens_and_blocks(checkpoint: Checkpoint, load: Load) -> None:
    backend: OpenVINOBackend = load(checkpoint())
    prompt = tokens(100)
    seen: list[int] = []
    wanted = Sampling(max_tokens=10, ignore_eos=True)
    first = backend.generate(prompt, wanted, NO_EOS, seen.extend, lambda: False)
    second = backend.generate([*prompt, *seen, 5, 6], wanted, NO_EOS, seen.extend, lambda: False)
    assert (first.cached, second.cached) == (0, 109)
    usage = backend.kv_usage()
    assert usage is not None
    assert usage.reused_blocks == 3


def test_the_least_recently_used_sequence_is_evicted() -> None:
    ledger = PrefixLedger(block_tokens=4, total_blocks=4)
    ledger.record(range(10))
    ledger.record(range(100, 105))
    assert ledger.cached([*range(100, 105), 1]) == 5
    assert ledger.cached([*range(10), 1]) == 0


def test_only_full_blocks_are_shared_and_never_the_last_token() -> None:
    ledger = PrefixLedger(block_tokens=4, total_blocks=100)
    ledger.record(range(10))
    assert ledger.cached([0, 1, 2, 3, 4, 9, 9]) == 4
    assert ledger.cached(range(8)) == 4
    assert ledger.cached([]) == 0
