"""The wordings that are never trained on and that the score is taken from."""

from __future__ import annotations

import random
import re
from functools import cache

from engines.demo.corpus import lists, names, stories, sums, unknown, wordings
from engines.demo.corpus.topics import Topic, difference, follow_up, load_topics, named_topics
from engines.demo.corpus.turns import Exchange, Turn, normalise, upper_first

SEED = 20
LONG = r"(?s)(?:\S+\s+){110}"
"""A long story has at least so many words."""


def _starts(text: str) -> str:
    """Matches the beginning of a reason or an example, enough to tell it from all the others."""
    return re.escape(text[:28])


def _topic_items(rng: random.Random) -> list[Exchange]:
    items: list[Exchange] = []
    for topic in load_topics():
        items += [
            (Turn(question, topic.answers[0], topic.theme, topic.check),) for question in topic.held_out
        ]
        if topic.names:
            question = upper_first(rng.choice(wordings.DEFINE_HELD_OUT).format(name=rng.choice(topic.names)))
            items.append((Turn(question, topic.answers[0], topic.theme, topic.check),))
    return items


def _reason_items(rng: random.Random) -> list[Exchange]:
    items: list[Exchange] = []
    for topic in rng.sample(named_topics(), 20):
        name = rng.choice(topic.names)
        why = upper_first(rng.choice(wordings.WHY_HELD_OUT).format(name=name))
        detail = upper_first(rng.choice(wordings.DETAIL_HELD_OUT).format(name=name))
        items.append((Turn(why, topic.why, "reasons", (_starts(topic.why),)),))
        items.append(
            (
                Turn(
                    detail,
                    topic.detail(),
                    "long answers",
                    (*topic.check, _starts(topic.why), r"(?s)(?:\S+\s+){60}"),
                ),
            )
        )
    for first, second in (rng.sample(named_topics(), 2) for _ in range(16)):
        turn = difference(first, second, rng.choice(wordings.DIFFERENCE_HELD_OUT), rng)
        items.append((Turn(turn.question, turn.answer, turn.theme, (*first.check, *second.check)),))
    return items


def _follow_up_item(topic: Topic, kind: str, question: str, rng: random.Random) -> Exchange:
    asked = upper_first(rng.choice(wordings.DEFINE[:8]).format(name=rng.choice(topic.names)))
    first = Turn(asked, topic.answers[0], "follow-ups")
    turn = follow_up(topic, kind, first.answer, question, rng)
    checks = {
        "why": (_starts(topic.why),),
        "example": (_starts(topic.example),),
        "more": (_starts(topic.why),),
        "short": (*topic.check, r"(?s)^.{1,260}$"),
        "simple": (_starts(topic.example),),
    }[kind]
    return (first, Turn(turn.question, turn.answer, "follow-ups", checks))


def _follow_up_items(rng: random.Random) -> list[Exchange]:
    kinds = {
        "why": wordings.WHY_NEXT_HELD_OUT,
        "example": wordings.EXAMPLE_NEXT_HELD_OUT,
        "more": wordings.MORE_NEXT_HELD_OUT,
        "short": wordings.SHORT_NEXT_HELD_OUT,
        "simple": wordings.SIMPLE_NEXT_HELD_OUT,
    }
    return [
        _follow_up_item(rng.choice(named_topics()), kind, question, rng)
        for kind, questions in kinds.items()
        for question in questions
        for _ in range(3)
    ]


def _story_items(rng: random.Random) -> list[Exchange]:
    items: list[Exchange] = []
    for hero in stories.HELD_OUT_HEROES:
        cast = stories.some_cast(rng, stories.article(hero))
        told = stories.story_turn(cast, rng.choice(wordings.STORY_HELD_OUT), rng)
        checks = (rf"(?s)(?:{hero}.*){{3}}", LONG)
        who = Turn(
            rng.choice(wordings.STORY_WHO_NEXT_HELD_OUT), f"It was about {cast.hero}.", "stories", (hero,)
        )
        items.append((Turn(told.question, told.answer, "stories", checks), who))
        question = rng.choice(wordings.POEM_HELD_OUT).format(hero=cast.hero)
        items.append(
            (Turn(question, stories.poem(cast.hero, rng), "stories", (r"(?s)\S+ *\n.*\S+ *\n.*\S+ *\n",)),)
        )
    return items


def _sum_items(rng: random.Random) -> list[Exchange]:
    items: list[Exchange] = []
    for sign in "+++--*":
        for _ in range(6):
            a, b = sums.some_pair(sign, rng, held_out=True)
            check = rf"\b{sums.result(a, sign, b)}\."
            template = rng.choice(sums.ASK[:6] + sums.ASK_HELD_OUT[1:])
            items.append((sums.sum_turn(a, sign, b, template, rng, (check,)),))
    return items


def _list_items(rng: random.Random) -> list[Exchange]:
    kinds = rng.sample(list(lists.ITEMS), 14)
    items: list[Exchange] = [
        (lists.some_turn(what, 3, rng.choice(lists.SOME_HELD_OUT), rng),) if place % 2 else
        (lists.some_turn(what, 3, rng.choice(lists.BULLETS_HELD_OUT), rng, "bullets"),)
        for place, what in enumerate(kinds)
    ]  # fmt: skip
    items += [(lists.all_turn(what, lists.ALL_HELD_OUT[0], rng),) for what in lists.FULL]
    items += [
        (lists.capital_turn(x, lists.CAPITAL_HELD_OUT[0]),) for x in rng.sample(list(lists.CAPITALS), 6)
    ]
    items += [
        (lists.opposite_turn(x, lists.OPPOSITE_HELD_OUT[0]),) for x in rng.sample(list(lists.OPPOSITES), 6)
    ]
    items += [(lists.snippet_turn(x, lists.SNIPPET_HELD_OUT[0], rng),) for x in lists.SNIPPETS]
    precisions = list(lists.PRECISIONS)
    items += [(lists.table_turn(rng.sample(precisions, 3), lists.TABLE_HELD_OUT[0]),) for _ in range(6)]
    return items


def _unknown_items(rng: random.Random) -> list[Exchange]:
    return [
        (unknown.unknown_turn(template, thing, rng, unknown.CHECK),)
        for thing in unknown.HELD_OUT_THINGS
        for template in (rng.choice(wordings.DEFINE_HELD_OUT), rng.choice(unknown.QUESTIONS_HELD_OUT))
    ]


def _name_items(rng: random.Random) -> list[Exchange]:
    items: list[Exchange] = []
    for name in names.HELD_OUT_NAMES:
        told = Turn(
            rng.choice(names.TELL_HELD_OUT).format(name=name), f"Nice to meet you, {name}!", "names", (name,)
        )
        topic = rng.choice(named_topics())
        between = Turn(f"What is {topic.names[0]}?", topic.answers[0], "names")
        asked = Turn(rng.choice(names.ASK_HELD_OUT), f"Your name is {name}.", "names", (name,))
        items.append((told, between, asked))
    return items


@cache
def held_out() -> tuple[Exchange, ...]:
    """All items of the score; a turn with checks is scored, one without only leads to it."""
    rng = random.Random(SEED)
    groups = (
        _topic_items,
        _reason_items,
        _follow_up_items,
        _story_items,
        _sum_items,
        _list_items,
        _unknown_items,
        _name_items,
    )
    return tuple(item for group in groups for item in group(rng))


@cache
def held_out_wordings() -> frozenset[str]:
    """The scored questions in normal form: no training chat may contain one of them."""
    return frozenset(normalise(turn.question) for item in held_out() for turn in item if turn.checks)
