"""What is said to be cached, against what the library computes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from engines.backends.openvino.backend import OpenVINOBackend
from engines.backends.openvino.pipeline import Pipeline
from engines.backends.openvino.prefix import PrefixLedger
from engines.backends.openvino.request import generation_config
from engines.worker.protocol import Sampling
from tests.engines.backends.openvino.conftest import Checkpoint, Load
from tests.engines.backends.openvino.measures import NOTHING_ENDS, answer, tokens


def really_cached(pipeline: Pipeline, prompt: Sequence[int]) -> int:
    """Tokens of `prompt` that the library does not compute.

    With echo, and nothing generated, it gives a log-probability for just those that it computes.
    """
    config = generation_config(Sampling(max_tokens=0), NOTHING_ENDS)
    config.echo, config.logprobs = True, 1
    handle = pipeline._request(prompt, config)
    values = 0
    while pipeline._pipeline.has_non_finished_requests():
        pipeline._step()
        while handle.can_read():
            values += sum(len(output.generated_log_probs) for output in handle.read().values())
    pipeline._ledger.record(prompt)
    return len(prompt) - values


@pytest.mark.parametrize("first", [1, 31, 32, 33, 64, 100, 300])
def test_the_turns_of_a_chat_are_told_to_the_token(first: int, checkpoint: Checkpoint, load: Load) -> None:
    backend = load(checkpoint())
    pipeline, conversation = backend._loaded, tokens(first)
    for turn in range(6):
        # More than a block: the question above has left an unfinished one of its own.
        conversation += answer(backend, conversation, 33 + turn)
        computed = len(conversation) - 1
        conversation += tokens(17 + 29 * turn, seed=turn)
        claimed, really = pipeline._ledger.cached(conversation), really_cached(pipeline, conversation)
        assert claimed == really if computed % 32 else claimed <= really
        assert claimed > computed - 33


@pytest.mark.parametrize("seed", range(4))
def test_no_more_is_told_than_is_true(seed: int, checkpoint: Checkpoint, load: Load) -> None:
    """Branches, repeats, strangers and a cache too small for all of them."""
    backend = load(checkpoint(), context=512)
    pipeline, chance = backend._loaded, random.Random(seed)
    known, reused = [tokens(60)], 0
    for round_ in range(200):
        old = chance.choice(known[-4:])
        cut = chance.choice([len(old), len(old), chance.randint(1, len(old))])
        prompt = [*old[:cut], *tokens(chance.choice([0, 1, 20, 90]), seed=round_)][:480]
        if chance.random() < 0.5:
            claimed, really = pipeline._ledger.cached(prompt), really_cached(pipeline, prompt)
            assert claimed <= really
            reused += claimed
        known.append([*prompt, *answer(backend, prompt, chance.choice([1, 2, 20]))])
    assert reused > 500


def test_generate_tells_cached_tokens_and_blocks(checkpoint: Checkpoint, load: Load) -> None:
    backend: OpenVINOBackend = load(checkpoint())
    prompt = tokens(100)
    seen: list[int] = []
    wanted = Sampling(max_tokens=10, ignore_eos=True)
    first = backend.generate(prompt, wanted, NOTHING_ENDS, seen.extend, lambda: False)
    second = backend.generate([*prompt, *seen, 5, 6], wanted, NOTHING_ENDS, seen.extend, lambda: False)
    assert (first.cached, second.cached) == (0, 109)
    usage = backend.kv_usage()
    assert usage is not None
    assert usage.reused_blocks == 3


def test_the_oldest_make_room() -> None:
    ledger = PrefixLedger(block_tokens=4, total_blocks=4)
    ledger.record(range(10))
    ledger.record(range(100, 105))
    assert ledger.cached([*range(100, 105), 1]) == 5
    assert ledger.cached([*range(10), 1]) == 0


def test_a_part_is_shared_in_whole_blocks_and_the_last_token_never() -> None:
    ledger = PrefixLedger(block_tokens=4, total_blocks=100)
    ledger.record(range(10))
    assert ledger.cached([0, 1, 2, 3, 4, 9, 9]) == 4
    assert ledger.cached(range(8)) == 4
    assert ledger.cached([]) == 0
