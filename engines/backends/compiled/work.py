"""What the compiler did since a load or build began, by its own counters, and how long each part took."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch._dynamo.utils import compilation_time_metrics, counters

TRACING = ("bytecode_tracing",)
COMPILING = ("OutputGraph.call_user_compiler",)
TUNING = ("CachingAutotuner.coordinate_descent_tuning", "CachingAutotuner.benchmark_all_configs")
"""Names under which PyTorch keeps the seconds of each part."""


LOG_SECONDS = 5.0
"""How often the log says what has been done so far."""


@dataclass(frozen=True)
class CompilerWork:
    """Counts and seconds of the compiler's parts."""

    traced: int
    """Graphs that were traced; some of them may come from the cache."""
    compiled: int
    """Graphs that were compiled because they were not in the cache."""
    timed: int
    """Variants of kernels that were compiled and timed to choose the fastest."""
    tracing_s: float
    compiling_s: float
    """Includes reading graphs from the cache."""
    tuning_s: float

    @classmethod
    def since_reset(cls) -> CompilerWork:
        """Return what was done since `reset`."""
        inductor = counters["inductor"]
        return cls(
            traced=int(counters["stats"]["unique_graphs"]),
            compiled=int(inductor["fxgraph_cache_miss"] + inductor["fxgraph_cache_bypass"]),
            timed=int(inductor["coordesc_tuning_bench"]),
            tracing_s=_seconds(TRACING),
            compiling_s=_seconds(COMPILING),
            tuning_s=_seconds(TUNING),
        )

    @property
    def so_far(self) -> str:
        """The counts, as a line of the log while the compiler works."""
        timed = f", variants of kernels timed: {self.timed}" if self.timed else ""
        return f"so far: graphs traced: {self.traced}, compiled: {self.compiled}{timed}"

    def lines(self, why: str, seconds: float) -> list[str]:
        """Return a sentence about each part.

        Args:
            why: The reason why graphs had to be compiled.
            seconds: How long all took, with what has no counter: guards, and the first runs of the graphs.
        """
        rest = max(0.0, seconds - self.tracing_s - self.compiling_s - self.tuning_s)
        compiled = f"compiled {self.compiled} of them in {self.compiling_s:.1f} s: {why}"
        if not self.compiled:
            read = f"read in {self.compiling_s:.1f} s"
            compiled = f"compiled nothing: every graph came from the engine's cache, {read}"
        tuned = f"timed {self.timed} variants of kernels in {self.tuning_s:.1f} s"
        return [
            f"traced {self.traced} graphs in {self.tracing_s:.1f} s",
            compiled,
            tuned if self.timed else "tuned nothing",
            f"guards and first runs: {rest:.1f} s",
        ]


@contextmanager
def logged(log: Callable[[str], None]) -> Iterator[None]:
    """Log every LOG_SECONDS what has been done since `reset`, from a thread, if it has changed."""
    done = threading.Event()

    def follow() -> None:
        last = ""
        while not done.wait(LOG_SECONDS):
            if (line := CompilerWork.since_reset().so_far) != last:
                last = line
                log(line)

    thread = threading.Thread(target=follow, daemon=True, name="compiler-log")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def reset() -> None:
    """Start counting."""
    counters.clear()
    compilation_time_metrics.clear()


def _seconds(names: tuple[str, ...]) -> float:
    return sum(sum(compilation_time_metrics.get(name, ())) for name in names)
