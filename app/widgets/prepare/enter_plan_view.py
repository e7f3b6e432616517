"""What Enter does: the steps to each engine, and their total cost."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from app.state.prepare.enter_plan import EnginePlan
from app.terminal_text import displayable
from app.units import bytes_text, clock_text
from app.widgets.panels.drawing import MUTED

UNKNOWN = "Reads the model, downloads it if it is not on this disk, then builds and loads the engines."
STYLES = {"left": "$left", "right": "$right"}
TITLE = 24
"""Cells of an engine's title."""


class EnterPlanView(Static):
    """One line for each engine and one for the total; hidden while engines are being opened."""

    def __init__(self) -> None:
        super().__init__(id="enter-plan", markup=False)
        self.border_title = "What Enter does"

        self._state: tuple[Sequence[EnginePlan], str, int, str] = (), "", 0, ""

    def on_resize(self) -> None:
        """Choose one line on short terminals, else one for each engine."""
        self._draw()

    def show(self, plans: Sequence[EnginePlan], problem: str, held: int, note: str) -> None:
        """Show the plans, or why there are none.

        Args:
            held: bytes of memory that the running engines of these sides give back.
            note: what came of the last opening; empty for nothing that has to be said.
        """
        self._state = plans, problem, held, note
        self._draw()

    def _draw(self) -> None:
        plans, problem, held, note = self._state
        self.border_subtitle = Content(displayable(note))
        if problem or not plans:
            style = "$text-warning" if problem else MUTED
            self.update(Content.styled(displayable(problem or UNKNOWN), style))
            return
        total = Content.styled(_total(plans, held), MUTED)
        if self.screen.has_class("-short"):
            parts = Content(" · ").join([*(_line(one, 0) for one in plans), total])
            self.update(Content.assemble(f"{note} " if note else "", "Enter: ", parts))
        else:
            width = max(TITLE, *(len(displayable(one.title)) for one in plans))
            self.update(Content("\n").join([*(_line(one, width) for one in plans), total]))


def _line(plan: EnginePlan, width: int) -> Content:
    letter = (f"{plan.side[0].upper()} ", f"bold {STYLES[plan.side]}")
    title = f"{displayable(plan.title):<{width}} " if width else ""
    return Content.assemble(letter, title, " → ".join(plan.steps) or "loaded already")


def _total(plans: Sequence[EnginePlan], held: int) -> str:
    times = [plan.seconds for plan in plans if plan.steps]
    known = [seconds for seconds in times if seconds is not None]
    more = sum(plan.memory for plan in plans) - held
    disk = sum(plan.disk for plan in plans)
    parts = [
        _download(plans),
        *([f"about {clock_text(max(known))}"] if known and len(known) == len(times) else []),
        *(["time unknown: not yet done on this machine"] if len(known) < len(times) else []),
        f"{bytes_text(abs(more))} {'more' if more >= 0 else 'less'} memory",
        *([f"{bytes_text(disk)} of disk"] if disk else []),
    ]
    return " · ".join(parts)


def _download(plans: Sequence[EnginePlan]) -> str:
    """Return `257 MiB to download, 64.0 GiB free on the disk`."""
    size = max(plan.download for plan in plans)
    free = next((plan.free for plan in plans if plan.free is not None), None)
    if not size:
        return "nothing to download"
    return f"{bytes_text(size)} to download" + (f", {bytes_text(free)} free on the disk" if free else "")
