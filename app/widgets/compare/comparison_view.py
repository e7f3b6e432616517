"""Everything that the Compare screen shows of a comparison."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from app.state.comparison.answer_comparison import AnswerComparison
from app.terminal_text import displayable
from app.widgets.compare.answer_heat import LEGEND, OTHER_TOP, AnswerHeat, ShownToken
from app.widgets.compare.difference_strip import DifferenceStrip
from app.widgets.compare.engine_table import EngineTable
from app.widgets.compare.inspector import Inspector
from app.widgets.compare.own_answers import OwnAnswers
from app.widgets.panels.drawing import one_line
from app.widgets.tokens.token_text import PROBABILITY_LEGEND
from engines.compare.answer_text import has_other_top, heat, other_tops, unsure, verdict
from engines.compare.comparison import ComparedAnswer, EngineAnswer, TokenScore
from engines.compare.report.table import BUSY_NOTE, is_row_busy
from engines.compare.rows import title

NO_ANSWER = "Nothing has been answered yet. Ask something in the chat, or press P for prompts that ship."


class ComparisonView(Vertical):
    """The prompt, the engines, the answer with a cursor, and what each engine expects there."""

    def __init__(self, comparison: AnswerComparison, why_nothing: str) -> None:
        """Create it.

        Args:
            why_nothing: what to say while there is no reference.
        """
        super().__init__()
        self._comparison, self._why_nothing = comparison, why_nothing
        self.chosen = 0
        """Index of the chosen engine."""
        self.by_probability = False
        """Whether tokens are shaded by the engine's own probability instead of the KLD."""
        self._shown: ComparedAnswer | None = None
        self._placed = False
        """Whether the cursor was put on the first split of this answer."""

    def compose(self) -> ComposeResult:
        """Create the parts, from top to bottom."""
        yield Static(id="compare-prompt")
        yield EngineTable(id="compare-engines")
        with Horizontal(id="compare-middle"):
            yield AnswerHeat(id="compare-heat")
            yield Inspector(id="compare-inspector")
        yield OwnAnswers(id="compare-own")
        yield DifferenceStrip(id="compare-strip")
        yield Static(id="compare-note")

    @property
    def engine(self) -> EngineAnswer | None:
        """What was found of the chosen engine; None while that is not known, or after it failed."""
        answer = self._comparison.answer
        found = answer.engines[self.chosen] if answer and self.chosen < len(answer.engines) else None
        return found if found and found.scores else None

    @property
    def cursor(self) -> int:
        """Index of the token under the cursor."""
        return self.query_one(AnswerHeat).cursor

    @property
    def is_current(self) -> bool:
        """Whether what was found last is drawn."""
        return self._comparison.answer is self._shown

    def restart(self) -> None:
        """Show a comparison that begins: the cursor goes to the first split once there is one."""
        self._placed = False
        self.show()

    def choose(self, index: int) -> None:
        """Choose an engine, if there is one of that number."""
        if 0 <= index < len(self._comparison.specs) and index != self.chosen:
            self.chosen = index
            self.show()

    def move_to_other_top(self, step: int) -> bool:
        """Move to the next or previous token in whose place the engine expects another one; False without."""
        answer, engine = self._comparison.answer, self.engine
        places = other_tops(answer, engine) if answer and engine else []
        ahead = [place for place in places if (place - self.cursor) * step > 0]
        if ahead:
            self.query_one(AnswerHeat).move_to(min(ahead) if step > 0 else max(ahead))
        return bool(ahead)

    def update(self) -> None:
        """Show a change of the comparison: a step of progress draws its line alone."""
        if self.is_current:
            self.show_note()
        else:
            self.show()

    def show(self) -> None:
        """Fill every part."""
        comparison, answer = self._comparison, self._comparison.answer
        if answer is not self._shown and answer:
            self.call_later(self.query_one(OwnAnswers).show, answer)
        self._shown = answer
        self.query_one("#compare-prompt", Static).update(_prompt_line(comparison))
        self.query_one(EngineTable).show(comparison, self.chosen)
        text = self.query_one(AnswerHeat)
        text.show(self._tokens())
        text.border_title = Content(self._heading())
        text.border_subtitle = self._legend()
        if self.engine and not self._placed:
            self._placed = True
            text.move_to(comparison.first_split(self.chosen))
        self.show_cursor()
        self.show_note()

    def on_resize(self) -> None:
        """Show what fits."""
        self.show()

    @on(AnswerHeat.Moved)
    def show_cursor(self) -> None:
        """Show what the engines expect at the cursor."""
        answer = self._comparison.answer
        for part in (self.query_one(Inspector), self.query_one(DifferenceStrip)):
            part.display = answer is not None
            if answer:
                part.show(answer, self.cursor, self.chosen)

    def show_note(self) -> None:
        """Show what is being done, what failed, or the verdict on the chosen engine."""
        note = self.query_one("#compare-note", Static)
        note.set_class(bool(self._comparison.error) and not self._comparison.step, "-failed")
        note.update(Content(displayable(self._note())))

    def _note(self) -> str:
        comparison, answer = self._comparison, self._comparison.answer
        if comparison.step:
            return f"{comparison.step} …  Esc stops."
        if comparison.error:
            return f"{comparison.error}  R tries again."
        if comparison.reference is None:
            return self._why_nothing
        if answer is None:
            return "Stopped.  R measures." if comparison.prompt else NO_ANSWER
        engines = [self.engine] if self.engine and self.screen.has_class("-short") else answer.engines
        lines = [f"{engine.row.title} {verdict(answer, engine)}." for engine in engines]
        busy = any(is_row_busy(one.row) for one in (answer.reference, *answer.engines))
        return "\n".join(lines + [f"{BUSY_NOTE}."] * busy) or "A adds an engine."

    def _heading(self) -> str:
        reference = self._comparison.reference
        if reference is None:
            return "No engine"
        what = "how sure {} is" if self.by_probability else "how far {} is from it"
        engine = f", shaded by {what.format(self.engine.row.title)}" if self.engine else ""
        return displayable(f"{title(reference)}’s answer{engine}")

    def _legend(self) -> str:
        if self.engine is None:
            return ""
        shades = PROBABILITY_LEGEND if self.by_probability else LEGEND
        return f"{shades}  {OTHER_TOP} other top token"

    def _tokens(self) -> list[ShownToken]:
        answer, engine = self._comparison.answer, self.engine
        if answer is None:
            return []
        if engine is None:
            return [ShownToken(piece, 0, other_top=False) for piece in answer.answer.pieces]
        rows = zip(answer.answer.pieces, answer.reference.scores, engine.scores, strict=True)
        return [
            ShownToken(piece, self._shade(score), has_other_top(base, score)) for piece, base, score in rows
        ]

    def _shade(self, score: TokenScore) -> int:
        return unsure(score.probability) if self.by_probability else heat(score.kl)


def _prompt_line(comparison: AnswerComparison) -> Content:
    if comparison.prompt is None:
        return Content("")
    place = f"‹ {comparison.place + 1} of {len(comparison.prompts)} ›  "
    return Content.assemble((place, "bold"), one_line(displayable(comparison.prompt.title), 200))
