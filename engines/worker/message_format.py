"""Find out in which form a chat template takes messages, by rendering a short conversation in each form.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

Messages = Sequence[dict[str, Any]]
Render = Callable[[Messages], str]

_PART_ROLES = (
    (), ("system", "user", "assistant"), ("user",), ("user", "assistant"), ("system",), ("assistant",),
    ("system", "user"), ("system", "assistant"),
)  # fmt: skip
"""Roles whose content may be wanted in parts, the most frequent choice first."""
_PRINTED_PARTS = ("'type': 'text'", '"type": "text"')
"""What a template writes that prints parts as they are."""


class MessageFormat(NamedTuple):
    """The form in which a chat template takes messages."""

    part_roles: tuple[str, ...] = ()
    """Roles whose content is a list of parts, `{"type": "text", "text": ...}`, instead of a text."""
    merges_system: bool = False
    """Whether the system prompt goes into the first user message: the template refuses or drops it."""

    def apply(self, messages: Messages) -> Messages:
        """Return the messages in this form."""
        given = _with_merged_system(messages) if self.merges_system else messages
        return [_in_parts(one) if one["role"] in self.part_roles else dict(one) for one in given]


def find_format(render: Render, roles: frozenset[str]) -> MessageFormat:
    """Return the first form in which the template writes the text of every message.

    Where there is none, the text of answers may be missing; else plain messages, so that the template's own
    error is reported.

    Args:
        render: returns what the template writes; may raise anything.
        roles: of the messages in the conversation.
    """
    probe = probe_messages(roles)
    formats = [
        MessageFormat(part_roles, merges)
        for merges in ((False, True) if "system" in roles else (False,))
        for part_roles in _PART_ROLES
    ]
    partial = None
    for form, text in _rendered(render, probe, formats):
        missing = {one["role"] for one in probe if one["content"] not in text}
        if not missing:
            return form
        if partial is None and missing == {"assistant"}:
            partial = form
    return partial or MessageFormat()


def probe_messages(roles: frozenset[str], final_answer: bool = False) -> list[dict[str, str]]:
    """Return a short conversation with these roles; each message has a text that occurs nowhere else."""
    order = ["system"] if "system" in roles else []
    order += ["user", "assistant"] if "assistant" in roles else []
    order += [] if final_answer else ["user"]
    return [{"role": role, "content": f"zq{number}{role}qz"} for number, role in enumerate(order)]


def _rendered(
    render: Render, probe: Messages, formats: Sequence[MessageFormat]
) -> Iterator[tuple[MessageFormat, str]]:
    """Yield what the template writes in each form that it accepts."""
    for form in formats:
        try:
            text = render(form.apply(probe))
        except MemoryError:
            raise
        except Exception:  # templates can fail in any way, and another form is tried
            continue
        if not any(printed in text for printed in _PRINTED_PARTS):
            yield form, text


def _with_merged_system(messages: Messages) -> Messages:
    """Return the messages with the system prompt before the text of the first user message."""
    system = [one["content"] for one in messages if one["role"] == "system"]
    others = [dict(one) for one in messages if one["role"] != "system"]
    first = next((one for one in others if one["role"] == "user"), None)
    if first is None:
        return [*({"role": "user", "content": text} for text in system), *others]
    first["content"] = "\n\n".join([*system, first["content"]])
    return others


def _in_parts(message: dict[str, Any]) -> dict[str, Any]:
    """Return the message with its content in parts, as that with a thought already is."""
    content = message["content"]
    return message | {"content": [{"type": "text", "text": content}] if isinstance(content, str) else content}
