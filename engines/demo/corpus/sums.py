"""Small arithmetic: sums and differences up to two digits, products up to twelve."""

# ruff: noqa: E501  (word lists are read as a block)

from __future__ import annotations

import random

from engines.demo.corpus.turns import Exchange, Turn, upper_first

ASK = (
    "I want to know {sum}.", "Give me {sum}.", "The value of {sum}?", "Add this up: {sum}", "Could you work out {sum}?", "Let me know {sum}.",
    "What is {sum}?", "What's {sum}?", "How much is {sum}?", "Calculate {sum}.", "{sum}", "{sum} = ?", "{sum}=", "Compute {sum}.",
    "Can you calculate {sum}?", "Please work out {sum}.", "Tell me what {sum} is.", "Do you know what {sum} is?", "{sum}?", "solve {sum}",
    "How much do I get for {sum}?", "and {sum}?", "What does {sum} make?", "What is the result of {sum}?",
)  # fmt: skip
ASK_HELD_OUT = (
    "Could you add this up for me: {sum}?",
    "I need to know {sum}.",
    "Give me the value of {sum}.",
)
WORDS = {"+": "plus", "-": "minus", "*": "times"}
FORMS = {
    "+": ("{a} + {b}", "{a}+{b}", "{a} plus {b}", "the sum of {a} and {b}", "{a} and {b} together"),
    "-": ("{a} - {b}", "{a}-{b}", "{a} minus {b}", "{a} less {b}"),
    "*": ("{a} * {b}", "{a}*{b}", "{a} times {b}", "{a} x {b}", "{a} multiplied by {b}", "{a} × {b}"),
}
NEXT = {
    "+": ("And plus {b}?", "Add {b}.", "plus {b}", "And {b} more?"),
    "-": ("And minus {b}?", "Subtract {b}.", "minus {b}", "Take away {b}."),
}
SURE = ("Are you sure?", "Really?", "Is that right?", "is that correct", "Can you check that?")


def is_held_out(a: int, b: int) -> bool:
    """One pair in fifteen is never trained, in no wording."""
    return (a * 31 + b * 17) % 15 == 7


def result(a: int, sign: str, b: int) -> int:
    """The value of the small sum."""
    return a + b if sign == "+" else a - b if sign == "-" else a * b


def sentence(a: int, sign: str, b: int) -> str:
    """The answer as a whole sentence."""
    return f"{a} {WORDS[sign]} {b} is {result(a, sign, b)}."


def some_pair(sign: str, rng: random.Random, held_out: bool = False) -> tuple[int, int]:
    """Two numbers of the kind that is trained, or of the kind that is held out; differences are never negative."""
    while True:
        top = 12 if sign == "*" else 99 if rng.random() < 0.8 else 20
        a, b = rng.randint(0, top), rng.randint(0, top)
        if sign == "-" and a < b:
            a, b = b, a
        if is_held_out(a, b) == held_out:
            return a, b


def sum_turn(
    a: int, sign: str, b: int, template: str, rng: random.Random, checks: tuple[str, ...] = ()
) -> Turn:
    """A question for one small sum."""
    question = template.format(sum=rng.choice(FORMS[sign]).format(a=a, b=b))
    return Turn(upper_first(question), sentence(a, sign, b), "arithmetic", checks)


def _next_turn(value: int, rng: random.Random) -> Turn:
    sign = rng.choice("+-") if value < 100 else "-"
    limit = 99 if sign == "+" else min(99, value)
    b = rng.choice([b for b in range(limit + 1) if not is_held_out(value, b)] or [0])
    return Turn(rng.choice(NEXT[sign]).format(b=b), sentence(value, sign, b), "arithmetic")


def sum_exchange(rng: random.Random, brief: bool = False) -> Exchange:
    """One small sum, sometimes continued or checked."""
    sign = rng.choice("+++--*")
    a, b = some_pair(sign, rng)
    turn = sum_turn(a, sign, b, rng.choice(ASK), rng)
    if brief or rng.random() < 0.7:
        return (turn,)
    if rng.random() < 0.4:
        return (turn, Turn(rng.choice(SURE), f"Yes: {turn.answer}", "arithmetic"))
    return (turn, _next_turn(result(a, sign, b), rng))
