"""Events of a load test that contradict its command or each other are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engines.worker import protocol
from engines.worker.codec import ProtocolError
from engines.worker.load_reply_check import LoadReplyCheck

COMMAND = protocol.LoadTest(1, 2, 4, ("Hi",), protocol.Sampling(max_tokens=48))
STATE = protocol.RequestState(0, 0, 5, 100, (110, 120))


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (replace(STATE, number=4), "not asked for"),
        (replace(STATE, user=2), "not asked for"),
        (replace(STATE, arrived_ns=101), "another one"),
        (replace(STATE, token_ns=(115,)), "backwards"),
        (replace(STATE, token_ns=(130,) * 200), "more than the 48 tokens"),
        (replace(STATE, token_ns=(), reason="tired"), "no finish reason"),
    ],
)
def test_contradictory_events_are_refused(second: protocol.RequestState, words: str) -> None:
    check = LoadReplyCheck(COMMAND)
    check.check(protocol.InFlight(1, 130, (STATE,)))
    with pytest.raises(ProtocolError, match=words):
        check.check(protocol.InFlight(1, 140, (second,)))


def test_nothing_follows_the_end_of_a_request() -> None:
    check = LoadReplyCheck(COMMAND)
    check.check(protocol.InFlight(1, 130, (replace(STATE, reason="stop"),)))
    with pytest.raises(ProtocolError, match="has ended"):
        check.check(protocol.InFlight(1, 140, (replace(STATE, token_ns=(130,)),)))
