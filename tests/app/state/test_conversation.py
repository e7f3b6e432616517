"""What the engine is asked, turn after turn."""

from __future__ import annotations

from app.state.conversation import Conversation
from engines.worker.protocol import Error


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in conversation.messages()]


def test_history_alternates() -> None:
    conversation = Conversation("Be short.")
    conversation.begin("one", "engine").answer = "first"
    conversation.begin("two", "engine")
    assert said(conversation) == [
        ("system", "Be short."),
        ("user", "one"),
        ("assistant", "first"),
        ("user", "two"),
    ]


def test_unanswered_turns_are_left_out_but_kept() -> None:
    conversation = Conversation()
    conversation.begin("lost", "engine").error = Error(1, "worker-died", "The worker ended.")
    conversation.begin("two", "engine")
    assert said(conversation) == [("user", "two")]
    assert [turn.prompt for turn in conversation.turns] == ["lost", "two"]


def test_a_stopped_answer_is_history() -> None:
    conversation = Conversation()
    turn = conversation.begin("one", "engine")
    turn.answer, turn.reason = "half an ans", "stopped"
    conversation.begin("two", "engine")
    assert ("assistant", "half an ans") in said(conversation)


def test_begin_again_replaces_the_last_turn() -> None:
    conversation = Conversation()
    conversation.begin("one", "engine").answer = "first"
    again = conversation.begin_again("other engine")
    assert again is conversation.turns[-1]
    assert (again.prompt, again.answer, again.attempt, again.engine) == ("one", "", 1, "other engine")
    assert len(conversation.turns) == 1


def test_begin_again_without_turns() -> None:
    assert Conversation().begin_again("engine") is None
