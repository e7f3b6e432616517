"""Earlier thoughts in the form that a chat template reads: it decides which of them are sent again.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from engines.worker.thought_tags import ThoughtTags

THOUGHT = "reasoning_content"
"""The key of an assistant's message that holds what it thought before `content`."""
_KEYS = (THOUGHT, "reasoning", "thinking")
"""What templates call it."""
_PART = re.compile(r"""\btype\b['"\])]*\s*==\s*['"]thinking['"]""")
"""A template that reads parts of the kind `thinking`, as Magistral's: `block['type'] == 'thinking'`."""


def with_thoughts(
    messages: Sequence[dict[str, Any]], template: str, families: Sequence[ThoughtTags]
) -> list[dict[str, Any]]:
    """Return the messages with their thoughts where the chat template looks for them.

    That is under a key of the message, in a part of its content, or in its content between tags. A template
    that looks for none of these would send all of them again as text: it gets none.
    """
    if _PART.search(template):  # before the keys: the part has its thought under one of them
        return [_with_part(message) if THOUGHT in message else message for message in messages]
    keys = [key for key in _KEYS if re.search(rf"""\.{key}\b|['"]{key}['"]""", template)]
    tags = next((one for one in families if _looks_for(template, one)), None)
    return [_with_thought(message, keys, tags) if THOUGHT in message else message for message in messages]


def _with_thought(message: dict[str, Any], keys: Sequence[str], tags: ThoughtTags | None) -> dict[str, Any]:
    thought = message[THOUGHT].strip()
    rest = {name: value for name, value in message.items() if name != THOUGHT}
    if keys:
        return {**rest, **dict.fromkeys(keys, thought)}
    if tags is None:
        return rest
    content = f"{tags.openings[0]}\n{thought}\n{tags.closings[0]}\n\n{message['content']}"
    return {**rest, "content": content}


def _with_part(message: dict[str, Any]) -> dict[str, Any]:
    """Return the message with its thought as the first part of its content."""
    rest = {name: value for name, value in message.items() if name != THOUGHT}
    thought = {"type": "thinking", "thinking": message[THOUGHT].strip()}
    return rest | {"content": [thought, {"type": "text", "text": message["content"]}]}


def _looks_for(template: str, tags: ThoughtTags) -> bool:
    """Return whether a template looks for a closing tag in a message, as in `content.split('</think>')`."""
    return any(f"{quote}{tag}{quote}" in template for tag in tags.closings for quote in ("'", '"'))
