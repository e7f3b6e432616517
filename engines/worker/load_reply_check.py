"""Checks that the events of a load test are consistent with its command and with each other.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from engines.worker import protocol
from engines.worker.codec import ProtocolError

EXTRA_TOKENS = 64
"""How many tokens more than max_tokens are accepted, as for a single answer."""


@dataclass
class _Request:
    user: int
    arrived_ns: int
    newest_ns: int
    """Stamp of its newest token, or when it arrived."""
    tokens: int = 0


class LoadReplyCheck:
    """Follows the requests of one load test."""

    def __init__(self, command: protocol.LoadTest) -> None:
        self._command = command
        self._requests: dict[int, _Request] = {}
        """Those that have not ended, by number."""
        self._ended: set[int] = set()

    def check(self, event: protocol.InFlight) -> None:
        """Check the next event.

        Raises:
            ProtocolError: it does not answer the command, or contradicts the events before it.
        """
        for state in event.requests:
            self._check_request(state)

    def _check_request(self, state: protocol.RequestState) -> None:
        where, command = f"in-flight request {state.number:,}", self._command
        if state.number >= command.requests or state.user >= command.users:
            raise ProtocolError(f"{where}: it was not asked for")
        if state.number in self._ended:
            raise ProtocolError(f"{where}: it has ended")
        if state.reason not in ("", *protocol.FINISH_REASONS):
            raise ProtocolError(f"{where}: {state.reason[:80]!r} is no finish reason")
        first = _Request(state.user, state.arrived_ns, state.arrived_ns)
        request = self._requests.setdefault(state.number, first)
        if (state.user, state.arrived_ns) != (request.user, request.arrived_ns):
            raise ProtocolError(f"{where}: it is another one than before")
        stamps = (request.newest_ns, *state.token_ns)
        if any(one > later for one, later in pairwise(stamps)):
            raise ProtocolError(f"{where}: the time goes backwards")
        request.newest_ns = stamps[-1]
        request.tokens += len(state.token_ns)
        if request.tokens > command.sampling.max_tokens + EXTRA_TOKENS:
            raise ProtocolError(f"{where}: more than the {command.sampling.max_tokens:,} tokens asked for")
        if state.reason:
            del self._requests[state.number]
            self._ended.add(state.number)
