"""The texts of the chunks join to the text of Done, for any tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models

from engines.worker.answer import FLUSH_TOKENS, Answer, TokenDecoder
from engines.worker.protocol import Chunk
from engines.worker.tokenizer import Tokenizer

TEXTS = (
    "plain words",
    "naïve café — “quotes”",
    "👩‍👩‍👧‍👦 🏳️‍🌈 family",
    "中文和日本語のテキスト",
    "a\n\n```python\nprint('x')\n```",
    "\ufffd real replacement \ufffd",
)


class MetaspaceTokenizer:
    """A tokenizer like Llama 2's: it strips the first space of a text, and has byte fallback."""

    BYTES = 256

    def __init__(self) -> None:
        pieces = [
            "<unk>",
            *(f"<0x{byte:02X}>" for byte in range(256)),
            "▁",
            "▁a",
            "a",
            "▁b",
            "b",
            "▁▁",
            "END",
        ]
        self._tokenizer = FastTokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, []))
        self._tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        self.size = len(pieces)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=True))


@pytest.fixture(scope="module")
def tokenizer(tiny_llama: Path) -> Tokenizer:
    """Byte-level BPE."""
    return Tokenizer(tiny_llama)


def run(
    decoder: TokenDecoder, batches: Sequence[Sequence[int]], stop: tuple[str, ...] = (), step_ns: int = 10**6
) -> tuple[list[Chunk], Answer]:
    """Feed batches one by one, as a backend would, until a stop text is found."""
    chunks: list[Chunk] = []
    answer = Answer(1, decoder, stop, chunks.append)
    for number, batch in enumerate(batches):
        if answer.stop_text_found:
            break
        answer.add(batch, 10**9 + number * step_ns)
    return chunks, answer


def random_batches(ids: Sequence[int], rng: random.Random) -> list[list[int]]:
    """Split into batches of one to five tokens, as engines with speculative decoding yield them."""
    rest, batches = list(ids), []
    while rest:
        size = rng.randint(1, 5)
        batches.append(rest[:size])
        rest = rest[size:]
    return batches


@pytest.mark.parametrize("text", TEXTS)
def test_real_text_is_unchanged(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.plain_ids(text)
    chunks, answer = run(tokenizer, [[token] for token in ids], step_ns=10**8)
    done = answer.done("length", None)
    assert done.text == text == "".join(chunk.text for chunk in chunks)
    assert not any(chunk.text.endswith("\ufffd") for chunk in chunks) or "\ufffd" in text


@pytest.mark.parametrize("seed", range(60))
def test_random_tokens(tokenizer: Tokenizer, seed: int) -> None:
    """As random weights generate them: broken characters, special tokens, anything."""
    rng = random.Random(seed)
    decoder: TokenDecoder = MetaspaceTokenizer() if seed % 2 else tokenizer
    low, high = (
        (MetaspaceTokenizer.BYTES + 1, decoder.size) if isinstance(decoder, MetaspaceTokenizer) else (0, 384)
    )
    ids = [rng.randrange(low, high) for _ in range(rng.randint(0, 200))]
    stop = ("END", "a b", "��")[: rng.randint(0, 3)]
    step_ns = rng.choice([0, 10**6, 10**8])
    chunks, answer = run(decoder, random_batches(ids, rng), stop, step_ns)
    found = answer.stop_text_found
    done = answer.done("stopped" if found else "length", None)
    assert "".join(chunk.text for chunk in chunks) == done.text
    assert (
        sum((chunk.token_ids for chunk in chunks), ()) == done.token_ids == tuple(ids[: len(done.token_ids)])
    )
    assert all(len(chunk.t_ns) == len(chunk.token_ids) <= FLUSH_TOKENS + 4 for chunk in chunks)
    assert not any(text in done.text for text in stop)
    full = decoder.decode(ids)
    if not any(text in full for text in stop):
        assert done.text == full
        assert done.reason == "length"
    elif done.reason == "stop":
        assert full.startswith(done.text)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_that_change_earlier_text(seed: int) -> None:
    """Byte fallback decodes a run of bytes together: one invalid byte invalidates those before it.

    Text that was sent cannot be changed, so here the stream differs from decoding all tokens together.
    """
    rng = random.Random(seed)
    decoder = MetaspaceTokenizer()
    ids = [rng.randrange(decoder.size) for _ in range(200)]
    chunks, answer = run(decoder, random_batches(ids, rng), ("a b",), 10**8)
    assert answer.done("length", None).text == "".join(chunk.text for chunk in chunks)


def test_a_long_run_of_broken_bytes_is_not_buffered(tokenizer: Tokenizer) -> None:
    half = tokenizer.plain_ids("é")[:1] * 5000
    _, answer = run(tokenizer, [half])
    assert answer.done("length", None).text == "\ufffd" * 5000
    special = [0] * 5000
    _, answer = run(tokenizer, [special])
    assert answer.done("length", None).text == ""


@pytest.mark.parametrize("stop", ["END", "E", "one END", "D two", "dEND"])
def test_stop_strings_at_any_token_boundary(tokenizer: Tokenizer, stop: str) -> None:
    text = "said oneEND one END two"
    ids = [token for letter in text for token in tokenizer.plain_ids(letter)]
    chunks, answer = run(tokenizer, [[token] for token in ids], (stop,), step_ns=10**8)
    done = answer.done("stopped" if answer.stop_text_found else "length", None)
    expected = text.partition(stop)[0]
    assert done.text == "".join(chunk.text for chunk in chunks) == expected
    assert done.reason == ("stop" if stop in text else "length")


def test_a_partial_stop_string_is_held_back_until_it_cannot_match(tokenizer: Tokenizer) -> None:
    chunks: list[Chunk] = []
    answer = Answer(1, tokenizer, ("###",), chunks.append)
    for number, letter in enumerate("a##b"):
        answer.add(tokenizer.plain_ids(letter), number * 10**9 + 10**9)
    assert [chunk.text for chunk in chunks] == ["a", "", "", "##b"]


def test_an_incomplete_stop_string_is_sent_at_the_end(tokenizer: Tokenizer) -> None:
    chunks, answer = run(tokenizer, [tokenizer.plain_ids("a##")], ("###",))
    assert answer.done("length", None).text == "a##" == "".join(chunk.text for chunk in chunks)


def test_tokens_of_a_batch_after_the_stop_string_are_dropped(tokenizer: Tokenizer) -> None:
    ids = [token for letter in "aXbc" for token in tokenizer.plain_ids(letter)]
    _, answer = run(tokenizer, [ids], ("X",))
    done = answer.done("stopped", None)
    assert (done.text, done.token_ids, done.reason) == ("a", tuple(ids[:2]), "stop")


def test_the_earliest_of_several_stop_strings_is_used(tokenizer: Tokenizer) -> None:
    _, answer = run(tokenizer, [tokenizer.plain_ids("one two three")], ("three", "two", ""))
    assert answer.done("stopped", None).text == "one "


def test_the_first_token_is_sent_immediately_and_later_ones_in_groups(tokenizer: Tokenizer) -> None:
    ids = tokenizer.plain_ids("x") * 150
    chunks, answer = run(tokenizer, [[token] for token in ids], step_ns=1000)
    answer.done("length", None)
    sizes = [len(chunk.token_ids) for chunk in chunks]
    assert sizes == [1, FLUSH_TOKENS, FLUSH_TOKENS, 149 - 2 * FLUSH_TOKENS]
