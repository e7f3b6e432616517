"""Hostile tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

from typing import Any

from tests.faults.hostile_case import Case, content, delete, edit, remove, update

TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"
BACKTRACKING = r"(?:[\s\S]+)+[^\s\S]"
"""Takes time exponential in the length of the text."""


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


def _part(name: str, value: object) -> Case:
    return edit(TOKENIZER, lambda found: found.__setitem__(name, value))


def _regex(pattern: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": "x"}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _replace(old: str, new: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def _all(kind: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "Sequence", kind: parts}


def _doubling(letter: str = "e", times: int = 60) -> dict[str, Any]:
    return _all("normalizers", [_replace(letter, letter * 2)] * times)


def _vocabulary(change: Any) -> Case:
    return edit(TOKENIZER, lambda found: change(found["model"]["vocab"]))


def _shifted(vocabulary: dict[str, int]) -> None:
    for token in vocabulary:
        vocabulary[token] += 1_000_000


def _long_tokens(vocabulary: dict[str, int]) -> None:
    for token, number in list(vocabulary.items())[300:]:
        del vocabulary[token]
        vocabulary["x" * 100_000 + token] = number


def _holes(vocabulary: dict[str, int]) -> None:
    for token in list(vocabulary)[::2]:
        del vocabulary[token]


def _added(**fields: object) -> Case:
    token = {
        "id": 383, "content": "e", "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False, "special": True,
    }  # fmt: skip
    return edit(TOKENIZER, lambda found: found["added_tokens"].append(token | fields))


TOKENIZERS: dict[str, Case] = {
    "missing": delete(TOKENIZER, SETTINGS),
    "empty": content(TOKENIZER, ""),
    "empty object": content(TOKENIZER, "{}"),
    "not json": content(TOKENIZER, "{"),
    "binary": content(TOKENIZER, bytes(range(256)) * 100),
    "deeply nested": content(TOKENIZER, "[" * 500_000),
    "40 MB of arrays": content(TOKENIZER, b"[" + b"[]," * 13_000_000 + b"[]]"),
    "101 MB": content(TOKENIZER, b" " * 101_000_000),
    "normalizer: catastrophic regex": _part("normalizer", _regex(BACKTRACKING)),
    "normalizer: nested quantifiers": _part("normalizer", _regex(r"((.+)*)*[^\s\S]")),
    "normalizer: look-behind": _part("normalizer", _regex(r"(?<=a{1,1000})b")),
    "normalizer: enormous repeat": _part("normalizer", _regex(r"(a{1,65535}){1,65535}")),
    "normalizer: broken regex": _part("normalizer", _regex("(")),
    "normalizer: recursion": _part("normalizer", _regex(r"(?<x>a\g<x>?b)*$")),
    "normalizer: empty regex": _part("normalizer", _regex("")),
    "normalizer: doubles sixty times": _part("normalizer", _doubling()),
    "normalizer: doubles twenty times": _part("normalizer", _doubling(times=20)),
    "normalizer: four megabytes for a letter": _part("normalizer", _replace("e", "x" * 4_000_000)),
    "normalizer: replaces nothing": _part("normalizer", _replace("", "xx")),
    "normalizer: prepends a megabyte": _part("normalizer", {"type": "Prepend", "prepend": "x" * 1_000_000}),
    "normalizer: 100,000 parts": _part("normalizer", _all("normalizers", [{"type": "NFKC"}] * 100_000)),
    "normalizer: unknown": _part("normalizer", {"type": "Nosuch"}),
    "normalizer: a number": _part("normalizer", 7),
    "normalizer: broken charsmap": _part(
        "normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    ),
    "normalizer: random charsmap": _part(
        "normalizer", {"type": "Precompiled", "precompiled_charsmap": "/////w8AAAAAAQAC////fw=="}
    ),
    "normalizer: empties the text": _part("normalizer", _regex("[\\s\\S]")),
    "pre-tokenizer: catastrophic regex": _part("pre_tokenizer", _split(BACKTRACKING)),
    "pre-tokenizer: nested quantifiers": _part("pre_tokenizer", _split(r"((.+)*)*[^\s\S]")),
    "pre-tokenizer: broken regex": _part("pre_tokenizer", _split("[")),
    "pre-tokenizer: empty regex": _part("pre_tokenizer", _split("")),
    "pre-tokenizer: unknown": _part("pre_tokenizer", {"type": "Nosuch"}),
    "pre-tokenizer: none": _part("pre_tokenizer", None),
    "pre-tokenizer: removes everything": _part(
        "pre_tokenizer",
        {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Removed", "invert": False},
    ),
    "decoder: catastrophic regex": _part("decoder", _regex(r"([^\x00]+)+\x00")),
    "decoder: doubles sixty times": _part(
        "decoder", _all("decoders", [BYTE_LEVEL, *[_replace("e", "ee")] * 60])
    ),
    "decoder: a megabyte for a letter": _part("decoder", _regex("[\\s\\S]") | {"content": "x" * 1_000_000}),
    "decoder: empties the text": _part("decoder", _regex("[\\s\\S]*") | {"content": ""}),
    "decoder: broken regex": _part("decoder", _regex("(")),
    "decoder: none": _part("decoder", None),
    "decoder: unknown": _part("decoder", {"type": "Nosuch"}),
    "post-processor: template of 100,000 tokens": _part(
        "post_processor",
        {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}] * 100_000,
            "pair": [],
            "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [0] * 100, "tokens": ["<|end|>"] * 100}},
        },
    ),
    "post-processor: unknown": _part("post_processor", {"type": "Nosuch"}),
    "truncation to one token": _part(
        "truncation", {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    ),
    "truncation with a stride that is too long": _part(
        "truncation", {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 99}
    ),
    "padding to a billion": _part(
        "padding",
        {
            "strategy": {"Fixed": 1_000_000_000},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "<|end|>",
        },
    ),
    "vocabulary beyond the model's": _vocabulary(_shifted),
    "vocabulary of long tokens": _vocabulary(_long_tokens),
    "vocabulary with holes": _vocabulary(_holes),
    "vocabulary is empty": _vocabulary(lambda found: found.clear()),
    "vocabulary with negative ids": _vocabulary(lambda found: found.update({"zz": -5})),
    "vocabulary with ids beyond 32 bits": _vocabulary(lambda found: found.update({"zz": 2**40})),
    "merges of nothing": edit(TOKENIZER, lambda found: found["model"].update(merges=[["qq", "qq"]] * 10)),
    "merges are numbers": edit(TOKENIZER, lambda found: found["model"].update(merges=[1, 2])),
    "model of another kind": edit(TOKENIZER, lambda found: found["model"].update(type="Unigram")),
    "model unknown": edit(TOKENIZER, lambda found: found["model"].update(type="Nosuch")),
    "unigram with NaN": _part(
        "model", {"type": "Unigram", "unk_id": 0, "vocab": [["a", -1e308], ["b", 1e308]]}
    ),
    "unknown token missing": edit(TOKENIZER, lambda found: found["model"].update(unk_token="<nosuch>")),
    "added token is a letter": _added(),
    "added token is empty": _added(content=""),
    "added token beyond the vocabulary": _added(id=2**31),
    "added token strips everything": _added(content=" ", lstrip=True, rstrip=True),
    "100,000 added tokens": edit(
        TOKENIZER,
        lambda found: found.update(
            added_tokens=[
                found["added_tokens"][0] | {"id": 383 + number, "content": f"<{number}>"}
                for number in range(100_000)
            ]
        ),
    ),
    "settings: not json": content(SETTINGS, "{"),
    "settings: a list": content(SETTINGS, "[]"),
    "settings: class unknown": update(SETTINGS, tokenizer_class="NosuchTokenizer"),
    "settings: class is code": update(SETTINGS, auto_map={"AutoTokenizer": ["x.Y", None]}),
    "settings: tokens are objects": update(SETTINGS, eos_token={"content": 7}, bos_token=[1]),
    "settings: eos is text": update(SETTINGS, eos_token="e"),
    "settings: model_max_length": update(SETTINGS, model_max_length=-1),
    "settings: added tokens are a list": update(SETTINGS, added_tokens_decoder=[1, 2]),
    "settings: added tokens with words as ids": update(
        SETTINGS, added_tokens_decoder={"x": {"content": "y"}}
    ),
    "settings: 9 MB of arrays": content(SETTINGS, b'{"a":[' + b"[]," * 3_000_000 + b"[]]}"),
    "settings: no eos": remove(SETTINGS, "eos_token", "pad_token"),
    "special tokens map is broken": content("special_tokens_map.json", "{"),
    "added_tokens.json is broken": content("added_tokens.json", '{"a": "b"}'),
}
