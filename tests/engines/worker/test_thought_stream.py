"""Thoughts are separated from the answer, however the text is divided into chunks."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from engines.worker.answer import Answer
from engines.worker.protocol import Chunk
from engines.worker.thought_stream import Part, ThoughtStream
from engines.worker.thought_tags import FAMILIES, HARMONY, THINK, ThoughtTags, tags_of
from engines.worker.tokenizer import Tokenizer
from tests.engines.tiny import CHAT_TEMPLATE, make_checkpoint

HARMONY_ANSWER = (
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>analysis<|message|>Well.<|end|>"
    "<|start|>assistant<|channel|>final <|constrain|><|message|>Yes.<|return|>"
)
FENCED = "Write:\n```\n<think>\nHm\n</think>\n```\nDone."
CASES: list[tuple[str, ThoughtTags | None, str, str]] = [
    ("Plain.", None, "", "Plain."),
    (" Plain.", None, "", " Plain."),
    ("  \n", None, "", "  \n"),
    ("<think>\nHm.\n</think>\n\nYes.", None, "Hm.\n", "Yes."),
    ("\n<think>Hm.</think>Yes.", None, "Hm.", "Yes."),
    ("Hm.\n</think>\n\nYes.", THINK, "Hm.\n", "Yes."),
    ("<think>\nHm.</think>Yes.", THINK, "Hm.", "Yes."),
    ("<think></think>Yes.", None, "", "Yes."),
    ("<think>\n\n</think>\n\nYes.", None, "", "Yes."),
    ("\n</think>\n\nYes.", THINK, "", "Yes."),
    ("</think>\n\nYes.", None, "", "Yes."),
    ("<think>\nHm", None, "Hm", ""),
    ("Hm </thi", THINK, "Hm </thi", ""),
    ("1 < 2 <th", None, "", "1 < 2 <th"),
    ("<think>a</think>\n<think>b</think>\nYes.", None, "a\n\nb", "Yes."),
    ("<think>a</think>One.\n<think>b</think>Two.", None, "a\n\nb", "One.\nTwo."),
    ("<think>a</think>" + FENCED, None, "a", FENCED),
    (FENCED, None, "", FENCED),
    ("Put `<think>` and `</think>` around it.", None, "", "Put `<think>` and `</think>` around it."),
    ("The <think> tag opens it.", None, "", "The <think> tag opens it."),
    ("<think>Not `</think>` or '</think>'.</think>Yes.", None, "Not `</think>` or '</think>'.", "Yes."),
    ("<think>What's <think>?</think>Yes.", None, "What's <think>?", "Yes."),
    ("[THINK]Hm.[/THINK]Yes.", None, "Hm.", "Yes."),
    ("<seed:think>Hm.</seed:think>Yes.", None, "Hm.", "Yes."),
    ("<thought>\nHm.</thought>Yes.", None, "Hm.", "Yes."),
    ("◁think▷Hm.◁/think▷Yes.", None, "Hm.", "Yes."),
    ("<|channel>thought\nHm.<channel|>Yes.", None, "Hm.", "Yes."),
    ("Here is my thought process: Hm.\nHere is my response:\nYes.", None, "Hm.\n", "Yes."),
    (HARMONY_ANSWER, None, "Hm.\n\nWell.", "Yes."),
    ("<|channel|>final<|message|>Yes.", None, "", "Yes."),
    ("<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.", HARMONY, "Hm.", "Yes."),
]  # fmt: skip


def joined(parts: Sequence[Part], is_thought: bool) -> str:
    return "".join(part.text for part in parts if part.is_thought is is_thought)


@pytest.mark.parametrize(("text", "opened", "thought", "answer"), CASES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_thought_and_answer(
    text: str, opened: ThoughtTags | None, thought: str, answer: str, size: int
) -> None:
    stream, parts = ThoughtStream(FAMILIES, opened), list[Part]()
    for start in range(0, len(text), size):
        parts += stream.feed(text[start : start + size])
    parts += stream.flush()
    assert (joined(parts, True), joined(parts, False)) == (thought, answer)
    assert sum(part.length for part in parts) == len(text)


def test_text_is_not_held_back_longer_than_a_tag() -> None:
    stream = ThoughtStream(FAMILIES)
    assert joined(stream.feed("Hello <b>"), False) == "Hello <b>"
    assert joined(stream.feed(" and <thi"), False) == " and "
    assert joined(stream.feed("s>"), False) == "<this>"


@pytest.fixture(scope="module", params=[True, False], ids=["special", "text"])
def tagged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tokenizer whose tags are special tokens, or ordinary text that only the template has."""
    folder = make_checkpoint(tmp_path_factory.mktemp("tagged"))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tags = [tag for family in (THINK, HARMONY, *tags_of("[THINK]", ())) for tag in family.all]
    if request.param:
        tokens = {part for tag in tags for part in (tag.replace("analysis", "").replace("final", ""),)}
        tokenizer.add_special_tokens(
            {"additional_special_tokens": [AddedToken(one, special=True) for one in sorted(tokens)]}
        )
    tokenizer.chat_template = CHAT_TEMPLATE + "{# " + " ".join(tags) + " #}"
    tokenizer.save_pretrained(folder)
    return Tokenizer(folder)


@pytest.mark.parametrize(
    "text", ["<think>Hm, well.</think>Yes.", "[THINK]Hm, well.[/THINK]Yes.", HARMONY_ANSWER]
)
def test_every_token_is_of_the_thought_or_of_the_answer(tagged: Tokenizer, text: str) -> None:
    ids = tagged.plain_ids(text)
    counts = set()
    for seed in range(12):
        rng, chunks = random.Random(seed), list[Chunk]()
        answer = Answer(1, tagged, (), chunks.append, ThoughtStream(tagged.thought_tags))
        for number, token in enumerate(ids):
            answer.add([token], 10**9 + number * rng.choice((10**6, 10**8)) + number)
        done = answer.done("stop", None)
        assert done.text == "Yes."
        assert done.thought.startswith("Hm")
        assert tuple(token for chunk in chunks for token in chunk.token_ids) == done.token_ids == tuple(ids)
        said = [token for chunk in chunks if not chunk.thought for token in chunk.token_ids]
        assert tagged.decode(said).startswith("Yes.")
        counts.add(sum(len(chunk.token_ids) for chunk in chunks if chunk.thought))
    assert len(counts) == 1, "the count depends on how the tokens are divided into chunks"


def test_only_the_tags_of_the_checkpoint_are_used() -> None:
    assert tags_of("", ()) == (THINK,)
    assert tags_of("{% if x %}<|channel|>analysis", ()) == (THINK, HARMONY)
    assert tags_of("", {"<|channel|>", "<|message|>"}) == (THINK, HARMONY)
    assert tags_of("", {"<|end|>", "<|user|>", "<s>"}) == (THINK,)
