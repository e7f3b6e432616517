"""Every field of Sampling can be written and read back, and what is wrong is said in words."""

from __future__ import annotations

import dataclasses

import pytest

from app.state.settings.sampling_fields import FIELDS, stop_lines, stop_texts
from engines.worker.protocol import Sampling

BY_NAME = {field.name: field for field in FIELDS}


def test_every_number_has_a_field() -> None:
    names = {field.name for field in dataclasses.fields(Sampling)}
    assert names - set(BY_NAME) == {"stop", "ignore_eos"}


@pytest.mark.parametrize("value", [0.0, 0.7, 1.0, 1 / 3, 1e-7])
def test_a_number_is_shown_whole_and_read_back(value: float) -> None:
    field = BY_NAME["temperature"]
    assert field.value(field.text(Sampling(temperature=value))) == value


def test_whole_numbers_are_shown_without_an_exponent() -> None:
    assert BY_NAME["seed"].text(Sampling(seed=2**62)) == str(2**62)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("temperature", "", "Temperature: write a number from 0 to 100."),
        ("temperature", "nan", "from 0 to 100"),
        ("temperature", "-1", "from 0 to 100"),
        ("top_p", "0", "Top-p: write a number above 0, up to 1."),
        ("top_p", "1.1", "to 1."),
        ("top_k", "2.5", "a whole number of at least 0."),
        ("max_tokens", "0", "of at least 1."),
        ("seed", "-1", "of at least 0."),
        ("seed", str(2**63), "a whole number"),
        ("repetition_penalty", "0", "Repetition penalty"),
    ],
)
def test_problems(name: str, text: str, words: str) -> None:
    assert BY_NAME[name].value(text) is None
    assert words in BY_NAME[name].problem(text)


@pytest.mark.parametrize("stop", [(), ("<|im_end|>",), ("\n\n", "User:"), ("a\\n", "\\", "\ttab \\\\n")])
def test_stop_texts_survive_being_edited(stop: tuple[str, ...]) -> None:
    lines = stop_lines(stop)
    assert stop_texts(lines) == stop
    assert lines.count("\n") == max(0, len(stop) - 1)


def test_empty_lines_are_no_stop_texts() -> None:
    assert stop_texts("\n\nEnd\n") == ("End",)
