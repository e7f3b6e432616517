"""ModelOpt on the CPU: its exported weights are dequantised and compared with bf16.

Only weights are compared; a GPU would round activations as well.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engines.backends.calibration_texts import TEXTS, calibration_texts
from engines.backends.tensorrt_llm.calibration_data import write_data_set
from engines.backends.tensorrt_llm.quantise import quantise
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.measure.quality import quality_card
from engines.plan.calibration import CHUNK_CHARACTERS
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.quantisation import modelopt_precision
from engines.worker import protocol
from engines.worker.process import EngineProcess
from engines.worker.report import StageReport
from engines.worker.tokenizer import Tokenizer
from tests.doubles.fork_server import fork_worker

QUESTIONS = ("What is a KV cache?", "What does FP8 mean?", "Tell me a short story.", "What is 12 plus 7?")
STAGES = ("reference", "quantise", "export")
Reference = tuple[list[tuple[int, ...]], list[protocol.Scored]]


async def scores_of_texts(process: EngineProcess, ids: list[tuple[int, ...]]) -> list[protocol.Scored]:
    """Return the scores of each text."""
    found = []
    for one in ids:
        event = await process.ask(protocol.Score(process.next_id(), one, 40))
        assert isinstance(event, protocol.Scored), event
        found.append(event)
    return found


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Three of the calibration texts of the project, to save time."""
    return calibration_texts("")[:48:16]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What bf16 answers to the questions, as token ids with their prompts, and its scores of them."""

    async def ask() -> Reference:
        base = await fork_worker("pytorch", tmp_path_factory.mktemp("base") / "base.log")
        try:
            spec = EngineSpec(str(CHECKPOINT), "pytorch", "bf16", context=512)
            assert isinstance(await ready(base, spec), protocol.Ready)
            ids, tokenizer = [], Tokenizer(CHECKPOINT)
            for question in QUESTIONS:
                prompt = tuple(tokenizer.prompt_ids([{"role": "user", "content": question}]))
                command = protocol.Generate(base.next_id(), (), prompt, protocol.Sampling(max_tokens=48))
                done = await base.ask(command)
                ids.append((*prompt, *done.token_ids))  # type: ignore[union-attr]
            return ids, await scores_of_texts(base, ids)
        finally:
            await base.kill()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("precision", "algorithm", "most_kld", "least_same_top"),
    [
        ("fp8", "FP8", 0.005, 0.97),
        ("int4-awq", "W4A16_AWQ", 0.06, 0.92),
        ("int8-sq", "W8A8_SQ_PER_CHANNEL", 0.005, 0.97),
    ],
)
async def test_close_to_the_reference(
    precision: str,
    algorithm: str,
    most_kld: float,
    least_same_top: float,
    texts: list[str],
    reference: Reference,
    without_engines: str,
    tmp_path: Path,
) -> None:
    events: list[protocol.Event] = []
    target = tmp_path / "checkpoint"
    facts = quantise(CHECKPOINT, precision, target, texts, StageReport(events.append, 1, STAGES))
    assert [event.name for event in events if isinstance(event, protocol.Stage)] == [*STAGES]
    assert any(isinstance(event, protocol.Progress) for event in events)
    written = json.loads((target / "hf_quant_config.json").read_text())["quantization"]
    assert written["quant_algo"] == algorithm
    found = read_checkpoint(target)
    assert found.quantisation is not None
    assert modelopt_precision(found.quantisation) == precision
    assert facts["weight_bytes"] < read_checkpoint(CHECKPOINT).weight_bytes  # type: ignore[operator]

    ids, expected = reference
    candidate = await fork_worker("tensorrt-llm", tmp_path / "candidate.log", without_engines)
    try:
        quantised = EngineSpec(str(target), "tensorrt-llm", precision, "cuda:0", context=512)
        if precision == "int8-sq":  # the real library refuses this checkpoint, but the double runs it
            quantised = EngineSpec(str(target), "tensorrt-llm", "bf16", "cuda:0", context=512)
        event = await ready(candidate, quantised)
        assert isinstance(event, protocol.Ready), event
        pairs = zip(expected, await scores_of_texts(candidate, ids), strict=True)
        cards = [quality_card(one, other) for one, other in pairs]
    finally:
        await candidate.kill()
    tokens = sum(card.tokens for card in cards)
    kld = sum(card.mean_kld * card.tokens for card in cards) / tokens
    same = sum(card.same_top * card.tokens for card in cards) / tokens
    print(f"{precision}: KLD {kld:.4f}, same top {same:.1%}, {facts['weight_bytes']} bytes, {tokens} tokens")
    assert kld < most_kld
    assert same > least_same_top


async def ready(process: EngineProcess, spec: EngineSpec) -> protocol.Event:
    """Load an engine and return the last event."""
    return await process.ask(protocol.Load(process.next_id(), spec.to_json()))


ALIVE = """
import gc, sys
from pathlib import Path
from engines.backends.tensorrt_llm.quantise import quantise
from tests.doubles.log_report import LogReport
quantise(Path(sys.argv[1]), "fp8", Path(sys.argv[2]), ["A text."], LogReport())
gc.collect()
names = (type(one).__name__ for one in gc.get_objects())
print("alive:", [name for name in names if name.endswith("ForCausalLM")])
"""


def test_the_model_is_freed_after_quantising(tiny_llama: Path, tmp_path: Path) -> None:
    """In a process that has not imported ModelOpt: its import must not keep references to the model."""
    found = subprocess.run(
        [sys.executable, "-c", ALIVE, str(tiny_llama), str(tmp_path / "checkpoint")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == "alive: []"


def test_nvfp4_needs_a_gpu(texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="NVIDIA GPU"):
        quantise(CHECKPOINT, "nvfp4", tmp_path, texts, StageReport(lambda _: None, 1, STAGES))


def test_calibration_texts_of_the_user(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("What people really ask. " * 1000)
    assert len(calibration_texts(str(file))) == 16
    file.write_text("a" * CHUNK_CHARACTERS * 254 + "b" * CHUNK_CHARACTERS)
    spread = calibration_texts(str(file))
    assert len(spread) == TEXTS
    assert spread[-1].startswith("a")
    lines = tmp_path / "mine.jsonl"
    lines.write_text("\n".join(json.dumps({"text": f"{n} " * 500}) for n in range(1000)))
    spread = calibration_texts(str(lines))
    assert len(spread) == TEXTS
    assert spread[-1].startswith("992")
    with pytest.raises(EngineError, match="cannot be used"):
        calibration_texts(str(tmp_path / "none.txt"))


def test_texts_are_written_as_a_data_set(tmp_path: Path) -> None:
    folder = write_data_set(["one", "two\nlines"], tmp_path / "data")
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert rows == [{"text": "one"}, {"text": "two\nlines"}]
