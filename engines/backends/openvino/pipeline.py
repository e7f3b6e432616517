"""One loaded ContinuousBatchingPipeline: one request at a time, step by step."""

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
from engines.backends.openvino.prefix import PrefixLedger
from engines.backends.openvino.request import GenerationRequest, generation_config, read_outputs
from engines.backends.openvino.saving import whole_bytes
from engines.errors import EngineError
from engines.worker.protocol import KVUsage, Sampling

BLOCK_TOKENS = 32
"""Tokens in a block of the KV cache on CPUs. No attribute says so: `Pipeline` measures it as it opens."""
SPARE_BLOCKS = 2
PREFILL_TOKENS = 256
"""Tokens of a prompt computed in a step (the library's default), and so how soon a stop is seen."""


@dataclass(frozen=True)
class PipelineSettings:
    """How an engine's folder is opened."""

    directory: Path
    hint: str
    """INFERENCE_PRECISION_HINT, `f32` or `bf16`. Never left out: with none, a CPU that has bfloat16 computes
    fp32 weights in it. Never `f16`: paged attention then answers NaN on CPUs, and no error."""
    kv_precision: str
    context: int
    """Tokens that the KV cache must hold."""
    vocabulary: int
    log: Callable[[str], None]
    quantise_activations: bool = True
    """OpenVINO's default for int8 and int4 weights: 175 against 139 tok/s at int4."""


class Pipeline:
    """Runs one request at a time; opening it includes one small inference."""

    def __init__(self, settings: PipelineSettings, reuse: bool = True) -> None:
        """Open the engine.

        Args:
            reuse: whether keys and values of earlier prompts are kept for prompts that begin alike.

        Raises:
            EngineError: `load-failed`.
        """
        self.settings = settings
        self._reuse = reuse
        self._ids = count()
        self.total_blocks = math.ceil(settings.context / BLOCK_TOKENS) + SPARE_BLOCKS
        self.weight_bytes = _weight_bytes(settings.directory)
        self._open()

    def _open(self) -> None:
        started = time.monotonic()
        while True:
            try:
                self._start()
                break
            except RuntimeError as error:
                fallback = _fallback(self.settings, str(error))
                if fallback is None:
                    raise EngineError(
                        "load-failed",
                        f"OpenVINO cannot load the engine: {_first_line(error)}",
                        "Build it again; if that does not help, try another precision.",
                    ) from error
                self.settings = fallback
        self._load_seconds = time.monotonic() - started

    def _start(self) -> None:
        scheduler = genai.SchedulerConfig()
        scheduler.num_kv_blocks = self.total_blocks
        scheduler.max_num_batched_tokens = PREFILL_TOKENS
        scheduler.enable_prefix_caching = self._reuse
        properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self.settings.hint,
            "KV_CACHE_PRECISION": self.settings.kv_precision,
        }
        if not self.settings.quantise_activations:
            properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        self._pipeline: Any = None  # the old one goes before the new one comes
        self._pipeline = genai.ContinuousBatchingPipeline(
            str(self.settings.directory), scheduler, "CPU", properties
        )
        self._tokens = 0
        self._reused = 0
        self.block_tokens = self._measured_block()
        self._ledger = PrefixLedger(self.block_tokens, self.total_blocks)

    def _measured_block(self) -> int:
        """Tokens in a block, from the blocks that a prompt of two of ours takes."""
        length = min(2 * BLOCK_TOKENS, self.settings.context - 1)
        handle = self._request([0] * length, generation_config(Sampling(max_tokens=1), frozenset()))
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        read_outputs(handle)
        used = self._used_blocks()
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
        cached = self._ledger.cached(token_ids)
        handle = self._request(token_ids, config)
        self._tokens, self._reused = len(token_ids), cached // self.block_tokens
        answer, started, steps = GenerationRequest(), time.monotonic(), 0
        try:
            while self._pipeline.has_non_finished_requests() and not (steps and stopped()):
                self._step()
                steps += 1
                if new := answer.read(handle):
                    self._tokens += len(new)
                    emit(new)
        finally:
            # Our own flag: a cancelled request's status is now CANCEL and now IGNORED.
            if abandoned := self._pipeline.has_non_finished_requests():
                left = len(token_ids) - cached - steps * PREFILL_TOKENS
                pace = (time.monotonic() - started) / max(1, steps)
                self._abandon(handle, answer, left / PREFILL_TOKENS * pace)
            if answer.token_ids:
                # The last token was chosen but never went through the model.
                self._ledger.record([*token_ids, *answer.token_ids[:-1]])
        if not abandoned and handle.get_status() == genai.GenerationStatus.IGNORED:
            self._raise_full(answer, len(token_ids))
        return Generated(answer.reason, cached)

    def _abandon(self, handle: Any, answer: GenerationRequest, prefill_seconds: float) -> None:
        """Drop a request that is not finished.

        A prompt that is dropped half computed poisons the prefix cache: its last block is then kept under
        the name of tokens that were never computed, and a later prompt that begins alike is answered
        wrongly (0.5 to 1.5 off in log-probability, measured). So the prompt is computed to its end, or the
        pipeline opened anew, whichever is sooner.
        """
        started = bool(answer.token_ids) or not self._reuse
        worth_it = prefill_seconds < self._load_seconds
        while worth_it and not started and self._pipeline.has_non_finished_requests():
            self._step()
            started = handle.can_read()
        handle.cancel()
        while self._pipeline.has_non_finished_requests():
            self._step()
        if not started:
            self._open()

    def score(self, token_ids: Sequence[int]) -> list[float]:
        """Log-probabilities of token_ids[1:]; only right with `reuse=False`.

        Raises:
            EngineError: `engine-failed`, the library gave fewer values than tokens.
        """
        config = generation_config(Sampling(max_tokens=0), frozenset())
        config.echo, config.logprobs = True, 1
        handle = self._request(token_ids, config)
        values: list[float] = []
        while self._pipeline.has_non_finished_requests():
            self._step()
            while handle.can_read():
                for output in handle.read().values():
                    values += output.generated_log_probs
        if len(values) != len(token_ids):
            raise EngineError(
                "engine-failed",
                f"OpenVINO scored {len(values)} of {len(token_ids)} tokens.",
                "Load it again.",
            )
        return values[1:]  # the first is a placeholder: nothing stands before it

    def kv_usage(self) -> KVUsage:
        """Blocks of the last request, as of its last step; what is kept for reuse is not counted in."""
        used, total_bytes = self._used_blocks(), self._pipeline.get_metrics().kv_cache_size_in_bytes
        return KVUsage(
            tokens=min(self._tokens, used * self.block_tokens),
            capacity_tokens=self.total_blocks * self.block_tokens,
            bytes_used=total_bytes * used // self.total_blocks,
            bytes_total=total_bytes,
            block_tokens=self.block_tokens,
            used_blocks=used,
            free_blocks=self.total_blocks - used,
            total_blocks=self.total_blocks,
            reused_blocks=self._reused,
        )

    def close(self) -> None:
        """Drop the pipeline and its memory."""
        self._pipeline = None

    def _used_blocks(self) -> int:
        share: float = self._pipeline.get_metrics().cache_usage / 100
        return round(share * self.total_blocks)

    def _request(self, token_ids: Sequence[int], config: Any) -> Any:
        # OpenVINO looks an unknown id up beyond the end of the embedding.
        if not token_ids or min(token_ids) < 0 or max(token_ids) >= self.settings.vocabulary:
            raise EngineError(
                "bad-tokens",
                f"The prompt is empty or holds an id outside 0 … {self.settings.vocabulary - 1}.",
                "The tokenizer does not belong to this model.",
            )
        try:
            return self._pipeline.add_request(
                next(self._ids), ov.Tensor(np.array([token_ids], np.int64)), config
            )
        except RuntimeError as error:
            raise EngineError(
                "bad-sampling", f"OpenVINO refuses the request: {_first_line(error)}"
            ) from error

    def _step(self) -> None:
        try:
            self._pipeline.step()
        except RuntimeError as error:
            raise EngineError(
                "engine-failed", f"OpenVINO stopped with: {_first_line(error)}", "Load the engine again."
            ) from error

    def _raise_full(self, answer: GenerationRequest, prompt_tokens: int) -> None:
        """The library gives up a request whose tokens no longer fit the cache, without an exception."""
        if answer.token_ids:
            answer.reason = "context"
            return
        raise EngineError(
            "context-full",
            f"The prompt is {prompt_tokens:,} tokens long and the engine holds {self.settings.context:,}.",
            "Clear the chat, send a shorter prompt, or load the engine with a longer context.",
        )


def _fallback(settings: PipelineSettings, error: str) -> PipelineSettings | None:
    """What this CPU can do instead; None where the error has another cause.

    Seen with oneDNN held to plain AVX2, at the first inference.
    """
    no_kernel = "primitive descriptor" in error
    if settings.hint == "bf16" and (no_kernel or "kvcache type" in error):
        settings.log("This CPU does not compute in bfloat16: its weights are computed with in fp32.")
        kv_precision = "f16" if settings.kv_precision == "bf16" else settings.kv_precision
        return replace(settings, hint="f32", kv_precision=kv_precision)
    if settings.quantise_activations and no_kernel:
        settings.log("This CPU has no kernel for quantised activations: loading again without them.")
        return replace(settings, quantise_activations=False)
    return None


def _weight_bytes(directory: Path) -> int:
    size = whole_bytes(directory)
    if size is None:
        raise EngineError(
            "load-failed", f"The engine's files in {directory} are missing or cut off.", "Build it again."
        )
    return size


def _first_line(error: RuntimeError) -> str:
    """What a C++ exception says, without the path of the library's source."""
    lines = [line for line in str(error).splitlines() if line and "/src/" not in line]
    return (lines or [str(error)])[-1][:300]
