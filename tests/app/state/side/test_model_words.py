"""Which model the title names, and which answers say that another one gave them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state.conversation.turn import Turn
from app.state.settings.settings import TimingMode
from app.state.side.model_words import model_words, origin_words
from app.state.side.side import Side
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT

TURN = Turn("Hi", "Hello.", engine="OpenVINO int8", checkpoint="demo", mode="in turn")


def side(name: str, checkpoint: str = "") -> Side:
    """Return a side whose engine is being prepared, or one without an engine."""
    made = Side(name)
    if checkpoint:
        made.spec = EngineSpec(checkpoint, "openvino", "int8")
    return made


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ("", "", ""),
        (str(CHECKPOINT), "", "demo"),
        (str(CHECKPOINT), str(CHECKPOINT), "demo"),
        ("/models/SmolLM2-135M-Instruct", "/models/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct"),
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
        (f"/c/models--org--name/snapshots/{'a' * 40}", "", "org/name"),
        (str(CHECKPOINT), "Qwen/Qwen3-0.6B", "left demo, right Qwen/Qwen3-0.6B"),
    ],
)
def test_the_title_names_the_model_of_both_sides(left: str, right: str, words: str) -> None:
    assert model_words((side("left", left), side("right", right))) == words


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (TURN, ()),
        (replace(TURN, checkpoint="Qwen/Qwen3-0.6B"), ("by Qwen/Qwen3-0.6B",)),
        (replace(TURN, engine="PyTorch fp32"), ("by PyTorch fp32",)),
        (replace(TURN, checkpoint="a\x1b", engine="PyTorch fp32"), ("by a� PyTorch fp32",)),
        (replace(TURN, mode="together"), ("together",)),
        (replace(TURN, checkpoint="b", mode="together"), ("by b", "together")),
        (replace(TURN, checkpoint=""), ()),  # of an earlier version, which did not save it
        (replace(TURN, answer="", checkpoint="b"), ()),
    ],
)
def test_an_answer_says_what_the_title_does_not(turn: Turn, words: tuple[str, ...]) -> None:
    assert origin_words(turn, side("left", str(CHECKPOINT)), TimingMode.IN_TURN) == words


def test_without_an_engine_every_answer_says_who_gave_it() -> None:
    assert origin_words(TURN, side("left"), TimingMode.IN_TURN) == ("by demo OpenVINO int8",)
