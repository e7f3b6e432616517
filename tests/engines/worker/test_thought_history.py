"""Earlier thoughts are given to the chat template as it reads them: it keeps or drops them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from engines.worker.tokenizer import Tokenizer
from tests.engines.tiny import make_checkpoint

MESSAGES = (
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "So.", "reasoning_content": "Hm.\n"},
    {"role": "user", "content": "And?"},
)
EACH = "{% for message in messages %}"
KEY = EACH + "{% if message.KEY %}({{ message.KEY }}){% endif %}{{ message.content }}|{% endfor %}"
DROPS = EACH + "{{ message.content.split('</think>')[-1] | trim }}|{% endfor %}"
KEEPS = EACH + "{% if '</think>' in message.content %}!{% endif %}{{ message.content }}|{% endfor %}"
IGNORES = EACH + "{{ message.content }}|{% endfor %}{% if add_generation_prompt %}<think></think>{% endif %}"

PARTS = (
    EACH + "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for block in message.content %}{% if block['type'] == 'text' %}{{ block['text'] }}"
    "{% elif block['type'] == 'thinking' %}({{ block['thinking'] }}){% endif %}{% endfor %}"
    "{% endif %}|{% endfor %}"
)
"""As Magistral's and Ministral 3's."""
ONLY_PARTS = PARTS.replace("message.content is string", "message.role == 'user'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("history"))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (KEY.replace("KEY", "reasoning_content"), "Why?|(Hm.)So.|And?|"),
        (KEY.replace("KEY", "thinking"), "Why?|(Hm.)So.|And?|"),
        (KEY.replace("KEY", "reasoning"), "Why?|(Hm.)So.|And?|"),
        (PARTS, "Why?|(Hm.)So.|And?|"),
        (ONLY_PARTS, "Why?|(Hm.)So.|And?|"),
        (PARTS.replace("block['type']", "block.type"), "Why?|(Hm.)So.|And?|"),
        (DROPS, "Why?|So.|And?|"),
        (KEEPS, "Why?|!<think>\nHm.\n</think>\n\nSo.|And?|"),
        (IGNORES, "Why?|So.|And?|<think></think>"),
    ],
)
def test_the_template_decides(folder: Path, template: str, text: str) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    loaded = Tokenizer(folder)
    assert loaded.decode(loaded.prompt_ids(MESSAGES)) == text


@pytest.mark.parametrize(
    ("template", "tags"), [(KEEPS, 1), (DROPS, 0), (KEY.replace("KEY", "reasoning_content"), 0)]
)
def test_only_the_tags_of_a_thought_are_tokens(tmp_path: Path, template: str, tags: int) -> None:
    """They are special tokens here; those in its text, in the answer and in prompts are plain text."""
    fast = PreTrainedTokenizerFast.from_pretrained(make_checkpoint(tmp_path))
    fast.add_tokens([AddedToken(tag, special=True) for tag in ("[THINK]", "[/THINK]")])
    fast.chat_template = template.replace("</think>", "[/THINK]")
    fast.save_pretrained(tmp_path)
    tokenizer = Tokenizer(tmp_path)
    opening, closing, end = map(fast.convert_tokens_to_ids, ("[THINK]", "[/THINK]", "<|end|>"))
    said = "[THINK]<|end|> \ud83d"
    ids = tokenizer.prompt_ids(
        [
            {"role": "user", "content": said + "[/THINK]"},
            {"role": "assistant", "content": said, "reasoning_content": said},
            {"role": "user", "content": "And?"},
        ]
    )
    assert [ids.count(token) for token in (opening, closing, end)] == [tags, tags, 0]
