"""What a chat template lets one choose about thinking, and that the choice reaches the prompt."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from engines.worker.context_window import count_tokens, fit_prompt
from engines.worker.protocol import CountTokens, Generate, Tokenize
from engines.worker.scoring import tokenize
from engines.worker.template_arguments import OFF, ON, Thinking, variables_read
from engines.worker.tokenizer import Tokenizer
from engines.worker.tokenizer_process import TokenizerProcess
from tests.engines.tiny import make_checkpoint

MESSAGES = ({"role": "user", "content": "Why?"},)
SWITCHED = (
    "{{ messages[-1]['content'] }}{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% else %}<think>{% endif %}"
    "{{ reasoning_effort|default('') }}{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "read"),
    [
        (SWITCHED, ("enable_thinking", "reasoning_effort")),
        (
            "{% if not thinking is defined %}{% set thinking = false %}{% endif %}{{ thinking }}",
            ("thinking",),
        ),
        ("{% generation %}{{ thinking_budget }}{% endgeneration %}", ("thinking_budget",)),
        ("Begin by thinking. {{ message.thinking }}{{ message['reasoning_effort'] }}", ()),
        ("{% set ns = namespace(enable_thinking=true) %}{{ ns.enable_thinking }}", ()),
        ("{% if thinking", ()),
        ("", ()),
    ],
)
def test_the_variables_that_a_template_reads(template: str, read: tuple[str, ...]) -> None:
    assert variables_read(template) == read


def test_only_what_was_chosen_and_is_read_is_passed() -> None:
    everything = Thinking(OFF, "high", 512)
    assert everything.arguments(("thinking", "reasoning_effort")) == {
        "thinking": False,
        "reasoning_effort": "high",
    }
    assert everything.arguments(()) == Thinking().arguments(("enable_thinking", "thinking_budget")) == {}
    assert everything.within(("enable_thinking",)) == Thinking(OFF)
    assert Thinking("perhaps", "extreme").arguments(("thinking", "reasoning_effort")) == {}
    assert everything.words == "thinking off, effort high, budget 512"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_checkpoint(tmp_path_factory.mktemp("switched"))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.chat_template = SWITCHED
    tokenizer.save_pretrained(folder)
    return folder


def test_the_choice_is_in_the_prompt_and_in_its_count(folder: Path) -> None:
    tokenizer = TokenizerProcess(folder)
    try:
        assert tokenizer.template_variables == ("enable_thinking", "reasoning_effort")
        lengths = {}
        for switch in ("", ON, OFF):
            arguments = Thinking(switch, "low").arguments(tokenizer.template_variables)
            command = Generate(1, MESSAGES, trim=True, template_arguments=arguments)
            prompt = fit_prompt(command, tokenizer, 2048).token_ids
            counted = count_tokens(CountTokens(1, MESSAGES, (), arguments), tokenizer.counting, 2048)
            asked = Tokenize(1, str(folder), messages=MESSAGES, template_arguments=arguments)
            assert counted.tokens == len(prompt)
            assert tokenize(asked, tokenizer).token_ids == tuple(prompt)
            assert tokenizer.decode(prompt).endswith("low")
            lengths[switch] = len(prompt)
            assert bool(tokenizer.opened_thought(MESSAGES, arguments)) is (switch != OFF)
        assert lengths[""] == lengths[ON] < lengths[OFF]
    finally:
        tokenizer.close()


def test_variables_that_the_template_does_not_read_are_left_out(folder: Path) -> None:
    tokenizer = Tokenizer(folder)
    hostile = {"tokenize": True, "chat_template": "x", "add_generation_prompt": False}
    assert tokenizer.prompt_ids(MESSAGES, hostile) == tokenizer.prompt_ids(MESSAGES)
