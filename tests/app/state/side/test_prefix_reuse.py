"""The prefix reuse of a conversation: the same figures as adding up every turn anew."""

from __future__ import annotations

from app.state.conversation.conversation import Conversation, Turn
from app.state.side.prefix_reuse import PrefixReuse


def by_hand(turns: list[Turn], engine: str) -> tuple[int, int]:
    """Add up every turn."""
    known = [turn for turn in turns if turn.engine == engine and turn.cached is not None]
    return sum(turn.prompt_tokens for turn in known), sum(turn.cached or 0 for turn in known)


def test_it_follows_the_conversation() -> None:
    """While an answer goes on, with another version shown, after a change of engines, and cleared."""
    reuse, conversation = PrefixReuse(), Conversation()

    def holds(engine: str = "one") -> None:
        assert reuse.of(conversation.turns, engine) == by_hand(conversation.turns, engine)

    holds()
    for number in range(5):
        turn = conversation.begin("Hello", "two" if number == 2 else "one")
        holds()
        turn.prompt_tokens, turn.cached = 10 * (number + 1), None if number == 3 else number
        holds()
        turn.cached = 3 if number == 4 else turn.cached  # as the library knows it in the end
        holds()
    holds("two")
    holds()
    conversation.begin_again("one", 1)
    holds()
    conversation.choose(4)
    holds()
    conversation.clear()
    holds()


def test_what_has_ended_is_not_looked_at_again() -> None:
    """However long the conversation is: a turn that ended is added once."""
    reuse, conversation = PrefixReuse(), Conversation()
    for _ in range(3):
        conversation.add(Turn("Hello", engine="one", prompt_tokens=10, cached=5))
    assert reuse.of(conversation.turns, "one") == (30, 15)
    conversation.turns[0].prompt_tokens = 1_000
    assert reuse.of(conversation.turns, "one") == (30, 15)
