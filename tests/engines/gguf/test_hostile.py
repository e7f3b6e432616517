"""GGUF files of strangers are refused in plain words, before anything is allocated for what they claim."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.worker.tokenizer import Tokenizer
from engines.worker.tokenizer_process import open_tokenizer
from engines.worker.untrusted import check_checkpoint
from tests.engines.gguf.hostile import HOSTILE, LATER
from tests.engines.gguf.raw_gguf import TOKENS, good


def written(folder: Path, data: bytes) -> Path:
    file = folder / "model.gguf"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_in_plain_words(name: str, tmp_path: Path) -> None:
    data, words = HOSTILE[name]
    file = written(tmp_path, data)
    for refuse in (read_checkpoint, check_checkpoint):  # by the app, and again by the worker
        with pytest.raises(EngineError) as refused:
            refuse(file)
        assert words in f"{refused.value.message} {refused.value.hint}"
        assert refused.value.hint
        assert refused.value.message.isprintable()


@pytest.mark.parametrize("name", LATER)
def test_the_worker_refuses_what_only_it_finds(name: str, tmp_path: Path) -> None:
    data, words = LATER[name]
    file = written(tmp_path, data)
    assert read_checkpoint(file).gguf_precision == "fp32"
    with pytest.raises(EngineError) as refused:
        open_tokenizer(file)
    assert refused.value.code == "missing-tokenizer"
    assert words in refused.value.message


def test_the_file_that_the_others_differ_from_is_accepted(tmp_path: Path) -> None:
    assert len(HOSTILE) + len(LATER) >= 30
    file = written(tmp_path, good().to_bytes())
    check_checkpoint(file)
    assert Tokenizer(file).plain_ids("abc") == [0, 1, 2]
    assert read_checkpoint(file).shape.vocabulary == len(TOKENS)


def test_every_cut_and_every_changed_byte_of_the_header_ends_in_a_message(tmp_path: Path) -> None:
    data = good().to_bytes()
    end = data.index(b"output_norm.weight") + 50
    for place in range(0, end, 3):
        for damaged in (data[:place], data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]):
            with suppress(EngineError):  # any other exception fails the test
                read_checkpoint(written(tmp_path, damaged))


def test_special_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    for file in (tmp_path / "pipe.gguf", tmp_path / "missing.gguf", Path("/dev/zero")):
        with pytest.raises(EngineError):
            read_checkpoint(file)
