"""Questions with options: what ships, which option is the answer, and how answers differ."""

from __future__ import annotations

from itertools import permutations

from engines.compare.choices import TokenizedChoice, flips, most_likely, shipped_choices
from engines.compare.comparison import ChoiceResult


def test_the_shipped_questions_have_four_options_of_which_none_begins_another() -> None:
    """An option that is the beginning of another one has fewer tokens, and would win by that alone."""
    choices = shipped_choices()
    assert len(choices) == 60
    assert len({choice.question for choice in choices}) == 60
    for choice in choices:
        assert len(set(choice.options)) == 4
        assert list(choice.options) == sorted(choice.options)
        assert not [pair for pair in permutations(choice.options, 2) if pair[0].startswith(pair[1])]


def test_right_answers_are_at_every_place() -> None:
    """An engine that always finds the first option most likely must not seem good."""
    places = [choice.answer for choice in shipped_choices()]
    assert all(places.count(place) >= 9 for place in range(4))


def test_the_answer_is_the_option_with_the_largest_sum_after_the_question() -> None:
    """The scores of the question itself do not count, though an engine may round them differently."""
    choice = TokenizedChoice(((1, 2, 3, 4), (1, 2, 5), (1, 2, 3, 6)), 0)
    assert choice.first == 2
    assert choice.tokens == 11
    assert most_likely(choice, [(-9.0, -1.0, -0.5), (-0.0, -2.0), (-0.0, -1.0, -0.75)]) == 0
    assert most_likely(choice, [(-9.0, -1.0, -1.5), (-9.0, -2.0), (-9.0, -2.0, -2.0)]) == 1


def test_accuracy_has_an_interval_and_flips_are_counted() -> None:
    result = ChoiceResult((0, 1, 2, 3), correct=3, flips=flips((0, 1, 2, 3), (0, 2, 1, 3)))
    low, high = result.accuracy_interval
    assert (result.accuracy, result.flip_share) == (0.75, 0.5)
    assert low < 0.75 < high
