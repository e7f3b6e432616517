"""A GGUF file, here or on a server, compared with another checkpoint of the same model, by its token ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.build.server import server_spec
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.answer_run import AnswerRun
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.cache import ComparisonCache
from engines.compare.run import ComparisonRun
from engines.compare.text import Text
from engines.demo import CHECKPOINT
from engines.environments.start import start_worker
from tests.engines.backends.endpoint.llama_server import LlamaServer

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")

REFERENCE = EngineSpec(str(CHECKPOINT), "pytorch", "fp32", context=128)


def of_file(file: Path, precision: str) -> EngineSpec:
    return EngineSpec(str(file), "llama-cpp", precision, context=128)


async def test_files_beside_the_checkpoint_they_were_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file is measured, here and on llama.cpp's server; one of another model is refused by name.

    An answer is compared as well.
    """
    from tests.engines.gguf.demo_gguf import write_demo_gguf
    from tests.engines.gguf.other_tokenizers import add_sentencepiece
    from tests.engines.gguf.tiny_gguf import write_tiny_gguf

    monkeypatch.setattr("engines.compare.answer_run.TOKENS", 12)
    monkeypatch.setattr("engines.compare.speed.TOKENS", 8)
    same = of_file(write_demo_gguf(tmp_path / "Demo.Q8_0.gguf", "q8_0"), "q8_0")
    file = write_tiny_gguf(tmp_path / "tiny-F32.gguf", add_tokenizer=add_sentencepiece(prefix=True))
    other = of_file(file, "fp32")
    store, cache = EngineStore(tmp_path / "store"), ComparisonCache(tmp_path / "cache")
    text = Text("prose", "The KV cache holds keys and values.")
    log = tmp_path / "log"
    server = LlamaServer(tmp_path / "Demo.Q8_0.gguf")
    try:
        engines = [same, other, server_spec(server.address)]
        run = ComparisonRun("demo", REFERENCE, engines, [text], store, cache, start_worker, log)
        measured, refused, served = (await run.run()).rows
    finally:
        server.kill()
    assert measured.error == ""
    assert measured.title == "llama.cpp q8_0, Demo.Q8_0.gguf"
    assert measured.quality
    assert 0 < measured.quality.mean_kld < 0.05
    assert measured.quality.same_top > 0.8
    assert "other token ids" in refused.error
    assert served.error == ""
    assert served.title.startswith("llama.cpp Q8_0 at 127.0.0.1:")
    assert served.quality
    assert served.quality.at_least
    assert 0 < served.quality.mean_kld < measured.quality.mean_kld * 1.01  # a lower bound
    assert served.quality.ppl_ratio == pytest.approx(measured.quality.ppl_ratio, rel=1e-3)
    assert served.quality.same_top > 0.8

    messages = ({"role": "user", "content": "What is a KV cache?"},)
    answers = AnswerRun(AskedPrompt("KV", messages), REFERENCE, store, cache, start_worker, log)
    answer = await answers.reference()
    found = await answers.engine(same, answer)
    assert found.row.error == ""
    assert len(found.scores) == len(answer.answer.token_ids)
    assert "other token ids" in (await answers.engine(other, answer)).row.error
