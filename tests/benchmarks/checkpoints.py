"""Create a Llama checkpoint with random weights: `python -m tests.benchmarks.checkpoints FOLDER SHAPE`.

Speed does not depend on the values of the weights. It runs in a separate process, so that PyTorch's memory is
freed before anything is measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHAPES: dict[str, dict[str, int]] = {
    "llama-160m": {
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 4,
        "vocab_size": 32_000,
    },
    "llama-tiny": {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 4_096,
    },
}
SPECIAL_TOKENS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CORPUS_BYTES = 6_000_000


def main() -> None:
    """Create one checkpoint and print its number of parameters."""
    folder, shape = Path(sys.argv[1]), SHAPES[sys.argv[2]]
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    torch.manual_seed(0)
    config = LlamaConfig(
        **shape, max_position_embeddings=8192, bos_token_id=None, eos_token_id=0, pad_token_id=0
    )
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    _save_tokenizer(folder, shape["vocab_size"])
    print(sum(parameter.numel() for parameter in model.parameters()))


def _save_tokenizer(folder: Path, vocabulary: int) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_corpus(CORPUS_BYTES if vocabulary > 10_000 else CORPUS_BYTES // 10), trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>", chat_template=CHAT_TEMPLATE
    ).save_pretrained(folder)


def _corpus(limit: int) -> Iterator[str]:
    """Yield the double's Markdown, for tokens of realistic length, and source of the standard library."""
    from tests.doubles.paced_worker import MARKDOWN

    yield from [MARKDOWN] * 20
    taken = 0
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        text = path.read_text("utf-8", errors="replace")
        yield text
        taken += len(text)
        if taken > limit:
            return


if __name__ == "__main__":
    main()
