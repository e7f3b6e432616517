"""Chat templates are found in every place and form from which transformers reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.plan.checkpoint.chat_template import ChatTemplate, read_chat_template
from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.engines.plan.folders import write_checkpoint

ADDITIONAL = "additional_chat_templates"
NAMED = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
NO_DEFAULT = [NAMED[0], {"name": "rag", "template": "R"}, {"name": "chat", "template": "C"}]


def folder_with(folder: Path, **contents: object) -> Path:
    """Write files by name, `__` for the dot and `_in_` for a folder's slash; JSON where it is no text."""
    for name, content in contents.items():
        file = folder / name.replace("_in_", f"{ADDITIONAL}/").replace("__", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, None),
        ({"chat_template__jinja": "D"}, ChatTemplate("D")),
        ({"chat_template__jinja": "a\r\nb"}, ChatTemplate("a\nb")),
        ({"chat_template__json": {"chat_template": "D"}}, ChatTemplate("D")),
        ({"processor_config__json": {"chat_template": "D"}}, ChatTemplate("D")),
        ({"tokenizer_config__json": {"chat_template": "D"}}, ChatTemplate("D")),
        ({"tokenizer_config__json": {"chat_template": NAMED}}, ChatTemplate("D")),
        ({"tokenizer_config__json": {"chat_template": {"default": "D"}}}, ChatTemplate("D")),
        ({"tokenizer_config__json": {"chat_template": NAMED[:1]}}, ChatTemplate("T", "tool_use")),
        ({"tokenizer_config__json": {"chat_template": NO_DEFAULT}}, ChatTemplate("C", "chat")),
        ({"_in_default__jinja": "D"}, ChatTemplate("D")),
        ({"_in_chatml__jinja": "C", "_in_tool_use__jinja": "T"}, ChatTemplate("C", "chatml")),
        # A file of its own is newer than the setting; the tokenizer's template goes before the processor's.
        ({"chat_template__jinja": "D", "tokenizer_config__json": {"chat_template": "o"}}, ChatTemplate("D")),
        (
            {"tokenizer_config__json": {"chat_template": "D"}, "chat_template__json": {"chat_template": "p"}},
            ChatTemplate("D"),
        ),
        ({"_in_tool_use__jinja": "T", "tokenizer_config__json": {"chat_template": "D"}}, ChatTemplate("D")),
        ({"tokenizer_config__json": {"chat_template": None}}, None),
        ({"tokenizer_config__json": {"chat_template": []}}, None),
        ({"chat_template__jinja": ""}, None),
        ({"chat_template__jinja": "", "chat_template__json": {"chat_template": "D"}}, ChatTemplate("D")),
    ],
    ids=str,
)  # fmt: skip
def test_places_and_forms(tmp_path: Path, files: dict[str, object], found: ChatTemplate | None) -> None:
    folder = folder_with(write_checkpoint(tmp_path), **files)
    assert read_chat_template(folder) == found
    assert read_checkpoint(folder).has_chat_template == (found is not None)


@pytest.mark.parametrize(
    "files",
    [
        {"chat_template__jinja": "a", "_in_tool__jinja": "b"},
        {"tokenizer_config__json": {"chat_template": NAMED}},
        {"chat_template__jinja": "a", "tokenizer_config__json": {"chat_template": "b"}},
        {"_in_default__jinja": "a", "tokenizer_config__json": {"chat_template": "b"}},
        {"tokenizer_config__json": {"chat_template": {"default": "a", "rag": "b"}}},
    ],
    ids=str,
)
def test_it_is_the_one_that_transformers_takes(
    tmp_path: Path, tiny_llama: Path, files: dict[str, object]
) -> None:
    from transformers import PreTrainedTokenizerFast

    (tmp_path / "tokenizer.json").write_bytes((tiny_llama / "tokenizer.json").read_bytes())
    folder = folder_with(tmp_path, **files)
    found = read_chat_template(folder)
    assert found is not None
    assert found.text == PreTrainedTokenizerFast.from_pretrained(folder).get_chat_template()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chat_template.json", b"{"),
        ("chat_template.jinja", b"\xff\xfe{{ messages }}"),
        ("chat_template.jinja", b"a" * 1_000_001),
        ("tokenizer_config.json", b'{"chat_template": 7}'),
        ("tokenizer_config.json", b'{"chat_template": [1, 2]}'),
        ("tokenizer_config.json", b'{"chat_template": [{"name": "default"}]}'),
        ("processor_config.json", b'{"chat_template": {"default": 1}}'),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match=name) as caught:
        read_chat_template(tmp_path)
    assert caught.value.code == "broken-config"
