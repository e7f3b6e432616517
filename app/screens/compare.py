"""Compare: one answer of the reference, read token by token by up to four engines."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widgets import DataTable

from app.interface import PlaygroundApp
from app.screens.choose import ChooseScreen
from app.screens.playground_screen import PlaygroundScreen
from app.screens.texts import PromptFileScreen, RecordedAnswersScreen
from app.state.comparison.answer_comparison import MOST, AnswerComparison
from app.state.comparison.asked_prompts import asked_prompts, asked_turns, place_of, shipped_prompts
from app.state.comparison.branch_version import keep_branch
from app.state.comparison.candidates import candidates, compared_sides, why_nothing
from app.state.comparison.report_folder import export
from app.state.conversation.turn import Turn
from app.state.settings.paths import comparison_folder, document_folder, log_folder
from app.state.side.busy import STILL_ANSWERING, answering
from app.terminal_text import displayable
from app.widgets.compare.answer_heat import AnswerHeat
from app.widgets.compare.comparison_view import ComparisonView
from app.widgets.compare.engine_table import EngineTable
from app.widgets.key_footer import KeyFooter
from app.widgets.tab_header import TabHeader
from app.widgets.tokens.token_text import quoted
from engines.build.server import is_remote
from engines.compare.answer_text import others
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.cache import ComparisonCache
from engines.compare.comparison import Alternative, Branch
from engines.compare.rows import title
from engines.worker.log_files import log_file

PROMPTS = ("The prompts of the conversation", "Prompts that ship", "Prompts of a file …")
NO_REFERENCE = "A server cannot be the reference: it does not give the whole distribution."
NARROW = 110
"""Columns below which the inspector is under the text."""
KEPT_SECONDS = 0.3
"""How long the first layout waits for what is kept on disk."""
DRAW_SECONDS = 0.03
"""Between a change and its drawing."""
SHORT = 30
"""Lines below which only the chosen engine's verdict is shown."""


class CompareScreen(PlaygroundScreen):
    """The engines, the reference's answer with a cursor, and what each engine expects there."""

    TITLE = "Compare"
    CSS_PATH = "../styles/compare.tcss"
    HELP = AnswerHeat.HELP
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (NARROW, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (SHORT, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "AnswerHeat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f5", "back", "Back"),
        Binding("n", "other_top(1)", "Next ◆"),
        Binding("N", "other_top(-1)", show=False),
        Binding("up", "choose(-1)", "Engine", key_display="↑↓"),
        Binding("down", "choose(1)", show=False),
        Binding("a", "add", "Add"),
        Binding("delete", "remove", "Remove", show=False),
        Binding("equals_sign", "reference", "Reference", key_display="=", show=False),
        Binding("b", "branch", "Branch"),
        Binding("f", "own", "Own answers"),
        Binding("v", "shading", "Shading", show=False),
        Binding("left_square_bracket", "prompt(-1)", "Prompt", key_display="[ ]"),
        Binding("right_square_bracket", "prompt(1)", show=False),
        Binding("p", "prompts", "Prompts"),
        Binding("r", "again", "Again"),
        Binding("e", "export", "Report"),
        Binding("o", "open_recorded", "Open", show=False),
    ]

    def __init__(self, app: PlaygroundApp, turn: Turn | None = None) -> None:
        """Create it.

        Args:
            turn: the turn of the chat that is compared; None for the last one.
        """
        super().__init__()
        reference, engines = compared_sides(app.sides)
        self._drawing: Timer | None = None
        self._side, self._all_sides = reference, app.sides
        self._turns = asked_turns(reference.conversation) if reference else []
        """The turns of the prompts, in their order; empty while other prompts are compared."""
        self.comparison = AnswerComparison(
            asked_prompts(reference.conversation) if reference else [],
            reference.spec if reference else None,
            [side.spec for side in engines if side.spec],
            app.store,
            ComparisonCache(comparison_folder()),
            app.start_worker,
            log_file(log_folder(), "compare"),
            self._changed,
        )
        self._go_to(turn)

    def compose(self) -> ComposeResult:
        """Header, view, keys."""
        yield TabHeader("compare")
        yield ComparisonView(self.comparison, why_nothing(self._all_sides))
        yield KeyFooter()

    async def on_mount(self) -> None:
        """Show what is known, and compute the rest."""
        # The first layout waits for it: otherwise a second one follows immediately.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.comparison.take_kept(), KEPT_SECONDS)
        self._start()

    @property
    def view(self) -> ComparisonView:
        """What is shown."""
        return self.query_one(ComparisonView)

    @on(EngineTable.RowHighlighted)
    def take_click(self, event: DataTable.RowHighlighted) -> None:
        """Choose the engine that was clicked."""
        self.view.choose(event.cursor_row - 1)

    def action_choose(self, step: int) -> None:
        """Choose the engine above or below."""
        self.view.choose(self.view.chosen + step)

    def action_other_top(self, step: int) -> None:
        """Move to the next or previous token in whose place the chosen engine expects another one."""
        if not self.view.move_to_other_top(step):
            self.notify("No other top token in this direction.")

    def action_prompt(self, step: int) -> None:
        """Go to the next or previous prompt."""
        if self.comparison.move(step):
            self._start()

    @work(group="choose", exclusive=True, exit_on_error=False)
    async def action_prompts(self) -> None:
        """Choose other prompts."""
        if self.comparison.reference is None or self._is_recorded():
            return
        chosen = await self.app.push_screen_wait(ChooseScreen("Compare on", PROMPTS, "Enter compares."))
        prompts: list[AskedPrompt] | None = None
        turns: list[Turn] = []
        if chosen == 0 and self._side:
            prompts, turns = asked_prompts(self._side.conversation), asked_turns(self._side.conversation)
        elif chosen == 1:
            prompts = shipped_prompts()
        elif chosen == 2:
            prompts = await self.app.push_screen_wait(PromptFileScreen())
        if prompts:
            self._turns = turns
            self.comparison.ask(prompts)
            self._start()
        elif prompts is not None:
            self.notify("The conversation has no answer yet.")

    @work(group="choose", exclusive=True, exit_on_error=False)
    async def action_open_recorded(self) -> None:
        """Show a comparison that was exported, here or on another machine."""
        if found := await self.app.push_screen_wait(RecordedAnswersScreen()):
            self.workers.cancel_group(self, "compare")
            self._turns = []
            self.comparison.show_recorded(found)
            self.view.chosen = 0
            self._start()
            made = time.strftime("%Y-%m-%d", time.gmtime(found.made_at))
            self.about = displayable(f"recorded {made}: {found.checkpoint}")
            self.show_unsaved()

    def _is_recorded(self) -> bool:
        """Return whether a recorded comparison is shown, which cannot be changed; say so."""
        if self.comparison.recorded:
            self.notify("A recorded comparison cannot be changed. Esc closes it.")
        return bool(self.comparison.recorded)

    @work(group="choose", exclusive=True, exit_on_error=False)
    async def action_add(self) -> None:
        """Add an engine of this checkpoint, of those that are built or need no build."""
        comparison = self.comparison
        if self._is_recorded():
            return
        if comparison.reference is None or len(comparison.specs) == MOST:
            self.notify(f"At most {MOST} engines." if comparison.reference else why_nothing(self._all_sides))
            return
        found = await asyncio.to_thread(
            candidates, self.playground.store, comparison.reference, comparison.specs
        )
        if not found:
            self.notify("No other engine of this checkpoint is built. F2 builds one.")
            return
        note = "From the engine store; PyTorch needs no build. Enter adds it."
        chosen = await self.app.push_screen_wait(
            ChooseScreen("Add an engine", [title(s) for s in found], note)
        )
        if chosen is not None and comparison.add(found[chosen]):
            self.view.chosen = len(comparison.specs) - 1
            self._start()

    def action_remove(self) -> None:
        """Remove the chosen engine from the comparison."""
        if self.view.chosen < len(self.comparison.specs) and not self._is_recorded():
            self.comparison.remove(self.view.chosen)
            self.view.chosen = max(0, min(self.view.chosen, len(self.comparison.specs) - 1))
            self._start()

    def action_reference(self) -> None:
        """Make the chosen engine the reference; a server cannot be it."""
        if self.view.chosen >= len(self.comparison.specs) or self._is_recorded():
            return
        if is_remote(self.comparison.specs[self.view.chosen]):
            self.notify(NO_REFERENCE, severity="warning")
        else:
            self.comparison.make_reference(self.view.chosen)
            self._start()

    def action_own(self) -> None:
        """Show the answers of each engine, or the shaded text."""
        self.toggle_class("-own")

    def action_shading(self) -> None:
        """Shade by the KL divergence, or by the engine's own probability."""
        self.view.by_probability = not self.view.by_probability
        self.view.show()

    def action_again(self) -> None:
        """Measure everything again."""
        if not self._is_recorded():
            self._start(again=True)

    def action_back(self) -> None:
        """Stop what is being computed; or close the screen."""
        if self.comparison.step:
            self.workers.cancel_group(self, "compare")
            self.notify("Stopped. What was finished is kept; R measures again.")
        else:
            self.dismiss()

    @work(group="export", exclusive=True, exit_on_error=False)
    async def action_export(self) -> None:
        """Write the comparison as JSON, CSV, Markdown and a web page."""
        name = self._side.checkpoint_name if self._side else ""
        found = await asyncio.to_thread(self.comparison.comparison, name)
        if found is None:
            self.notify("Nothing has been compared yet.")
            return
        try:
            folder = await asyncio.to_thread(export, found, document_folder(), "comparison")
        except OSError as error:
            self.notify(f"The report cannot be written: {error}", severity="error", markup=False)
        else:
            self.notify(f"Report in {displayable(str(folder))}", timeout=8, markup=False)

    @work(group="choose", exclusive=True, exit_on_error=False)
    async def action_branch(self) -> None:
        """Let the chosen engine continue from another token."""
        if self._is_recorded():
            return
        engine, answer, token = self.view.engine, self.comparison.answer, self.view.cursor
        if engine is None or answer is None or self.comparison.step:
            self.notify("Wait until this engine has been compared.")
            return
        if answering(self.playground.sides):
            self.notify(STILL_ANSWERING, severity="warning")
            return
        options = others(engine.scores[token], answer.answer.token_ids[token])
        entries = [f"{quoted(one.text)}   {one.probability:.2f}" for one in options]
        words = f"Instead of {quoted(answer.answer.pieces[token])}, at token {token + 1}"
        screen = ChooseScreen(words, entries, f"{engine.row.title} continues from it.")
        chosen = await self.app.push_screen_wait(screen)
        if chosen is not None:
            self._branch(self.view.chosen, token, options[chosen])

    @work(group="compare", exclusive=True, exit_on_error=False)
    async def _branch(self, engine: int, token: int, other: Alternative) -> None:
        prompt = self.comparison.place
        found = await self.comparison.branch(self.comparison.specs[engine], token, other)
        if found:
            await self._keep(found, prompt)
            self.add_class("-own")

    async def _keep(self, branch: Branch, prompt: int) -> None:
        """Keep a branch of an answer of the conversation as a version of its turn."""
        answer, side = self.comparison.answer, self._side
        if answer is None or side is None or prompt >= len(self._turns):
            return
        if keep_branch(side.conversation, self._turns[prompt], answer.answer, branch) is None:
            return
        history = self.playground.history
        try:
            await asyncio.to_thread(history.append_turn, side.name, side.conversation)
        except OSError as error:
            self.notify(f"The branch cannot be saved: {error}", severity="warning", markup=False)
        else:
            self.notify("Kept as a version of the turn: ← → on it in the chat.", timeout=6)

    @work(group="compare", exclusive=True, exit_on_error=False)
    async def _run(self, *, again: bool) -> None:
        await self.comparison.run(again=again)

    def _start(self, *, again: bool = False) -> None:
        reference = self.comparison.reference
        self.about = title(reference) if reference else ""
        self.show_unsaved()
        self.view.restart()
        self._run(again=again)

    def _changed(self) -> None:
        """Draw soon: results that are kept come together, and each drawing is a layout of the screen."""
        if self.is_mounted and self._drawing is None:
            self._drawing = self.set_timer(DRAW_SECONDS, self._draw)

    def _draw(self) -> None:
        self._drawing = None
        self.view.update()

    def _go_to(self, turn: Turn | None) -> None:
        """Show the prompt of a turn of either side, or the last one."""
        self.comparison.place = max(0, len(self.comparison.prompts) - 1)
        if turn and self._side:
            sides = [side.conversation for side in self._all_sides]
            place = place_of(turn, sides, self._side.conversation)
            self.comparison.place = self.comparison.place if place is None else place
