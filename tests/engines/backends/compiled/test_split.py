"""A compiled engine whose weights are divided among processes: here two on the CPU, instead of two GPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from engines.build.spec import GPUS, EngineSpec
from engines.errors import EngineError
from tests.engines.tiny import make_checkpoint

PROMPT = list(range(3, 40))
ENGINE = """
import json, sys
from pathlib import Path
from engines.backends.compiled.backend import CompiledBackend
from engines.build.spec import EngineSpec
from engines.worker.protocol import Sampling
from tests.doubles.log_report import LogReport

spec, folder, built, prompt = json.loads(sys.argv[1])
spec, folder = EngineSpec.from_json(spec), Path(folder)
backend = CompiledBackend()
directory = Path(built) if built else None
if directory and not any(directory.iterdir()):
    backend.prepare(spec, folder, directory, LogReport())
backend.load(spec, folder, directory, LogReport())

def answer(prompt, **sampling):
    ids = []
    backend.generate(prompt, Sampling(max_tokens=12, **sampling), frozenset(), ids.extend, lambda: False)
    return ids

greedy = answer(prompt)
found = [greedy, answer(prompt, temperature=1.0, seed=4), answer(prompt + greedy)]
memory = backend.memory_usage()
print(json.dumps([found, backend.score(prompt).logprobs, memory.weights, memory.kv]), flush=True)
if sys.stdin.readline():
    answer(prompt)
backend.close()
"""
"""A process with one engine: it builds it once, answers and scores; a line makes it answer again."""


def start(
    folder: Path, precision: str, parts: int, built: Path | None = None, device: str = "cpu"
) -> subprocess.Popen[str]:
    options = {GPUS: str(parts)}
    spec = EngineSpec(str(folder), "compiled", precision, device, context=512, options=options)
    request = json.dumps([spec.to_json(), str(folder), str(built) if built else None, PROMPT])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", ENGINE, request], text=True, **pipes)


def run(
    folder: Path, precision: str, parts: int, built: Path | None = None, device: str = "cpu"
) -> list[Any]:
    process = start(folder, precision, parts, built, device)
    out, errors = process.communicate("")
    assert process.returncode == 0, errors[-3000:]
    found: list[Any] = json.loads(out.splitlines()[-1])
    return found


def answers_of(process: subprocess.Popen[str]) -> list[Any]:
    """Wait until an engine has answered; it runs on. Gloo prints lines of its own before."""
    assert process.stdout
    found: list[Any] = json.loads(next(line for line in process.stdout if line.startswith("[[")))
    return found


def test_two_parts_answer_as_one_and_the_engine_ends_when_one_dies(tmp_path: Path) -> None:
    """Queries share keys, projections have biases: greedy and sampled tokens and scores are the same.

    When another part dies the engine ends: it would wait for that part for ever.
    """
    folder = make_checkpoint(tmp_path / "model", "llama-biased", num_key_value_heads=2)
    answers, scores, weights, kv = run(folder, "fp32", 1)
    process = start(folder, "fp32", 2)
    split_answers, split_scores, split_weights, split_kv = answers_of(process)
    assert split_answers == answers
    assert split_scores == pytest.approx(scores, abs=1e-4)
    assert split_kv == kv
    assert split_weights > weights  # embeddings and norms are in each part

    others = [one for one in psutil.Process(process.pid).children() if "compiled.split" in str(one.cmdline())]
    assert len(others) == 1
    others[0].kill()
    assert process.wait(60) == 1
    assert process.stderr
    assert "holds a part of the model, has ended" in process.stderr.read()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_two_gpus_answer_as_one(tmp_path: Path, precision: str) -> None:
    """With sums in one kernel (not in fp16) and with NCCL's."""
    folder = make_checkpoint(tmp_path / "model", "llama", num_key_value_heads=2)
    answers, scores, *_ = run(folder, precision, 1, device="cuda:0")
    split_answers, split_scores, *_ = run(folder, precision, 2, device="cuda:0")
    assert split_answers == answers
    assert split_scores == pytest.approx(scores, abs=1e-3 if precision == "fp32" else 0.05)


def test_a_built_engine_keeps_the_weights_of_each_part(tmp_path: Path) -> None:
    pytest.importorskip("torchao", reason="quantised precisions need torchao (extra `compiled`)")
    folder = make_checkpoint(tmp_path / "model", "llama", num_key_value_heads=2)
    built = tmp_path / "engine"
    built.mkdir()
    first = run(folder, "int8", 2, built)
    names = sorted(file.name for file in built.glob("weights*"))
    assert names == ["weights-1-of-2.safetensors", "weights-2-of-2.safetensors"]
    assert run(folder, "int8", 2, built) == first


def test_no_part_outlives_the_engine(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "model", "llama", num_key_value_heads=2)
    process = start(folder, "fp32", 2)
    assert process.stdout
    assert process.stdout.readline()
    others = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert psutil.wait_procs(others, 60)[1] == []


def test_a_model_without_a_plan_is_refused(tmp_path: Path) -> None:
    from engines.backends.compiled.model import make_model
    from engines.backends.compiled.split.rank import Rank

    folder = make_checkpoint(tmp_path / "gpt2", "gpt2")
    with pytest.raises(EngineError, match="cannot be split"):
        make_model(EngineSpec(str(folder), "compiled", "fp32"), folder, Rank(0, 2))
