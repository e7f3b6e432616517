"""The only place where commands write. Text of checkpoints, engines and models is never printed raw.

`tests/app/cli/test_output.py` checks that no other module of this folder prints.
"""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import Any

import typer
from typer.core import TyperGroup

from app.terminal_text import displayable


def echo(line: str = "", *, err: bool = False) -> None:
    """Print one line. Line breaks in `line` become spaces: a name that contains one must not forge a line.

    Args:
        err: print to stderr instead of stdout.
    """
    typer.echo(one_line(line), err=err)


def echo_text(text: str, *, err: bool = False) -> None:
    """Print text of several lines, or a part of a line, without a line break at its end."""
    typer.echo(displayable(text), nl=False, err=err)


def one_line(text: str) -> str:
    """Return the text without control characters, in one line."""
    return displayable(" ".join(text.splitlines())).replace("\t", " ")


class SafeGroup(TyperGroup):
    """The commands, with errors whose messages can be printed."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments of the program."""
        try:
            return super().make_context(*arguments, **options)
        except Exception as error:
            raise _cleaned(error) from error.__cause__

    def invoke(self, *arguments: Any, **options: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(*arguments, **options)
        except Exception as error:
            raise _cleaned(error) from error.__cause__


def print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an unhandled exception, as `sys.excepthook` does."""
    lines = traceback.format_exception(kind, error, trace)
    print(displayable("".join(lines)), end="", file=sys.stderr)


def _cleaned(error: Exception) -> Exception:
    """Clean the message of an error that Typer prints."""
    message = getattr(error, "message", None)
    if isinstance(message, str):
        error.message = one_line(message)  # type: ignore[attr-defined]
    return error
