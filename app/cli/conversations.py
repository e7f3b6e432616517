"""`trt-playground conversations`: the saved conversations without the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from app.cli import completion

if TYPE_CHECKING:
    from app.state.conversation.conversation_file import Record
    from app.state.conversation.saved_conversations import SavedConversation

conversations = typer.Typer(
    help="""The saved conversations; without a command: list them, newest first.

    Examples:
      trt-playground conversations
      trt-playground conversations show 1
    """,
    invoke_without_command=True,
)
Which = Annotated[
    str,
    typer.Argument(
        help="Its number in the list, 1 is the newest; or its file.", autocompletion=completion.conversations
    ),
]


@conversations.callback()
def list_by_default(context: typer.Context) -> None:
    """List the saved conversations, newest first, or do something with one of them."""
    if context.invoked_subcommand is None:
        list_conversations("")


@conversations.command("ls")
def list_conversations(
    search: Annotated[str, typer.Argument(help="Only those in which all these words were said.")] = "",
) -> None:
    """List the saved conversations, newest first; `trt-playground --continue` goes on with the first.

    Examples:
      trt-playground conversations ls
      trt-playground conversations ls "kv cache"
    """
    from datetime import datetime

    from app.state.conversation.saved_conversations import matching
    from app.state.side.pacing import displayable

    every = _saved()
    for one in matching(every, search):
        changed = datetime.fromtimestamp(one.changed).astimezone().strftime("%Y-%m-%d %H:%M")
        title = displayable(one.title[:60])
        typer.echo(f"{every.index(one) + 1:>3}  {changed}  {one.turns:>3} turns  {title}\n     {one.path}")


@conversations.command("show")
def show_conversation(which: Which = "1") -> None:
    """Print a conversation as Markdown: both sides, with their figures.

    Examples:
      trt-playground conversations show
      trt-playground conversations show 3 | less
    """
    from app.state.conversation.markdown_export import markdown

    typer.echo(markdown(_read(_path(which))), nl=False)


@conversations.command("export")
def export_conversation(
    which: Which = "1",
    to: Annotated[
        str | None, typer.Option(help="The file: .md for reading, .json with every version and token.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON where --to names no file.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a conversation as Markdown or JSON, to the folder of documents unless --to says otherwise.

    Examples:
      trt-playground conversations export 1
      trt-playground conversations export 2 --to talk.json
    """
    from app.state.conversation.export import free_path, problem, write_export
    from app.state.settings.paths import document_folder

    record = _read(_path(which))
    path = to or str(free_path(document_folder(), record.title, ".json" if json else ".md"))
    if wrong := problem(path):
        raise typer.BadParameter(f"{path!r}: {wrong}")
    try:
        typer.echo(f"Exported to {write_export(record, path, replace=force)}")
    except FileExistsError as error:
        _refuse(f"{error} --force replaces it.")
    except (OSError, RuntimeError) as error:
        _refuse(f"It cannot be written: {error}")


@conversations.command("rm")
def remove_conversation(
    which: Which, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Delete a conversation for good.

    Examples:
      trt-playground conversations rm 3
      trt-playground conversations rm 3 --yes
    """
    from app.state.conversation.saved_conversations import delete_conversation
    from app.state.side.pacing import displayable

    path = _path(which)
    title = displayable(_read(path).title)
    if not yes:
        typer.confirm(f"Delete “{title}” for good?", abort=True)
    try:
        delete_conversation(path)
    except OSError as error:
        _refuse(f"It cannot be deleted: {error}")
    typer.echo(f"Deleted “{title}”.")


def _saved() -> list[SavedConversation]:
    from app.state.conversation.saved_conversations import saved_conversations
    from app.state.settings.paths import conversation_folder

    return saved_conversations(conversation_folder())


def _path(which: str) -> Path:
    """The file of a number in the list, or the file that was named."""
    if not which.isdecimal():
        return Path(which)
    saved = _saved()
    if not 1 <= int(which) <= len(saved):
        _refuse(f"There is no conversation {which}. `trt-playground conversations` lists {len(saved)}.")
    return saved[int(which) - 1].path


def _read(path: Path) -> Record:
    """What a file holds; one without a turn is no conversation."""
    from app.state.conversation.conversation_file import read_record

    try:
        record = read_record(path)
    except OSError as error:
        _refuse(f"It cannot be read: {error}")
    if not record.title:
        _refuse(f"{path} holds no conversation.")
    return record


def _refuse(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(1)
