"""Simulated users of one engine: each sends its next prompt as soon as its answer is complete.

A closed loop with a fixed number of users, as `concurrency` in AIPerf and vLLM's benchmark. Standard library
only, Python 3.10 and newer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from engines.backends.batch import Batch, BatchOutput, BatchRequest
from engines.errors import EngineError
from engines.worker.checks import fit_sampling
from engines.worker.protocol import InFlight, LoadTest, RequestState, Sampling

MOST_USERS = 32
MOST_REQUESTS = 10_000
EVENT_SECONDS = 0.1
"""Interval of InFlight events; the stamps in them are those of the tokens."""
SPARE_TOKENS = 64
"""Tokens of two blocks for each user, as the last block of a request is rarely full."""


@dataclass(frozen=True)
class LoadPrompt:
    """A prompt of the load test, ready for the engine."""

    text: str
    token_ids: Sequence[int]
    """Empty for a server, which converts the text."""
    sampling: Sampling
    """With `max_tokens` limited to what the prompt leaves of the context window."""


def check_load_test(command: LoadTest) -> None:
    """Reject numbers that no load test has.

    Raises:
        EngineError: `bad-load-test`.
    """
    if not 1 <= command.users <= MOST_USERS:
        raise EngineError("bad-load-test", f"A load test has 1 to {MOST_USERS} users, not {command.users}.")
    if not command.users <= command.requests <= MOST_REQUESTS:
        least = f"{command.users} requests: at least one for each user, and at most {MOST_REQUESTS:,}"
        raise EngineError("bad-load-test", f"A load test with {command.users} users has from {least}.")
    if not command.prompts:
        raise EngineError("bad-load-test", "A load test needs at least one prompt.")


def load_prompts(
    command: LoadTest, prompt_ids: Callable[[list[dict[str, str]]], Sequence[int]], context: int
) -> list[LoadPrompt]:
    """Return the prompts of the command.

    Args:
        prompt_ids: returns the token ids of a conversation.
        context: context window of the engine, in tokens; the limit of each request.

    Raises:
        EngineError: `context-full` or `bad-sampling`.
    """
    found = []
    for text in command.prompts:
        ids = prompt_ids([{"role": "user", "content": text}])
        found.append(LoadPrompt(text, ids, fit_sampling(command.sampling, len(ids), context)[0]))
    return found


def tokens_needed(command: LoadTest, prompts: Sequence[LoadPrompt]) -> int:
    """Return the tokens of the KV cache: those asked for, or what all users can fill at once.

    The longest request always fits.
    """
    longest = max(len(one.token_ids) + one.sampling.max_tokens for one in prompts) + SPARE_TOKENS
    return max(longest, command.kv_tokens or command.users * longest)


@dataclass(slots=True)
class _Change:
    """What is new of a request since the last event: tokens are added to a list, which costs the least."""

    request: RequestState
    token_ns: list[int] = field(default_factory=list)
    last: BatchOutput | None = None
    reason: str = ""

    def state(self) -> RequestState:
        """Return the request with what is new."""
        last = self.last
        if last is None:
            return replace(self.request, reason=self.reason)
        return replace(
            self.request,
            prompt_tokens=last.prompt_tokens or self.request.prompt_tokens,
            token_ns=tuple(self.token_ns),
            reason=self.reason or last.reason,
            tokens=last.total,
            estimated=last.estimated,
        )


class LoadRun:
    """Runs the users of one command until all requests are answered or it is stopped."""

    def __init__(
        self,
        command: LoadTest,
        prompts: Sequence[LoadPrompt],
        batch: Batch,
        eos_token_ids: frozenset[int],
        send: Callable[[InFlight], None],
        stopped: Callable[[], bool],
    ) -> None:
        """Create it; `send` sends one event, `stopped` returns True once the user has asked to stop."""
        self._command, self._prompts, self._batch = command, prompts, batch
        self._eos_token_ids, self._send, self._stopped = eos_token_ids, send, stopped
        self._arrived = 0
        self._active: dict[int, RequestState] = {}
        """The requests that have not ended, by number, without tokens."""
        self._changes: dict[int, _Change] = {}
        """What is not sent yet, by number."""
        self._sent = 0.0

    def run(self) -> bool:
        """Return whether it was stopped.

        Raises:
            EngineError: the engine failed.
        """
        for user in range(self._command.users):
            self._arrive(user)
        self._report()
        while self._active:
            if self._stopped():
                self._stop()
                return True
            for output in self._batch.step():
                self._take(output)
            if time.monotonic() - self._sent >= EVENT_SECONDS:
                self._report()
        self._report()
        return False

    def _arrive(self, user: int) -> None:
        number, self._arrived = self._arrived, self._arrived + 1
        prompt = self._prompts[number % len(self._prompts)]
        # Another seed for each request: with one, sampled answers to the same prompt would be the same.
        sampling = replace(prompt.sampling, seed=prompt.sampling.seed + number)
        arrived = time.monotonic_ns()
        self._batch.add(BatchRequest(number, prompt.text, prompt.token_ids, sampling, self._eos_token_ids))
        state = RequestState(number, user, len(prompt.token_ids), arrived)
        self._active[number] = state
        self._changes[number] = _Change(state)

    def _take(self, output: BatchOutput) -> None:
        state = self._active[output.number]
        change = self._changes.get(output.number)
        if change is None:
            change = self._changes[output.number] = _Change(state)
        change.token_ns += (output.t_ns,) * output.tokens
        change.last = output
        if output.estimated and not state.estimated:
            self._active[output.number] = replace(state, estimated=True)
        if output.reason:
            del self._active[output.number]
            if self._arrived < self._command.requests:
                self._arrive(state.user)

    def _stop(self) -> None:
        self._batch.cancel()
        for number, state in self._active.items():
            self._changes.setdefault(number, _Change(state)).reason = "stopped"
        self._active.clear()
        self._report()

    def _report(self) -> None:
        self._sent = time.monotonic()
        counts = self._batch.counts()
        changed = tuple(change.state() for change in self._changes.values())
        self._changes.clear()
        self._send(
            InFlight(
                id=self._command.id,
                t_ns=time.monotonic_ns(),
                requests=changed,
                running=counts.running if counts else None,
                waiting=counts.waiting if counts else None,
                kv=self._batch.kv_usage(),
            )
        )
