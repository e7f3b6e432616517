"""The compiled backend on the CPU: prepared once, then loaded from its compile cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from torch._dynamo.utils import counters

from engines.backends.compiled.backend import CompiledBackend
from engines.backends.pytorch import PyTorchBackend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import Sampling
from tests.doubles.log_report import LogReport
from tests.engines.tiny import make_checkpoint

pytestmark = pytest.mark.skipif(
    not CompiledBackend.probe().available, reason=CompiledBackend.probe().reason or "available"
)
NO_EOS: frozenset[int] = frozenset()
PROMPT = list(range(5, 60))


class RecordingReport(LogReport):
    """Records the log lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny", num_hidden_layers=1)


@pytest.fixture(scope="module")
def spec(folder: Path) -> EngineSpec:
    return EngineSpec(str(folder), "compiled", "fp32", context=700)


@pytest.fixture(scope="module")
def engine(folder: Path, spec: EngineSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `prepare` wrote; the only compilation of these tests."""
    directory, backend, report = tmp_path_factory.mktemp("engine"), CompiledBackend(), RecordingReport()
    building = RecordingReport()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engines.backends.compiled.work.LOG_SECONDS", 0.05)
        facts = backend.prepare(spec, folder, directory, building)
    assert any(line.startswith("so far: graphs traced: 1") for line in building.lines)
    assert facts["graphs_compiled"] == 2  # a layer and the LM head
    assert not facts["weights_stored"]
    backend.load(spec, folder, directory, report)  # the engine is still loaded
    assert report.lines == []
    assert len(answer(backend, PROMPT)) == 12
    backend.close()
    with pytest.raises(EngineError, match="No engine"):
        answer(backend, PROMPT)
    return directory


@pytest.fixture(scope="module")
def report() -> RecordingReport:
    return RecordingReport()


@pytest.fixture(scope="module")
def loaded(
    folder: Path, spec: EngineSpec, engine: Path, report: RecordingReport
) -> Iterator[CompiledBackend]:
    """Loaded with another context window than prepared: the compiled step does not depend on it."""
    backend = CompiledBackend()
    backend.load(replace(spec, context=600), folder, engine, report)
    yield backend
    backend.close()


def answer(backend: CompiledBackend | PyTorchBackend, prompt: list[int], **sampling: float) -> list[int]:
    seen: list[int] = []
    wanted = Sampling(max_tokens=12, ignore_eos=True)
    backend.generate(prompt, replace(wanted, **sampling), NO_EOS, seen.extend, lambda: False)  # type: ignore[arg-type]
    return seen


def test_the_second_load_compiles_nothing(loaded: CompiledBackend, report: RecordingReport) -> None:
    lines = [line for line in report.lines if not line.startswith("so far")]  # of a slow machine
    imported, first, traced, compiled, tuned, rest = lines
    assert imported.startswith("imported the compiler: waited ")
    assert first.startswith("ran the model once, uncompiled, in ")
    assert rest.startswith("guards and first runs: ")
    assert traced.startswith("traced 2 graphs in ")
    assert compiled.startswith("compiled nothing: every graph came from the engine's cache, read in ")
    assert tuned == "tuned nothing"
    assert counters["inductor"]["fxgraph_cache_hit"] == 2
    assert loaded.context_tokens == 600


def test_answers_and_scores_are_those_of_pytorch(loaded: CompiledBackend, folder: Path) -> None:
    reference = PyTorchBackend()
    reference.load(EngineSpec(str(folder), "pytorch", "fp32"), folder, None, LogReport())
    for length in (1, 3, 16, 17, 55):
        assert answer(loaded, PROMPT[:length]) == answer(reference, PROMPT[:length])
    mine, theirs = loaded.score(PROMPT, 4), reference.score(PROMPT, 4)
    assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
    assert list(mine.top_ids) == list(theirs.top_ids)


def test_a_long_prompt_is_computed_in_chunks(loaded: CompiledBackend, folder: Path) -> None:
    reference = PyTorchBackend()
    reference.load(EngineSpec(str(folder), "pytorch", "fp32"), folder, None, LogReport())
    prompt = [(7 * number) % 380 for number in range(580)]
    assert answer(loaded, prompt) == answer(reference, prompt)


def test_the_next_turn_computes_only_new_tokens(loaded: CompiledBackend) -> None:
    first = answer(loaded, PROMPT)
    following = [*PROMPT, *first, 9, 8, 7]
    seen: list[int] = []
    wanted = Sampling(max_tokens=6, ignore_eos=True)
    result = loaded.generate(following, wanted, NO_EOS, seen.extend, lambda: False)
    assert result.cached == len(PROMPT) + len(first) - 1
    loaded.score(PROMPT)
    assert answer(loaded, following)[:6] == seen
    usage = loaded.kv_usage()
    assert usage is not None
    assert usage.tokens == len(following) + 11
    assert usage.bytes_total is not None
    assert usage.bytes_used < usage.bytes_total


def test_what_was_scored_is_not_computed_again(loaded: CompiledBackend) -> None:
    expected = answer(loaded, PROMPT)
    loaded.score(PROMPT)
    seen: list[int] = []
    wanted = Sampling(max_tokens=4, ignore_eos=True)
    result = loaded.generate(PROMPT, wanted, NO_EOS, seen.extend, lambda: False)
    assert (result.cached, seen) == (len(PROMPT) - 1, expected[:4])


def test_a_stop_ends_within_a_step_and_leaves_the_engine_usable(loaded: CompiledBackend) -> None:
    expected = answer(loaded, PROMPT)
    seen: list[int] = []
    wanted = Sampling(max_tokens=300, ignore_eos=True)
    result = loaded.generate(PROMPT, wanted, NO_EOS, seen.extend, lambda: len(seen) >= 4)
    assert result.reason == "stopped"
    assert seen == expected[:4]
    assert answer(loaded, PROMPT) == expected


def test_an_end_token_ends_the_answer(loaded: CompiledBackend) -> None:
    end = answer(loaded, PROMPT)[3]
    seen: list[int] = []
    result = loaded.generate(PROMPT, Sampling(), frozenset({end}), seen.extend, lambda: False)
    assert result.reason == "stop"
    assert seen[-1] == end


def test_seeds_are_reproducible_and_penalties_work(loaded: CompiledBackend) -> None:
    first, again, other = (answer(loaded, PROMPT, temperature=1.5, seed=seed) for seed in (7, 7, 8))
    assert first == again != other
    greedy = answer(loaded, PROMPT)
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 0.999}):
        assert answer(loaded, PROMPT, temperature=1.0, **narrow) == greedy
    assert len(set(answer(loaded, PROMPT, repetition_penalty=50.0))) == 12


def test_unknown_tokens_and_precisions_are_refused(loaded: CompiledBackend, spec: EngineSpec) -> None:
    with pytest.raises(EngineError, match="384"):
        answer(loaded, [384])
    for precision in ("fp16", "fp8", "nvfp4"):
        with pytest.raises(EngineError) as caught:
            CompiledBackend().load(replace(spec, precision=precision), Path(), None, LogReport())
        assert caught.value.code == "unsupported-precision"


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_quantised_weights_are_saved_and_loaded(
    precision: str, spec: EngineSpec, folder: Path, tmp_path: Path
) -> None:
    """Without compiling: the logits of the eager model show whether the weights are correct."""
    pytest.importorskip("torchao", reason="quantised precisions need torchao (extra `compiled`)")
    import torch

    from engines.backends.compiled.model import (
        check_weights,
        load_weights,
        make_model,
        save_weights,
        weight_bytes,
    )

    quantised = replace(spec, precision=precision)
    made = make_model(quantised, folder)
    plain = make_model(replace(spec, precision="bf16"), folder)
    assert save_weights(made, tmp_path) < 0.8 * weight_bytes(plain)
    ids = torch.tensor([PROMPT])
    wanted, found = plain(ids).logits, load_weights(quantised, folder, tmp_path)(ids).logits
    assert torch.equal(found, made(ids).logits)
    error = (found - wanted).norm() / wanted.norm()
    assert error < {"int8": 0.03, "int4": 0.4}[precision]
    check_weights(made, tmp_path)
    made.model.norm.weight.add_(1)
    with pytest.raises(EngineError, match="not what was written"):
        check_weights(made, tmp_path)


def test_probe_needs_a_cpp_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    found = CompiledBackend.probe()
    assert not found.available
    assert "C++ compiler" in found.reason
    assert found.hint
