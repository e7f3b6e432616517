"""Build the tokenizer that the metadata of a GGUF file describe, for the library `tokenizers`.

transformers has a reader too (`gguf_file=`): it imports torch, gives GPT-2's splits to the names that it does
not know, such as SmolLM's, and believes each length in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engines.gguf.model_file import GgufModel, read_model
from engines.gguf.splits import SPLITS, WHOLE_WORDS
from engines.gguf.tokenizer_kinds import TOKENS, refuse_unknown, unusable
from engines.plan.checkpoint.chat_template import ChatTemplate, gguf_template

MERGES = "tokenizer.ggml.merges"
SCORES, TYPES = "tokenizer.ggml.scores", "tokenizer.ggml.token_type"
CONTROL, USER_DEFINED, UNUSED = 3, 4, 5
"""Values of TYPES: special tokens; tokens that are found in any text; tokens of none."""
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""How SentencePiece writes a space."""
LONGEST_MERGED = 500
"""Characters of the longest token that is merged from others: the time grows with their square."""
_NAMES = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
"""From the names in the metadata to those of transformers."""


class GgufTokenizer(NamedTuple):
    """A tokenizer, with its special tokens by name."""

    backend: Any
    """`tokenizers.Tokenizer`."""
    named: dict[str, str]
    """Texts of `bos_token`, `eos_token` and others."""
    stop_ids: frozenset[int]
    """Tokens that end an answer, as the file names them."""
    template: ChatTemplate | None


def load_tokenizer(file: Path) -> GgufTokenizer:
    """Return the tokenizer of a GGUF file.

    Raises:
        EngineError: `missing-tokenizer`: it has none, or one that is not built here; and as `read_model`.
    """
    model = read_model(file, (TOKENS, MERGES, SCORES, TYPES))
    refuse_unknown(model)
    tokens = [str(one) for one in model.items(TOKENS)]
    if len(set(tokens)) != len(tokens):
        raise unusable(model, "its vocabulary has the same token twice")
    build = _byte_level if model.text("tokenizer.ggml.model") == "gpt2" else _sentencepiece
    backend = build(model, tokens)
    _add_special(backend, model, tokens)
    ids = {title: _id(model, name, tokens) for name, title in _NAMES.items()}
    named = {title: tokens[number] for title, number in ids.items() if number is not None}
    _add_ends(backend, model, tokens)
    ends = (_id(model, name, tokens) for name in ("eos", "eot", "eom"))
    stops = frozenset(one for one in ends if one is not None)
    return GgufTokenizer(backend, named, stops, gguf_template(model))


def _byte_level(model: GgufModel, tokens: Sequence[str]) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    rule = model.text("tokenizer.ggml.pre")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = [_pair(str(one), model) for one in model.items(MERGES)]
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=rule in WHOLE_WORDS))
    splits = [pre_tokenizers.Split(Regex(one), behavior="isolated") for one in SPLITS[rule]]
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _pair(merge: str, model: GgufModel) -> tuple[str, str]:
    """Return the two tokens of a merge; a token may itself begin with a space, but only the first one."""
    first, space, second = merge[:1], *merge[1:].partition(" ")[1:]
    first += merge[1:].partition(" ")[0]
    if not space or not first or not second:
        raise unusable(model, f"{merge[:40]!a} is not a merge of two tokens")
    return first, second


def _sentencepiece(model: GgufModel, tokens: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers

    scores = [float(one) for one in model.items(SCORES) if isinstance(one, int | float)]
    if len(scores) != len(tokens):
        raise unusable(model, f"it has {len(tokens):,} tokens and {len(scores):,} scores")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    unknown = _id(model, "unknown", tokens)
    merges = [(left, right) for _, left, right in sorted(_merges(vocabulary, scores))]
    backend = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=merges,
            unk_token=None if unknown is None else tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = model.metadata.get("tokenizer.ggml.add_space_prefix", True) is True
    replace = normalizers.Replace(" ", SPACE)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), replace]) if prefix else replace
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    return backend


def _merges(vocabulary: dict[str, int], scores: Sequence[float]) -> Iterator[tuple[float, str, str]]:
    """Yield each pair of tokens that together are a token, with the rank of the merge, smallest first."""
    for token, number in vocabulary.items():
        for place in range(1, len(token) if len(token) <= LONGEST_MERGED else 1):
            left, right = token[:place], token[place:]
            if left in vocabulary and right in vocabulary:
                yield -scores[number], left, right


def _add_special(backend: Any, model: GgufModel, tokens: Sequence[str]) -> None:
    """Add the tokens that are found in a text before it is split."""
    from tokenizers import AddedToken

    kinds = model.items(TYPES)
    unknown = _id(model, "unknown", tokens)
    for number, token in enumerate(tokens):
        kind = kinds[number] if number < len(kinds) else 0
        if not token or (kind not in (CONTROL, USER_DEFINED) and number != unknown):
            continue
        special = kind != USER_DEFINED
        backend.add_tokens([AddedToken(token, normalized=False, special=special)])


def _add_ends(backend: Any, model: GgufModel, tokens: Sequence[str]) -> None:
    """Let the tokenizer add the tokens at the ends of a text that the file says."""
    from tokenizers import processors

    is_sentencepiece = model.text("tokenizer.ggml.model") == "llama"
    rule = model.text("tokenizer.ggml.pre")
    first = model.metadata.get("tokenizer.ggml.add_bos_token", is_sentencepiece or rule in WHOLE_WORDS)
    last = model.metadata.get("tokenizer.ggml.add_eos_token", False)
    bos, eos = _id(model, "bos", tokens), _id(model, "eos", tokens)
    before = [tokens[bos]] if first is True and bos is not None else []
    after = [tokens[eos]] if last is True and eos is not None else []
    if before or after:
        backend.post_processor = processors.TemplateProcessing(
            single=[*before, "$A", *after],
            special_tokens=[(one, backend.token_to_id(one)) for one in {*before, *after}],
        )


def _id(model: GgufModel, name: str, tokens: Sequence[str]) -> int | None:
    """Return the id of a special token that the metadata name; None where it is not one of the tokens."""
    value = model.metadata.get(f"tokenizer.ggml.{name}_token_id")
    return value if type(value) is int and 0 <= value < len(tokens) else None
