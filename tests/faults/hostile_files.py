"""Pipes, devices, sockets and folders in the place of files; links, sizes and names."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from tests.faults.hostile_case import Case

READ = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    "model.safetensors",
)  # fmt: skip
"""Files that are in the good checkpoint."""
OPTIONAL = (
    "random_weights.json", "hf_quant_config.json", "model.safetensors.index.json", "special_tokens_map.json",
    "added_tokens.json", "adapter_config.json", "README.md", "vocab.json",
    "additional_chat_templates/x.jinja",
)  # fmt: skip


def _replaced(name: str, make: Callable[[Path], object]) -> Case:
    def case(folder: Path) -> None:
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        make(file)

    return case


def _socket(file: Path) -> None:
    # Bound from its folder: the path of a socket has at most 107 bytes.
    before = Path.cwd()
    os.chdir(file.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(file.name)
    finally:
        os.chdir(before)


def _linked_pipe(file: Path) -> None:
    pipe = file.parent / "pipe"
    os.mkfifo(pipe)
    file.symlink_to(pipe)


def _sparse(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(1 << 36)


def _renamed(name: bytes) -> Case:
    def case(folder: Path) -> Path:
        target = Path(os.fsdecode(os.fsencode(folder.parent) + b"/" + name))
        folder.rename(target)
        return target

    return case


def _many(folder: Path) -> None:
    for number in range(20_000):
        (folder / f"{number}.txt").touch()


def _unreadable(folder: Path) -> None:
    (folder / "config.json").chmod(0)


FILES: dict[str, Case] = {
    f"{name} is {kind}": _replaced(name, make)
    for kind, make, names in (
        ("a pipe", os.mkfifo, (*READ, *OPTIONAL)),
        ("a link to a pipe", _linked_pipe, ("config.json", "tokenizer.json", "generation_config.json")),
        ("a link to /dev/zero", lambda file: file.symlink_to("/dev/zero"), (*READ, *OPTIONAL)),
        ("a link to /dev/tty", lambda file: file.symlink_to("/dev/tty"), ("config.json", "tokenizer.json")),
        ("a link to /proc/kmsg", lambda file: file.symlink_to("/proc/kmsg"), ("config.json", "README.md")),
        ("a link to itself", lambda file: file.symlink_to(file.name), READ),
        ("a link to nothing", lambda file: file.symlink_to("nosuch"), READ),
        ("a socket", _socket, READ),
        ("a folder", Path.mkdir, READ),
        ("a sparse file of 64 GB", _sparse, (*READ[:5], "random_weights.json", "added_tokens.json")),
    )
    for name in names
} | {
    "20,000 files": _many,
    "config.json cannot be read": _unreadable,
    "name that is not UTF-8": _renamed(b"caf\xe9"),
    "name with escapes": _renamed(b"m\x1b]52;c;AAAA\x07\x1b[31mred"),
    "name with a newline": _renamed(b"two\nlines"),
    "name of 255 bytes": _renamed(b"x" * 255),
    "name with spaces and quotes": _renamed(b" '\"$(true) "),
    "name that looks like an option": _renamed(b"--help"),
    "name with a colon": _renamed(b"shape:llama"),
    "name with a percent sign": _renamed(b"%s%n{0}"),
    "name right to left": _renamed("\u202egpj.exe".encode()),
}
