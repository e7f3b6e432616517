"""`trt-playground conversations`: list, show, export and delete saved conversations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from app.cli import completion
from app.cli.output import echo, echo_text, one_line

if TYPE_CHECKING:
    from app.state.conversation.conversation_file import Record
    from app.state.conversation.saved_conversations import SavedConversation

conversations = typer.Typer(
    help="""List, show, export and delete saved conversations. Without a command, list them, newest first.

    Examples:
      trt-playground conversations
      trt-playground conversations show 1
    """,
    invoke_without_command=True,
)
Which = Annotated[
    str,
    typer.Argument(
        help="Number in the list (1 is the newest), or path of the file.",
        autocompletion=completion.conversations,
    ),
]


@conversations.callback()
def list_by_default(context: typer.Context) -> None:
    """List the saved conversations, newest first, unless a command follows."""
    if context.invoked_subcommand is None:
        list_conversations("")


@conversations.command("ls")
def list_conversations(
    search: Annotated[str, typer.Argument(help="Only conversations that contain all these words.")] = "",
) -> None:
    """List the saved conversations, newest first; `trt-playground --continue` reopens the first.

    Examples:
      trt-playground conversations ls
      trt-playground conversations ls "kv cache"
    """
    from datetime import datetime

    from app.state.conversation.saved_conversations import matching

    every = _saved()
    for saved in matching(every, search):
        number = every.index(saved) + 1
        changed = datetime.fromtimestamp(saved.changed).astimezone().strftime("%Y-%m-%d %H:%M")
        echo(f"{number:>3}  {changed}  {saved.turns:>3} turns  {saved.title[:60]}")
        echo(f"     {saved.path}")


@conversations.command("show")
def show_conversation(which: Which = "1") -> None:
    """Print a conversation as Markdown: both sides, with the timing of every answer.

    Examples:
      trt-playground conversations show
      trt-playground conversations show 3 | less
    """
    from app.state.conversation.markdown_export import markdown

    echo_text(markdown(read_conversation(which)))


@conversations.command("export")
def export_conversation(
    which: Which = "1",
    to: Annotated[
        str | None,
        typer.Option(
            help="Output file: .md for reading, .json with all versions and tokens. Default: a new file in "
            "your documents folder."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON if --to is not given.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Export a conversation as Markdown or JSON.

    Examples:
      trt-playground conversations export 1
      trt-playground conversations export 2 --to chat.json
    """
    from app.state.conversation.export import free_path, problem, write_export
    from app.state.settings.paths import document_folder

    record = _read(_path(which))
    path = to or str(free_path(document_folder(), record.title, ".json" if json else ".md"))
    if why := problem(path):
        raise typer.BadParameter(f"{path!r}: {why}")
    try:
        echo(f"Exported to {write_export(record, path, replace=force)}")
    except FileExistsError:
        _fail(f"{path} already exists. Add --force to overwrite it.")
    except (OSError, RuntimeError) as error:
        _fail(f"{path} cannot be written: {error}. Choose another file with --to.")


@conversations.command("rm")
def remove_conversation(
    which: Which, yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False
) -> None:
    """Delete a conversation permanently.

    Examples:
      trt-playground conversations rm 3
      trt-playground conversations rm 3 --yes
    """
    from app.state.conversation.saved_conversations import delete_conversation

    path = _path(which)
    title = one_line(_read(path).title)
    if not yes:
        typer.confirm(f"Delete “{title}” permanently?", abort=True)
    try:
        delete_conversation(path)
    except OSError as error:
        _fail(f"{path} cannot be deleted: {error.strerror}.")
    echo(f"Deleted “{title}”.")


def read_conversation(which: str) -> Record:
    """Return a conversation, which is given as its number in the list or as a path.

    Raises:
        typer.Exit: there is none, or it has no turns; a message was printed.
    """
    return _read(_path(which))


def _saved() -> list[SavedConversation]:
    from app.state.conversation.saved_conversations import saved_conversations
    from app.state.settings.paths import conversation_folder

    return saved_conversations(conversation_folder())


def _path(which: str) -> Path:
    """Return the file of a conversation, which is given as its number in the list or as a path."""
    if not which.isdecimal():
        return Path(which)
    saved = _saved()
    if not 1 <= int(which) <= len(saved):
        _fail(f"There is no conversation {which}. List them with: trt-playground conversations ls")
    return saved[int(which) - 1].path


def _read(path: Path) -> Record:
    """Read a conversation; exit with a message if the file cannot be read or has no turns."""
    from app.state.conversation.conversation_file import read_record

    try:
        record = read_record(path)
    except OSError as error:
        _fail(f"{path} cannot be read: {error.strerror}.")
    if not record.title:
        _fail(f"{path} does not contain a conversation. Choose another file.")
    return record


def _fail(message: str) -> NoReturn:
    echo(message, err=True)
    raise typer.Exit(1)
