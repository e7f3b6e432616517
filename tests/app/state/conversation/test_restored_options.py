"""What a reopened conversation changes of the settings, and the words for it."""

from __future__ import annotations

from dataclasses import replace

from msgspec.structs import replace as replaced

from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.conversation_file import Record
from app.state.conversation.restored_options import restored_options, restored_options_text
from app.state.settings.settings import ChatOptions, Settings
from engines.worker.protocol import Sampling
from engines.worker.template_arguments import OFF, Thinking

PIRATE = ChatOptions("Be a pirate.", Sampling(temperature=1.5, seed=7, stop=("Arr",)))


def record(left: ChatOptions | None, right: ChatOptions | None = None, attempt: int = 0) -> Record:
    """One turn on each side that was asked."""
    found = Record()
    for name, options in (("left", left), ("right", right)):
        conversation = Conversation()
        if options:
            sampling = options.for_attempt(attempt)
            conversation.add(
                Turn(
                    "Hello",
                    attempt=attempt,
                    sampling=sampling,
                    system_prompt=options.system_prompt,
                    thinking=options.thinking,
                )
            )
        found.sides[name] = conversation
    return found


def test_each_side_gets_its_own() -> None:
    """Only what differs is changed; a side that was never asked keeps what it has."""
    assert restored_options(record(PIRATE), Settings()) == {"left_chat": PIRATE}
    assert restored_options(record(ChatOptions(), PIRATE), Settings()) == {"right_chat": PIRATE}
    assert restored_options(record(PIRATE, PIRATE), Settings(left_chat=PIRATE)) == {"right_chat": PIRATE}
    assert restored_options(Record(), Settings(left_chat=PIRATE)) == {}


def test_the_seed_is_the_sides_own() -> None:
    """The third version of an answer had another seed than the side: the side gets its own again."""
    assert restored_options(record(PIRATE, attempt=2), Settings()) == {"left_chat": PIRATE}


def test_turns_without_sampling_say_nothing() -> None:
    """Files from before it was saved, and a prompt that was never sent."""
    old = record(PIRATE)
    old.sides["left"].add(Turn("And then?"))
    assert restored_options(old, Settings()) == {"left_chat": PIRATE}
    bare = Record()
    bare.sides["left"].add(Turn("Hello"))
    assert restored_options(bare, Settings()) == {}


def test_words_tell_every_difference() -> None:
    """A side a line, old values beside new ones, nothing of what is the same."""
    settings = Settings()
    words = restored_options_text(restored_options(record(PIRATE, ChatOptions()), settings), settings)
    assert words.splitlines()[1:] == [
        "Left: system prompt “Be a pirate.”, temperature 1.5 (was 0), seed 7 (was 0), other stop texts"
    ]
    both = restored_options_text(restored_options(record(PIRATE, PIRATE), settings), settings)
    assert both == words.replace("Left", "Both sides")
    full = replaced(PIRATE, system_prompt="", sampling=replace(PIRATE.sampling, ignore_eos=True))
    settings = Settings(right_chat=PIRATE)
    words = restored_options_text(restored_options(record(None, full), settings), settings)
    assert words.splitlines()[1:] == ["Right: no system prompt, to the full length"]
    assert restored_options_text({}, settings) == ""


def test_foreign_text_is_cut_and_harmless() -> None:
    """A system prompt is shown by its beginning, without what a terminal would obey."""
    prompt = "Be \x1b[31m" + "very " * 40
    settings = Settings()
    words = restored_options_text(restored_options(record(ChatOptions(prompt)), settings), settings)
    assert "\x1b" not in words
    assert len(words) < 120


def test_thinking_is_restored() -> None:
    silent = ChatOptions(thinking=Thinking(OFF))
    changes = restored_options(record(silent), Settings())
    assert changes == {"left_chat": silent}
    assert restored_options_text(changes, Settings()).endswith("Left: thinking off")
