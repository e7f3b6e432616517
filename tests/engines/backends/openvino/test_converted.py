"""transformers' own model, converted: its tokens, its states between steps, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from engines.backends.openvino import reference
from engines.backends.openvino.backend import OpenVINOBackend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.estimate.estimate import estimate
from engines.plan.hardware.hardware import Device
from tests.doubles.recording_report import RecordingReport
from tests.engines.measures import answer, reference_answer, tokens
from tests.families import WRAPPERS, make_checkpoint

CPU = Device("cpu", "cpu", "CPU", None, None)
PROMPT_TOKENS, NEW_TOKENS, CONTEXT = 40, 64, 256


def prepared(checkpoint: Path, precision: str, folder: Path) -> OpenVINOBackend:
    """Return a loaded engine."""
    engine, spec = OpenVINOBackend(), EngineSpec(str(checkpoint), "openvino", precision, context=CONTEXT)
    folder.mkdir()
    engine.prepare(spec, checkpoint, folder, RecordingReport())
    engine.load(spec, checkpoint, folder, RecordingReport())
    return engine


@pytest.mark.parametrize("name", ["qwen3-moe", "deepseek-v2-lite", "lfm2", "qwen3.5"])
def test_what_is_converted_computes_what_transformers_does(name: str, tmp_path: Path) -> None:
    """Experts, latent attention, short convolutions and gated delta rules, in fp32 and int8."""
    checkpoint = make_checkpoint(name, tmp_path / "checkpoint")
    kind = AutoModelForImageTextToText if name in WRAPPERS else AutoModelForCausalLM
    model = kind.from_pretrained(checkpoint, dtype=torch.float32).eval()
    prompt = tokens(PROMPT_TOKENS, vocabulary=4096)
    engine = prepared(checkpoint, "fp32", tmp_path / "fp32")
    given = answer(engine, prompt, NEW_TOKENS)
    assert given == reference_answer(model, prompt, NEW_TOKENS)
    # A second turn, of which a part may be cached.
    more = [*prompt, *given, *tokens(9, seed=1, vocabulary=4096)]
    assert answer(engine, more, 8) == reference_answer(model, more, 8)
    planned = estimate(read_checkpoint(checkpoint), "openvino", "fp32", "auto", CONTEXT, CPU)
    kept = engine.kv_usage()
    assert kept is not None
    assert kept.bytes_total == planned.kv
    engine.close()

    spec = EngineSpec(str(checkpoint), "openvino", "int8", context=CONTEXT)
    small = prepared(checkpoint, "int8", tmp_path / "int8")
    report = RecordingReport()
    small.check_engine(spec, tmp_path / "int8", report)
    assert not (tmp_path / "int8" / reference.FILE).exists()
    sizes = [(tmp_path / one / "openvino_model.bin").stat().st_size for one in ("int8", "fp32")]
    assert sizes[0] < 0.35 * sizes[1]
    small.close()


def test_an_engine_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    """As after a conversion that loses a state: the reference is that of other weights."""
    checkpoint = make_checkpoint("lfm2", tmp_path / "checkpoint")
    engine = prepared(checkpoint, "fp32", tmp_path / "engine")
    file = tmp_path / "engine" / reference.FILE
    np.save(file, np.load(file)[::-1])
    spec = EngineSpec(str(checkpoint), "openvino", "fp32", context=CONTEXT)
    with pytest.raises(EngineError, match="does not compute what transformers does"):
        engine.check_engine(spec, file.parent, RecordingReport())
    engine.close()
