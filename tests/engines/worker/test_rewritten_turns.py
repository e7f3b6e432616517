"""Why a prompt that continues a conversation does not continue its token ids."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engines.build.prepare import prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.worker import protocol
from engines.worker.context_window import FittedPrompt
from engines.worker.process import EngineProcess
from engines.worker.protocol import Done, Generate
from engines.worker.rewritten_turns import Rewritten, RewrittenTurns
from engines.worker.tokenizer import Tokenizer
from tests.engines.tiny import CHAT_TEMPLATE
from tests.engines.worker.helpers import load

THINKING = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content.split('</think>')[-1] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|><think>{% endif %}"
)
"""Opens a thought for the answer, and leaves the thoughts of earlier ones out."""
NUMBERED = "{{ messages | length }} messages " + CHAT_TEMPLATE
ASKED = ({"role": "user", "content": "Hi"},)


def continued(answer: str, *asked: dict[str, str]) -> tuple[dict[str, str], ...]:
    start = asked or ASKED
    return (*start, {"role": "assistant", "content": answer}, {"role": "user", "content": "More?"})


@pytest.fixture
def tokenizer(tiny_llama: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Tokenizer:
    """The tiny tokenizer with the template that the test names."""
    folder = Path(shutil.copytree(tiny_llama, tmp_path / "model"))
    (folder / "chat_template.jinja").write_text(request.param)
    return Tokenizer(folder)


def second(
    tokenizer: Tokenizer, answer: str, answer_ids: list[int], messages: tuple[dict[str, str], ...]
) -> Rewritten:
    """Answer ASKED, then take `messages`."""
    turns = RewrittenTurns()
    first = Generate(1, ASKED)
    prompt = FittedPrompt(tokenizer.prompt_ids(ASKED), 0)
    assert turns.take(first, prompt, tokenizer.decode) == Rewritten()
    turns.keep(first, prompt, Done(1, "stop", answer, tuple(answer_ids)), tokenizer.eos_token_ids)
    return turns.take(
        Generate(2, messages), FittedPrompt(tokenizer.prompt_ids(messages), 0), tokenizer.decode
    )


@pytest.mark.parametrize("tokenizer", [CHAT_TEMPLATE], indirect=True)
def test_a_template_that_repeats_earlier_turns_rewrites_nothing(tokenizer: Tokenizer) -> None:
    ids = tokenizer.text_ids("Good day.")
    for ended in (ids, [*ids, *tokenizer.eos_token_ids]):
        assert second(tokenizer, "Good day.", ended, continued("Good day.")) == Rewritten()


@pytest.mark.parametrize("tokenizer", [THINKING, NUMBERED], indirect=True)
def test_a_template_that_writes_earlier_turns_differently(tokenizer: Tokenizer) -> None:
    said = "I muse.</think>Good day."
    ids = tokenizer.text_ids(said)
    found = second(tokenizer, said, ids, continued(said))
    assert found.cause == "template"
    assert 0 < found.tokens <= len(tokenizer.prompt_ids(ASKED)) + len(ids)
    # The same where the answer is sent without its thought.
    assert second(tokenizer, said, ids, continued("Good day.")) == found
    # Another conversation, and an edited answer, are no fault of the template.
    other = continued("Good day.", {"role": "user", "content": "Ho"})
    assert second(tokenizer, said, ids, other) == Rewritten()
    assert second(tokenizer, said, ids, continued("Another answer.")) == Rewritten()


@pytest.mark.parametrize("tokenizer", [CHAT_TEMPLATE], indirect=True)
def test_an_answer_whose_text_has_other_tokens(tokenizer: Tokenizer) -> None:
    letters = [token for letter in "Every family" for token in tokenizer.text_ids(letter)]
    assert letters != tokenizer.text_ids("Every family")
    found = second(tokenizer, "Every family", letters, continued("Every family"))
    assert found.cause == "tokens"
    assert 0 < found.tokens <= len(letters)


async def test_the_worker_says_so_with_the_prompt(tiny_llama: Path, tmp_path: Path) -> None:
    """A template that takes no system prompt and leaves out thoughts, in an engine that reuses its cache."""
    folder = Path(shutil.copytree(tiny_llama, tmp_path / "model"))
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refuses + THINKING)
    spec = EngineSpec(str(folder), "onnxruntime", "fp32", context=256)
    builder = await EngineProcess.start("onnxruntime", tmp_path / "build.log")
    process = await EngineProcess.start("onnxruntime", tmp_path / "log")
    sampling = protocol.Sampling(max_tokens=4, ignore_eos=True)

    async def ask(messages: tuple[dict[str, str], ...]) -> tuple[protocol.Prompt, protocol.Done]:
        command = protocol.Generate(process.next_id(), messages, None, sampling)
        events = [event async for event in process.run(command)]
        [prompt] = [event for event in events if isinstance(event, protocol.Prompt)]
        assert isinstance(events[-1], protocol.Done), events[-1]
        return prompt, events[-1]

    try:
        engine = await prepare(spec, EngineStore(tmp_path / "store"), builder, lambda _: None)
        await load(process, engine.spec, engine.directory)
        system = {"role": "system", "content": "Be kind."}
        prompt, done = await ask((system, *ASKED))
        assert (prompt.merged_system, prompt.rewritten) == (True, 0)
        prompt, done = await ask(continued(done.text, system, *ASKED))
        assert prompt.rewritten_cause == "template"
        assert done.cached is not None
        assert 0 < prompt.rewritten < prompt.tokens - done.cached
        prompt, _ = await ask(ASKED)
        assert (prompt.merged_system, prompt.rewritten, prompt.rewritten_cause) == (False, 0, "")
    finally:
        await builder.kill()
        await process.kill()
