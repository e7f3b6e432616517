"""Whether an answer begins inside of a thought is read from what the template adds for the answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from engines.worker.tokenizer import Tokenizer
from tests.engines.tiny import make_checkpoint

TURNS = "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
SWITCH = "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"


def added(text: str) -> str:
    """Return a template that adds a text to the turns for the answer."""
    return TURNS + "{% if add_generation_prompt %}<|assistant|>" + text + "{% endif %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("opened"))


@pytest.mark.parametrize(
    ("template", "content", "tag"),
    [
        (added("<think>\n"), "Why?", "<think>"),
        (added("<think>"), "Why <think>?", "<think>"),
        (added("<think>\nOkay, "), "Why?", "<think>"),
        (added("<think>\n\n</think>\n\n"), "Why?", ""),
        (added("[THINK]"), "Why?", "[THINK]"),
        (added("<|channel|>analysis<|message|>"), "Why?", "<|channel|>analysis"),
        (added(""), "Why?", ""),
        (added("{# <think> #}"), "What is <think>", ""),
        ("{# <think> #}{{ messages[-1]['content'] }}", "Explain <think>", ""),
        ("[INST]{{ messages[-1]['content'] }}[/INST]<think>\n", "Why?", "<think>"),
        ("Think in <think> first." + added(""), "Why?", ""),
        (added(SWITCH), "Why?", ""),
    ],
)
def test_the_end_of_the_prompt_decides(folder: Path, template: str, content: str, tag: str) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    assert Tokenizer(folder).opened_thought([{"role": "user", "content": content}]) == tag
