"""What the double takes an exported checkpoint for: the formats that ModelOpt calibrates on a GPU only."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from modelopt.torch.export.quant_utils import pack_int4_in_uint8
from modelopt.torch.quantization.qtensor import NVFP4QTensor
from safetensors.torch import save_file

from tests.benchmarks.modelopt import plain_weights

NAME = "layer.weight"


def exported(folder: Path, algorithm: str, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """Write them as ModelOpt does, and read the weight back."""
    (folder / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": algorithm}}))
    save_file(tensors, folder / "model.safetensors")
    plain: torch.Tensor = plain_weights(folder)[NAME]
    return plain


def test_four_bits_that_are_multiplied_in_fp8(tmp_path: Path) -> None:
    """The second scale rounds what the first one makes, and is no factor of it."""
    torch.manual_seed(0)
    weight = torch.randn(16, 256)
    scale = weight.unflatten(1, (-1, 128)).abs().amax(-1) / 7
    tensors = {
        NAME: pack_int4_in_uint8(weight, scale, 128),
        f"{NAME}_scale": scale,
        f"{NAME}_scale_2": weight.abs().max() / 448,
    }
    found = exported(tmp_path, "W4A8_AWQ", tensors)
    step = scale.repeat_interleave(128, 1)
    rounding = 1 / 16  # half of what the three bits of E4M3's fraction tell apart
    assert ((found - weight).abs() <= step / 2 + weight.abs() * rounding + step * rounding).all()


def test_blocks_of_sixteen(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weight = torch.randn(16, 64)
    packed, scale, second = NVFP4QTensor.quantize(weight, 16)
    tensors = {NAME: packed._quantized_data, f"{NAME}_scale": scale, f"{NAME}_scale_2": second}
    found = exported(tmp_path, "NVFP4", tensors)
    largest = weight.unflatten(1, (-1, 16)).abs().amax(-1).repeat_interleave(16, 1)
    # The widest step of E2M1 is from 4 to 6, of a block whose largest is 6; its scale is rounded to FP8.
    assert ((found - weight).abs() <= largest / 6 * (1 + 1 / 16)).all()
