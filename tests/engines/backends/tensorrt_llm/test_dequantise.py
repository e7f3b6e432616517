"""The double's dequantisation of the formats that ModelOpt calibrates only on a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.benchmarks.modelopt import plain_weights

NAME = "layer.weight"


def exported(folder: Path, algorithm: str, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """Write the tensors as ModelOpt does, and return the dequantised weight."""
    (folder / "hf_quant_config.json").write_text(json.dumps({"quantization": {"quant_algo": algorithm}}))
    save_file(tensors, folder / "model.safetensors")
    plain: torch.Tensor = plain_weights(folder)[NAME]
    return plain


def test_four_bit_weights_with_fp8_products(tmp_path: Path) -> None:
    """The second scale only rounds the dequantised weight to FP8; it does not scale it."""
    from modelopt.torch.export.quant_utils import pack_int4_in_uint8  # 12 s of imports, not for every runner

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
    rounding = 1 / 16  # half a step of E4M3's three fraction bits
    assert ((found - weight).abs() <= step / 2 + weight.abs() * rounding + step * rounding).all()


def test_blocks_of_sixteen(tmp_path: Path) -> None:
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    torch.manual_seed(0)
    weight = torch.randn(16, 64)
    packed, scale, second = NVFP4QTensor.quantize(weight, 16)
    # The library has no public name for the bytes that its export writes.
    tensors = {NAME: packed._quantized_data, f"{NAME}_scale": scale, f"{NAME}_scale_2": second}
    found = exported(tmp_path, "NVFP4", tensors)
    largest = weight.unflatten(1, (-1, 16)).abs().amax(-1).repeat_interleave(16, 1)
    # The widest step of E2M1 is from 4 to 6, and 6 is the largest value; the scale is rounded to FP8.
    assert ((found - weight).abs() <= largest / 6 * (1 + 1 / 16)).all()
