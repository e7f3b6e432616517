"""The importance matrix: the mean square of what each linear layer reads on the calibration text.

As llama.cpp's tool `imatrix` computes it, which the binding does not have; here transformers runs the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from engines.backends.transformers_model import read_model
from engines.build.spec import EngineSpec
from engines.plan.hardware.hardware import cpu
from engines.plan.support.floats import BF16_CPU
from engines.weights.reader import Floats


def importance_of(
    spec: EngineSpec,
    checkpoint: Path,
    rows: Sequence[Sequence[int]],
    on_row: Callable[[int], None] = lambda done: None,
) -> dict[str, Floats]:
    """Return the mean square of each input of the linear layers in the decoder, by the name of the weight.

    The model is loaded in the precision of the checkpoint, or in 32 bits where the CPU computes no bfloat16:
    PyTorch's emulation takes more than twice the time.

    Args:
        rows: token ids of texts.
        on_row: called with the number of rows that were computed.
    """
    dtype = "auto" if BF16_CPU & cpu().features else torch.float32
    model = read_model(spec, checkpoint, dtype).eval()
    sums: dict[str, Any] = {}
    hooks = [
        module.register_forward_pre_hook(_adder(sums, f"{name}.weight"))
        for name, module in model.base_model.named_modules(prefix=model.base_model_prefix)
        if isinstance(module, torch.nn.Linear)
    ]
    with torch.inference_mode():
        for done, row in enumerate(rows, 1):
            model.base_model(input_ids=torch.tensor([list(row)]), use_cache=False)
            on_row(done)
    for hook in hooks:
        hook.remove()
    tokens = sum(map(len, rows))
    return {name: (total / tokens).numpy() for name, total in sums.items()}


def _adder(sums: dict[str, Any], name: str) -> Callable[[Any, tuple[Any, ...]], None]:
    def add(module: Any, inputs: tuple[Any, ...]) -> None:
        squares = inputs[0].float().square().flatten(0, -2).sum(0)
        sums[name] = sums[name] + squares if name in sums else squares

    return add
