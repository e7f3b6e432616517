"""The precisions: formats that weights are stored in, with their sizes.

Separate from `engines.plan.precision`, because the support tables need the names and titles.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """A storage format of weights."""

    name: str
    title: str
    description: str
    """One line that explains the format."""
    bits: float
    """Bits per weight in the decoder's matrices, scales included."""
    table_bits: float
    """Bits per weight in input embedding and head, which most quantisers store at a higher precision."""

    def weight_bytes(self, parameters: int, table_parameters: int) -> int:
        """Return the bytes of `parameters`, of which `table_parameters` are input embedding and head."""
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
            "8-bit weights and activations; calibration moves activation outliers into the weights.",
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
        # llama.cpp's own: blocks of 32 with a 16-bit scale. Its names are kept, because people know them.
        Precision(
            "q8_0",
            "Q8_0",
            "llama.cpp's 8-bit weights in blocks of 32 with a 16-bit scale; nearly lossless.",
            _scaled(8, 16, 32),
            _scaled(8, 16, 32),
        ),
        # A quarter of the weights has 6.56 bits, the others 4.5.
        Precision(
            "q4_k_m",
            "Q4_K_M",
            "llama.cpp's mixture of 4 and 6-bit weights in blocks of 256; calibrated with texts.",
            4.85,
            _scaled(6, 16 + 8 * 16, 256),
        ),
        Precision(
            "q4_0",
            "Q4_0",
            "llama.cpp's 4-bit weights in blocks of 32; embedding and head are Q8_0.",
            _scaled(4, 16, 32),
            _scaled(8, 16, 32),
        ),
    )
}
