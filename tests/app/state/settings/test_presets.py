"""Presets: which one a side follows, what choosing one leaves alone, and names."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.state.settings.presets import (
    PRESETS,
    all_presets,
    applied,
    deleted,
    name_problem,
    preset_of,
    renamed,
    sampling_words,
    saved,
)
from app.state.settings.settings import SEEDS, ChatOptions, Settings
from engines.worker.checks import sampling_problem
from engines.worker.protocol import Sampling

WARM = ChatOptions("Be a pirate.", Sampling(temperature=0.8))
MINE = Settings(presets={"Pirate": WARM})


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_of_ours_can_be_sampled_and_is_recognised(name: str) -> None:
    assert not sampling_problem(PRESETS[name].sampling)
    assert preset_of(PRESETS[name], Settings()) == name


def test_a_preset_without_a_system_prompt_leaves_it() -> None:
    options = applied(PRESETS["Creative"], WARM)
    assert options.system_prompt == "Be a pirate."
    assert options.sampling == PRESETS["Creative"].sampling
    assert preset_of(options, Settings()) == "Creative"


def test_the_preset_that_says_more_is_named() -> None:
    assert preset_of(WARM, MINE) == "Pirate"
    assert preset_of(replace(WARM, system_prompt="Be short."), MINE) == ""
    mine = Settings(presets={"As it comes": ChatOptions()})
    assert preset_of(ChatOptions(), mine) == "As it comes"


def test_names() -> None:
    assert name_problem("", MINE)
    assert name_problem("greedy", MINE)
    assert name_problem("PIRATE", MINE)
    assert name_problem("x" * 41, MINE)
    assert name_problem("a\x1b[31m", MINE)
    assert not name_problem("PIRATE", MINE, before="Pirate")
    assert not name_problem("Corsair", MINE)


def test_saving_renaming_deleting() -> None:
    two = replace(MINE, presets=saved(MINE, "Other", ChatOptions()))
    assert list(renamed(two, "Pirate", "Corsair")) == ["Corsair", "Other"]
    assert deleted(two, "Pirate") == {"Other": ChatOptions()}
    assert list(all_presets(two))[-2:] == ["Pirate", "Other"]


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        (ChatOptions(), ChatOptions(), ""),
        (WARM, WARM, "Pirate"),
        (ChatOptions(), WARM, "left Greedy, right Pirate"),
        (ChatOptions("Hi"), ChatOptions("Hi"), "Greedy + system prompt"),
        (
            ChatOptions(sampling=Sampling(temperature=0.3)),
            ChatOptions(sampling=Sampling(seed=1)),
            "left temperature 0.3, right greedy",
        ),
    ],
)
def test_words_for_the_header(left: ChatOptions, right: ChatOptions, words: str) -> None:
    assert sampling_words(replace(MINE, left_chat=left, right_chat=right)) == words


def test_another_version_has_another_seed_that_every_library_takes() -> None:
    assert WARM.for_attempt(0) == WARM.sampling
    assert WARM.for_attempt(2).seed == 2
    assert ChatOptions(sampling=Sampling(seed=SEEDS - 1)).for_attempt(1).seed == 0
