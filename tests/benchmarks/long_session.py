"""Memory, handles and threads of the app and its workers over a session of many short answers."""

from __future__ import annotations

from dataclasses import dataclass, field

import psutil

from tests.benchmarks.environment import BenchmarkEnvironment
from tests.benchmarks.measured_app import MeasuredApp, running
from tests.benchmarks.table import Budget, Result, number

METHOD = """\
The app with both engines ready and every panel on: {answers} prompts, each answered by both sides with
{tokens} tokens, in turn. The conversation is cleared after every {turns} turns, because its text stays
in memory as long as it is open. Resident memory (RSS), open handles and threads of the app and of each worker
every {every} answers. Growth is the highest RSS after answer {settled} relative to the RSS at that answer:
before it, the libraries touch their KV pool for the first time and allocate their buffers."""
TOKENS, TURNS, EVERY = 8, 20, 20
LIMIT = 1.05


@dataclass
class Process:
    """What was measured of one process."""

    pid: int
    resident: list[float] = field(default_factory=list)
    """Bytes, by sample."""
    handles: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def measure(self) -> None:
        """Add a sample."""
        process = psutil.Process(self.pid)
        with process.oneshot():
            self.resident.append(process.memory_info().rss)
            self.handles.append(process.num_fds())
            self.threads.append(process.num_threads())

    def growth(self, settled: int) -> float:
        """Return the highest RSS from sample `settled` on, relative to that sample."""
        return max(self.resident[settled:]) / self.resident[settled]

    def is_constant(self, settled: int) -> bool:
        """Whether the fewest handles and threads are the same in both halves after sample `settled`.

        A worker that reads a file of /proc at the moment of a sample has one handle more.
        """
        return all(_no_rise(counts[settled:]) for counts in (self.handles, self.threads))


def run(bench: BenchmarkEnvironment) -> Result:
    """Chat for a long time, and measure every process."""
    sizes = bench.sizes
    name, checkpoint = bench.smallest
    with running(bench, checkpoint, "openvino:int8", sizes.reference) as app:
        left, right = app.call("state")["engines"]
        processes = {
            "app": Process(app.terminal.process.pid),
            "worker, openvino:int8": Process(left),
            f"worker, {sizes.reference}": Process(right),
        }
        app.call("set", mode="in turn", max_tokens=TOKENS)
        _chat(bench, app, list(processes.values()))
    method = METHOD.format(
        answers=sizes.session_answers, tokens=TOKENS, turns=TURNS, every=EVERY, settled=sizes.settled_answers
    )
    return _result(method, name, processes, sizes.settled_answers // EVERY)


def _chat(bench: BenchmarkEnvironment, app: MeasuredApp, processes: list[Process]) -> None:
    for answer in range(bench.sizes.session_answers + 1):
        if answer % EVERY == 0:
            for process in processes:
                process.measure()
        if answer % TURNS == 0 and answer:
            app.clear()
        if answer < bench.sizes.session_answers:
            app.ask(bench.random_words(8))


def _result(method: str, checkpoint: str, processes: dict[str, Process], settled: int) -> Result:
    columns = ("", "MB at first", "MB settled", "MB at the end", "growth", "handles", "threads")
    result = Result("long_session", method, columns, notes=[f"checkpoint: {checkpoint}"])
    for name, process in processes.items():
        at = (process.resident[0], process.resident[settled], process.resident[-1])
        counts = (f"{process.handles[settled]}–{max(process.handles[settled:])}", str(process.threads[-1]))
        growth = process.growth(settled)
        result.rows.append(
            (name, *(number(size / 1e6) for size in at), f"{100 * (growth - 1):.1f} %", *counts)
        )
        result.budgets.append(Budget(f"memory growth, {name}", growth, LIMIT, "×"))
        changed = 0.0 if process.is_constant(settled) else 1.0
        result.budgets.append(Budget(f"handles or threads grow, {name}", changed, 0.0))
        result.figures[name] = {
            "MB": [round(size / 1e6, 1) for size in process.resident],
            "handles": process.handles,
            "threads": process.threads,
        }
    return result


def _no_rise(counts: list[int]) -> bool:
    half = len(counts) // 2
    return min(counts[half:]) <= min(counts[: half or 1])
