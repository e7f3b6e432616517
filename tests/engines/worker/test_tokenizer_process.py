"""A tokenizer or chat template that never ends, grows or crashes costs one prompt, not the worker."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from engines.errors import EngineError
from engines.worker import tokenizer_process
from engines.worker.tokenizer import Tokenizer
from engines.worker.tokenizer_process import Stopped, TokenizerProcess
from tests.engines.worker.helpers import is_gone
from tests.faults.hostile import CASES

STUCK = (
    "{% if 'stuck' in messages[-1].content %}{% for a in range(99999) %}{% for b in range(99999) %}"
    "{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}{% endif %}{{ messages[-1].content }}"
)
"""Never ends for a message with that word."""
STUCK_MESSAGE = [{"role": "user", "content": "stuck"}]
MESSAGE = [
    {"role": "user", "content": "What is a KV cache? A longer text follows, with some more words in it."}
]


@pytest.fixture
def checkpoint(tiny_llama: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tiny_llama, tmp_path / "model"))


@contextmanager
def opened(checkpoint: Path) -> Iterator[TokenizerProcess]:
    tokenizer = TokenizerProcess(checkpoint)
    try:
        yield tokenizer
    finally:
        tokenizer.close()


def refusal(tokenizer: TokenizerProcess, messages: list[dict[str, str]] = MESSAGE) -> EngineError:
    with pytest.raises(EngineError) as caught:
        tokenizer.prompt_ids(messages)
    assert caught.value.hint
    return caught.value


def test_it_converts_as_the_tokenizer_in_this_process_does(checkpoint: Path) -> None:
    own = Tokenizer(checkpoint)
    with opened(checkpoint) as tokenizer:
        ids = own.prompt_ids(MESSAGE)
        assert tokenizer.prompt_ids(MESSAGE) == tokenizer.counting.prompt_ids(MESSAGE) == ids
        assert tokenizer.plain_ids("Hello") == own.plain_ids("Hello")
        assert tokenizer.decode(ids) == own.decode(ids)
        assert tokenizer.eos_token_ids == own.eos_token_ids
        assert tokenizer.has_chat_template
        assert tokenizer.plain_ids("\ud800") == own.plain_ids("?")  # half of a character


def test_a_stop_ends_a_template_that_never_ends_and_the_next_prompt_works(checkpoint: Path) -> None:
    (checkpoint / "chat_template.jinja").write_text(STUCK)
    with opened(checkpoint) as tokenizer:
        tokenizer.stopped = lambda: True
        with pytest.raises(Stopped):
            tokenizer.prompt_ids(STUCK_MESSAGE)
        tokenizer.stopped = lambda: False
        assert tokenizer.prompt_ids(MESSAGE)


def test_a_template_that_never_ends_has_a_deadline(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkpoint / "chat_template.jinja").write_text(STUCK)
    monkeypatch.setattr(tokenizer_process, "PROMPT_SECONDS", 0.5)
    with opened(checkpoint) as tokenizer:
        error = refusal(tokenizer, STUCK_MESSAGE)
        assert error.code == "prompt-timeout"
        assert error.message == "The checkpoint's chat template did not finish within 0.5 seconds."
        monkeypatch.undo()
        assert tokenizer.prompt_ids(MESSAGE)


def test_counts_fail_at_once_after_one_that_never_ended(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each letter that is typed asks for one."""
    (checkpoint / "chat_template.jinja").write_text(STUCK)
    monkeypatch.setattr(tokenizer_process, "COUNT_SECONDS", 0.5)
    with opened(checkpoint) as tokenizer:
        for messages in (STUCK_MESSAGE, MESSAGE):
            with pytest.raises(EngineError) as caught:
                tokenizer.counting.prompt_ids(messages)
            assert caught.value.code == "prompt-timeout"
        assert tokenizer.prompt_ids(MESSAGE)  # prompts do not


def test_a_count_that_hangs_does_not_delay_a_prompt(checkpoint: Path) -> None:
    (checkpoint / "chat_template.jinja").write_text(STUCK)
    tokenizer, failed = TokenizerProcess(checkpoint), threading.Event()

    def count() -> None:
        try:
            tokenizer.counting.prompt_ids(STUCK_MESSAGE)
        except EngineError:
            failed.set()

    thread = threading.Thread(target=count)
    thread.start()
    assert tokenizer.prompt_ids(MESSAGE)
    assert thread.is_alive()
    tokenizer.close()  # ends the count too
    thread.join(20)
    assert failed.is_set()


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("template: 3 GB of letters", {"prompt-memory"}),
        ("template: 40 MB of letters", {"prompt-too-long"}),
        ("template: doubling strings", {"prompt-memory"}),
        ("template: doubling lists", {"prompt-memory"}),
        ("template: escape: globals", {"chat-template"}),
        ("template: raises a megabyte", {"chat-template"}),
        (
            "tokenizer: normalizer: four megabytes for a letter",
            {"prompt-memory", "prompt-timeout", "tokenizer-failed"},
        ),
        ("tokenizer: normalizer: empty regex", {"tokenizer-failed"}),
    ],
)
def test_what_grows_or_panics_is_an_error_in_words(checkpoint: Path, name: str, codes: set[str]) -> None:
    CASES[name](checkpoint)
    with opened(checkpoint) as tokenizer:
        error = refusal(tokenizer)
        assert error.code in codes
        assert len(error.message) < 500
        assert "panic" not in error.message.lower()
        assert refusal(tokenizer).code in codes  # and again, in a new process if the first one ended


def test_tokens_whose_text_is_enormous_are_refused(checkpoint: Path) -> None:
    CASES["tokenizer: decoder: a megabyte for a letter"](checkpoint)
    with opened(checkpoint) as tokenizer, pytest.raises(EngineError, match="characters of") as caught:
        tokenizer.decode([300, 301])
    assert caught.value.code == "tokenizer-failed"


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer: normalizer: random charsmap",
        "tokenizer: normalizer: broken regex",
        "tokenizer: empty object",
    ],
)
def test_a_tokenizer_that_cannot_be_loaded_is_an_error_in_words(checkpoint: Path, name: str) -> None:
    CASES[name](checkpoint)
    before = psutil.Process().children()
    with pytest.raises(EngineError) as caught:
        TokenizerProcess(checkpoint)
    assert caught.value.code == "missing-tokenizer"
    assert psutil.Process().children() == before


def test_a_host_that_was_killed_is_started_again(checkpoint: Path) -> None:
    before = set(psutil.Process().children())
    with opened(checkpoint) as tokenizer:
        assert tokenizer.prompt_ids(MESSAGE)
        (host,) = set(psutil.Process().children()) - before
        host.kill()
        ended, deadline = False, time.monotonic() + 60
        while not ended and time.monotonic() < deadline:  # until the kernel has ended both
            try:
                tokenizer.prompt_ids(MESSAGE)
            except EngineError:
                ended = True
        assert ended
        assert tokenizer.prompt_ids(MESSAGE)


def test_the_processes_hold_no_descriptor_and_end_with_their_parent(checkpoint: Path) -> None:
    """A copy of the protocol's pipe would keep it open after the worker's end."""
    ours, theirs = os.pipe()
    before = set(psutil.Process().children())
    with opened(checkpoint) as tokenizer:
        tokenizer.prompt_ids(MESSAGE)
        (host,) = set(psutil.Process().children()) - before
        tree = [host, *host.children()]
        assert len(tree) == 2
        os.close(theirs)
        assert os.read(ours, 1) == b""  # end of file: there is no copy
    os.close(ours)
    deadline = time.monotonic() + 200
    while not all(is_gone(child.pid) for child in tree) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert all(is_gone(child.pid) for child in tree)


def test_end_of_sequence_ids_that_no_library_takes_are_ignored(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["eos_token_id"] = [5, -1, 2**70, True, "x", None]
    (checkpoint / "config.json").write_text(json.dumps(config))
    assert Tokenizer(checkpoint).eos_token_ids == {0, 5}


def test_a_generation_config_without_an_end_is_not_read(checkpoint: Path) -> None:
    (checkpoint / "generation_config.json").unlink()
    (checkpoint / "generation_config.json").symlink_to("/dev/zero")
    assert Tokenizer(checkpoint).eos_token_ids == {0}
