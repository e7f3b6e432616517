"""The topics that the demo model knows, read from `data/*.toml`, and the turns made of them."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engines.demo.corpus import wordings
from engines.demo.corpus.turns import Exchange, Turn, first_sentence, lean, lower_first, upper_first

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Topic:
    """One subject: what it is called, how it is asked for, and what is answered."""

    key: str
    theme: str
    names: tuple[str, ...]
    check: tuple[str, ...]
    answers: tuple[str, ...]
    ask: tuple[str, ...]
    held_out: tuple[str, ...]
    more_ask: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    why: str = ""
    example: str = ""

    @property
    def short(self) -> str:
        """The answer in one sentence."""
        return first_sentence(self.answers[0])

    def example_answer(self) -> str:
        """The example as an answer of its own."""
        return f"For example, {self.example}"

    def more_after(self, given: str) -> str:
        """What is left to say once `given` has been said."""
        rest = [answer for answer in self.answers if answer != given][:1]
        return " ".join(part for part in (*rest, self.why) if part)

    def detail(self) -> str:
        """Everything that is known about it, with headings, long enough to watch a speed."""
        name = upper_first(self.names[0])
        return (
            f"## {name}\n\n{self.answers[0]}\n\n**Why it matters.** {self.why}\n\n"
            f"**An example.** {upper_first(self.example)}\n\n**In other words.** {self.answers[-1]}"
        )


@cache
def load_topics() -> tuple[Topic, ...]:
    """All topics, in a fixed order."""
    topics = []
    for path in sorted(DATA.glob("*.toml")):
        for key, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()
            }
            topics.append(Topic(key=key, theme=path.stem, **fields))
    return tuple(topics)


@cache
def named_topics() -> tuple[Topic, ...]:
    """The topics that can be asked for by name and have a reason and an example."""
    return tuple(topic for topic in load_topics() if topic.names and topic.why and topic.example)


@cache
def _weights() -> tuple[float, ...]:
    """Subjects without a name need more wordings to be recognised, so they come up more often."""
    return tuple(1.0 if topic.names else 1.8 for topic in load_topics())


def _filled(template: str, name: str) -> str:
    return upper_first(template.format(name=name))


MOODS = {
    "{good}": ["great", "nice", "good", "clever", "smart", "kind", "wonderful", "lovely", "brilliant", "perfect", "excellent", "amazing", "fantastic", "helpful", "funny", "sweet", "cool", "super", "impressive", "adorable", "awesome", "charming", "superb", "friendly", "beautiful"],
    "{bad}": ["bad", "stupid", "silly", "dumb", "useless", "terrible", "awful", "boring", "wrong", "slow", "annoying", "horrible", "rude", "poor", "ridiculous", "foolish", "hopeless", "rubbish", "mean", "weak", "pathetic", "lousy", "nasty", "daft", "worthless"],
    "{low}": ["sad", "tired", "ill", "lonely", "unhappy", "angry", "afraid", "worried", "down", "miserable", "depressed", "sick", "hurt", "exhausted", "upset", "gloomy", "desperate", "anxious", "stressed", "awful", "terrible", "bad", "heartbroken", "disappointed", "low"],
    "{high}": ["fine", "great", "happy", "good", "well", "wonderful", "fantastic", "glad", "cheerful", "excellent", "relaxed", "perfect", "super", "excited", "content", "joyful", "lucky", "brilliant", "okay"],
    "{very}": ("", "", "so ", "very ", "really ", "quite ", "rather ", "a bit ", "extremely ", "totally ", "too ", "pretty "),
}  # fmt: skip


def _span(topic: Topic, rng: random.Random) -> str:
    """A few words out of what is known about the topic: it links other wordings with their subject."""
    text = rng.choice(
        (*topic.answers, *topic.answers, topic.why or topic.answers[0], topic.example or topic.answers[-1])
    )
    words = re.findall(r"[\w'+./-]*\w", text)
    start = rng.randrange(max(1, len(words) - 3))
    chosen = words[start : start + rng.randint(3, 9)]
    kept = [word for word in chosen if rng.random() > 0.15]
    if rng.random() < 0.2:
        rng.shuffle(kept)
    return lower_first(" ".join(kept or chosen))


def _question(topic: Topic, rng: random.Random) -> str:
    """A wording of the question for this topic: by name, by hand, by what is to be done, or by a few of its words."""
    roll = rng.random()
    if roll < 0.2 and topic.theme != "smalltalk":
        return upper_first(rng.choice(wordings.SPAN).format(span=_span(topic, rng)))
    if topic.acts and roll < 0.6:
        return upper_first(rng.choice(wordings.ACT).format(act=rng.choice(topic.acts)))
    if topic.names and (roll < 0.6 or not topic.ask):
        return _filled(rng.choice(wordings.DEFINE), rng.choice(topic.names))
    question = rng.choice(topic.ask + topic.more_ask)
    for mark, words in MOODS.items():
        question = question.replace(mark, rng.choice(words))
    return question


def _direct(topic: Topic, rng: random.Random, brief: bool) -> Turn:
    """A question that stands alone."""
    roll = rng.random()
    if topic.names and topic.why and topic.example and not brief:
        name = rng.choice(topic.names)
        if roll < 0.08:
            return Turn(_filled(rng.choice(wordings.WHY), name), topic.why, topic.theme)
        if roll < 0.11:
            question = _filled(rng.choice(wordings.BOTH + wordings.BENEFIT), name)
            return Turn(question, f"{topic.short} {topic.why}", topic.theme)
        if roll < 0.15:
            return Turn(_filled(rng.choice(wordings.EXAMPLE), name), topic.example_answer(), topic.theme)
        if roll < 0.22:
            return Turn(_filled(rng.choice(wordings.DETAIL), name), topic.detail(), topic.theme)
    question = _question(topic, rng)
    return Turn(question, topic.short if brief else lean(topic.answers, rng), topic.theme)


def _next_kinds(topic: Topic) -> tuple[str, ...]:
    if topic.why and topic.example and topic.names:
        return ("why", "example", "more", "short", "simple", "detail", "again")
    if topic.theme in ("smalltalk", "self"):
        return ("again", "why_not_known")
    return ("short", "again", "why_not_known")


NOT_KNOWN_WHY = (
    "I cannot say more about that. I am only a small model.",
    "That is all I know about it. I am only a small model.",
)


def follow_up(topic: Topic, kind: str, said: str, question: str, rng: random.Random) -> Turn:
    """The turn after `said` was answered: a reason, an example, a shorter form and so on."""
    answer = {
        "why": topic.why,
        "example": topic.example_answer(),
        "more": topic.more_after(said),
        "short": topic.short,
        "simple": f"{topic.short} {topic.example_answer()}",
        "detail": topic.detail() if topic.names else said,
        "again": said,
        "why_not_known": lean(NOT_KNOWN_WHY, rng),
    }[kind]
    return Turn(question, answer, topic.theme)


NEXT = {
    "why": wordings.WHY_NEXT,
    "example": wordings.EXAMPLE_NEXT,
    "more": wordings.MORE_NEXT,
    "short": wordings.SHORT_NEXT,
    "simple": wordings.SIMPLE_NEXT,
    "detail": wordings.DETAIL_NEXT,
    "again": wordings.AGAIN_NEXT,
    "why_not_known": wordings.WHY_NEXT + wordings.MORE_NEXT + wordings.EXAMPLE_NEXT,
}


def _follow_ups(topic: Topic, first: Turn, rng: random.Random) -> Iterator[Turn]:
    said = first.answer
    used: set[str] = set()
    while rng.random() < 0.6 and len(used) < 3:
        kind = rng.choice([kind for kind in _next_kinds(topic) if kind not in used] or ["again"])
        turn = follow_up(topic, kind, said, rng.choice(NEXT[kind]), rng)
        used.add(kind)
        if not turn.answer or len(used) > 3:
            return
        yield turn
        said = turn.answer


def difference(first: Topic, second: Topic, template: str, rng: random.Random) -> Turn:
    """A question about two topics, answered with one sentence for each."""
    question = upper_first(template.format(a=rng.choice(first.names), b=rng.choice(second.names)))
    return Turn(question, f"{first.short} {second.short}", "difference")


def topic_exchange(rng: random.Random, brief: bool = False) -> Exchange:
    """A question about some topic, often with follow-ups."""
    if rng.random() < 0.07:
        first, second = rng.sample(named_topics(), 2)
        return (difference(first, second, rng.choice(wordings.DIFFERENCE), rng),)
    topic = rng.choices(load_topics(), _weights())[0]
    turn = _direct(topic, rng, brief)
    if brief or rng.random() < 0.55:
        return (turn,)
    return (turn, *_follow_ups(topic, turn, rng))
