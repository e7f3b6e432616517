"""What the Load screen shows of a load test: figures, the KV cache by request, and a line for each user."""

from __future__ import annotations

import time

from textual.content import Content
from textual.widgets import Static

from app.state.side.load_job import REQUESTS, SAMPLING, LoadJob
from app.terminal_text import displayable
from app.units import count_text, live_rate_text, rate_text, seconds_text, share_text
from app.widgets.load.request_map import mark, request_map
from app.widgets.panels.drawing import MUTED, fit_pieces, flow
from engines.measure.load import LoadFigures, LoadRecord, LoadRequest
from engines.worker.protocol import KVUsage

NOTHING = "Nothing has been measured. Enter lets the users ask, + and - change how many."


class DrawnOnce(Static):
    """Text that is drawn only when it has changed."""

    _drawn: object = None

    def draw(self, content: Content) -> None:
        """Draw the content, unless it is drawn already."""
        if (content.plain, content.spans) != self._drawn:
            self._drawn = content.plain, content.spans
            self.update(content)


class LoadFiguresView(DrawnOnce):
    """What runs, and the figures of all users."""

    def show(self, job: LoadJob, problem: str) -> None:
        """Show a load test; `problem` says why the next one cannot begin, and is empty if it can."""
        width = max(20, self.content_size.width)
        rows = [_state(job, problem)]
        if job.record and job.record.requests:
            rows += _figures(job.record, job.record.figures(), width, live=job.is_running)
        else:
            requests = f"{users_text(job.users)}, {REQUESTS} prompts each"
            rows.append(Content(f"{requests}, at most {SAMPLING.max_tokens} tokens an answer"))
        self.draw(Content("\n").join(rows))


class RequestMapView(DrawnOnce):
    """The blocks of the KV cache by user."""

    def show(self, record: LoadRecord | None) -> None:
        """Show the newest counts."""
        if record is None or record.kv is None or not record.kv.total_blocks:
            self.border_title = Content("KV cache")
            self.draw(Content.styled(_without_blocks(record.kv) if record and record.requests else "", MUTED))
            return
        width, height = max(10, self.content_size.width), max(1, self.content_size.height)
        rows, scale = request_map(record, width, height)
        used, total = record.kv.used_blocks or 0, record.kv.total_blocks
        cell = f", 1 cell = {scale} blocks" if scale > 1 else ""
        self.border_title = Content(
            f"KV cache: {count_text(used)} of {count_text(total)} blocks {share_text(used, total)}{cell}"
        )
        self.draw(Content("\n").join(rows[:height]))


class UserLines(DrawnOnce):
    """A line for each user: what its newest request does."""

    def show(self, record: LoadRecord | None) -> None:
        """Show the newest request of each user."""
        if record is None or not record.requests:
            self.draw(Content(""))
            return
        width = max(20, self.content_size.width)
        self.draw(
            Content("\n").join(
                fit_pieces(_user(user, request, record), width)
                for user, request in enumerate(record.current())
            )
        )


def _without_blocks(kv: KVUsage | None) -> str:
    """Return what is known of a KV cache whose blocks are not reported."""
    if kv is not None and kv.tokens is not None and kv.capacity_tokens:
        tokens = f"{count_text(kv.tokens)} of {count_text(kv.capacity_tokens)} tokens are used"
        return f"{tokens}; no blocks are reported."
    if kv is not None and kv.used_share is not None:
        return f"{kv.used_share:.0%} is used; no blocks are reported."
    return "No use of the KV cache is reported."


def users_text(users: int) -> str:
    """Return `1 user` or `16 users`."""
    return f"{users} user{'' if users == 1 else 's'}"


def _state(job: LoadJob, problem: str) -> Content:
    if job.is_running:
        title = displayable(job.engine_title)
        if job.stage == "users":
            words = f"◐ {title} is asked by {users_text(job.users)}. Esc stops all requests."
            return Content.styled(words, "$text-warning")
        return Content.styled(f"◐ {title} is being loaded ({job.stage or 'starting'}) …", "$text-warning")
    if job.error:
        return Content.styled(displayable(job.error), "$text-error")
    if problem:
        return Content.styled(displayable(problem), "$text-warning")
    if job.record is None:
        return Content.styled(NOTHING, MUTED)
    ended = "Stopped" if job.was_stopped else "Complete"
    return Content(f"{ended}: {users_text(job.record.users)} of {displayable(job.engine_title)}")


def _figures(record: LoadRecord, found: LoadFigures, width: int, *, live: bool) -> list[Content]:
    about = "≈ " if found.estimated else ""
    now = live_rate_text(record.rate(time.monotonic_ns())) if live else rate_text(found.total_rate)
    total = f"total {about}{now}" + (f" (mean {about}{rate_text(found.total_rate)})" if live else "")
    parts = [
        total,
        f"each user {about}{rate_text(found.user_rate)} p50",
        f"TTFT {seconds_text(found.ttft_p50)} p50, {seconds_text(found.ttft_p95)} p95",
        f"running {count_text(record.running)}, waiting {count_text(record.waiting)}",
        f"{count_text(found.completed)} of {count_text(record.users * REQUESTS)} answers",
        f"{about}{count_text(found.tokens)} tokens",
    ]
    return [Content(line) for line in flow(parts, width).split("\n")]


def _user(user: int, request: LoadRequest | None, record: LoadRecord) -> list[Content]:
    """Return what is known of a user's newest request, the most important first."""
    name = Content.assemble(mark(user), f" user {user + 1:<2}")
    if request is None:
        return [name]
    found = request.timing()
    state = request.reason or ("answering" if request.token_ns else "waiting")
    block_tokens = record.kv.block_tokens if record.kv and request.prompt_tokens else None
    blocks = [f"{request.blocks(block_tokens):>3} blocks"] if block_tokens else []
    pieces = [
        f"{state:<9}",
        f"{'≈ ' if request.estimated else ''}{request.output_tokens:>4} tokens",
        f"TTFT {seconds_text(found.ttft):>7}",
        f"{rate_text(found.decode_rate):>10}",
        *blocks,
        f"prompt {count_text(request.prompt_tokens or None)}",
    ]
    return [name, *map(Content, pieces)]
