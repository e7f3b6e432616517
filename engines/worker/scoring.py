"""Tokenize a text, and score it with the loaded engine, against the reference's rows if there are any."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from engines.backends.base import Backend, Scores
from engines.worker.protocol import Score, Tokenize, Tokenized
from engines.worker.tokenizer import Tokenizer
from engines.worker.tokenizer_process import TokenizerProcess, open_tokenizer


def score(backend: Backend, command: Score) -> Scores:
    """Return the scores that the command asks for.

    Raises:
        EngineError: the backend cannot score, or the reference cannot be read.
        OSError: the engine's own rows cannot be written.
    """
    if not command.reference and not command.keep:
        return backend.score(command.token_ids, command.top_k)
    # numpy is no dependency of workers in other environments that score nothing.
    from engines.worker.logprob_rows import RowReader, RowWriter

    positions = len(command.token_ids) - 1
    reference = RowReader(Path(command.reference), positions) if command.reference else None
    keep = RowWriter(Path(command.keep), positions) if command.keep else None
    with contextlib.closing(keep) if keep else contextlib.nullcontext():
        return backend.score(command.token_ids, command.top_k, reference, keep)


def tokenize(command: Tokenize, loaded: Tokenizer | TokenizerProcess | None = None) -> Tokenized:
    """Return the token ids of the command's text and the text of each token, or the ids of its texts.

    Args:
        loaded: the tokenizer of the loaded engine, which is used where it is of the same checkpoint.

    Raises:
        EngineError: the tokenizer cannot be read, or the chat template rejects the conversation.
    """
    if loaded is not None and loaded.checkpoint == Path(command.checkpoint):
        loaded.stopped = lambda: False  # the last answer may have been stopped
        return _tokenized(command, loaded)
    with contextlib.closing(open_tokenizer(Path(command.checkpoint))) as tokenizer:
        return _tokenized(command, tokenizer)


def _tokenized(command: Tokenize, tokenizer: Tokenizer | TokenizerProcess) -> Tokenized:
    if command.texts:
        rows = tuple(tuple(tokenizer.plain_ids(one)) for one in command.texts)
        return Tokenized(command.id, (), (), rows)
    ids: Sequence[int] = command.token_ids
    if not ids:
        messages, arguments = command.messages, command.template_arguments
        ids = tokenizer.prompt_ids(messages, arguments) if messages else tokenizer.plain_ids(command.text)
    pieces = {token: tokenizer.decode([token]) for token in set(ids)}
    return Tokenized(command.id, tuple(ids), tuple(pieces[token] for token in ids))
