"""One turn as lines: prompt, reasoning, answer, figures and actions."""

from __future__ import annotations

from app.state.conversation.conversation import Turn
from app.terminal_text import displayable
from app.units import count_text
from app.widgets.chat.transcript.figures import figures, shown_attachments, shown_prompt
from app.widgets.chat.transcript.incremental_markdown import IncrementalMarkdown
from app.widgets.chat.transcript.line_renderer import BLANK, Line, LineRenderer
from app.widgets.chat.transcript.plain_text import is_long, newest_lines
from app.widgets.chat.transcript.shaded_answer import ShadedAnswer

REASONING_LINES = 3
"""Lines of streaming reasoning that are shown: the newest."""
REASONING_CHARACTERS = 2_000
"""More than those lines have: wrapping all of a long thought ten times a second would hold up the app."""
LONG_BODY = 10
"""Above this number of lines the actions are shown at both ends, because one may be out of view."""


class RenderedTurn:
    """A turn and its lines, rendered on demand and cached until `change` is called."""

    def __init__(self, turn: Turn, version: int = 1, versions: int = 1) -> None:
        self.turn = turn
        self.version, self.versions = version, versions
        self.ended = True
        """False while the answer streams."""
        self.marked = False
        """Whether its actions are shown."""
        self.shows_reasoning = False
        self.codes: list[str] = []
        """The text of its code blocks."""
        self.has_reasoning = False
        """Whether the answer contains reasoning to unfold."""
        self.origin: tuple[str, ...] = ()
        """Which model, engine and timing mode the answer is of, where the chat's title says otherwise."""
        self.prompt_rows = 0
        """How many of the lines, from the first one on, are the prompt."""
        self.shaded: ShadedAnswer | None = None
        """Its tokens, while they are shown instead of the text."""
        self.token_row = 0
        """Row of the marked token, from the turn's first one."""
        self._markdown: IncrementalMarkdown | None = None
        self._lines: list[Line] | None = None
        self._renderer: LineRenderer | None = None

    def lines(self, renderer: LineRenderer) -> list[Line]:
        """Return the lines, the last one empty."""
        if self._lines is None or self._renderer is not renderer:
            self._lines = self._render(renderer)
            self._renderer = renderer
        return self._lines

    def change(self) -> None:
        """Drop the cached lines, after the turn or its state changed."""
        self._lines = None

    def end(self) -> None:
        """Mark the answer as complete, so that it is rendered as one document."""
        self.ended = True
        self.change()

    def _render(self, renderer: LineRenderer) -> list[Line]:
        if self._renderer is not renderer:
            self._markdown = None
        prompt = self._prompt(renderer)
        self.prompt_rows = len(prompt)
        body = self._newest(renderer) if is_long(self.turn.answer) else self._body(renderer)
        token_row = 0
        if self.shaded:
            body, token_row = self.shaded.lines(renderer)
            body.append(BLANK)
        if not self.ended:
            return [*prompt, *body, BLANK]
        actions = self._actions(renderer) if self.marked else []
        self.token_row = len(prompt) + len(actions) + token_row
        repeated = actions if len(body) > LONG_BODY else []
        below = repeated if self.marked else self._version(renderer)
        return [*prompt, *actions, *body, *self._figures(renderer), *below, BLANK]

    def _body(self, renderer: LineRenderer) -> list[Line]:
        """Render reasoning and answer."""
        return self._reasoning(renderer) + self._answer(displayable(self.turn.answer), renderer)

    def _newest(self, renderer: LineRenderer) -> list[Line]:
        """Render the end of an answer that is too long for Markdown."""
        self.codes = []
        style = renderer.colours.style("foreground")
        lines, left_out = newest_lines(self.turn.answer, renderer.width, style)
        note = f"{count_text(left_out)} characters above are not drawn. Copying the answer copies all of it."
        notes = renderer.text(note, "foreground-muted") if left_out else []
        return [*self._reasoning(renderer), *notes, *lines, BLANK]

    def _prompt(self, renderer: LineRenderer) -> list[Line]:
        """Render the prompt, its attachments, and notes on what was sent in another way."""
        background = "primary-muted" if self.marked else ""
        turn, lines = self.turn, []
        if turn.prompt or not turn.attachments:
            lines = renderer.text(shown_prompt(turn.prompt), "foreground", background, bold=True)
        if turn.attachments:
            lines += renderer.text(shown_attachments(turn), "foreground-muted", background)
        for words in filter(None, (turn.left_out_words, turn.merged_system_words)):
            lines += renderer.text(words, "text-warning")
        return lines

    def _reasoning(self, renderer: LineRenderer) -> list[Line]:
        """Render the reasoning: its newest lines while it streams, then a line that unfolds it."""
        thought, tokens = self.turn.thought.strip(), self.turn.thought_tokens
        is_open = not self.ended and not self.turn.answer and bool(tokens)
        self.has_reasoning = bool(thought) or is_open
        if not self.has_reasoning:
            return []
        length = f"{count_text(len(thought.split()))} words"  # of a release that did not count tokens
        if tokens is not None:
            length = f"{count_text(tokens)} token{'' if tokens == 1 else 's'}"
        if is_open:
            newest = self._thought_lines(thought[-REASONING_CHARACTERS:], renderer)[-REASONING_LINES:]
            return [*renderer.actions([(f"Reasoning … {length}", "")]), *newest, BLANK]
        sign, action = ("▾", "fold") if self.shows_reasoning else ("▸", "show")
        head = renderer.actions([(f"{sign} Reasoning: {length} ({action})", "reasoning")])
        lines = self._thought_lines(thought, renderer) if self.shows_reasoning else []
        return [*head, *lines, BLANK]

    @staticmethod
    def _thought_lines(thought: str, renderer: LineRenderer) -> list[Line]:
        if is_long(thought):
            style = renderer.colours.style("foreground-muted", italic=True)
            return newest_lines(thought, renderer.width, style)[0]
        return renderer.text(displayable(thought), "foreground-muted", italic=True)

    def _answer(self, answer: str, renderer: LineRenderer) -> list[Line]:
        if not answer:
            return []
        self._markdown = self._markdown or IncrementalMarkdown(renderer)
        lines = self._markdown.render(answer, complete=self.ended)
        if not self.ended:
            return lines
        self.codes = self._markdown.codes
        return [*lines, BLANK]

    def _figures(self, renderer: LineRenderer) -> list[Line]:
        if not renderer.figures and self.turn.timing and not self.turn.error:
            return []
        text = figures(self.turn, renderer.width, self.origin)
        lines = renderer.text(text, "text-error" if self.turn.error else "foreground-muted")
        if words := self.turn.rewritten_words:
            lines += renderer.text(words, "foreground-muted")
        return lines

    def _version(self, renderer: LineRenderer) -> list[Line]:
        if self.versions < 2:
            return []
        return renderer.text(f"version {self.version} of {self.versions}", "foreground-muted")

    def _actions(self, renderer: LineRenderer) -> list[Line]:
        parts = [("c copy", "copy_answer"), ("e edit", "edit_turn"), ("r retry", "retry")]
        if self.codes:
            parts.append(("b copy code", "copy_last_code"))
        if self.has_reasoning:
            parts.append(("t reasoning", "reasoning"))
        if self.shaded:
            parts += [(", token", "move_token(-1)"), (". token", "move_token(1)"), ("v text", "shades")]
        if self.versions > 1:
            parts += [("←", "older"), (f"version {self.version}/{self.versions}", ""), ("→", "newer")]
        return renderer.actions(parts)
