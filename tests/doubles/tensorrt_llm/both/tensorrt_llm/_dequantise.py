"""Dequantise the weights of a checkpoint exported by ModelOpt."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def plain_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return all weights as fp32, by the names of the unquantised model."""
    algorithm = json.loads((folder / "hf_quant_config.json").read_text())["quantization"]["quant_algo"]
    stored: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        stored |= load_file(file)
    scales = ("_scale", "_scale_2", "_scaling_factor", ".k_scale", ".v_scale")
    return {
        name: _plain(name, tensor, stored, algorithm)
        for name, tensor in stored.items()
        if not name.endswith(scales)
    }


def _plain(name: str, weight: torch.Tensor, stored: dict[str, torch.Tensor], algorithm: str) -> torch.Tensor:
    scale = stored.get(f"{name}_scale")
    if scale is None:
        return weight.float()
    scale = scale.float()
    if algorithm == "NVFP4":
        values = FP4[_nibbles(weight, low_first=True)].reshape(weight.shape[0], -1, 16)
        per_block = scale[..., None] * stored[f"{name}_scale_2"].float()
        return (values * per_block).reshape(weight.shape[0], -1)
    if algorithm.startswith("W4A"):
        return _awq(name, weight, scale, stored)
    plain = weight.float() * (scale[:, None] if scale.dim() == 1 and scale.numel() > 1 else scale)
    return plain * _smoothing(name, stored)


def _awq(
    name: str, weight: torch.Tensor, scale: torch.Tensor, stored: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Unpack 4-bit weights: two output rows per byte, one scale per group of inputs."""
    packed = weight.to(torch.uint8)
    low, high = (packed & 15).to(torch.int8), (packed >> 4).to(torch.int8)
    rows = torch.stack([low, high], dim=1).reshape(-1, packed.shape[1])
    rows = torch.where(rows > 7, rows - 16, rows).float()
    groups = rows.reshape(rows.shape[0], scale.shape[-1], -1) * scale[..., None]
    plain = groups.reshape(rows.shape)
    if (second := stored.get(f"{name}_scale_2")) is not None:
        # W4A8: the 4-bit weights are converted to FP8 for the product.
        plain = (plain / second.float()).to(torch.float8_e4m3fn).float() * second.float()
    return plain * _smoothing(name, stored)


def _smoothing(name: str, stored: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the smoothing scales, with which the inputs of the layer are multiplied."""
    found = stored.get(name.removesuffix("weight") + "pre_quant_scale")
    return torch.ones(()) if found is None else found.float()


def _nibbles(packed: torch.Tensor, *, low_first: bool) -> torch.Tensor:
    parts = [packed & 15, packed >> 4]
    return torch.stack(parts if low_first else parts[::-1], dim=-1).reshape(packed.shape[0], -1).long()
