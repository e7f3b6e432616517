"""`trt-playground compare`: engines of one checkpoint against a reference, as a table and a report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.cli.arguments import engine_spec
from app.cli.output import echo
from app.state.prepare.gguf_choice import gguf_checkpoint
from app.state.settings.paths import comparison_folder, engine_store, log_folder
from app.terminal_text import displayable
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.cache import ComparisonCache
from engines.compare.choices import shipped_choices
from engines.compare.comparison import Comparison, ComparisonError, load_comparison
from engines.compare.latest import SHIPPED, LatestFile, file_set
from engines.compare.report import files
from engines.compare.report.table import COLUMNS, Column, cell, notes
from engines.compare.run import ComparisonRun
from engines.compare.run import Progress as Place
from engines.compare.text import Text, file_text, shipped_texts
from engines.environments.start import start_worker
from engines.errors import EngineError, error_text
from engines.text_file import TextFileError
from engines.worker.log_files import log_file

ESSENTIAL = {
    column for column in COLUMNS if column.title in ("Engine", "MB", "KLD mean", "Same top", "tok/s")
}
"""Columns that are shown however narrow the terminal is."""
WIDEST = 1000
DEFAULT_REFERENCE = "pytorch:fp32"


def compare(
    checkpoint: str, reference: str | None, engines: Sequence[str], file: Path | None, context: int
) -> Comparison:
    """Compare the engines, with a progress bar on stderr.

    Raises:
        typer.BadParameter: an engine or the file cannot be used.
        typer.Exit: the reference cannot be used, or the disk is full; the reason has been printed.
    """
    found = gguf_checkpoint(checkpoint)
    if reference is None and found and not found.not_dequantised:
        reference = DEFAULT_REFERENCE
    specs = [
        engine_spec(checkpoint, reference, context, default=DEFAULT_REFERENCE),
        *(engine_spec(checkpoint, engine, context) for engine in engines),
    ]
    texts, text_set = _texts(file), file_set(file) if file else SHIPPED
    try:
        return asyncio.run(_run(_name(checkpoint), specs[0], specs[1:], texts, text_set))
    except EngineError as error:
        _fail(error_text(error))
    except OSError as error:
        _fail(f"The comparison cannot be kept: {error}. Check {comparison_folder()}.")
    except KeyboardInterrupt:
        _fail(
            "Interrupted. The engines that were finished are kept: the same command continues with the next."
        )


def read(file: Path) -> Comparison:
    """Return a saved comparison.

    Raises:
        typer.Exit: it cannot be read; the reason has been printed.
    """
    try:
        return load_comparison(file)
    except ComparisonError as error:
        _fail(str(error))


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write `comparison.json`, `.csv`, `.md` and `.html` into the folder.

    Raises:
        typer.Exit: it cannot be written; the reason has been printed.
    """
    try:
        files.write_report(comparison, folder)
    except OSError as error:
        _fail(f"{folder} cannot be written: {error.strerror}.")


def print_table(comparison: Comparison) -> None:
    """Print the table on stdout, and what failed on stderr; a narrow terminal gets fewer columns."""
    console = Console(highlight=False, markup=False, emoji=False)
    columns = [column for column in COLUMNS if any(column.text(row) for row in comparison.rows)]
    table = _table(comparison, columns)
    width = console.measure(table, options=console.options.update(width=WIDEST)).maximum
    while console.is_terminal and width > console.width and (extra := set(columns) - ESSENTIAL):
        columns.remove(next(column for column in reversed(columns) if column in extra))
        table = _table(comparison, columns)
        width = console.measure(table, options=console.options.update(width=WIDEST)).maximum
    console.width = console.width if console.is_terminal else width
    console.print(table)
    for row in comparison.rows:
        if row.error:
            echo(f"{row.title}: {row.error}", err=True)
    for note in notes(comparison):
        echo(note, err=True)


def _table(comparison: Comparison, columns: Sequence[Column]) -> Table:
    tokens = sum(text.tokens for text in comparison.texts)
    words = f"{comparison.checkpoint}, {tokens:,} tokens, compared with {comparison.reference.title}"
    table = Table(title=displayable(words), box=None, title_justify="left")
    for column in columns:
        table.add_column(column.title, justify="left" if column is COLUMNS[0] else "right", no_wrap=True)
    for row in (comparison.reference, *comparison.rows):
        if not row.error:
            table.add_row(*(displayable(cell(column, row, comparison)) for column in columns))
    return table


async def _run(
    name: str,
    reference: EngineSpec,
    engines: Sequence[EngineSpec],
    texts: Sequence[Text],
    text_set: str,
) -> Comparison:
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tokens"),
        TimeRemainingColumn(),
        console=console,
    )
    with bar if console.is_terminal else nullcontext():
        task = bar.add_task("", total=None)

        printed = ""

        def show(place: Place) -> None:
            nonlocal printed
            words = displayable(f"{place.engine}: {place.step}")
            bar.update(task, description=words, completed=place.done, total=place.total or None)
            if not console.is_terminal and words != printed:  # one line a step, not one a question
                printed = words
                console.print(words, highlight=False, markup=False)

        latest = LatestFile.of(comparison_folder(), reference, text_set, texts)
        run = ComparisonRun(
            name,
            reference,
            engines,
            texts,
            EngineStore(engine_store()),
            ComparisonCache(comparison_folder()),
            start_worker,
            log_file(log_folder(), "compare"),
            show,
            shipped_choices(),
            latest.keep,
        )
        return await run.run()


def _name(checkpoint: str) -> str:
    """Return a hub id or `demo`, and of a path its last part."""
    folder = Path(checkpoint).expanduser()
    if folder.is_file():
        return folder.name
    return folder.resolve().name if folder.is_dir() else checkpoint


def _texts(file: Path | None) -> list[Text]:
    if file is None:
        return shipped_texts()
    try:
        return [file_text(file)]
    except TextFileError as error:
        raise typer.BadParameter(str(error), param_hint="--text") from error


def _fail(message: str) -> NoReturn:
    echo(message, err=True)
    raise typer.Exit(1)
