"""The messages that the engine gets, turn after turn."""

from __future__ import annotations

from app.state.conversation.alignment import counterpart, pairs
from app.state.conversation.conversation import Conversation
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


def test_begin_again_keeps_the_version_before() -> None:
    conversation = Conversation()
    conversation.begin("one", "engine").answer = "first"
    again = conversation.begin_again("other engine")
    assert again is conversation.turns[-1]
    assert (again.prompt, again.answer, again.attempt, again.engine) == ("one", "", 1, "other engine")
    assert len(conversation.turns) == 1
    assert [turn.answer for turn in conversation.versions(0)] == ["first", ""]


def test_edited_in_the_middle() -> None:
    """What followed the old version is there again when that one is chosen."""
    conversation = Conversation()
    for prompt in ("one", "two", "three"):
        conversation.begin(prompt, "engine").answer = "yes"
    edited = conversation.begin_again("engine", 1, "two!")
    assert edited
    assert [turn.prompt for turn in conversation.turns] == ["one", "two!"]
    assert said(conversation) == [("user", "one"), ("assistant", "yes"), ("user", "two!")]
    old, new = conversation.versions(1)
    assert (old.prompt, new) == ("two", edited)
    conversation.choose(conversation.number(old))
    assert [turn.prompt for turn in conversation.turns] == ["one", "two", "three"]
    conversation.begin("four", "engine")
    conversation.choose(conversation.number(new))
    conversation.choose(conversation.number(old))
    assert [turn.prompt for turn in conversation.turns] == ["one", "two", "three", "four"]


def test_clear() -> None:
    conversation = Conversation("Be short.")
    conversation.begin("one", "engine")
    conversation.clear()
    assert (conversation.turns, conversation.system_prompt) == ([], "Be short.")


def test_the_same_prompt_on_both_sides() -> None:
    """A side that missed a prompt: what belongs together is found by the prompt, and by how often it came."""
    left, right = Conversation(), Conversation()
    for prompt in ("one", "again", "again"):
        left.begin(prompt, "engine")
    for prompt in ("again", "again"):
        right.begin(prompt, "engine")
    assert [counterpart(turn, left, right) for turn in left.turns] == [None, 0, 1]
    assert [counterpart(turn, right, left) for turn in right.turns] == [1, 2]
    assert counterpart(left.turns[1], left, left) == 1
    assert counterpart(right.turns[0], left, right) is None


def test_begin_again_without_turns() -> None:
    assert Conversation().begin_again("engine") is None


def test_pairs_keep_the_order_of_both_sides() -> None:
    left, right = Conversation(), Conversation()
    for prompt in ("one", "two", "two"):
        left.begin(prompt, "")
    for prompt in ("zero", "one", "two", "three"):
        right.begin(prompt, "")
    asked = [tuple(turn and turn.prompt for turn in both) for both in pairs(left.turns, right.turns)]
    assert asked == [(None, "zero"), ("one", "one"), ("two", "two"), ("two", None), (None, "three")]


def test_a_thought_is_sent_apart_from_the_answer() -> None:
    conversation = Conversation()
    conversation.begin("Why?", "E").answer = "So."
    conversation.turns[0].thought = "Hm."
    conversation.begin("And?", "E").answer = "Yes."
    conversation.begin("Then?", "E")
    assert conversation.messages()[1] == {
        "role": "assistant",
        "content": "So.",
        "reasoning_content": "Hm.",
    }
    assert conversation.messages()[3] == {"role": "assistant", "content": "Yes."}
