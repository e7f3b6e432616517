"""Generate one answer: prefill, decode and sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from engines.backends.base import Emit, Generated, Stopped
from engines.backends.compiled.runner import Runner
from engines.backends.distribution import no_distribution
from engines.backends.token_sampler import TokenSampler
from engines.worker.protocol import Sampling

NO_TOKEN = -1


class AnswerLoop:
    """Generates one answer. On a GPU each step is launched before the token of the previous step is read.

    The GPU then does not wait for the CPU; a stop takes effect at most one step later.
    """

    def __init__(
        self,
        runner: Runner,
        prompt: Sequence[int],
        sampling: Sampling,
        eos: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> None:
        self._runner = runner
        self._prompt = list(prompt)
        self._limit = sampling.max_tokens
        self._eos = eos
        self._emit = emit
        self._stopped = stopped
        self._sampler = TokenSampler(sampling, prompt, runner.device)
        self._next_position = len(prompt)

    def run(self) -> Generated:
        """Generate the answer, emitting each token."""
        cached = self._runner.kv_cache.cached_prefix(self._prompt)
        logits = None
        for chunk_logits in self._runner.prefill(self._prompt, cached):
            if self._stopped():
                return Generated("stopped", cached)
            logits = chunk_logits
        token = self._sampler.choose(logits)
        self._runner.start(token, self._next_position)
        answer: list[int] = []
        try:
            return Generated(self._decode(_PendingToken(token, logits), answer), cached)
        finally:
            launched = self._next_position - len(self._prompt)
            self._runner.kv_cache.cached_ids += answer[:launched]

    def _decode(self, pending: _PendingToken, answer: list[int]) -> str:
        ahead = self._runner.on_gpu
        while True:
            following = self._launch() if ahead and len(answer) + 1 < self._limit else None
            answer.append(pending.value())
            self._emit(answer[-1:])
            if answer[-1] in self._eos:
                return "stop"
            if len(answer) >= self._limit:
                return "length"
            if self._stopped():
                return "stopped"
            pending = following or self._launch()

    def _launch(self) -> _PendingToken:
        """Launch a decode step from the last sampled token."""
        logits, token = self._runner.step(self._next_position)
        self._next_position += 1
        if not self._sampler.is_argmax:
            token = self._sampler.choose(logits)
            self._runner.set_next_token(token)
        return _PendingToken(token, logits)


class _PendingToken:
    """A token that is being copied from the device."""

    def __init__(self, token: Any, logits: Any) -> None:
        self._event = None
        # Decided on the device, so that the GPU need not wait: the maximum is NaN if one of them is.
        token = torch.where(logits.max().isfinite(), token, NO_TOKEN)
        if token.device.type == "cuda":
            self._host = torch.empty((1, 1), dtype=torch.long, pin_memory=True)
            self._host.copy_(token, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()
        else:
            self._host = token.clone()

    def value(self) -> int:
        """Wait for the copy and return the token id.

        Raises:
            EngineError: `no-distribution`: it was chosen from logits that are not finite.
        """
        if self._event is not None:
            self._event.synchronize()
        if (token := int(self._host)) == NO_TOKEN:
            raise no_distribution()
        return token
