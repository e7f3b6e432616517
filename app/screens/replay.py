"""Replay: a saved conversation at its own pace, without any engine."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Header

from app.screens.playground_screen import PlaygroundScreen
from app.state.conversation.playback import Playback
from app.state.conversation.record import Record
from app.state.conversation.replay import Moment, Progress, RecordedAnswer, RecordedTurn, recorded_turns
from app.state.conversation.replay_words import (
    MEAN_RATE,
    recorded_ratio,
    recorded_words,
    version_words,
)
from app.state.conversation.turn import Turn
from app.state.side.stage_figure import StageFigure, final_figure, live_figure
from app.units import clock_text
from app.widgets.chat.recorded_pane import RecordedPane
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.chat.stage import STAGE
from app.widgets.chat.stage_figures import StageFigures, StageTitle
from app.widgets.key_footer import KeyFooter
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS

FRAME_SECONDS = 0.1
BARE = "-bare"
"""Class of the screen without header and footer."""


class ReplayScreen(PlaygroundScreen):
    """The stage of a saved conversation. Everything on it was recorded."""

    TITLE = "Replay"
    CSS_PATH = ["../styles/chat.tcss", "../styles/stage.tcss"]  # noqa: RUF012
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    HELP = """\
# Replay

A saved conversation at the pace at which its tokens arrived. No engine runs: text, figures and headline are
those that were recorded, and what was not recorded is not shown.

**Space** pauses, **Left** and **Right** go to the previous and the next prompt, **+** and **-** change the
speed, **Ctrl+G** hides header and footer, **Esc** ends the replay.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("space", "pause", "Pause", id="replay.pause"),
        Binding("left", "step(-1)", "Previous", id="replay.previous"),
        Binding("right", "step(1)", "Next", id="replay.next"),
        Binding("plus,equals_sign", "speed(1)", "Faster", key_display="+", id="replay.faster"),
        Binding("minus", "speed(-1)", "Slower", key_display="-", id="replay.slower"),
        Binding("ctrl+g", "bare", "Stage", id="replay.bare"),
        Binding("escape", "end", "End", id="replay.end"),
    ]

    def __init__(self, record: Record) -> None:
        """Create it for a conversation with at least one turn."""
        super().__init__(classes=STAGE)
        self._turns = recorded_turns(record)
        self.playback = Playback([(turn.ended, turn.pause) for turn in self._turns])
        self._recorded = recorded_words(self._said())
        self._shown = -1
        """Index of the turn that is drawn."""
        self._drawn_at = time.monotonic()

    def compose(self) -> ComposeResult:
        """Create the parts of the stage; there are no panels, because nothing runs."""
        yield Header()
        yield StageTitle(id="stage-title", markup=False)
        with Horizontal(id="panes"):
            yield RecordedPane("left")
            yield RecordedPane("right")
        yield StageFigures(id="stage-figures")
        yield SpeedComparison(id="comparison")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Say what is shown, and begin."""
        self.about = " · ".join(filter(None, (self._recorded, version_words(self._said()))))
        self.show_unsaved()
        self.query_one(SpeedComparison).brief = True
        for pane in self.query(RecordedPane):
            pane.transcript.show_figures(False)
        self._drawn_at = time.monotonic()
        self.set_interval(FRAME_SECONDS, self._advance)
        self.call_after_refresh(self.draw)

    def on_screen_resume(self) -> None:
        """Go on where another screen covered this one."""
        self._drawn_at = time.monotonic()

    def _said(self) -> list[Turn]:
        return [answer.turn for turn in self._turns for answer in turn.answers]

    def _advance(self) -> None:
        now = time.monotonic()
        elapsed, self._drawn_at = now - self._drawn_at, now
        if self.app.screen is self:  # `is_current` is true below a dialog too
            self.playback.advance(elapsed)
            self.draw()

    def draw(self) -> None:
        """Draw the conversation as it was at the position of the playback."""
        if len(self.query(RecordedPane)) != 2:  # it is being composed or removed
            return
        turn, seconds = self._turns[self.playback.index], self.playback.seconds
        if self._shown != self.playback.index:
            self._begin(turn)
        sides = (turn.left, turn.right)
        moments = [answer.at(seconds) if answer else None for answer in sides]
        for pane, moment in zip(self.query(RecordedPane), moments, strict=True):
            if moment:
                pane.show(moment)
        left, right = (_figure(*one) for one in zip(sides, moments, strict=True))
        self.query_one(StageFigures).show(left, right)
        self._show_headline(all(one is None or one.progress is Progress.ENDED for one in moments))
        self._show_title(turn)

    def _begin(self, turn: RecordedTurn) -> None:
        index = self._shown = self.playback.index
        before = self._turns[:index]
        left, right = self.query(RecordedPane)
        left.begin([one.left for one in before if one.left], turn.left)
        right.begin([one.right for one in before if one.right], turn.right)

    def _show_headline(self, ended: bool) -> None:
        comparison, figures = self.query_one(SpeedComparison), self.query_one(StageFigures)
        if ended and not comparison.display:
            known = self._turns[: self.playback.index + 1]
            lefts = [one.left.turn for one in known if one.left]
            rights = [one.right.turn for one in known if one.right]
            comparison.show(lefts, rights, recorded_ratio(known))
            figures.show_ratio(comparison.ratio, lefts[-1:])
        elif not ended and comparison.display:
            comparison.display = False
            figures.show_ratio(None, ())

    def _show_title(self, turn: RecordedTurn) -> None:
        playback = self.playback
        models = dict.fromkeys(one.turn.checkpoint for one in turn.answers if one.turn.checkpoint)
        mode = turn.answers[0].turn.mode
        self.query_one(StageTitle).show(
            " and ".join(models) or "model not recorded",
            f"timing {mode}" if mode else "",
            f"prompt {playback.index + 1} of {len(self._turns)}",
            "paused" if playback.is_paused else "end: Space begins again" if playback.has_ended else "",
            f"{playback.speed:g}×" if playback.speed != 1 else "",
            below=" · ".join(filter(None, (self._recorded, "" if turn.is_exact else MEAN_RATE))),
        )

    def action_pause(self) -> None:
        """Pause, or go on; at the end begin again."""
        self.playback.toggle_pause()
        self._redraw()

    def action_step(self, turns: int) -> None:
        """Go to the previous or the next prompt."""
        self.playback.step(turns)
        self._redraw()

    def action_speed(self, steps: int) -> None:
        """Play faster or slower."""
        self.playback.change_speed(steps)
        self.draw()

    def action_bare(self) -> None:
        """Hide header and footer, or show them."""
        self.toggle_class(BARE)

    def action_end(self) -> None:
        """Go back to where the replay was opened; one that the command line opened ends the app."""
        if len(self.app.screen_stack) > 2:
            self.dismiss()
        else:
            self.app.exit()

    def _redraw(self) -> None:
        """Draw a position that may be earlier than the one that is drawn."""
        self._shown = -1
        self.query_one(SpeedComparison).display = False
        self.draw()


def _figure(answer: RecordedAnswer | None, moment: Moment | None) -> StageFigure:
    """Return the figure of a side, as it was."""
    if answer is None or moment is None:
        return StageFigure(words="not asked")
    match moment.progress:
        case Progress.QUEUED:
            return StageFigure(words="queued behind the other side")
        case Progress.PREFILL:
            return StageFigure(words=f"prefill: {clock_text(moment.since)}")
        case Progress.DECODE:
            return live_figure(moment.rate)
    return final_figure(answer.turn)
