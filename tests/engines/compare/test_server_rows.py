"""Engines on servers in a comparison: scored with the reference's token ids, or refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines.build.server import server_spec
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.answer_run import AnswerRun
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.cache import ComparisonCache
from engines.compare.choices import shipped_choices
from engines.compare.comparison import Comparison
from engines.compare.engine import opened
from engines.compare.report.table import notes
from engines.compare.run import ComparisonRun
from engines.compare.server import check_server
from engines.compare.text import Text
from engines.compare.tokenizers import SAMPLE
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from tests.doubles.fork_server import start_forked
from tests.doubles.openai_server import OpenAIServer
from tests.engines.backends.endpoint.llama_server import LlamaServer

TEXTS = (Text("prose", "the cat sat on the mat and the dog sat too"),)
QUESTION = ({"role": "user", "content": "the cat"},)


async def compared(reference: EngineSpec, *servers: str, folder: Path, questions: int = 0) -> Comparison:
    """Compare servers with a reference over one short text."""
    run = ComparisonRun(
        "tiny",
        reference,
        [server_spec(one) for one in servers],
        TEXTS,
        EngineStore(folder / "store"),
        ComparisonCache(folder / "comparisons"),
        start_forked,
        folder / "log",
        choices=shipped_choices()[:questions],
    )
    return await run.run()


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, LlamaServer]]:
    """Yield a GGUF file, and llama.cpp's server with it."""
    pytest.importorskip("xllamacpp")
    pytest.importorskip("gguf")
    from tests.engines.gguf.tiny_gguf import write_tiny_gguf

    file = write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny-F32.gguf")
    server = LlamaServer(file)
    yield file, server
    server.kill()


async def test_llama_cpp_on_both_sides(gguf: tuple[Path, LlamaServer], tmp_path: Path) -> None:
    """The same file here and on a server has the same probabilities; KLDs of a server are lower bounds."""
    file, server = gguf
    reference = EngineSpec(str(file), "llama-cpp", "fp32", context=256)
    found = await compared(reference, server.address, folder=tmp_path, questions=2)
    (row,) = found.rows
    assert row.error == ""
    assert row.title.startswith("llama.cpp F32 at 127.0.0.1:")
    assert row.quality
    assert row.quality.at_least
    assert row.quality.mean_kld < 1e-3
    assert row.quality.same_top == 1
    assert row.quality.ppl_ratio == pytest.approx(1, abs=1e-3)
    assert row.speed
    assert row.speed.rates
    assert row.choices is None  # each question would take hundreds of requests
    assert row.passages[0].positions[0].engine[0].text  # alternatives are shown as text
    assert "lower bound" in " ".join(notes(found))
    assert not found.is_noise(row)  # a bound below the noise floor says nothing

    run = AnswerRun(
        AskedPrompt("cat", QUESTION), replace(reference, context=56), EngineStore(tmp_path / "store"),
        ComparisonCache(tmp_path / "comparisons"), start_forked, tmp_path / "log",
    )  # fmt: skip
    answer = await run.reference()
    engine = await run.engine(server_spec(server.address), answer)
    assert engine.row.error == ""
    assert len(engine.scores) == len(answer.answer.token_ids)
    assert all(one.kl < 1e-2 for one in engine.scores)
    assert engine.own.token_ids == ()  # llama.cpp returns text
    assert "".join(engine.own.pieces)


async def test_servers_of_other_kinds(tmp_path: Path) -> None:
    """SGLang scores in one request; another tokenizer and a server without scores are named, not measured."""
    sglang, vllm, trtllm = (OpenAIServer(kind) for kind in ("sglang", "vllm", "trtllm"))
    with sglang.running(), vllm.running(), trtllm.running():
        reference = EngineSpec(str(CHECKPOINT), "pytorch", "fp32", context=256)
        bases = (sglang.base, vllm.base, trtllm.base)
        found = await compared(reference, *bases, folder=tmp_path, questions=1)
    scored, other, without = found.rows
    assert scored.error == ""
    assert scored.quality
    assert scored.quality.at_least
    assert scored.choices
    assert scored.speed
    assert "other token ids" in other.error
    assert "no call that returns the log-probabilities" in without.error
    assert without.quality is None


async def test_a_server_is_no_reference(tmp_path: Path) -> None:
    server = OpenAIServer("sglang")
    with server.running(), pytest.raises(EngineError, match="cannot be the reference"):
        await compared(server_spec(server.base), server.base, folder=tmp_path)


async def test_the_tokenizers_of_server_and_reference_are_compared(tmp_path: Path) -> None:
    """One special token at the beginning makes no difference; every other one does, and silence does not."""
    server = OpenAIServer("vllm")
    store = EngineStore(tmp_path / "store")
    with server.running():
        async with opened(server_spec(server.base), store, start_forked, tmp_path / "log", quiet) as engine:
            engine.tokenizer_folder = str(CHECKPOINT)
            ours = list((await engine.tokenize(SAMPLE, ())).token_ids)
            assert len(ours) > 10
            for same in (ours, [1, *ours], ours[1:]):
                server.tokens = same
                await check_server(engine, str(CHECKPOINT))
            for other in ([*ours[:-1], ours[-1] + 1], [ours[0] + 1, *ours[1:]], [1, 2, *ours], ours[:-2], []):
                server.tokens = other
                with pytest.raises(EngineError) as raised:
                    await check_server(engine, str(CHECKPOINT))
                assert raised.value.code == "other-tokenizer"
            server.tokens = [*ours, 1]  # a special token at the end would be scored
            with pytest.raises(EngineError, match="other token ids"):
                await check_server(engine, str(CHECKPOINT))
            asked = [one.body["prompt"] for one in server.requests if one.path == "/tokenize"]
            assert set(asked) == {SAMPLE}
    silent = OpenAIServer("sglang")  # it has no call for that
    with silent.running():
        async with opened(server_spec(silent.base), store, start_forked, tmp_path / "log", quiet) as engine:
            await check_server(engine, str(CHECKPOINT))


def quiet(_: object) -> None:
    """Take no notice of a step."""
