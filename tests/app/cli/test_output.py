"""Commands never print control characters of a checkpoint, an engine, a conversation or a setting."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import output
from app.cli.main import cli
from app.state.conversation.conversation import Turn
from app.state.conversation.record import TurnLine, encode_line
from app.state.settings import paths
from engines.build.store import EngineStore
from engines.displayable import displayable
from engines.worker.protocol import Error
from tests.app.screens.test_store import add

HOSTILE = (
    "m\x1b]52;c;ZXZpbA==\x07\x1b[31mred\x9b2J\x7f\r\b"
    "\u202eevil\u2066\u2028forged\u2029\x85\x0b\x0c\u200b\u0378"
)
NOWHERE = "/proc/nowhere"
"""A folder that does not exist and that not even root can make."""
FORGED = "m\n0c4d5e6f70c4d5e6f70c  forged"


def run(*arguments: str) -> str:
    """Return what a command prints on both streams."""
    return CliRunner().invoke(cli, arguments).output


def assert_safe(printed: str) -> None:
    """Check that there is something, and nothing that a terminal obeys."""
    assert printed.strip()
    assert displayable(printed) == printed
    assert "\t" not in printed


def talk(text: str) -> None:
    """Save a conversation in which everything is `text`."""
    folder = paths.conversation_folder()
    folder.mkdir(parents=True)
    error = Error(0, "c", text, text, text)
    turn = Turn(text, text, engine=text, checkpoint=text, system_prompt=text, reason="stop", error=error)
    (folder / "talk.jsonl").write_bytes(encode_line(TurnLine("left", 0, turn, -1)))


def store(checkpoint: str) -> None:
    """Store an engine of a checkpoint in such a folder."""
    add(EngineStore(paths.engine_store()), 1, checkpoint)


def settings(text: str) -> None:
    """Write a settings file that cannot be used."""
    paths.settings_file().parent.mkdir(parents=True)
    paths.settings_file().write_text(f'theme = 5 # "{text}"\n', encoding="utf-8", newline="")


COMMANDS: list[tuple[Callable[[str], None], tuple[str, ...]]] = [
    (store, ("engines", "ls")),
    (store, ("engines", "verify")),
    (talk, ("conversations",)),
    (talk, ("conversations", "show", "1")),
    (talk, ("conversations", "rm", "1", "--yes")),
    (talk, ("conversations", "show", f"{NOWHERE}/{HOSTILE}")),
    (talk, ("conversations", "export", "1", "--to", f"{NOWHERE}/{HOSTILE}")),
    (talk, ("conversations", "export", "1", "--to", f"{NOWHERE}/{HOSTILE}.md")),
    (settings, ("ask", "hello", "--preset", HOSTILE)),
    (settings, ("--continue",)),
    (talk, ("ask", "hello", "-m", f"{NOWHERE}/{HOSTILE}")),
    (talk, ("ask", "hello", "-m", HOSTILE)),
    (talk, ("ask", "hello", "--engine", HOSTILE)),
    (talk, ("--left", HOSTILE)),
    (talk, (f"--{HOSTILE}",)),
    (talk, (HOSTILE,)),
    (talk, ("engines", HOSTILE)),
    (talk, ("engines", "rm", HOSTILE)),
    (talk, ("engines", "inspect", HOSTILE)),
    (talk, ("engines", "prune", "--keep", HOSTILE)),
    (talk, ("env", "create", HOSTILE)),
    (talk, ("env", "use", "tensorrt-llm", f"{NOWHERE}/{HOSTILE}")),
    (talk, ("doctor", "--report", f"{NOWHERE}/{HOSTILE}/report")),
]


@pytest.mark.parametrize(
    ("before", "command"), COMMANDS, ids=lambda value: str(getattr(value, "__name__", value))
)
def test_no_control_character_is_printed(before: Callable[[str], None], command: tuple[str, ...]) -> None:
    before(HOSTILE)
    assert_safe(run(*command))


@pytest.mark.parametrize("name", ["caf\udce9", "\ud83d"])
def test_a_name_that_is_not_utf_8_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.echo(f"a folder {name}")
    assert capsys.readouterr().out == f"a folder {name[:-1]}�\n"


def test_a_line_break_in_a_name_forges_no_line() -> None:
    store(FORGED)
    printed = run("engines", "ls")
    assert "forged" in printed
    assert not [line for line in printed.splitlines() if line.startswith("0c4d5e6f70c4d5e6f70c  forged")]


def test_an_exception_is_printed_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError(HOSTILE)
    output.print_exception(type(error), error, None)
    assert_safe(capsys.readouterr().err)


def test_no_other_module_prints() -> None:
    """So that what holds for one command holds for all."""
    found = []
    for file in Path(output.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and file.name != "output.py":
                name = ast.unparse(node.func)
                if name in ("print", "typer.echo", "typer.secho", "click.echo", "sys.stdout.write"):
                    found.append((file.name, ast.unparse(node)))
    assert found == [("main.py", "print(f\"trt-playground {version('trt-playground')}\")")]
