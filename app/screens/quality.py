"""Quality: every precision of the checkpoint with its KL divergence, perplexity, flips, size and speed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.widgets import DataTable

from app.screens.choose import ChooseScreen
from app.screens.playground_screen import PlaygroundScreen
from app.screens.texts import TEXTS, RecordedScreen, TextFileScreen
from app.state.comparison.quality_entry import EntryState, Machine, QualityEntry, wanted
from app.state.comparison.quality_job import Folders
from app.state.comparison.report_folder import export
from app.state.comparison.study import Study, read_study
from app.state.comparison.text_set import TextSet, conversation_set, shipped
from app.state.settings import paths
from app.state.side.busy import reason_to_wait
from app.terminal_text import displayable
from app.widgets.key_footer import KeyFooter
from app.widgets.quality.job_line import JobLine
from app.widgets.quality.quality_card import QualityCard
from app.widgets.quality.quality_plot import QualityPlot
from app.widgets.quality.quality_table import LEGEND, ORDERS, QualityTable
from app.widgets.tab_header import TabHeader
from engines.build.server import is_remote
from engines.compare.comparison import Comparison, Row
from engines.compare.report.card import card_markdown
from engines.worker.log_files import log_file

NARROW = 150
"""Below this width the table begins with the essential columns."""
NOTHING = "Nothing is measured yet. m measures what is missing."
RUNNING = "A measurement is running. Esc cancels it."


class QualityScreen(PlaygroundScreen):
    """A table of engines, a plot of them, and a card of the one under the cursor."""

    TITLE = "Quality"
    CSS_PATH = "../styles/quality.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (150, "-huge")]  # noqa: RUF012
    AUTO_FOCUS = "QualityTable"
    HELP = """\
# Quality

What each precision does to the checkpoint. Every engine reads the same texts (teacher forced) and is
compared with the **reference**: PyTorch in FP32, or in the checkpoint's own precision on a GPU. Of a GGUF
file it has the file's own weights, dequantised: the KLD of llama.cpp is then what its arithmetic adds, not
what was lost when the file was made.

* **KLD**: how far the next-token probabilities are from the reference's, in nats, over the vocabulary.
  Mean below 0.01: negligible; 0.05: small; 0.15: moderate; 0.5: large. **°** is not above the *noise floor*,
  the KLD of engines that hold the checkpoint's exact weights and differ by rounding only.
* **Same top**: positions with the same most likely token. **PPL ratio**: perplexity / the reference's.
* **Accuracy** and **Flips**: 60 short questions with four options; a flip is another answer than the
  reference's. Equal accuracy can hide many flips.
* **tok/s** has a **\\*** where other programs used the processor: do not compare it.

**m** measures what is missing, one engine at a time, next to the engines of the sides. It continues while
other screens are shown; **Esc** cancels it, quitting too. What is finished is kept, and outdated rows say
what changed. **s** sorts, **t** chooses the texts, **e** writes a report and **o** opens one, **c** copies
the card, **Enter** or **l** and **r** load the engine on a side. Left and Right scroll the table.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "cancel_or_back", "Back", id="quality.back"),
        Binding("f10", "back", "Chat", id="quality.chat", show=False),
        Binding("m", "measure", "Measure", id="quality.measure"),
        Binding("s", "sort", "Sort", id="quality.sort"),
        Binding("t", "texts", "Texts", id="quality.texts"),
        Binding("e", "export", "Export", id="quality.export"),
        Binding("c", "copy", "Copy", id="quality.copy"),
        Binding("o", "open_recorded", "Open", id="quality.open"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._study: Study | None = None
        self._recorded: Study | None = None
        """What is shown instead of this machine's engines."""
        self._order = next(iter(ORDERS))
        self._seen: tuple[object, ...] = ()
        """What the table and the card show of the job."""

    def compose(self) -> ComposeResult:
        """Yield table, plot, card, and the line of the job."""
        yield TabHeader("quality")
        yield QualityTable()
        with Horizontal(id="quality-lower"):
            yield QualityPlot()
            yield QualityCard()
        yield JobLine()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Follow the job, which is drawn with the panels."""
        self.query_one(QualityTable).border_subtitle = LEGEND
        self.playground.snapshots.subscribe(self, lambda _: self.follow_job())
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def on_screen_resume(self) -> None:
        """Read again: settings and engines may have changed meanwhile."""
        self.read()

    @work(group="list", exclusive=True, exit_on_error=False)
    async def read(self) -> None:
        """Read what is known of each engine, in a thread."""
        if self._recorded:
            self._show(self._recorded)
            return
        app = self.playground
        await app.find_interpreters()
        text_set = app.quality.text_set
        if text_set is None:
            text_set = await asyncio.to_thread(shipped)
        machine = Machine(app.device, app.gpu)
        study: Study = await asyncio.to_thread(
            read_study, app.settings, machine, text_set, paths.comparison_folder()
        )
        self._show(study)

    def _show(self, study: Study) -> None:
        self._study, self.about = study, displayable(study.about)
        self.show_unsaved()
        self._draw()

    def follow_job(self) -> None:
        """Draw what the job does; read its rows when there are new ones."""
        job = self.playground.quality
        before, self._seen = self._seen, (job.rows, job.is_running, job.engine, self._step)
        if before[:2] != self._seen[:2] and before:
            self.read()
        if before[:3] != self._seen[:3]:
            self._draw()
        elif before != self._seen:
            self._draw_chosen()
        if self._study:
            self._show_job(self._study)

    def _show_job(self, study: Study) -> None:
        app = self.playground
        sides = any(side.spec and is_remote(side.spec) for side in app.sides)
        has_servers = sides or bool(app.settings.servers)
        self.query_one(JobLine).show(app.quality, study.entries, has_servers=has_servers)

    @property
    def _step(self) -> str:
        found = self.playground.quality.progress
        return found.step if found else ""

    @property
    def _comparison(self) -> Comparison | None:
        return self._study.comparison if self._study else None

    @property
    def chosen(self) -> QualityEntry | None:
        """The engine under the cursor."""
        return self.query_one(QualityTable).chosen

    def _draw(self) -> None:
        if (study := self._study) is None:
            return
        job, table = self.playground.quality, self.query_one(QualityTable)
        narrow = self.size.width < NARROW
        table.show(study.entries, study.comparison, job.engine, self._order, narrow=narrow)
        table.border_title = Content(f"Engines, sorted by {self._order}; ← → show more columns")
        self._show_job(study)
        self._draw_chosen()

    @on(DataTable.RowHighlighted)
    def _draw_chosen(self) -> None:
        if (study := self._study) is None:
            return
        entry, job = self.chosen, self.playground.quality
        running = self._step if entry and entry.title == job.engine else ""
        self.query_one(QualityCard).show(entry, study.comparison, running)
        title = entry.title if entry else ""
        plot = self.query_one(QualityPlot)
        plot.show(study.comparison, title, study.reference_title, study.text_set.title)

    @on(Resize)
    def redraw(self) -> None:
        """Choose the columns by the new width."""
        self._draw()

    def action_cancel_or_back(self) -> None:
        """Leave a recorded comparison; cancel the measurement; without either, close the screen."""
        job = self.playground.quality
        if self._recorded:
            self._recorded = None
            self.read()
        elif job.is_running:
            job.cancel()
            self.follow_job()
        else:
            self.dismiss()

    def action_back(self) -> None:
        """Close the screen; a measurement continues."""
        if self.playground.quality.is_running:
            self.notify("The measurement continues, and answers are slower meanwhile. F10 shows it.")
        self.dismiss()

    def action_measure(self) -> None:
        """Measure every engine that has no figures, or outdated ones."""
        app, study = self.playground, self._study
        if study is None:
            return
        if problem := self._problem(study):
            self.notify(displayable(problem), severity="warning", markup=False)
            return
        folders = Folders(paths.comparison_folder(), log_file(paths.log_folder(), "quality"))
        app.quality.start(study, wanted(study.entries), app.store, folders)
        self.follow_job()

    def _problem(self, study: Study) -> str:
        """Return why nothing can be measured now; empty if it can."""
        if self.playground.quality.is_running:
            return RUNNING
        if study.problem:
            return study.problem
        if not any(entry.is_wanted for entry in study.entries):
            return "Every engine that this machine can run is measured."
        return ""

    def action_sort(self) -> None:
        """Sort by the next column."""
        names = list(ORDERS)
        self._order = names[(names.index(self._order) + 1) % len(names)]
        self._draw()

    def action_texts(self) -> None:
        """Choose the texts."""
        if self.playground.quality.is_running:
            self.notify(RUNNING, severity="warning")
        else:
            self._choose_texts()

    @work(group="texts", exclusive=True, exit_on_error=False)
    async def _choose_texts(self) -> None:
        screen = ChooseScreen("Compare over", [*TEXTS.values()], "Enter reads what is measured over them.")
        place = await self.app.push_screen_wait(screen)
        kind = "" if place is None else list(TEXTS)[place]
        chosen: TextSet | None = None
        if kind == "file":
            chosen = await self.app.push_screen_wait(TextFileScreen())
        elif kind == "shipped":
            chosen = await asyncio.to_thread(shipped)
        elif kind == "conversation":
            chosen = conversation_set(self.playground.left.conversation)
            if chosen is None:
                self.notify("The conversation has no answer yet.", severity="warning")
        if chosen:
            self.playground.quality.text_set, self._recorded = chosen, None
            self.read()

    @work(group="recorded", exclusive=True, exit_on_error=False)
    async def action_open_recorded(self) -> None:
        """Show a comparison that was exported."""
        if chosen := await self.app.push_screen_wait(RecordedScreen()):
            self._recorded = chosen
            self.read()

    def action_export(self) -> None:
        """Write a report of what is measured."""
        if self._comparison and self._comparison.rows:
            self._export(self._comparison)
        else:
            self.notify(NOTHING, severity="warning")

    @work(group="export", exclusive=True, exit_on_error=False)
    async def _export(self, comparison: Comparison) -> None:
        try:
            folder: Path = await asyncio.to_thread(export, comparison, paths.document_folder(), "quality")
        except OSError as error:
            self.notify(f"It cannot be written: {error}", severity="error", markup=False)
        else:
            words = f"Written: comparison.html, .md, .csv and .json in {displayable(str(folder))}"
            self.notify(words, timeout=8, markup=False)

    def action_copy(self) -> None:
        """Copy the card as Markdown."""
        row = self._row
        if row is None or self._comparison is None:
            self.notify("This engine is not measured: there is nothing to copy.", severity="warning")
            return
        self.app.copy_to_clipboard(displayable(card_markdown(row, self._comparison)))
        self.notify(f"Copied the card of {displayable(row.title)} as Markdown.", markup=False)

    @property
    def _row(self) -> Row | None:
        """The row under the cursor, if it is up to date."""
        entry = self.chosen
        return entry.row if entry and entry.state is EntryState.MEASURED else None

    def action_load(self, side: str) -> None:
        """Load the engine under the cursor on a side."""
        app, entry = self.playground, self.chosen
        if entry is None or entry.choice is None:
            self.notify(displayable(entry.why if entry else NOTHING), severity="warning", markup=False)
            return
        if reason := reason_to_wait(app.sides, to_ask=False):
            self.notify(reason, severity="warning")
            return
        app.choose(app.settings.checkpoint, app.settings.context, {side: entry.choice})
        self.notify(f"{displayable(entry.title)} is being opened on the {side}.", markup=False)
