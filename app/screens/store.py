"""The engine store: what has been built, how large it is, and a key to delete it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Header, Static

from app.state.prepare.engine_titles import stored_title
from app.units import bytes_text, seconds_text
from engines.build.store import EngineStore, StoredEngine, damage


class StoreScreen(Screen[None]):
    """A table of engines."""

    TITLE = "Engine store"
    HELP = "# Engine store\n\nBuilt engines, newest first. **Delete**, pressed twice, removes one."
    BINDINGS = [  # noqa: RUF012
        Binding("escape,f8", "back", "Back"),
        Binding("delete,d", "remove", "Delete"),
    ]
    DEFAULT_CSS = """
    StoreScreen {
        DataTable {
            height: auto;
            max-height: 1fr;
            scrollbar-size: 0 1;
        }

        #store-note {
            padding: 1 2;
            color: $text-muted;
        }
    }
    """

    def __init__(self, store: EngineStore) -> None:
        super().__init__()
        self._store = store
        self._entries: dict[str, StoredEngine] = {}
        self._doomed = ""
        """Fingerprint for which Delete was pressed once."""

    def compose(self) -> ComposeResult:
        """Table and sum."""
        yield Header()
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield Static(id="store-note")
        yield Footer(compact=True)

    async def on_mount(self) -> None:
        """Read the manifests."""
        table = self.query_one(DataTable)
        table.add_columns("engine", "checkpoint", "size", "build", "built", "state", "fingerprint")
        await self.list_engines()

    async def list_engines(self) -> None:
        """Fill the table; manifests are files, so they are read off the event loop."""
        note = self.query_one("#store-note", Static)
        try:
            entries, foreign = await asyncio.to_thread(lambda: (self._store.entries(), self._store.foreign()))
        except OSError as error:
            note.update(Content(f"The store cannot be read: {error}"))
            return
        self._entries = {entry.fingerprint: entry for entry in entries}
        table = self.query_one(DataTable)
        table.clear()
        for entry in entries:
            table.add_row(*_row(entry), key=entry.fingerprint)
        note.update(Content(_note(self._store, entries, len(foreign))))

    def action_back(self) -> None:
        """To the screen below."""
        self.app.pop_screen()

    async def action_remove(self) -> None:
        """Delete the engine under the cursor."""
        table = self.query_one(DataTable)
        if not self._entries or not table.is_valid_coordinate(table.cursor_coordinate):
            return
        key = str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)
        entry = self._entries[key]
        if key != self._doomed:
            # A large engine took long to build: one slip of a key must not cost it.
            self._doomed = key
            self.notify(
                f"Delete once more to remove {stored_title(entry.spec)}, {bytes_text(entry.size)}.",
                severity="warning",
                markup=False,
            )
            return
        try:
            await asyncio.to_thread(self._store.remove, entry)
        except OSError as error:
            self.notify(f"It cannot be deleted: {error}", severity="error", markup=False)
        await self.list_engines()


def _note(store: EngineStore, entries: list[StoredEngine], foreign: int) -> str:
    total = bytes_text(sum(entry.size for entry in entries))
    count = f"{len(entries)} engine{'s' if len(entries) > 1 else ''}, {total}"
    note = f"{count}, in {store.root}" if entries else _empty(store.root)
    if foreign:
        note += f"\n{foreign} folders there are damaged or of another version; they are not used."
    return note


def _row(entry: StoredEngine) -> list[Text]:
    manifest = entry.manifest
    cells = [
        stored_title(entry.spec),
        Path(entry.spec.checkpoint).name,
        bytes_text(entry.size),
        seconds_text(manifest.build_seconds),
        datetime.fromtimestamp(manifest.built_at).astimezone().strftime("%Y-%m-%d %H:%M"),
        damage(entry) or "whole",
        entry.fingerprint,
    ]
    return [Text(cell) for cell in cells]


def _empty(root: Path) -> str:
    return f"No engine has been built yet. They will be kept in {root}."
