"""The precisions: how weights are stored, and which of them a backend runs on a device."""

from __future__ import annotations

from dataclasses import dataclass

from engines.plan.hardware.hardware import Device
from engines.plan.support import DEFAULTS, NEEDS, RULES, Rule, State, Support

__all__ = [
    "PRECISIONS",
    "Precision",
    "State",
    "Support",
    "default_precision",
    "rule",
    "support",
    "support_table",
]


@dataclass(frozen=True)
class Precision:
    """How weights are stored."""

    name: str
    title: str
    description: str
    """One line for somebody who has not met the name."""
    bits: float
    """Bits of a weight in the decoder's matrices, its share of the scales included."""
    table_bits: float
    """Bits of a weight in the input embedding and the head, which most quantisers treat with more care."""

    def weight_bytes(self, parameters: int, table_parameters: int) -> int:
        """Bytes of `parameters`, of which `table_parameters` are input embedding and head."""
        return round(((parameters - table_parameters) * self.bits + table_parameters * self.table_bits) / 8)


def _scaled(bits: float, scale_bits: float, group: int) -> float:
    return bits + scale_bits / group


PRECISIONS: dict[str, Precision] = {
    one.name: one
    for one in (
        Precision("fp32", "FP32", "32-bit floats: the reference; largest and slowest.", 32, 32),
        Precision("bf16", "BF16", "16-bit brain floats: FP32's range with 8 bits of precision.", 16, 16),
        Precision("fp16", "FP16", "16-bit floats: finer than BF16, but large values overflow.", 16, 16),
        Precision(
            "fp8", "FP8", "8-bit floats (E4M3) for weights and activations; the head stays 16-bit.", 8, 16
        ),
        # One 16-bit scale for each output channel: 0.02 bits at 768 inputs, less in larger models.
        Precision(
            "int8",
            "INT8",
            "8-bit weights, one scale for each output channel; nearly lossless.",
            _scaled(8, 16, 768),
            _scaled(8, 16, 768),
        ),
        Precision(
            "int8-sq",
            "INT8 SmoothQuant",
            "8-bit weights and activations; outliers are moved into the weights by calibration.",
            8,
            16,
        ),
        Precision(
            "int4",
            "INT4",
            "4-bit weights in groups of 64 with a 16-bit scale; embedding and head stay 8-bit.",
            _scaled(4, 16, 64),
            _scaled(8, 16, 768),
        ),
        # A 16-bit scale and a 4-bit zero point for each group of 128.
        Precision(
            "int4-awq",
            "INT4 AWQ",
            "4-bit weights; calibration protects the channels that matter most (AWQ).",
            _scaled(4, 16 + 4, 128),
            16,
        ),
        Precision(
            "w4a8-awq",
            "INT4 AWQ + FP8",
            "4-bit AWQ weights multiplied with FP8 activations: twice INT4 AWQ's arithmetic.",
            _scaled(4, 16 + 4, 128),
            16,
        ),
        # An FP8 scale for each block of 16.
        Precision("nvfp4", "NVFP4", "4-bit floats in blocks of 16 with an FP8 scale.", _scaled(4, 8, 16), 16),
    )
}


def rule(backend: str, precision: str, device: Device) -> Rule | None:
    """The row of the table that decides; None for a pair that has no row."""
    return next((row for row in RULES if row.fits(backend, precision, device)), None)


def support(backend: str, precision: str, device: Device) -> Support:
    """What the table says, and whether what it takes is installed.

    A pair that has no row is unavailable, never an error.
    """
    row = rule(backend, precision, device)
    if row is None:
        return Support("unavailable", f"Nothing is known of {precision} with {backend} on {device.name}.")
    if row.support.state != "unavailable":
        for need in filter(None, (NEEDS.get((backend, "*")), NEEDS.get((backend, precision)))):
            if need.missing:
                return Support("unavailable", need.missing, need.remedy)
    return row.support


def support_table(backend: str, device: Device) -> dict[str, Support]:
    """`support` for every precision, in the order of PRECISIONS."""
    return {precision: support(backend, precision, device) for precision in PRECISIONS}


def default_precision(backend: str, device: Device) -> str:
    """The precision to begin with: the first native one of DEFAULTS, else the first that runs at all."""
    table = support_table(backend, device)
    chosen = [name for one, kind, name in DEFAULTS if (one, kind) == (backend, device.kind)]
    native = [name for name in chosen if table[name].state == "native"]
    running = [name for name, found in table.items() if found.state != "unavailable"]
    return (native + running + ["fp32"])[0]
