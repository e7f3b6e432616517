"""What of a text is drawn: all that has a shape, and nothing that a terminal obeys or that cannot be seen."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from engines.displayable import REPLACEMENT, displayable

NEVER = [
    *map(chr, (*range(9), *range(0xB, 0x20), *range(0x7F, 0xA0))),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    *"\u2028\u2029\u200b\u2060\u2061\ufeff\xad\u180e\ufff9\u3164\u115f\u034f",
    *"\ud800\udfff\u0378\ufffe\uffff\U0010ffff\U000e0001\U000e0041\U000e0100",
]
"""Controls, bidi controls, separators, invisible characters, halves of pairs, unassigned ones, tags."""


@pytest.mark.parametrize("character", NEVER, ids=lambda one: f"U+{ord(one):04X}")
def test_it_is_shown_as_a_replacement(character: str) -> None:
    assert displayable(f"é{character}b") == f"é{REPLACEMENT}b"


def test_no_control_or_format_character_is_drawn_anywhere_in_unicode() -> None:
    """But signs with a shape, joiners inside of a text, line break and tab."""
    codes = (code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf"))
    drawn = {code for code in codes if displayable(f"é{chr(code)}") != f"é{REPLACEMENT}"}
    signs = {*range(0x600, 0x606), 0x6DD, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    assert drawn - signs == {0x9, 0xA, 0x200C, 0x200D}


@pytest.mark.parametrize(
    "text",
    [
        "naïve 漢字 [bold]\n\ttab",
        "👩‍👩‍👧 ❤️‍🔥 1️⃣ 🇩🇪 👍🏽",
        "می‌خواهم क्‍ष",
        "e\u0301 שלום مرحبا",
        "\xa0\u3000 \ue0b0",
        "\U0001fae9",
    ],
)
def test_text_of_all_languages_is_kept(text: str) -> None:
    assert displayable(text) == text


@pytest.mark.parametrize("text", ["\u200da", "a\u200cb", "é\u200d\u200d", "a\ufe0f", "é\ufe0f\ufe0f"])
def test_a_joiner_with_nothing_to_join_is_replaced(text: str) -> None:
    shown = displayable(text)
    assert len(shown) == len(text)
    assert shown.count(REPLACEMENT) == 1
