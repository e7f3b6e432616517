"""transformers with the weights of a quantised engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import Linear, read_decoder
from engines.weights.quantise import int4_group, quantise_int4, quantise_int8
from engines.weights.reader import WeightReader


def dequantised_model(folder: Path, precision: str, *, embedding: bool = True) -> Any:
    """Load a checkpoint in fp32, its weights rounded to `int8` or `int4`, the head's to int8.

    Args:
        embedding: whether the embedding is rounded to int8 too. Only for models with a head of their own.
    """
    decoder, reader = read_decoder(folder), WeightReader(tensor_entries(folder))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    state = model.state_dict()
    table = [Linear(decoder.embedding, decoder.hidden, decoder.vocabulary)] if embedding else []
    for linear in (*decoder.linears, *table):
        last = linear.weight in (decoder.embedding, decoder.head.weight)
        weight = torch.tensor(_dequantised(reader, linear, "int8" if last else precision))
        with torch.no_grad():
            state[linear.weight].copy_(weight.T if linear.transposed else weight)
    return model


def _dequantised(reader: WeightReader, linear: Linear, precision: str) -> np.ndarray:
    if precision == "int8":
        int8 = quantise_int8(reader, linear)
        return int8.values.astype(np.float32) * int8.scales.astype(np.float32)
    group = int4_group(linear.inputs)
    assert group is not None
    int4 = quantise_int4(reader, linear, group)
    nibbles = np.stack([int4.packed & 15, int4.packed >> 4], 1).reshape(int4.shape).astype(np.int8)
    signed = np.where(nibbles > 7, nibbles - 16, nibbles).astype(np.float32)
    return (signed * int4.scales.astype(np.float32)).reshape(linear.outputs, linear.inputs)
