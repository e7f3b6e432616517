"""Convert text to token ids and back with the checkpoint's tokenizer and chat template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from os.path import commonprefix
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from engines.errors import EngineError, first_line
from engines.plan.checkpoint.chat_template import ChatTemplate, read_chat_template
from engines.worker.control_tokens import ControlTokens
from engines.worker.message_format import MessageFormat, Messages, find_format, probe_messages
from engines.worker.stop_tokens import configured_stop_ids, valid_ids
from engines.worker.template_arguments import variables_read
from engines.worker.thought_history import with_thoughts
from engines.worker.thought_tags import kept_tokens, open_tag, tags_of

NO_ARGUMENTS: Mapping[str, object] = MappingProxyType({})
GENERATION_PROMPT = 1_000
"""Characters at the end of a prompt in which the tag that opens a thought is."""


class TemplateFacts(NamedTuple):
    """What is known of a chat template after a short conversation has been rendered."""

    turn_end_ids: tuple[int, ...] = ()
    """The token that ends an answer in it; empty where it writes none."""
    merges_system: bool = False
    """Whether it takes no system prompt, which then goes into the first user message."""


class Tokenizer:
    """The tokenizer of one checkpoint. All backends use this class, so that all get the same prompt ids.

    It runs what strangers wrote, in this process and without limits: see `tokenizer_process`.

    Raises:
        EngineError: `missing-tokenizer`; `broken-config`: the chat template cannot be read.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        load = _load_gguf if checkpoint.is_file() else _load
        self._tokenizer, template, stop_ids = load(checkpoint)
        self._template = template.text if template else ""
        self._tokenizer.chat_template = self._template or None
        self._fast = self._tokenizer.backend_tokenizer
        # Some tokenizer.json files contain settings of the training, which would silently truncate prompts.
        self._fast.no_truncation()
        self._fast.no_padding()
        tokens = self._fast.get_added_tokens_decoder()
        added = {token.content: one for one, token in tokens.items()}
        self.configured_stop_ids = stop_ids | valid_ids({self._tokenizer.eos_token_id})
        self.configured_stop_ids |= configured_stop_ids(checkpoint, added)
        """Tokens that end an answer, as the checkpoint's files name them."""
        self._formats: dict[frozenset[str], MessageFormat] = {}
        """In which form the template takes messages, by the roles in the conversation."""
        self.thought_tags = tags_of(self._template, added)
        """The tags that thoughts may have."""
        kept = kept_tokens(self.thought_tags, added)
        self._silent = {
            number for number, token in tokens.items() if token.special and token.content not in kept
        }
        """Special tokens, which have no text, apart from the tags of thoughts."""
        self.template_variables = variables_read(self._template)
        """The variables about thinking that the chat template reads."""
        self.stopped: Callable[[], bool] = lambda: False
        """Not asked here; see `TokenizerProcess.stopped`."""

    @property
    def counting(self) -> Tokenizer:
        """The tokenizer for other threads."""
        return self

    def close(self) -> None:
        """Release nothing; see `TokenizerProcess.close`."""

    @property
    def has_chat_template(self) -> bool:
        """Whether there is a chat template. Base models have none: messages are then joined as plain text."""
        return bool(self._template)

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """Tokens that end an answer: those of the checkpoint's files, and the template's end of a turn."""
        return self.configured_stop_ids | set(self.template_facts.turn_end_ids)

    @cached_property
    def template_facts(self) -> TemplateFacts:
        """What the chat template does with a short conversation; it is rendered for this."""
        if not self.has_chat_template:
            return TemplateFacts()
        return TemplateFacts(self._turn_end_ids(), self._format(frozenset(("system", "user"))).merges_system)

    def prompt_ids(
        self,
        messages: Sequence[dict[str, str]],
        arguments: Mapping[str, object] = NO_ARGUMENTS,
        on_text: Callable[[str], None] = lambda text: None,
    ) -> list[int]:
        """Return the ids of a conversation, with the generation prompt of the assistant.

        Control tokens in the text of a message are encoded as plain text.

        Args:
            arguments: values of `template_variables`; others are left out.
            on_text: called with the text that the chat template made, before it is tokenized.

        Raises:
            EngineError: `chat-template`: the checkpoint's chat template rejects these messages.
        """
        given = [{name: encodable(text) for name, text in one.items()} for one in messages]
        text = self._prompt_text(given, arguments)
        on_text(text)
        marks = None
        if marked := self._control_tokens.mark(given):
            text, marks = self._prompt_text(marked[0], arguments), marked[1]
        ids = self._control_tokens.encode(encodable(text), marks)
        if not self.has_chat_template:
            ids = self._with_added(ids) or [self._any_id]
        return self._with_one_bos(ids)

    def text_ids(self, text: str) -> list[int]:
        """Return the ids of a text as it is encoded in a message."""
        message = {"role": "user", "content": encodable(text)}
        marked = self._control_tokens.mark([message])
        if marked is None:
            return self._control_tokens.encode(message["content"], None)
        return self._control_tokens.encode(marked[0][0]["content"], marked[1])

    def plain_ids(self, text: str) -> list[int]:
        """Return the ids of a text with the special tokens that the tokenizer adds; at least one id."""
        return self._with_one_bos(list(self._fast.encode(encodable(text)).ids)) or [self._any_id]

    def opened_thought(
        self, messages: Sequence[dict[str, str]], arguments: Mapping[str, object] = NO_ARGUMENTS
    ) -> str:
        """Return the opening tag of the thought in which an answer begins; empty if it begins in none.

        Raises:
            EngineError: as `prompt_ids`.
        """
        if not any(tag in self._template for one in self.thought_tags for tag in one.openings):
            return ""
        text = self._prompt_text(messages, arguments)
        if not open_tag(text[-GENERATION_PROMPT:], self.thought_tags):
            return ""
        # A prompt may end with tags that the user wrote: only what the template adds for the answer counts.
        turns = self._prompt_text(messages, arguments, generation_prompt=False)
        added = text[len(commonprefix((text, turns))) :]  # noqa: RUF071 - these are no paths
        if added.strip():
            return open_tag(added, self.thought_tags)
        end, said = text.rstrip(), messages[-1]["content"].rstrip() if messages else ""
        tag = open_tag(end, self.thought_tags)
        return tag if end.endswith(tag) and not end.endswith(said) else ""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids, of special tokens only the tags of thoughts."""
        ids = [token for token in token_ids if token not in self._silent]
        return str(self._fast.decode(ids, skip_special_tokens=False))

    @property
    def _any_id(self) -> int:
        return min(self.configured_stop_ids, default=0)

    @cached_property
    def _control_tokens(self) -> ControlTokens:
        written = self._template
        if self.has_chat_template:
            for roles in (("user", "assistant"), ("system", "user", "assistant")):
                with suppress(EngineError):
                    written += self._prompt_text(probe_messages(frozenset(roles)))
        return ControlTokens(self._fast, written, self.eos_token_ids)

    def _prompt_text(
        self,
        messages: Sequence[dict[str, str]],
        arguments: Mapping[str, object] = NO_ARGUMENTS,
        *,
        generation_prompt: bool = True,
    ) -> str:
        if not self.has_chat_template:
            return "\n".join(message["content"] for message in messages)
        form = self._format(frozenset(message["role"] for message in messages))
        known = {name: value for name, value in arguments.items() if name in self.template_variables}
        try:
            # After the marking: the tags that are added here stay tokens.
            given = form.apply(with_thoughts(messages, self._template, self.thought_tags))
            return self._render(given, known, generation_prompt=generation_prompt)
        except MemoryError:
            raise
        except Exception as error:  # templates can fail in any way: jinja2 errors and raise_exception
            raise EngineError(
                "chat-template",
                f"The checkpoint's chat template rejects this conversation: {first_line(error)}",
                "Some templates require the roles to alternate.",
            ) from error

    def _render(
        self,
        messages: Messages,
        arguments: Mapping[str, object] = NO_ARGUMENTS,
        *,
        generation_prompt: bool = True,
    ) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=generation_prompt, **arguments
            )
        )

    def _format(self, roles: frozenset[str]) -> MessageFormat:
        if roles not in self._formats:
            self._formats[roles] = find_format(self._render, roles)
        return self._formats[roles]

    def _turn_end_ids(self) -> tuple[int, ...]:
        """Return the added token that follows the last answer of a conversation."""
        roles = frozenset(("user", "assistant"))
        probe = probe_messages(roles, final_answer=True)
        try:
            text = self._render(self._format(roles).apply(probe), generation_prompt=False)
        except MemoryError:
            raise
        except Exception:  # reported when a conversation is rendered
            return ()
        _, answer, rest = text.rpartition(probe[-1]["content"])
        first = self._fast.encode(rest.strip(), add_special_tokens=False).ids[:1] if answer else []
        return tuple(one for one in first if one in self._fast.get_added_tokens_decoder())

    def _with_added(self, ids: list[int]) -> list[int]:
        """Return the ids with those that the tokenizer adds at the ends of a text."""
        encoding = self._fast.encode("a")
        is_added = encoding.special_tokens_mask
        own = [place for place, added in enumerate(is_added) if not added]
        if not own:
            return ids
        return [*encoding.ids[: own[0]], *ids, *encoding.ids[own[-1] + 1 :]]

    def _with_one_bos(self, ids: list[int]) -> list[int]:
        """Return the ids with one BOS at the start, where template and tokenizer have both written it."""
        bos = self._tokenizer.bos_token_id
        while bos is not None and ids[:2] == [bos, bos]:
            ids = ids[1:]
        return ids


def encodable(text: str) -> str:
    """Return the text with `?` for lone surrogates, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def import_library(checkpoint: Path) -> None:
    """Import what `Tokenizer` needs for this checkpoint, so that processes forked later share it."""
    import jinja2.sandbox  # noqa: F401
    from transformers.utils import chat_template_utils  # noqa: F401

    if checkpoint.is_file() or (checkpoint / "tokenizer.json").is_file():
        from transformers import PreTrainedTokenizerFast  # noqa: F401
    else:
        from transformers import AutoTokenizer  # noqa: F401


Loaded = tuple[Any, ChatTemplate | None, frozenset[int]]
"""A tokenizer of transformers, the chat template, and the tokens that end an answer by the same file."""


def _load(checkpoint: Path) -> Loaded:
    template = read_chat_template(checkpoint)
    with _readable(checkpoint):
        return _from_folder(checkpoint), template, frozenset()


def _load_gguf(file: Path) -> Loaded:
    from transformers import PreTrainedTokenizerFast

    from engines.gguf.tokenizer import load_tokenizer

    with _readable(file):
        found = load_tokenizer(file)
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=found.backend, **found.named)
        return tokenizer, found.template, found.stop_ids


def _from_folder(checkpoint: Path) -> Any:
    # AutoTokenizer imports torch, which costs 1.3 s and 200 MB that an engine without torch does not need.
    # tokenizer.json defines the complete tokenizer, so the generic class reads every family.
    if (checkpoint / "tokenizer.json").is_file():
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast.from_pretrained(checkpoint, local_files_only=True)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True, trust_remote_code=False)
    if tokenizer.is_fast:
        return tokenizer
    raise ValueError(f"{type(tokenizer).__name__} has no fast version")


@contextmanager
def _readable(checkpoint: Path) -> Iterator[None]:
    """Raise what a library raises for a tokenizer as an EngineError."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError, EngineError):
        raise
    except BaseException as error:  # tokenizers raises Exception, and BaseException for a panic
        raise unreadable(checkpoint, first_line(error)) from error


def unreadable(checkpoint: Path, why: str) -> EngineError:
    """Return the error for a tokenizer that cannot be loaded."""
    return EngineError(
        "missing-tokenizer",
        f"The tokenizer of {checkpoint.name} cannot be read: {why}",
        "Choose another GGUF file of the model."
        if checkpoint.is_file()
        else "The folder needs the model's tokenizer.json.",
    )
