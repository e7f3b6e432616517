"""Check one family on backends, in a process of its own: a library that crashes ends only this one.

python -m tests.coverage.family NAME BACKEND ...    prints one JSON object
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from engines.backends.base import Backend
from engines.backends.registry import BACKENDS, backend_class
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.loadable import support_of
from engines.plan.hardware.hardware import Device
from engines.worker.logprob_rows import RowReader, RowWriter
from tests.doubles.recording_report import RecordingReport
from tests.engines.measures import answer, reference_answer, tokens
from tests.families import CONFIGS, WRAPPERS, make_checkpoint

CPU = Device("cpu", "cpu", "CPU", None, None)
PROMPT_TOKENS, NEW_TOKENS, SCORED_TOKENS = 40, 72, 200
"""Windows of the families have 32 tokens."""


def main(name: str, backends: list[str]) -> None:
    """Print what each backend does with a family."""
    with tempfile.TemporaryDirectory(prefix="trt-playground-coverage-") as place:
        family = _Family(name, Path(place))
        print(json.dumps({backend: family.check(backend) for backend in backends}))


class _Family:
    def __init__(self, name: str, place: Path) -> None:
        self.place = place
        self.checkpoint = make_checkpoint(name, place / "checkpoint")
        self.prompt = tokens(PROMPT_TOKENS, vocabulary=CONFIGS[name].get("vocab_size", 4096))
        self.text = tokens(SCORED_TOKENS, seed=1, vocabulary=4096)
        kind = AutoModelForImageTextToText if name in WRAPPERS else AutoModelForCausalLM
        self.model = kind.from_pretrained(self.checkpoint, dtype=torch.float32).eval()
        self.expected = reference_answer(self.model, self.prompt, NEW_TOKENS)

    def check(self, backend: str) -> dict[str, Any]:
        """Return the plan's word, whether greedy tokens are equal, the KL divergence of int8, the reason."""
        plan = support_of(backend, "fp32", CPU, read_checkpoint(self.checkpoint))
        found: dict[str, Any] = {"plan": plan.state}
        try:
            found["equal"] = self._equal_tokens(backend)
            if BACKENDS[backend].builds:
                found["kl"] = self._int8_divergence(backend)
                found["rounding"] = self._rounding_divergence
        except EngineError as error:
            found["reason"] = error.message
        except Exception as error:  # a crash is a finding, not the end
            found["reason"] = f"{type(error).__name__}: {error}"
        return found

    def _equal_tokens(self, backend: str) -> int:
        """Return how many greedy tokens are those of transformers without a cache."""
        engine = self._loaded(backend, "fp32")
        given = answer(engine, self.prompt, NEW_TOKENS)
        engine.close()
        pairs = zip(given, self.expected, strict=True)
        return next((place for place, (one, other) in enumerate(pairs) if one != other), NEW_TOKENS)

    def _int8_divergence(self, backend: str) -> float:
        """Return the mean KL divergence of int8 from transformers, in nats."""
        rows, positions = self.place / "rows.npy", len(self.text) - 1
        if not rows.exists():
            RowWriter(rows, positions).write(self._expected_scores.numpy())
        engine = self._loaded(backend, "int8")
        scores = engine.score(self.text, reference=RowReader(rows, positions))
        engine.close()
        return sum(scores.kl) / len(scores.kl)

    @cached_property
    def _expected_scores(self) -> torch.Tensor:
        """Log-probabilities of transformers in fp32, [scored tokens - 1, vocabulary]."""
        return self._scores(self.model)

    @cached_property
    def _rounding_divergence(self) -> float:
        """What int8 weights alone cost: the mean KL divergence of transformers with rounded weights, in nats.

        Random weights react to rounding by up to 0.1 nats, in experts most: the router chooses others. That
        says nothing about an engine, what an engine adds to it does.
        """
        with torch.no_grad():
            for weight in self.model.parameters():
                if weight.ndim in (2, 3):  # products and embeddings; experts are stacked
                    scale = weight.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
                    weight.copy_((weight / scale).round() * scale)
        expected, rounded = self._expected_scores, self._scores(self.model)
        self.model = self.model.from_pretrained(self.checkpoint, dtype=torch.float32).eval()
        return float((expected.exp() * (expected - rounded)).sum(-1).mean())

    def _scores(self, model: Any) -> torch.Tensor:
        with torch.no_grad():
            logits = model(torch.tensor([self.text]), use_cache=False).logits[0, :-1]
        return torch.as_tensor(logits.float().log_softmax(-1))

    def _loaded(self, backend: str, precision: str) -> Backend:
        engine = backend_class(backend)()
        spec = EngineSpec(str(self.checkpoint), backend, precision, context=512)
        folder = None
        if BACKENDS[backend].builds:
            folder = self.place / f"{backend}-{precision}"
            folder.mkdir()
            engine.prepare(spec, self.checkpoint, folder, RecordingReport())
        engine.load(spec, self.checkpoint, folder, RecordingReport())
        return engine


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
