"""`--help` of every command has examples, and every example is a valid command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from app.cli.main import cli
from tests.app.cli.test_main import run

PROGRAM = "trt-playground"


def walk(command: Any, arguments: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield a command and all of its subcommands, each with the arguments that call it."""
    yield arguments, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*arguments, name))


COMMANDS = dict(walk(get_command(cli)))


def examples(help_text: str) -> list[list[str]]:
    """Return the arguments of each example, without the program's name and anything after a pipe."""
    _, _, below = help_text.partition("Examples:")
    lines = [line.strip() for line in below.splitlines() if line.strip()]
    return [shlex.split(line.partition(" | ")[0])[1:] for line in lines if line.startswith(f"{PROGRAM}")]


def parse(arguments: list[str]) -> list[str]:
    """Parse a command line without running it and return the names of the commands.

    Raises:
        Exception: the error that the user would see.
    """
    command: Any = COMMANDS[()]
    context = command.make_context(PROGRAM, list(arguments))
    names = []
    # click 8.2 deprecates the public `protected_args`, and has no other way yet.
    while rest := [*context._protected_args, *context.args]:
        name, command, rest = command.resolve_command(context, rest)
        names.append(name)
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "commands"):
            break
    return names


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_has_examples_that_parse(arguments: tuple[str, ...]) -> None:
    """Examples show the command itself or one of its subcommands."""
    shown = examples(COMMANDS[arguments].help)
    assert shown
    for example in shown:
        assert tuple(parse(example))[: len(arguments)] == arguments


def test_invalid_examples_do_not_parse() -> None:
    """Checks the helper of the test above."""
    for wrong in (["ask"], ["serve", "--port", "many"], ["engines", "sing"], ["--left"], ["doctor", "now"]):
        with pytest.raises(Exception, match=r"(?i)missing|be a valid|no such|requires|unexpected"):
            parse(wrong)


def test_help_shows_each_example_on_a_line() -> None:
    """Also in a terminal with 80 columns."""
    shown = [line.strip() for line in run("ask", "--help").stdout.splitlines()]
    assert 'trt-playground ask "What is a KV cache?" --engine openvino:int4' in shown
