"""A thinking model on a side: thought and answer of a turn, what was chosen, and what the next prompt has."""

from __future__ import annotations

from pathlib import Path

from app.engine_lifecycle import EngineLifecycle
from app.state.conversation.conversation_file import Record
from app.state.conversation.record import encode_line, lines_of, record_of
from app.state.side.side import Side
from app.widgets.chat.transcript.figures import figures
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.worker.protocol import Sampling
from engines.worker.template_arguments import OFF, ON, Thinking
from tests.doubles.fork_server import fork_worker
from tests.engines.scripted import make_scripted

TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif %}"
    "{{ message.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% else %}<think>\n{% endif %}"
    "{% endif %}"
)
TAGS = ("<think>", "</think>")


async def test_a_turn_of_a_thinking_model(tmp_path: Path) -> None:
    folder = make_scripted(tmp_path / "model", TEMPLATE, "\n", ("Hm", "</think>", "Yes"), TAGS)
    side = Side("left")
    engine = EngineLifecycle(side, EngineStore(tmp_path / "store"), tmp_path / "logs", fork_worker)
    try:
        await engine.open(EngineSpec(str(folder), "pytorch", "fp32"))
        assert side.ready
        assert side.ready.template_variables == ("enable_thinking",)
        for thinking in (Thinking(ON), Thinking(OFF)):
            turn = side.conversation.begin("Why?", side.title)
            turn.thinking = thinking
            await engine.answer(turn, side.conversation.messages(), Sampling(max_tokens=32))
            assert turn.error is None
    finally:
        await engine.close()
    thought, silent = side.conversation.turns
    assert (thought.thought, thought.answer, thought.reason) == ("Hm", "Yes", "stop")
    assert thought.thought_tokens == 3  # H, m and the tag
    assert thought.timing
    assert thought.timing.ttft
    assert thought.timing.ttfo
    assert thought.timing.ttft < thought.timing.ttfo
    assert "TTFO" in figures(thought, 160)
    assert thought.template_arguments == {"enable_thinking": True}
    # The prompt ends with the closing tag, after which this model says Yes.
    assert (silent.thought, silent.answer, silent.thought_tokens) == ("", "Yes", 0)
    assert silent.template_arguments == {"enable_thinking": False}
    record = Record(sides={"left": side.conversation, "right": Side("right").conversation})
    saved = record_of(b"".join(map(encode_line, lines_of(record)))).sides["left"].turns
    assert saved == side.conversation.turns
