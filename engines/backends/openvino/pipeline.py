"""Run one ContinuousBatchingPipeline step by step, one request at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from engines.backends.base import Emit, Generated, Stopped
from engines.backends.distribution import no_distribution
from engines.backends.openvino.prefix import PrefixLedger
from engines.backends.openvino.request import GenerationRequest, generation_config, read_outputs
from engines.backends.openvino.saving import complete_bytes, state_bytes
from engines.errors import EngineError
from engines.worker.checks import check_ids
from engines.worker.protocol import KVUsage, Sampling

BLOCK_TOKENS = 32
"""Expected tokens per KV block on CPUs. The library has no attribute for it, so `Pipeline` measures it."""
SPARE_BLOCKS = 2
STATE_SLOTS = 2
"""Copies of the states: one is read and one is written. By default there are 256."""
PREFILL_TOKENS = 256
"""Tokens of a prompt computed per step (the library's default). A stop request is checked after each step."""


@dataclass(frozen=True)
class PipelineSettings:
    """How an engine is loaded."""

    directory: Path
    hint: str
    """INFERENCE_PRECISION_HINT, `f32` or `bf16`. Always set: without it, CPUs with bfloat16 compute fp32
    weights in bfloat16. Never `f16`: paged attention on CPUs then returns NaN without an error."""
    kv_precision: str
    context: int
    """Tokens that the KV cache must hold."""
    vocabulary: int
    """Rows of the embedding table."""
    log: Callable[[str], None]
    """Adds a line to the log shown to the user."""
    keeps_state: bool = False
    """Whether layers keep a state beside keys and values: no prefix is reused then."""
    quantise_activations: bool = True
    """OpenVINO's default for int8 and int4 weights: at int4 175 tok/s with it and 139 without."""

    @property
    def properties(self) -> dict[str, Any]:
        """The properties with which OpenVINO compiles the model."""
        found: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self.hint,
            "KV_CACHE_PRECISION": self.kv_precision,
        }
        return found if self.quantise_activations else found | {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}


class Pipeline:
    """Runs one request at a time."""

    def __init__(self, settings: PipelineSettings, prefix_caching: bool = True) -> None:
        """Load the engine and run one short request, to measure the block size.

        Args:
            prefix_caching: Whether KV blocks of earlier prompts are reused for prompts with the same prefix.

        Raises:
            EngineError: `load-failed`.
        """
        self.settings = settings
        self._prefix_caching = prefix_caching and not settings.keeps_state
        self._ids = count()
        self.total_blocks = math.ceil(settings.context / BLOCK_TOKENS) + SPARE_BLOCKS
        self.weight_bytes = _weight_bytes(settings.directory)
        self._state_bytes = STATE_SLOTS * state_bytes(settings.directory) if settings.keeps_state else 0
        self._open()

    def _open(self) -> None:
        started = time.monotonic()
        while True:
            try:
                self._start()
                break
            except RuntimeError as error:
                if "logprob" in str(error):  # of the request that measures the blocks: NaN sorts as above 0
                    raise no_distribution() from error
                fallback = _fallback(self.settings, str(error))
                if fallback is None:
                    raise EngineError(
                        "load-failed",
                        f"OpenVINO cannot load the engine: {_first_line(error)}",
                        "Prepare it again. If that does not help, choose another precision.",
                    ) from error
                self.settings = fallback
        self.load_seconds = time.monotonic() - started
        """Seconds that the last load took, and so what another one would take."""

    def _start(self) -> None:
        scheduler = genai.SchedulerConfig()
        scheduler.num_kv_blocks = self.total_blocks
        scheduler.max_num_batched_tokens = PREFILL_TOKENS
        scheduler.enable_prefix_caching = self._prefix_caching
        if self.settings.keeps_state:
            scheduler.num_linear_attention_blocks = STATE_SLOTS
        self._pipeline: Any = None  # free the old pipeline before creating the new one
        self._pipeline = genai.ContinuousBatchingPipeline(
            str(self.settings.directory), scheduler, "CPU", self.settings.properties
        )
        self._tokens = 0
        self._reused = 0
        self.block_tokens = self._measure_block_tokens()
        self.ledger = PrefixLedger(self.block_tokens, self.total_blocks)
        """Predicts how many tokens of a prompt the library takes from its cache."""

    def _measure_block_tokens(self) -> int:
        """Return the tokens per block, from the number of blocks that a prompt of known length uses.

        Raises:
            EngineError: `no-distribution`: the engine computes NaN. Only here and in `score` is it seen:
                log-probabilities in each answer would cost up to a fifth of the speed.
        """
        length = min(2 * BLOCK_TOKENS, self.settings.context - 1)
        config = generation_config(Sampling(max_tokens=1), frozenset())
        config.logprobs = 1
        handle = self.add_request([0] * length, config)
        while self.is_busy:
            self._pipeline.step()
        if not all(map(math.isfinite, _logprobs(handle))):
            raise no_distribution()
        if self.settings.keeps_state:
            return BLOCK_TOKENS
        used = self._used_blocks(self._tokens)
        measured = length // used if used else 0
        return measured if measured * used == length else BLOCK_TOKENS

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """See `Backend.generate`."""
        config = generation_config(sampling, eos_token_ids)
        cached = self.ledger.cached(token_ids) if self._prefix_caching else 0
        handle = self.add_request(token_ids, config)
        self._tokens, self._reused = len(token_ids), cached // self.block_tokens
        answer, started, steps = GenerationRequest(), time.monotonic(), 0
        try:
            while self.is_busy and not (steps and stopped()):
                self.step()
                steps += 1
                if new := answer.read(handle):
                    self._tokens += len(new)
                    emit(new)
        finally:
            # A separate flag, because the status of a cancelled request is sometimes CANCEL, sometimes
            # IGNORED.
            if abandoned := self.is_busy:
                left = len(token_ids) - cached - steps * PREFILL_TOKENS
                pace = (time.monotonic() - started) / max(1, steps)
                self._abandon(handle, answer, left / PREFILL_TOKENS * pace)
            if answer.token_ids:
                # The last token was sampled, but its keys and values were not computed.
                self.ledger.record([*token_ids, *answer.token_ids[:-1]])
        if not abandoned and handle.get_status() == genai.GenerationStatus.IGNORED:
            self._raise_full(answer, len(token_ids))
        return Generated(answer.reason, cached)

    def _abandon(self, handle: Any, answer: GenerationRequest, prefill_seconds: float) -> None:
        """Cancel a request that is not finished.

        Cancelling during prefill corrupts the prefix cache: the last block is stored under the hash of tokens
        that were not computed, and later prompts with the same prefix get wrong answers (measured: 0.5 to 1.5
        off in log-probability). So either the prefill is completed or the pipeline is reloaded, whichever
        takes less time.

        Args:
            prefill_seconds: Estimated time of the rest of the prefill.
        """
        prefilled = bool(answer.token_ids) or not self._prefix_caching
        complete = prefill_seconds < self.load_seconds
        while complete and not prefilled and self.is_busy:
            self.step()
            prefilled = handle.can_read()
        handle.cancel()
        while self.is_busy:
            self.step()
        if not prefilled:
            self._open()

    @property
    def is_busy(self) -> bool:
        """Whether a request has not been completed or cancelled."""
        return bool(self._pipeline.has_non_finished_requests())

    def request_counts(self) -> tuple[int, int]:
        """Return the requests in the batch of the last step, and all that the library had then."""
        metrics = self._pipeline.get_metrics()
        return metrics.scheduled_requests, metrics.requests

    def kv_usage(self, tokens: int | None = None) -> KVUsage:
        """Return the blocks in use after the last step, without blocks kept by the prefix cache.

        Args:
            tokens: those in the cache; None for those of the last single request.
        """
        tokens = self._tokens if tokens is None else tokens
        used = self._used_blocks(tokens)
        total_bytes = self._pipeline.get_metrics().kv_cache_size_in_bytes - self._state_bytes
        return KVUsage(
            tokens=min(tokens, used * self.block_tokens),
            capacity_tokens=self.total_blocks * self.block_tokens,
            bytes_used=total_bytes * used // self.total_blocks,
            bytes_total=total_bytes,
            block_tokens=self.block_tokens,
            used_blocks=used,
            free_blocks=self.total_blocks - used,
            total_blocks=self.total_blocks,
            reused_blocks=self._reused,
            state_bytes=self._state_bytes,
        )

    def close(self) -> None:
        """Release the pipeline and its memory."""
        self._pipeline = None

    def _used_blocks(self, tokens: int) -> int:
        if self.settings.keeps_state:  # the library's share is that of the states' slots
            return -(-tokens // self.block_tokens)
        share: float = self._pipeline.get_metrics().cache_usage / 100
        return round(share * self.total_blocks)

    def add_request(self, token_ids: Sequence[int], config: Any) -> Any:
        """Begin a request and return the library's handle, from which its tokens are read after each step.

        Args:
            config: A GenerationConfig of the library.

        Raises:
            EngineError: `bad-tokens` or `bad-sampling`.
        """
        check_ids(token_ids, self.settings.vocabulary)  # OpenVINO does not: it reads beyond the table
        try:
            return self._pipeline.add_request(
                next(self._ids), ov.Tensor(np.array([token_ids], np.int64)), config
            )
        except RuntimeError as error:
            raise EngineError(
                "bad-sampling", f"OpenVINO rejected the request: {_first_line(error)}"
            ) from error

    def step(self) -> None:
        """Compute one step of the request.

        Raises:
            EngineError: `engine-failed`.
        """
        try:
            self._pipeline.step()
        except RuntimeError as error:
            raise EngineError(
                "engine-failed", f"OpenVINO failed: {_first_line(error)}", "Load the engine again."
            ) from error

    def _raise_full(self, answer: GenerationRequest, prompt_tokens: int) -> None:
        """Handle a request that the library dropped, without an exception, because the cache is full."""
        if answer.token_ids:
            answer.reason = "context"
            return
        raise EngineError(
            "context-full",
            f"The prompt is {prompt_tokens:,} tokens long and the engine holds {self.settings.context:,}.",
            "Clear the chat, send a shorter prompt, or load the engine with a longer context.",
        )


def _logprobs(handle: Any) -> list[float]:
    return [value for output in read_outputs(handle) for value in output.generated_log_probs]


def _fallback(settings: PipelineSettings, error: str) -> PipelineSettings | None:
    """Return settings that this CPU supports, or None if the error has another cause.

    Seen at the first inference with oneDNN limited to AVX2.
    """
    no_kernel = "primitive descriptor" in error
    if settings.hint == "bf16" and (no_kernel or "kvcache type" in error):
        settings.log("This CPU does not support bfloat16: bf16 weights are computed in fp32.")
        kv_precision = "f16" if settings.kv_precision == "bf16" else settings.kv_precision
        return replace(settings, hint="f32", kv_precision=kv_precision)
    if settings.quantise_activations and no_kernel:
        settings.log("This CPU has no kernel for quantised activations: loading without them.")
        return replace(settings, quantise_activations=False)
    return None


def _weight_bytes(directory: Path) -> int:
    size = complete_bytes(directory)
    if size is None:
        raise EngineError(
            "load-failed",
            f"The engine's files in {directory} are missing or incomplete.",
            "Prepare it again.",
        )
    return size


def _first_line(error: RuntimeError) -> str:
    """Return the message of a C++ exception, without the lines that name the library's source files."""
    lines = [line for line in str(error).splitlines() if line and "/src/" not in line]
    return (lines or [str(error)])[-1][:300]
