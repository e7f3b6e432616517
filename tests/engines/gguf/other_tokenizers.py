"""Tokenizers for tiny GGUF files that show each difference in how text is split."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import gguf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CONTROL, USER_DEFINED = "<|end|>", "<think>"
TEXTS = (
    "Hello world, how are you today?",
    "  two  spaces,\tand a tab",
    "123456789 and 3.14159, 2026-11-27",
    "don't WON'T I'll YOU'RE they've",
    "\n\nnew\r\n\tlines \n",
    "naïve café 日本語のテスト 한국어 русский",
    "def f(x):\n    return x**2  # ok\n",
    "$$$ !!! ... ??? <=> `a` ~~ ^_^",
    "😀 emoji 👩‍👩‍👧 ",
    "a" * 50,
    "HTTPServerError camelCaseWord snake_case",
    "x/y//z \\ \\n {}[]()",
    "١٢٣ ४५६ ½ ² 1,000",
    "e\u0301 combining a\u0308",
    "\u00a0nbsp\u200bzero\u3000wide",
    "trailing spaces   ",
    "   ",
    "A.B.C. (d) [e] {f}",
    "user@example.com https://a.b/c?d=e&f=1",
    "一二三 1一2 ひらがな カタカナ",
    "ﬁ ligature Ω≈ç√ ±",
    "it's 'quoted' \"x\"",
    "before<|end|>between <think> thoughts </think>after",
    "one\n\n\n\ntwo \n three",
)


def add_rule(rule: str) -> Callable[[gguf.GGUFWriter], int]:
    """Return what adds a byte-level tokenizer that splits by `rule`.

    Its merges were trained without any split, so that they join whatever the rule leaves together.
    """

    def add(writer: gguf.GGUFWriter) -> int:
        saved = _trained_without_splits()
        return _add(writer, saved, rule)

    return add


def _add(writer: gguf.GGUFWriter, saved: Any, rule: str) -> int:
    vocabulary = saved.get_vocab()
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    writer.add_tokenizer_model("gpt2")
    if rule:
        writer.add_tokenizer_pre(rule)
    writer.add_token_list([*tokens, CONTROL, USER_DEFINED])
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    writer.add_token_types([*kinds, gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED])
    merges = json.loads(saved.to_str())["model"]["merges"]
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    writer.add_bos_token_id(len(tokens))
    writer.add_eos_token_id(len(tokens))
    return len(tokens) + 2


@cache
def _trained_without_splits() -> Any:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces = [text[start : start + 4] for text in TEXTS for start in range(len(text))]
    bpe.train_from_iterator(pieces * 2, trainer)
    return bpe


def add_sentencepiece(*, prefix: bool) -> Callable[[gguf.GGUFWriter], int]:
    """Return what adds a tokenizer as Llama 2 has it: tokens with scores, and one for each byte.

    Args:
        prefix: whether a space is put in front of a text.
    """

    def add(writer: gguf.GGUFWriter) -> int:
        learned = _sentencepiece_tokens()
        kinds = gguf.TokenType
        special = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
        byte_tokens = [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
        rest = [(token, kinds.NORMAL) for token in learned]
        own = [(CONTROL, kinds.CONTROL), (USER_DEFINED, kinds.USER_DEFINED)]
        tokens = [*special, *byte_tokens, *rest, *own]
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([token for token, _ in tokens])
        writer.add_token_types([kind for _, kind in tokens])
        first = len(special) + len(byte_tokens)
        writer.add_token_scores([0.0] * first + [-float(rank) for rank in range(len(learned) + len(own))])
        writer.add_unk_token_id(0)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_add_space_prefix(prefix)
        return len(tokens)

    return add


@cache
def _sentencepiece_tokens() -> list[str]:
    bpe = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=600, min_frequency=1, show_progress=False)
    texts = [f"\u2581{text}".replace(" ", "\u2581") for text in TEXTS[:6]]
    bpe.train_from_iterator([text[at : at + 5] for text in texts for at in range(len(text))] * 2, trainer)
    saved = json.loads(bpe.to_str())["model"]
    merged = ["".join(one) if isinstance(one, list) else one.replace(" ", "") for one in saved["merges"]]
    letters = [token for token in saved["vocab"] if len(token) == 1]
    return list(dict.fromkeys([*merged, *letters]))
