"""What is received of an answer is in its turn, at a cost that is linear in its length."""

from __future__ import annotations

import pytest

from app.state.conversation.token_stamps import TokenStamps
from app.state.conversation.turn import Turn
from app.state.side.answer_recorder import PARTS, SHORT, AnswerRecorder
from engines.worker import protocol
from engines.worker.remote_answer import RemoteAnswer
from tests.doubles.openai_answers import KINDS
from tests.doubles.openai_server import OpenAIServer
from tests.doubles.openai_streams import ANSWER, TEXT, THOUGHT
from tests.engines.backends.endpoint.asking import ask, connected


def chunk(number: int, text: str = "word ") -> protocol.Chunk:
    return protocol.Chunk(1, (number,), (number,), text)


class CountedTurn(Turn):
    """Counts the characters that are copied into it."""

    copied = 0

    def __setattr__(self, name: str, value: object) -> None:
        if name == "answer":
            self.copied += len(str(value))
        super().__setattr__(name, value)


def test_every_chunk_of_a_usual_answer_is_in_the_turn() -> None:
    turn = Turn("prompt")
    recorder = AnswerRecorder(turn)
    recorder.take(protocol.Prompt(1, 3, "", 0))
    for number in range(1_000):
        recorder.take(chunk(number))
        assert len(turn.answer) == 5 * len(turn.token_ids) == 5 * (number + 1)


def test_a_long_answer_is_copied_a_bounded_number_of_times() -> None:
    turn, chunks = CountedTurn("prompt"), 40 * SHORT // 50
    recorder = AnswerRecorder(turn)
    for number in range(chunks):
        recorder.take(chunk(number, "x" * 50))
        assert len(turn.answer) >= 50 * (number + 1) * (1 - 2 / PARTS) - 50
    recorder.complete()
    assert len(turn.answer) == 50 * chunks
    assert turn.copied < 3 * PARTS * len(turn.answer) < chunks * len(turn.answer) / 2


@pytest.mark.parametrize("last", [protocol.Error(1, "worker-died", "It died."), None])
def test_what_came_before_a_failure_is_kept(last: protocol.Error | None) -> None:
    turn = Turn("prompt")
    recorder = AnswerRecorder(turn)
    for number in range(2 * SHORT // 5 + 1):
        recorder.take(chunk(number))
    if last:
        recorder.take(last)
    recorder.complete()
    assert len(turn.answer) == 5 * len(turn.token_ids) == 5 * (2 * SHORT // 5 + 1)
    assert turn.error == last
    assert turn.timing
    assert turn.timing.ttft is None, "without a Prompt the start is unknown"


def test_time_stamps_are_kept_for_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request 3 s after the prompt; tokens after 20, 30 and 30 ms; text that was held back at the end."""
    monkeypatch.setattr("app.state.side.answer_recorder.time.time", lambda: 1_003.0)
    monkeypatch.setattr("app.state.side.answer_recorder.time.monotonic_ns", lambda: 5_000)
    turn = Turn("prompt", asked_at=1_000.0)
    recorder = AnswerRecorder(turn)
    recorder.take(protocol.Prompt(1, 3, "", 5_000))
    recorder.take(protocol.Chunk(1, (7,), (20_005_000,), "Hel"))
    recorder.take(protocol.Chunk(1, (8, 9), (30_005_000, 30_005_000), "lo, "))
    recorder.take(protocol.Chunk(1, (), (), "you"))
    recorder.take(protocol.Done(1, "stop", "Hello, you", (7, 8, 9), None))
    assert turn.stamps == TokenStamps((20_000, 10_000, 0), (3, 2, 5), 3_000_000)


def test_what_the_chat_template_changed_is_in_the_turn() -> None:
    turn = Turn("prompt")
    prompt = protocol.Prompt(1, 90, "", 0, merged_system=True, rewritten=25, rewritten_cause="template")
    AnswerRecorder(turn).take(prompt)
    assert turn.merged_system_words == (
        "the system prompt was sent in the first prompt: the chat template takes none"
    )
    assert turn.rewritten_words == (
        "the KV cache missed 25 tokens of earlier turns: "
        "the chat template writes them differently in this prompt"
    )
    assert Turn("prompt").merged_system_words == Turn("prompt").rewritten_words == ""
    other = Turn("prompt", rewritten=1, rewritten_cause="of a newer release")
    assert other.rewritten_words.startswith("the KV cache missed 1 token of earlier turns: ")


def test_thought_and_answer_are_apart_and_the_tokens_of_the_thought_are_counted() -> None:
    turn = Turn("prompt")
    recorder = AnswerRecorder(turn)
    recorder.take(protocol.Prompt(1, 3, "", 0))
    recorder.take(protocol.Chunk(1, (1, 2), (1, 2), "Hm", thought=True))
    assert (turn.thought, turn.answer, turn.thought_tokens) == ("Hm", "", 2)
    recorder.take(protocol.Chunk(1, (3,), (3,), "Yes"))
    recorder.take(protocol.Done(1, "stop", "Yes", (1, 2, 3), None, "Hm"))
    assert (turn.thought, turn.answer, turn.thought_tokens) == ("Hm", "Yes", 2)
    assert turn.stamps
    assert turn.stamps.characters == (1, 1, 3)
    assert turn.timing
    assert (turn.timing.ttft, turn.timing.ttfo) == (1 / 1e9, 3 / 1e9)


def test_a_thought_without_an_answer_has_no_first_output_token() -> None:
    turn = Turn("prompt")
    recorder = AnswerRecorder(turn)
    recorder.take(protocol.Prompt(1, 3, "", 0))
    recorder.take(protocol.Chunk(1, (1, 2), (1, 2), "Hm", thought=True))
    recorder.take(protocol.Done(1, "length", "", (1, 2), None, "Hm"))
    assert turn.timing
    assert turn.timing.ttfo is None
    assert not turn.answered


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "triton"])  # which sends no thoughts
def test_the_speed_of_a_server_has_the_tokens_of_its_thoughts(kind: str) -> None:
    """As many tokens as were computed in the time between the first and the last: thoughts included."""
    with OpenAIServer(kind, pause=0.01).running() as server, connected(server.url) as backend:
        heard = ask(backend)
    turn, chunks = Turn("prompt"), list[protocol.Chunk]()
    recorder, answer = AnswerRecorder(turn), RemoteAnswer(1, 64, chunks.append)
    recorder.take(protocol.Prompt(heard.started[0].t_ns, 4, "", 0))
    for piece in heard.pieces:
        answer.add(piece)
    done = answer.done(heard.end)
    for event in (*chunks, done):
        recorder.take(event)
    assert (turn.thought, turn.answer) == ("".join(THOUGHT), TEXT)
    assert turn.timing
    assert turn.timing.tokens == len(THOUGHT) + len(ANSWER)
    seconds = (heard.pieces[-1].t_ns - heard.pieces[0].t_ns) / 1e9
    assert turn.timing.decode_rate == pytest.approx((len(THOUGHT) + len(ANSWER) - 1) / seconds)
