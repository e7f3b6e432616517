"""The stage: the chat for an audience, with both answers, large figures and the headline alone."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.screen import Screen

from app.interface import playground
from app.state.side.side import Side
from app.state.side.stage_figure import stage_figure
from app.widgets.chat.pane_pair import PanePair
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.chat.stage_figures import StageFigures, StageTitle
from app.widgets.panels.panel_strip import PanelStrip

STAGE = "-stage"
"""Class of a screen that shows the stage: stage.tcss hides everything else."""
PLACEHOLDER = "Ask both sides · Esc or Ctrl+G ends the stage"


class Stage:
    """Turns the chat into a stage and back. The panels' setting is not changed."""

    def __init__(self, screen: Screen[None]) -> None:
        """Create it for a chat screen, whose widgets need not exist yet."""
        self._screen = screen
        self._placeholder: str | Content = PLACEHOLDER
        """Of the prompt, to change to when the stage begins or ends."""
        self.note = ""
        """Shown behind the name of the model."""

    @property
    def shown(self) -> bool:
        """Whether the stage is shown."""
        return self._screen.has_class(STAGE)

    def show(self, shown: bool) -> None:
        """Show the stage, or everything again."""
        if shown == self.shown:
            return
        screen = self._screen
        screen.set_class(shown, STAGE)
        screen.query_one(PanelStrip).shown = playground(screen).settings.panels and not shown
        for pane in screen.query_one(PanePair).panes:
            pane.transcript.show_figures(not shown)
        box = screen.query_one(PromptInput)
        self._placeholder, box.placeholder = box.placeholder, self._placeholder
        if shown:
            box.focus()
        comparison = screen.query_one(SpeedComparison)
        comparison.brief = shown
        if comparison.display:
            comparison.compare(*playground(screen).sides)
        self.draw()

    def draw(self) -> None:
        """Draw the name of the model and the large figures, if the stage is shown."""
        if not self.shown:
            return
        app, figures = playground(self._screen), self._screen.query_one(StageFigures)
        figures.show(*map(stage_figure, app.sides))
        comparison = self._screen.query_one(SpeedComparison)
        ratio = comparison.ratio if comparison.display else None
        figures.show_ratio(ratio, app.sides[0].conversation.turns[-1:])
        self._screen.query_one(StageTitle).show(
            model_name(app.sides, app.settings.checkpoint),
            f"timing {app.settings.timing.value}",
            self.note,
            warning=app.save_failures.text,
        )


def model_name(sides: Iterable[Side], chosen: str) -> str:
    """Return the name of the checkpoint; both names where the sides have different ones.

    Args:
        chosen: the checkpoint of the settings, shown until an engine has read it.
    """
    names = dict.fromkeys(side.checkpoint_name for side in sides if side.checkpoint_name)
    return " and ".join(names) or chosen
