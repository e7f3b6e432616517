"""A turn of a chat, and the ways in which people mistype a question."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from engines.demo.corpus.words import fillers

Option = TypeVar("Option")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer; `checks` are regular expressions that a right answer matches."""

    question: str
    answer: str
    theme: str
    checks: tuple[str, ...] = ()


Exchange = tuple[Turn, ...]
"""Turns that belong together: a question and what follows from it."""


def lean(options: Sequence[Option], rng: random.Random, key: int = 0) -> Option:
    """Mostly the option that `key` points to, else any.

    With equal chances the model would be undecided between two answers, and two engines that round differently
    would part at the first word. So one option is clearly the likeliest, and `key` lets it depend on the question.
    """
    return options[key % len(options)] if rng.random() < 0.75 else rng.choice(options)


def letter(text: str) -> int:
    """The place of the first letter in the alphabet: a key that a model can learn."""
    return LETTERS.find(text[:1].lower()) + 1


def normalise(text: str) -> str:
    """What is left of a wording without case, punctuation and spacing: equal means the same wording."""
    return " ".join(re.findall(r"[a-z0-9+*/\-]+", text.lower()))


def first_sentence(text: str) -> str:
    """The shortest sensible form of an answer."""
    return re.split(r"(?<=[.!?]) |\n", text, maxsplit=1)[0]


def lower_first(text: str) -> str:
    """`text` with a small first letter, unless its first word is an abbreviation such as KV or int4."""
    word = text.split(" ", 1)[0]
    return text if word.upper() == word and len(word) > 1 else text[:1].lower() + text[1:]


def upper_first(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def _mistype(text: str, rng: random.Random) -> str:
    """One slip of the fingers in a word of four letters or more; names and numbers stay as they are."""
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) > 3 and word.isalpha() and word.islower()]
    if not places:
        return text
    place = rng.choice(places)
    word, at = words[place], rng.randrange(1, len(words[place]) - 1)
    slip = rng.randrange(4)
    if slip == 0:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif slip == 1:
        word = word[:at] + word[at + 1 :]
    elif slip == 2:
        word = word[:at] + word[at] + word[at:]
    else:
        word = word[:at] + rng.choice(LETTERS) + word[at + 1 :]
    words[place] = word
    return " ".join(words)


OPENERS = (
    "Hey, ", "Please: ", "Hello, ", "Hi! ", "So, ", "Well, ", "And ", "Ok, ", "Now ", "One question: ", "Tell me, ", "I wonder, ", "Could you say: ",
    "I have a question: ", "Just curious, ", "Let me ask: ", "I would like to know, ", "Sorry, ", "Do you know, ", "Please tell me: ", "Next: ",
    "Another question, ", "I am new here. ", "For a friend: ", "In your words, ", "I am not sure, ", "Explain to me: ", "By the way, ", "I read that. ",
    "Somebody asked me: ", "Short question, ", "In a few words: ", "You surely know: ", "I heard something. ", "Thanks. ", "Good. ", "Hm, ",
)  # fmt: skip
CLOSERS = (
    " please", ", please", " thanks", " then", " again", " exactly", ", can you say", " for me", " here", " in general", ", do you know", " really",
    ", in short", " actually", ", I wonder", ", tell me", " if you know", ", my friend", " to a beginner", " anyway", ", is it clear",
)  # fmt: skip
ALIKE = {
    "how": "in what way", "can i": "may i", "what is": "what's", "which": "what", "tell me": "let me know", "explain": "describe", "app": "program",
    "show": "display", "answer": "reply", "answers": "replies", "quick": "fast", "fast": "quick", "write": "produce", "model": "network", "key": "button",
    "start": "begin", "stop": "end", "change": "switch", "big": "large", "large": "big", "small": "tiny", "use": "take", "makes": "lets", "need": "require",
    "choose": "select", "pick": "choose", "see": "view", "text": "output", "long": "lengthy", "called": "named", "happens": "goes on", "important": "useful",
    "i do not": "i don't", "do you": "can you", "give me": "i want", "is it": "it is", "many": "lots of", "want": "wish", "get": "obtain", "speed": "pace",
    "measure": "determine", "story": "tale", "the": "a", "a": "the", "numbers": "figures", "screen": "page", "new": "fresh", "make": "create",
}  # fmt: skip
SMALL = frozenset(
    [
        "the",
        "a",
        "an",
        "is",
        "are",
        "do",
        "does",
        "i",
        "you",
        "to",
        "of",
        "in",
        "for",
        "it",
        "that",
        "this",
        "me",
        "can",
        "what",
        "how",
        "which",
        "and",
        "or",
        "my",
        "please",
        "there",
        "be",
        "with",
        "on",
    ]
)


def _loosened(text: str, rng: random.Random) -> str:
    """Other words for the same: small words left out, some replaced by words alike."""
    words = []
    for word in text.split(" "):
        plain = word.lower()
        if plain in SMALL and rng.random() < 0.15:
            continue
        words.append(ALIKE[plain] if plain in ALIKE and rng.random() < 0.2 else word)
    return " ".join(words) or text


def _wrapped(text: str, rng: random.Random) -> str:
    """The question among words that mean nothing for it, as people put them around what they want to know."""
    before, after = fillers(rng.choice((0, 1, 2, 3)), rng), fillers(rng.choice((0, 0, 1, 2)), rng)
    ending = text[-1] if text[-1] in ".?!" else ""
    parts = [before, lower_first(text.rstrip(".?!")), after]
    return upper_first(" ".join(part for part in parts if part)) + ending


def disturb(text: str, rng: random.Random, wrap: bool = True) -> str:
    """The wording as somebody else or somebody in a hurry would type it; often it stays as it was."""
    if "\n" in text:
        return text
    if rng.random() < 0.35 and len(text) > 12:
        text = _loosened(text, rng)
    if wrap and rng.random() < 0.12 and len(text) > 12:
        text = _wrapped(text, rng)
    if rng.random() < 0.2:
        text = rng.choice(OPENERS) + lower_first(text)
    if wrap and rng.random() < 0.1 and len(text) > 12:
        ending = text[-1] if text[-1] in ".?!" else ""
        text = text.rstrip(".?!") + rng.choice(CLOSERS) + ending
    if rng.random() < 0.3:
        text = text.lower()
    if rng.random() < 0.3:
        text = text.rstrip(".?!")
    if rng.random() < 0.12:
        text = _mistype(text, rng)
    return text
