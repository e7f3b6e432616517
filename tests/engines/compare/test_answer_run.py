"""Answers compared token by token, with real engines on the demo checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.answer_run import AnswerRun
from engines.compare.answer_text import is_control, other_tops, split
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.cache import ComparisonCache
from engines.compare.comparison import Alternative
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.worker.process import EngineProcess
from tests.doubles.fork_server import start_forked

PROMPT = AskedPrompt("What is a KV cache?", ({"role": "user", "content": "What is a KV cache?"},))


def spec(precision: str) -> EngineSpec:
    return EngineSpec(str(CHECKPOINT), "openvino", precision, context=256)


class Runs:
    """Comparisons with one store and one cache; counts the workers that are started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started = 0

    def run(self, prompt: AskedPrompt = PROMPT, reference: str = "fp32") -> AnswerRun:
        """Return a comparison with OpenVINO's fp32 or another precision."""

        async def start(backend: str, log: Path) -> EngineProcess:
            self.started += 1
            return await start_forked(backend, log)

        return AnswerRun(
            prompt,
            spec(reference),
            EngineStore(self._folder / "store"),
            ComparisonCache(self._folder / "cache"),
            start,
            self._folder / "log",
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Comparisons that share what they keep."""
    return Runs(tmp_path_factory.mktemp("compare"))


async def test_engines_on_the_references_answer(runs: Runs) -> None:
    """Each token has the figures of each engine; int4 is further away than int8; one that fails says why."""
    answer = await runs.run().reference()
    count = len(answer.answer.token_ids)
    assert count == len(answer.answer.pieces) == len(answer.reference.scores) > 10
    assert "".join(answer.answer.pieces).strip()
    # Greedy: each token is the reference's most likely one.
    tops = [score.alternatives[0].token_id for score in answer.reference.scores]
    assert tops == list(answer.answer.token_ids)
    int8 = await runs.run().engine(spec("int8"), answer)
    int4 = await runs.run().engine(spec("int4"), answer)
    assert int8.row.quality
    assert int4.row.quality
    assert 0 < int8.row.quality.mean_kld < int4.row.quality.mean_kld
    assert int4.row.quality.mean_kld == pytest.approx(sum(one.kl for one in int4.scores) / count)
    assert int4.own.token_ids
    for engine in (int8, int4):
        first = split(answer, engine)
        others = other_tops(answer, engine)
        assert (others[0] if others else None) == first
        # Until there it writes the same by itself.
        assert engine.own.token_ids[: first or count] == answer.answer.token_ids[: first or count]
    failed = await runs.run().engine(spec("fp8"), answer)
    assert "fp8" in failed.row.error.lower()
    assert failed.scores == ()


async def test_what_is_kept_starts_no_worker(runs: Runs) -> None:
    answer = await runs.run().reference()
    engine = await runs.run().engine(spec("int8"), answer)
    before = runs.started
    assert await runs.run().reference() == answer
    assert await runs.run().engine(spec("int8"), answer) == engine
    assert runs.started == before
    again = await runs.run().engine(spec("int8"), answer, again=True)
    assert runs.started > before
    assert again.scores == engine.scores


async def test_the_reference_against_itself_is_a_control_run(runs: Runs) -> None:
    answer = await runs.run().reference()
    control = await runs.run().engine(spec("fp32"), answer)
    assert is_control(answer, control)
    assert max(one.kl for one in control.scores) < 1e-6
    assert split(answer, control) is None


async def test_a_branch_continues_from_another_token(runs: Runs) -> None:
    answer = await runs.run().reference()
    other = answer.reference.scores[3].alternatives[1]
    branch = await runs.run().branch(spec("int8"), answer, 3, other)
    assert branch.position == 3
    assert branch.continuation.token_ids[0] == other.token_id
    assert branch.continuation.pieces[0] == other.text
    assert len(branch.continuation.token_ids) > 1


async def test_an_answer_that_was_given(runs: Runs) -> None:
    """The chat's own answer is compared, if the prompt has the same token ids now."""
    answer = await runs.run().reference()
    ids = answer.answer.token_ids[:6]
    given = replace(PROMPT, answer_ids=ids, prompt_digest=answer.prompt_digest)
    found = await runs.run(given).reference()
    assert found.answer.token_ids == ids
    known = [one.probability for one in answer.reference.scores[:6]]
    assert [one.probability for one in found.reference.scores] == pytest.approx(known, abs=1e-5)
    other = replace(given, messages=({"role": "user", "content": "Something else"},))
    with pytest.raises(EngineError) as refused:
        await runs.run(other).reference()
    assert refused.value.code == "other-prompt"
    empty = replace(given, answer_ids=(), messages=({"role": "user", "content": "word " * 400},))
    with pytest.raises(EngineError):
        await runs.run(empty).reference()


async def test_a_token_that_does_not_exist(runs: Runs) -> None:
    answer = await runs.run().reference()
    with pytest.raises(EngineError):
        await runs.run().branch(spec("int8"), answer, 0, Alternative("?", 0.1, 10**9))
