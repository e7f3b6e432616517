"""Scores over the whole vocabulary, compared with an independent computation in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import torch
from transformers import AutoModelForCausalLM

from engines.backends.base import Backend, Scores
from engines.backends.compiled import regional
from engines.backends.compiled.backend import CompiledBackend
from engines.backends.openvino.backend import OpenVINOBackend
from engines.backends.pytorch import DTYPES, PyTorchBackend
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.measure.quality import quality_card
from engines.worker.logprob_rows import RowReader, RowWriter
from engines.worker.tokenizer import Tokenizer
from tests.doubles.log_report import LogReport

TEXT = (
    "A KV cache keeps the keys and values of earlier tokens, so that each step computes only the new one. "
    * 4
)
TOP = 10
OpenBackend = Callable[[Backend, str], Backend]


@pytest.fixture(scope="module")
def token_ids() -> list[int]:
    """A text in the demo's tokens, over more than one part of ROWS positions."""
    ids = Tokenizer(CHECKPOINT).plain_ids(TEXT)
    return (ids * (1 + 300 // len(ids)))[:300]


@dataclass(frozen=True)
class Base:
    """The reference's scores, the file of its rows, and its log-probabilities in float64."""

    scores: Scores
    file: Path
    exact: np.ndarray[Any, np.dtype[np.float64]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, token_ids: list[int]) -> Base:
    """PyTorch's fp32, with which every engine is compared."""
    backend = PyTorchBackend()
    backend.load(EngineSpec(str(CHECKPOINT), "pytorch", "fp32", context=512), CHECKPOINT, None, LogReport())
    file = tmp_path_factory.mktemp("rows") / "reference.npy"
    scores = backend.score(token_ids, TOP, keep=RowWriter(file, len(token_ids) - 1))
    return Base(scores, file, exact(eager_logits("fp32", backend, token_ids)))


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs of the compiled engine run uncompiled: scores are computed without them."""
    monkeypatch.setattr(
        regional, "_compiled", lambda function, _: torch.compile(function, fullgraph=True, backend="eager")
    )


@pytest.fixture
def opened(tmp_path: Path) -> OpenBackend:
    """Prepare and load an engine of the demo checkpoint."""

    def open_backend(backend: Backend, precision: str) -> Backend:
        # A quantised cache depends on the parts in which a text is computed: openvino/test_scorer.py.
        kv = "f32" if backend.name == "openvino" else "auto"
        spec = EngineSpec(str(CHECKPOINT), backend.name, precision, context=512, kv_precision=kv)
        directory = None
        if backend.prepare_stages:
            directory = tmp_path / f"{backend.name}-{precision}"
            directory.mkdir()
            backend.prepare(spec, CHECKPOINT, directory, LogReport())
        backend.load(spec, CHECKPOINT, directory, LogReport())
        return backend

    return open_backend


def exact(logits: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the log-softmax in float64, [positions, vocabulary]."""
    rows = np.asarray(logits, np.float64)
    rows = rows - rows.max(-1, keepdims=True)
    found: np.ndarray[Any, np.dtype[np.float64]] = rows - np.log(np.exp(rows).sum(-1, keepdims=True))
    return found


def eager_logits(precision: str, _: Any, token_ids: list[int]) -> Any:
    """The checkpoint's, read by transformers alone."""
    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=getattr(torch, DTYPES[precision])).eval()
    with torch.inference_mode():
        return model(torch.tensor([token_ids])).logits[0, :-1].float().numpy()


def compiled_logits(_: str, backend: Any, token_ids: list[int]) -> Any:
    with torch.no_grad():
        return torch.cat([part.float() for part in backend.runner.all_logits(token_ids[:-1])]).numpy()


def openvino_logits(_: str, backend: Any, token_ids: list[int]) -> Any:
    """The engine's own graph, in one pass."""
    settings = backend.pipeline.settings
    model = ov.Core().compile_model(settings.directory / "openvino_model.xml", "CPU", settings.properties)
    count = len(token_ids) - 1
    inputs = {
        "input_ids": np.array([token_ids[:-1]]),
        "attention_mask": np.ones((1, count), np.int64),
        "position_ids": np.arange(count)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
    return model.create_infer_request().infer(inputs)["logits"][0]


@pytest.mark.usefixtures("traced_only")
@pytest.mark.parametrize(
    ("kind", "precision", "logits_of"),
    [
        (PyTorchBackend, "bf16", eager_logits),
        (OpenVINOBackend, "fp32", openvino_logits),
        (OpenVINOBackend, "int4", openvino_logits),
        (CompiledBackend, "int8", compiled_logits),
    ],
)
def test_scores_equal_float64(
    kind: type[Backend],
    precision: str,
    logits_of: Callable[[str, Any, list[int]], Any],
    opened: OpenBackend,
    token_ids: list[int],
    base: Base,
) -> None:
    """KL divergence, perplexity, same top, ranks and top tokens; the reference's rows come from a file."""
    positions = len(token_ids) - 1
    candidate = opened(kind(), precision)
    scores = candidate.score(token_ids, TOP, RowReader(base.file, positions))
    p, q = base.exact, exact(logits_of(precision, candidate, token_ids))
    card = quality_card(base.scores, scores)
    kl = (np.exp(p) * (p - q)).sum(-1)
    targets = np.array(token_ids[1:])
    chosen = q[np.arange(positions), targets]
    assert card.mean_kld == pytest.approx(kl.mean(), abs=1e-4)
    assert scores.kl == pytest.approx(kl.tolist(), abs=1e-3)
    assert card.ppl == pytest.approx(np.exp(-chosen.mean()), rel=1e-4)
    assert card.same_top == pytest.approx((p.argmax(-1) == q.argmax(-1)).mean(), abs=2 / positions)
    ranks = (q > chosen[:, None]).sum(-1)
    assert np.mean(np.array(scores.ranks) == ranks) > 0.98  # ties of the last bits
    assert np.array(scores.top_logprobs) == pytest.approx(-np.sort(-q, axis=-1)[:, :TOP], abs=1e-3)
    assert not card.at_least


def test_rows_of_another_text_or_vocabulary_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.npy"
    writer = RowWriter(file, 2)
    writer.write(np.log(np.full((1, 4), 0.25)))
    assert not file.exists()
    writer.write(np.full((1, 4), -np.inf))
    with pytest.raises(EngineError, match="cannot be read"):
        RowReader(file, 3)
    with pytest.raises(EngineError, match="4 token ids, and this engine 5"):
        RowReader(file, 2).rows(0, 2, 5)
    assert RowReader(file, 2).rows(0, 1, 4)[0] == pytest.approx([np.log(0.25)] * 4, abs=1e-3)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(EngineError, match="cannot be read"):
        RowReader(file, 2)


def test_an_unfinished_file_is_removed(tmp_path: Path) -> None:
    writer = RowWriter(tmp_path / "rows.npy", 2)
    writer.write(np.zeros((1, 4)))
    writer.close()
    assert list(tmp_path.iterdir()) == []
