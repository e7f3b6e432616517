"""What a terminal sends, read so that no byte of it ends the app.

Textual's input threads decode strictly, and their parser raises for some escape sequences: either ends the
app. Bytes that are not UTF-8 come from a clipboard or a terminal set to Latin-1, from line noise or a paste
that was cut; the escape sequences from terminals that report more than they were asked for.
"""

from __future__ import annotations

import re
import sys
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Callable, Iterable
from functools import partial
from string import ascii_lowercase

from textual import events
from textual._xterm_parser import XTermParser  # the drivers' parser; Textual has no public name for it
from textual.driver import Driver
from textual.keys import Keys
from textual.message import Message

ALT_KEYS = {"\x1b\r": "alt+enter", **{f"\x1b{key}": f"alt+{key}" for key in "1234" + ascii_lowercase}}
"""What Textual reads as other keys: Alt+Enter as Enter, Alt+1 as a character of Apple's keyboards, and Alt+L
as a key with a character, which a prompt takes as text."""
MODIFY_OTHER_KEYS = re.compile(r"\x1b\[27;(?P<modifiers>\d+);(?P<code>\d+)~")
"""How xterm and tmux report keys such as Shift+Enter; Textual knows the form of kitty only."""
LARGEST_SCREEN = 1_000_000
"""In cells. A forged report of a larger terminal would take all memory."""


class TolerantParser(XTermParser):
    """Textual's parser; it ignores sequences for which the original raises, and what no keyboard can send."""

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the events of `data` that the app can use."""
        return filter(_is_usable, super().feed(data))

    def parse_mouse_code(self, code: str) -> Message | None:
        """Return the event of a mouse report; None if it has no place, as after a report of 0 pixels."""
        try:
            return super().parse_mouse_code(code)
        except ArithmeticError:
            return None

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if key := ALT_KEYS.get(sequence):
            return [events.Key(key, None)]
        if other := MODIFY_OTHER_KEYS.fullmatch(sequence):
            sequence = f"\x1b[{other['code']};{other['modifiers']}u"
        try:
            return list(super()._sequence_to_key_events(sequence, alt))
        except (ValueError, OverflowError):  # sub-parameters, such as `97;5:1u`, or no character's number
            return [events.Key(Keys.Ignore, None)]


def _is_usable(message: Message) -> bool:
    if isinstance(message, events.Resize):
        width, height = message.size
        return 0 < width * height <= LARGEST_SCREEN
    if isinstance(message, events.Key):  # a lone surrogate can neither be drawn nor saved
        return not any("\ud800" <= one <= "\udfff" for one in message.character or "")
    return True


def replacing_decoder(encoding: str) -> Callable[[], IncrementalDecoder]:
    """Return what makes decoders as `codecs.getincrementaldecoder` does; they replace undecodable bytes."""
    return partial(getincrementaldecoder(encoding), errors="replace")


def tolerant(driver: type[Driver]) -> type[Driver]:
    """Let a driver of Textual read tolerantly; returns the driver.

    The drivers make decoder and parser in the middle of a long method, by these two names of their modules:
    there is nothing smaller to override. `tests/app/test_terminal_input.py` fails if a Textual changes it.
    """
    module = sys.modules[driver.__module__]
    for name, ours in (("getincrementaldecoder", replacing_decoder), ("XTermParser", TolerantParser)):
        if hasattr(module, name):
            setattr(module, name, ours)
    return driver
