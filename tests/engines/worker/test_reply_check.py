"""Replies that do not fit their command are refused."""

from __future__ import annotations

import pytest

from engines.worker.codec import ProtocolError
from engines.worker.protocol import Tokenize, Tokenized
from engines.worker.reply_check import ReplyCheck


def test_every_text_gets_its_own_ids() -> None:
    check = ReplyCheck(Tokenize(1, "/m", texts=("a", "b")))
    check.check(Tokenized(1, (), (), ((5,), (6, 7))))
    with pytest.raises(ProtocolError, match="1 rows for 2 texts"):
        check.check(Tokenized(1, (), (), ((5,),)))


def test_every_token_of_a_text_has_a_text_of_its_own() -> None:
    with pytest.raises(ProtocolError, match="1 texts for 2 tokens"):
        ReplyCheck(Tokenize(1, "/m", "ab")).check(Tokenized(1, (5, 6), ("a",)))
