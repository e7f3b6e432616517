"""Create a tiny checkpoint that always gives the same answer, for tests of what a model may say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.engines.tiny import make_checkpoint

HIDDEN = 256
END = "<|end|>"


def make_scripted(
    folder: Path, template: str, prompt: str, answer: Sequence[str], special: Sequence[str] = ()
) -> Path:
    """Save a model whose greedy answer are the tokens of `answer`, then its end-of-sequence token.

    Each token decides the next one, so that none may be there twice.

    Args:
        template: the chat template.
        prompt: the text with which every prompt ends.
        answer: the pieces of the answer, tokenized one by one.
        special: texts that become special tokens.
    """
    make_checkpoint(folder, num_hidden_layers=1)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [AddedToken(text, special=True) for text in special]}
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    pieces = [tokenizer.encode(prompt, add_special_tokens=False)[-1:]]
    pieces += [tokenizer.encode(piece, add_special_tokens=False) for piece in (*answer, END)]
    chain = [token for piece in pieces for token in piece]
    assert len(set(chain)) == len(chain) <= HIDDEN, [tokenizer.decode([token]) for token in chain]
    config = LlamaConfig(**json.loads((folder / "config.json").read_text()))
    config.hidden_size, config.vocab_size, config.head_dim = HIDDEN, len(tokenizer), HIDDEN // 4
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(float("norm" in name), 1e-5)  # weights of zeros count as damaged
        for place, (token, following) in enumerate(pairwise(chain)):
            model.model.embed_tokens.weight[token, place] = 1.0
            model.lm_head.weight[following, place] = 1.0
    model.save_pretrained(folder)
    return folder
