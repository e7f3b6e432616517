"""Tests of the prompts that an empty chat suggests."""

from __future__ import annotations

import pytest

from app.state.conversation.suggested_prompts import suggested_prompts


@pytest.mark.parametrize("checkpoint", ["demo", "SmolLM2-135M-Instruct", "Qwen/Qwen3-0.6B", ""])
def test_every_checkpoint_has_a_few_different_prompts_of_one_line(checkpoint: str) -> None:
    prompts = suggested_prompts(checkpoint)
    assert 3 <= len(prompts) <= 4
    assert len(set(prompts)) == len(prompts)
    assert all(prompt == prompt.strip() and "\n" not in prompt and prompt for prompt in prompts)


def test_the_demo_is_asked_about_what_it_was_trained_on() -> None:
    about = " ".join(suggested_prompts("demo"))
    assert "app" in about
    assert "KV cache" in about
    assert "int8" in about
    assert not set(suggested_prompts("demo")) & set(suggested_prompts("another"))
