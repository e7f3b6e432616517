"""The worker's end of the tokenizer's processes: deadlines, stopping, error messages.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engines.errors import EngineError
from engines.worker.thought_tags import ThoughtTags
from engines.worker.tokenizer import NO_ARGUMENTS, TemplateFacts, Tokenizer
from engines.worker.tokenizer_connection import Host, Server, Stopped

__all__ = ["CountingTokenizer", "Stopped", "TokenizerProcess", "open_tokenizer"]

PROMPT_SECONDS, COUNT_SECONDS = 30.0, 15.0
"""How long one conversion may take. A prompt of 1 MB takes about a second."""
FACTS_SECONDS = 5.0
"""How long the template may take for a conversation of three words."""


def open_tokenizer(checkpoint: Path) -> Tokenizer | TokenizerProcess:
    """Return the tokenizer of a checkpoint, in separate processes where the system can fork safely.

    Raises:
        EngineError: `missing-tokenizer`.
    """
    return TokenizerProcess(checkpoint) if sys.platform == "linux" else Tokenizer(checkpoint)


class TokenizerProcess:
    """What `Tokenizer` does, for one thread; `counting` is the same for other threads.

    A conversion raises `Stopped`, or an EngineError: `prompt-timeout`, `prompt-memory`, `tokenizer-failed`,
    `prompt-too-long` or `chat-template`. The next one works again.

    Args:
        checkpoint: folder of the model.

    Attributes:
        stopped: whether the conversion that runs should be given up; asked every POLL_SECONDS.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self._host = Host(checkpoint)
        self._server = Server(self._host)
        self.counting = CountingTokenizer(self._host)
        self.stopped: Callable[[], bool] = lambda: False
        self._facts: TemplateFacts | None = None

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """See `Tokenizer.eos_token_ids`."""
        return self._host.configured_stop_ids | set(self.template_facts.turn_end_ids)

    @property
    def template_facts(self) -> TemplateFacts:
        """See `Tokenizer.template_facts`; the defaults for a template that fails, as each prompt reports."""
        if self._facts is None:
            self._facts = TemplateFacts()
            with contextlib.suppress(EngineError):
                found = self._server.ask("template_facts", None, FACTS_SECONDS, lambda: False)
                turn_end_ids, merges_system = json.loads(str(found))
                self._facts = TemplateFacts(tuple(turn_end_ids), merges_system)
        return self._facts

    @property
    def has_chat_template(self) -> bool:
        """See `Tokenizer.has_chat_template`."""
        return self._host.has_chat_template

    @property
    def thought_tags(self) -> tuple[ThoughtTags, ...]:
        """See `Tokenizer.thought_tags`."""
        return self._host.thought_tags

    @property
    def template_variables(self) -> tuple[str, ...]:
        """See `Tokenizer.template_variables`."""
        return self._host.template_variables

    def prompt_ids(
        self, messages: Sequence[dict[str, str]], arguments: Mapping[str, object] = NO_ARGUMENTS
    ) -> list[int]:
        """See `Tokenizer.prompt_ids`."""
        return self._ids("prompt_ids", [list(messages), dict(arguments)])

    def opened_thought(
        self, messages: Sequence[dict[str, str]], arguments: Mapping[str, object] = NO_ARGUMENTS
    ) -> str:
        """See `Tokenizer.opened_thought`."""
        return str(self._ask("opened_thought", [list(messages), dict(arguments)]))

    def text_ids(self, text: str) -> list[int]:
        """See `Tokenizer.text_ids`."""
        return self._ids("text_ids", text)

    def plain_ids(self, text: str) -> list[int]:
        """See `Tokenizer.plain_ids`."""
        return self._ids("plain_ids", text)

    def decode(self, token_ids: Sequence[int]) -> str:
        """See `Tokenizer.decode`."""
        return str(self._ask("decode", list(token_ids)))

    def close(self) -> None:
        """End the processes."""
        self._server.close()
        self._host.close()  # with it ends the server of a count that runs in another thread

    def _ids(self, operation: str, value: object) -> list[int]:
        found = self._ask(operation, value)
        assert isinstance(found, list)
        return found

    def _ask(self, operation: str, value: object) -> list[int] | str:
        if not self._host.alive:  # the system was out of memory, and killed it
            self.close()
            self._host = Host(self.checkpoint)
            self._server, self.counting = Server(self._host), CountingTokenizer(self._host)
        return self._server.ask(operation, value, PROMPT_SECONDS, self.stopped)


class CountingTokenizer:
    """Converts text for counts, in a separate server: they never delay an answer.

    After a text for which the server had to be killed, each count fails immediately: the next one, a letter
    later, would take a core for COUNT_SECONDS again.
    """

    def __init__(self, host: Host) -> None:
        self._server = Server(host)
        self._lock = threading.Lock()
        self._failure: EngineError | None = None

    def prompt_ids(
        self, messages: Sequence[dict[str, str]], arguments: Mapping[str, object] = NO_ARGUMENTS
    ) -> list[int]:
        """See `Tokenizer.prompt_ids`."""
        return self._ask("prompt_ids", [list(messages), dict(arguments)])

    def text_ids(self, text: str) -> list[int]:
        """See `Tokenizer.text_ids`."""
        return self._ask("text_ids", text)

    def plain_ids(self, text: str) -> list[int]:
        """See `Tokenizer.plain_ids`."""
        return self._ask("plain_ids", text)

    def _ask(self, operation: str, value: object) -> list[int]:
        with self._lock:
            if self._failure is not None:
                raise EngineError(self._failure.code, self._failure.message, self._failure.hint)
            try:
                found = self._server.ask(operation, value, COUNT_SECONDS, lambda: False)
            except EngineError as error:
                if not self._server.runs:
                    self._failure = error
                raise
        assert isinstance(found, list)
        return found
