"""Which tokenizers of GGUF files are built here.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from engines.errors import EngineError
from engines.gguf.model_file import GgufModel
from engines.gguf.splits import SPLITS

TOKENS = "tokenizer.ggml.tokens"
KINDS = {"gpt2": "byte-level BPE", "llama": "SentencePiece"}
"""By `tokenizer.ggml.model`."""


def refuse_unknown(model: GgufModel) -> None:
    """Check that a model has a tokenizer that is built here.

    Raises:
        EngineError: `missing-tokenizer`.
    """
    kind, rule = model.text("tokenizer.ggml.model"), model.text("tokenizer.ggml.pre")
    if not kind or not model.count(TOKENS):
        raise unusable(model, "it has no tokens")
    if kind not in KINDS:
        raise unusable(model, f"it is of the kind {kind[:40]!a}; {' and '.join(KINDS.values())} are read")
    if kind == "gpt2" and rule not in SPLITS:
        raise unusable(model, f"it splits text by the rule {rule[:40]!a}, which is not known here")


def unusable(model: GgufModel, why: str) -> EngineError:
    """Return the error for a tokenizer that cannot be built."""
    return EngineError(
        "missing-tokenizer",
        f"The tokenizer of {model.file.name} cannot be used: {why}.",
        "Choose another GGUF file of the model, or its checkpoint with safetensors.",
    )
