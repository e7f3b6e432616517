"""Every tiny checkpoint loads in transformers, whole, and answers with more than one token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from tests.families import FAMILIES, WRAPPERS, make_checkpoint


@pytest.mark.parametrize("name", FAMILIES)
def test_checkpoint_is_whole(name: str, tmp_path: Path) -> None:
    """Transformers loads each tensor, and the model does not only repeat a token."""
    folder = make_checkpoint(name, tmp_path)
    kind = AutoModelForImageTextToText if name in WRAPPERS else AutoModelForCausalLM
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(info[problem] for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.arange(20, 60)[None]
    answer = model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert len(set(answer[0, 40:].tolist())) > 1
    assert max(AutoTokenizer.from_pretrained(folder).encode("Hello <|user|>")) < 4096
