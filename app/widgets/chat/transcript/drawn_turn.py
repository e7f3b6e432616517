"""One turn as lines: the prompt, what the model thought, the answer, the figures."""

from __future__ import annotations

from itertools import accumulate

from app.state.conversation.conversation import Turn
from app.state.side.pacing import displayable
from app.units import count_text
from app.widgets.chat.transcript.brush import BLANK, Line, LineRenderer
from app.widgets.chat.transcript.figures import figures, shown_attachments, shown_prompt
from app.widgets.chat.transcript.growing import IncrementalMarkdown
from app.widgets.chat.transcript.thought import split_reasoning

THOUGHT_LINES = 3
"""Of a thought that goes on, the newest lines are shown."""
LONG_BODY = 10
"""Of a longer one, what can be done with it stands at both ends: one may be out of sight."""


class RenderedTurn:
    """A turn and its lines. Lines are made when they are asked for and kept until something changes."""

    def __init__(self, turn: Turn, version: int = 1, versions: int = 1) -> None:
        self.turn = turn
        self.version, self.versions = version, versions
        self.ended = True
        """False while the answer streams."""
        self.marked = False
        """Whether its actions are shown."""
        self.shows_thought = False
        self.codes: list[str] = []
        """The text of its code blocks."""
        self.thinks = False
        """Whether there is a thought to unfold."""
        self._growing = IncrementalMarkdown()
        self._lines: list[Line] | None = None
        self._brush: LineRenderer | None = None

    def lines(self, brush: LineRenderer) -> list[Line]:
        """The lines, an empty one at the end."""
        if self._lines is None or self._brush is not brush:
            self._lines = self._draw(brush)
            self._brush = brush
        return self._lines

    def change(self) -> None:
        """Something about it changed: draw it again when asked."""
        self._lines = None

    def end(self) -> None:
        """The answer is complete: draw it as a whole."""
        self.ended = True
        self.change()

    def _draw(self, brush: LineRenderer) -> list[Line]:
        if self._brush is not brush:
            self._growing = IncrementalMarkdown()
        prompt = self._prompt(brush)
        said = split_reasoning(displayable(self.turn.answer))
        thought = self._thought(said.thought, said.thinking and not self.ended, brush)
        answer = self._answer(said.answer, brush)
        body = thought + answer
        if not self.ended:
            return [*prompt, *body, BLANK]
        actions = self._actions(brush) if self.marked else []
        again = actions if len(body) > LONG_BODY else []
        below = again if self.marked else self._version(brush)
        return [*prompt, *actions, *body, *self._figures(brush), *below, BLANK]

    def _prompt(self, brush: LineRenderer) -> list[Line]:
        """What was asked, what went with it, and what did not go any more."""
        ground = "primary-muted" if self.marked else ""
        turn, lines = self.turn, []
        if turn.prompt or not turn.attachments:
            lines = brush.text(shown_prompt(turn.prompt), "foreground", ground, bold=True)
        if turn.attachments:
            lines += brush.text(shown_attachments(turn), "foreground-muted", ground)
        if turn.left_out:
            lines += brush.text(turn.left_out_words, "text-warning")
        return lines

    def _thought(self, thought: str, thinking: bool, brush: LineRenderer) -> list[Line]:
        self.thinks = bool(thought) or thinking
        if not self.thinks:
            return []
        words = f"{count_text(len(thought.split()))} words"
        if thinking:
            newest = brush.text(thought, "foreground-muted", italic=True)[-THOUGHT_LINES:]
            return [*brush.actions([(f"Thinking … {words}", "")]), *newest, BLANK]
        sign, what = ("▾", "fold") if self.shows_thought else ("▸", "show")
        head = brush.actions([(f"{sign} Thought: {words} ({what})", "thought")])
        body = brush.text(thought, "foreground-muted", italic=True) if self.shows_thought else []
        return [*head, *body, BLANK]

    def _answer(self, answer: str, brush: LineRenderer) -> list[Line]:
        if not self.ended:
            return self._growing.draw(answer, brush) if answer else []
        if not answer:
            return []
        lines, markdown = brush.markdown(answer)
        self.codes = markdown.codes
        return [*lines, BLANK]

    def _figures(self, brush: LineRenderer) -> list[Line]:
        words = figures(self.turn, brush.width)
        return brush.text(words, "text-error" if self.turn.error else "foreground-muted")

    def _version(self, brush: LineRenderer) -> list[Line]:
        if self.versions < 2:
            return []
        return brush.text(f"version {self.version} of {self.versions}", "foreground-muted")

    def _actions(self, brush: LineRenderer) -> list[Line]:
        parts = [("c copy", "copy_answer"), ("e edit", "edit_turn"), ("r again", "again")]
        if self.codes:
            parts.append(("b copy code", "copy_last_code"))
        if self.thinks:
            parts.append(("t thought", "thought"))
        if self.versions > 1:
            parts += [("←", "older"), (f"version {self.version}/{self.versions}", ""), ("→", "newer")]
        return brush.actions(parts)


def line_offsets(turns: list[RenderedTurn], brush: LineRenderer) -> list[int]:
    """The line at which each turn begins, and the line below the last."""
    return list(accumulate((len(turn.lines(brush)) for turn in turns), initial=0))
