"""Compare an engine that was converted with the model that it was converted from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engines.backends.base import Report
from engines.backends.openvino.scorer import Scorer
from engines.errors import EngineError
from engines.worker.logprob_rows import RowReader, RowWriter

FILE = "reference.npy"
TOKENS = 96
"""Of the text, which is random: more than the steps, so that the states between them are compared too."""
STEP = 7
"""No divisor of the tokens of a block."""
LIMITS = {"fp32": 1e-3, "bf16": 0.05, "int8": 1.0, "int4": 2.0, "int4-awq": 2.0}
"""Largest mean KL divergence in nats by precision. In fp32 it is 2e-6. Below fp32 they are wide: rounding the
weights of a random tiny Mixtral gives 0.1 to 0.2 in transformers as well, and how far a wrong conversion is
off was not measured."""


def reference_text(vocabulary: int) -> list[int]:
    """Return the ids of the text."""
    return [int(one) for one in np.random.default_rng(0).integers(0, vocabulary, TOKENS)]


def write_reference(model: Any, vocabulary: int, directory: Path) -> None:
    """Write the log-probabilities of a transformers model to FILE."""
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([reference_text(vocabulary)]), use_cache=False).logits[0, :-1]
    RowWriter(directory / FILE, TOKENS - 1).write(logits.float().log_softmax(-1).numpy())


def check_reference(scorer: Scorer, vocabulary: int, precision: str, directory: Path, report: Report) -> None:
    """Compare an engine with what `write_reference` wrote to its directory, and remove that.

    Raises:
        EngineError: `smoke-test`: it diverges more than the precision explains.
    """
    file = directory / FILE
    rows = RowReader(file, TOKENS - 1)
    scores = scorer.score(reference_text(vocabulary), reference=rows, step=STEP)
    file.unlink()
    divergence, limit = sum(scores.kl) / len(scores.kl), LIMITS[precision]
    result = f"KL divergence {divergence:.2g} nats from transformers over {TOKENS - 1} tokens"
    if not divergence <= limit:  # NaN fails too
        raise EngineError(
            "smoke-test",
            f"The converted engine does not compute what transformers does: {result}, limit {limit:g}.",
            "Choose PyTorch for this checkpoint.",
        )
    report.log(f"smoke test: {result}, limit {limit:g}")
