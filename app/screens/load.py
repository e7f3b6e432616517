"""Load test: simulated users share the batch and the KV cache of one side's engine."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.widgets import Header

from app.interface import PlaygroundApp
from app.screens.playground_screen import PlaygroundScreen
from app.state.conversation.suggested_prompts import suggested_prompts
from app.state.side.load_job import LoadJob, why_not
from app.state.side.side import Side
from app.terminal_text import displayable
from app.widgets.key_footer import KeyFooter
from app.widgets.load.load_views import LoadFiguresView, RequestMapView, UserLines, users_text
from engines.build.server import is_remote

COMPUTED = "counts by user are computed from tokens; places are not reported"
OF_A_SERVER = "as the server reports it, not by user"


class LoadScreen(PlaygroundScreen):
    """Figures above, the KV cache by user, and a line for each user."""

    TITLE = "Load test"
    HELP = """\
# Load test

**N users** ask one engine at once. Each sends its next prompt as soon as its answer is complete, so requests
enter the batch and leave it while others run (*in-flight batching*). **total** is the output of all users;
**each user** is 1 / TPOT of the median request. **TTFT** includes the time that a request waits.

**running** requests were in the batch of the last step, **waiting** ones were not: the KV cache was full, or
other prompts came first. The map shows the **blocks** of the cache, with the character of the user whose
tokens they hold. How many blocks are used is reported by the library; how many each request has is computed
from its tokens, and **▒** is what is used beyond that. Where a block lies is not reported.

The engine is loaded again with a cache for all users, and afterwards as it was. Prompts share no prefix
cache. Engines that run one request at a time cannot be tested.

A **server** is not loaded again. It decides how many requests run together, and the counts it reports include
those of other clients. **≈** marks tokens that it does not count.

**Enter** begins, **Esc** stops all requests at once, **+** and **-** change the number of users, **s** takes
the other side's engine. `trt-playground load` prints the same figures as a table.
"""
    CSS_PATH = "../styles/load.tcss"
    AUTO_FOCUS = "#load-users"
    BINDINGS = [  # noqa: RUF012
        Binding("enter", "begin", "Start", id="load.begin"),
        Binding("escape", "stop_or_back", "Stop, back", id="load.back"),
        Binding("plus,equals_sign", "users(1)", "More users", id="load.more"),
        Binding("minus", "users(-1)", "Fewer", id="load.fewer"),
        Binding("s", "side", "Other side", id="load.side"),
    ]

    def __init__(self, app: PlaygroundApp) -> None:
        """Create it for the left engine, or for the right one if only that batches requests."""
        super().__init__()
        self.job = LoadJob()
        fitting = [side for side in app.sides if not why_not(side)]
        self.side: Side = fitting[0] if fitting else app.left

    def compose(self) -> ComposeResult:
        """Yield figures, map and users."""
        yield Header()
        yield LoadFiguresView()
        yield RequestMapView()
        with VerticalScroll(id="load-users"):
            yield UserLines()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Follow the load test, which is drawn with the panels."""
        self.playground.snapshots.subscribe(self, lambda _: self.draw())
        self.playground.side_changed.subscribe(self, lambda _: self.draw())
        self.call_after_refresh(self.draw)

    @on(Resize)
    def draw(self) -> None:
        """Draw what is known now."""
        job = self.job
        title = self.side.title or "no engine"
        self.about = f"{users_text(job.users)} · {self.side.name}: {displayable(title)}"
        self.show_unsaved()
        self.query_one(LoadFiguresView).show(job, "" if job.is_running else why_not(self.side))
        map_view = self.query_one(RequestMapView)
        remote = self.side.spec is not None and is_remote(self.side.spec)
        map_view.border_subtitle = OF_A_SERVER if remote else COMPUTED
        map_view.show(job.record)
        self.query_one(UserLines).show(job.record)

    def action_begin(self) -> None:
        """Let the users ask."""
        if self.job.is_running:
            self.notify("The users are asking. Esc stops them.", severity="warning")
        elif problem := why_not(self.side):
            self.notify(displayable(problem), severity="warning", markup=False)
        else:
            self._run()

    @work(group="load", exclusive=True, exit_on_error=False)
    async def _run(self) -> None:
        app = self.playground
        prompts = suggested_prompts(self.side.checkpoint_name)
        try:
            await self.job.run(app.engine(self.side), prompts)
        finally:
            if self.is_attached:
                self.draw()

    async def action_stop_or_back(self) -> None:
        """Stop all requests; when none runs, close the screen."""
        if stopping := self.job.stop():
            await stopping
        else:
            self.dismiss()

    async def on_unmount(self) -> None:
        """Stop what runs: nobody would see it."""
        if stopping := self.job.stop():
            await stopping

    def action_users(self, step: int) -> None:
        """Choose more or fewer users."""
        self.job.change_users(step)
        self.draw()

    def action_side(self) -> None:
        """Take the other side's engine; not while users ask."""
        if not self.job.is_running:
            left, right = self.playground.sides
            self.side = right if self.side is left else left
            self.draw()
