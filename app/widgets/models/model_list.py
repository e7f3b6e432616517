"""The list of models in sections, with size and fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from app.state.models.model_entry import ModelEntry, Section
from app.terminal_text import displayable
from app.units import bytes_text, parameters_text
from app.widgets.marked_lists import MarkedOptionList
from app.widgets.panels.drawing import MUTED

FITS = {
    "fits": ("✓ fits", "$text-success"),
    "smaller only": ("▲", "$text-warning"),
    "does not fit": ("✗ too large", "$text-error"),
}
SEARCH = "search the hub"
"""Id of the last option: no model has it, because of its spaces."""
PARAMETERS, BYTES, FIT = 7, 10, 13
"""Cells of the columns."""
PADDING, GAPS = 2, 5
"""Cells beside an option, and between the columns."""
SMALLEST_TITLE = 16


class ModelList(MarkedOptionList):
    """One line for each model. Enter opens its engines; a click only highlights."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Build and chat", id="models.submit"),
        Binding("slash", "filter", "Filter", key_display="/", id="models.filter"),
        Binding("d", "demo", "Demo", id="models.demo"),
    ]

    class Submitted(Message):
        """Enter was pressed on a model or on the search."""

    class FilterRequested(Message):
        """The user wants to type into the filter."""

    class DemoRequested(Message):
        """The user wants the demo."""

    def __init__(self) -> None:
        super().__init__(id="checkpoints", markup=False)
        self.entries: Sequence[ModelEntry] = ()
        self._search = self.note = ""
        self._drawn_width = 0

    @property
    def chosen(self) -> ModelEntry | None:
        """The highlighted model; None on the search, and in an empty list."""
        option = self.highlighted_option
        return next((one for one in self.entries if option and one.name == option.id), None)

    @property
    def searches(self) -> bool:
        """Whether the search is highlighted."""
        option = self.highlighted_option
        return option is not None and option.id == SEARCH

    def show(self, entries: Sequence[ModelEntry], chosen: str, search: str = "", note: str = "") -> None:
        """List models, by section.

        Args:
            entries: in the order of the sections; a name at most once.
            chosen: name of the model to highlight; without it, the first one is.
            search: text that the last line offers to search the hub for; empty for no such line.
            note: about the hub's results, such as that they are old.
        """
        self.entries, self._search, self.note = entries, search, note
        self._draw(chosen)

    def on_mount(self) -> None:
        """Align the columns again when a scrollbar takes a part of the width: the list is not resized."""
        self.watch(self, "show_vertical_scrollbar", self._scrollbar_changed, init=False)

    def _scrollbar_changed(self) -> None:
        self.call_later(self.on_resize)

    def on_resize(self) -> None:
        """Align the columns again."""
        if self.scrollable_content_region.width != self._drawn_width:
            option = self.highlighted_option
            self._draw(option.id or "" if option else "")

    def _draw(self, chosen: str) -> None:
        self._drawn_width = self.scrollable_content_region.width
        room = self._drawn_width - PADDING
        width = max(SMALLEST_TITLE, room - PARAMETERS - BYTES - FIT - GAPS)
        options: list[Option] = []
        for section in Section:
            lines = [one for one in self.entries if one.section is section]
            if lines or (section is Section.HUB and self.note):
                note = f" · {self.note}" if section is Section.HUB and self.note else ""
                options.append(Option(Content.styled(f"{section}{displayable(note)}", MUTED), disabled=True))
            options += [Option(_line(one, width), id=one.name) for one in lines]
        if self._search:
            text = f"⌕ Search the hub for “{displayable(self._search)}”"
            options.append(Option(Content.styled(text, "$accent"), id=SEARCH))
        ids = [option.id for option in options]
        first = next((place for place, name in enumerate(ids) if name), None)
        with self.prevent(OptionList.OptionHighlighted):  # nobody has moved
            self.set_options(options)
            self.highlighted = ids.index(chosen) if chosen in ids else first

    def action_submit(self) -> None:
        """Post `Submitted`."""
        self.post_message(self.Submitted())

    def action_filter(self) -> None:
        """Post `FilterRequested`."""
        self.post_message(self.FilterRequested())

    def action_demo(self) -> None:
        """Post `DemoRequested`."""
        self.post_message(self.DemoRequested())


def _line(entry: ModelEntry, width: int) -> Content:
    title = displayable(entry.title)
    if len(title) > width:
        title = f"{title[: width - 1]}…"
    figures = f" {parameters_text(entry.parameters):>{PARAMETERS}}{_size(entry):>{BYTES}}  "
    return Content.assemble(f"  {title:<{width}}", (figures, MUTED), _fit(entry))


def _size(entry: ModelEntry) -> str:
    return "" if entry.weight_bytes is None else bytes_text(entry.weight_bytes)


def _fit(entry: ModelEntry) -> tuple[str, str]:
    if entry.gated:
        return "terms to accept", "$text-warning"
    if entry.fit is None:
        return "", MUTED
    text, style = FITS[entry.fit.state]
    precision = f" {entry.fit.precision} only" if entry.fit.state == "smaller only" else ""
    return f"{text}{precision}", style
