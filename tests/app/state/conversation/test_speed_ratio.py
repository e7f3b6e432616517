"""The speed of one side divided by the other's, over the answers that may be compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.conversation.speed_ratio import speed_ratio
from app.state.conversation.turn import Turn
from app.widgets.chat.speed_comparison import speed_text
from engines.measure.timing import Timing

ENGINE = Turn("", engine="OpenVINO int8", mode="in turn", prompt_digest="a", prompt_tokens=9)
REFERENCE = replace(ENGINE, engine="PyTorch fp32")


def answers(turn: Turn, *rates: float, tokens: int = 100, **fields: object) -> list[Turn]:
    """Return one turn for each decode rate, about prompts that differ."""
    return [
        replace(
            turn,
            prompt=f"prompt {number}",
            timing=Timing(tokens=tokens, ttft=0.02, decode_rate=rate),
            **fields,  # type: ignore[arg-type]
        )
        for number, rate in enumerate(rates)
    ]


def shown(left: list[Turn], right: list[Turn], parameters: int | None = None) -> str:
    """Return the sentence."""
    ratio = speed_ratio(left, right, parameters)
    return speed_text(ratio).plain if ratio else ""


def test_the_median_and_the_range_of_all_answers() -> None:
    """As in a picture of the README: 10.1, 7.5 and 1.86 times, of which the last one was shown."""
    left, right = answers(ENGINE, 101, 75, 18.6), answers(REFERENCE, 10, 10, 10)
    ratio = speed_ratio(left, right)
    assert ratio
    assert ratio.median == pytest.approx(7.5)
    text = "OpenVINO int8 is about 7.5× as fast as PyTorch fp32 (1.9–10×, 3 answers)"
    assert shown(left, right).startswith(text)
    assert shown(right, left).startswith(text), "the reference is PyTorch on either side"


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (193.42, "is about 190× as fast as"),
        (1.91, "is about 1.9× as fast as"),
        (0.87, "is about 13 % slower than"),
        (1.003, "is as fast as"),
    ],
)
def test_two_significant_digits(rate: float, text: str) -> None:
    assert text in shown(answers(ENGINE, rate), answers(REFERENCE, 1.0))


def test_one_answer_has_no_range() -> None:
    assert "answers)" not in shown(answers(ENGINE, 3), answers(REFERENCE, 1))


def test_answers_on_a_busy_machine_are_not_counted_if_there_are_others() -> None:
    left = answers(ENGINE, 4) + answers(ENGINE, 9, 9, busy_percent=45.0)[1:]
    right = answers(REFERENCE, 2, 2)
    assert "about 2.0× as fast" in shown(left, right)
    assert "not to be quoted" not in shown(left, right)
    busy = shown(left[1:], right[1:])
    assert "about 4.5×" in busy
    assert "not to be quoted: other programs used 45 % of this machine" in busy


def test_short_answers_are_marked() -> None:
    """Such as one of 3.8 ms."""
    left = answers(ENGINE, 4964, tokens=20)
    assert "not to be quoted: answers of fewer than 64 tokens" in shown(left, answers(REFERENCE, 26))


def test_a_model_of_few_parameters_is_marked() -> None:
    left, right = answers(ENGINE, 15), answers(REFERENCE, 1)
    assert "7M parameters are so few that it mostly measures overhead" in shown(left, right, 7_000_000)
    large = shown(answers(ENGINE, 193), right, 7_000_000)
    assert "launch-bound: it waits for kernels to start, not for memory" in large
    assert "launch-bound" not in shown(answers(ENGINE, 193), right, 135_000_000)
    assert "not to be quoted" not in shown(left, right, 135_000_000)


def test_other_engines_prompts_and_modes_are_not_mixed() -> None:
    left, right = answers(ENGINE, 8, 2), answers(REFERENCE, 1, 1)
    left[0] = replace(left[0], engine="OpenVINO int4")
    ratio = speed_ratio(left, right)
    assert ratio
    assert ratio.ratios == (2.0,)
    assert speed_ratio(left, answers(replace(REFERENCE, mode="together"), 1, 1)) is None
    assert speed_ratio(left[:1], right) is None, "the last prompts differ"
    assert speed_ratio([], right) is None


def test_an_answer_without_a_rate_cannot_be_compared() -> None:
    left = [replace(answers(ENGINE, 1)[0], timing=Timing(tokens=1))]
    assert speed_ratio(left, answers(REFERENCE, 1)) is None
