"""One of the two chats: its conversation, what its engine is doing, and what was measured of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from app.state.conversation.conversation import Conversation
from app.state.prepare.build_state import BuildState
from app.state.prepare.engine_titles import checkpoint_title, engine_title
from app.state.settings.settings import DEMO
from app.state.side.answer_record import AnswerRecord
from app.state.side.phase import ANSWERING, Phase
from app.state.side.prefix_reuse import PrefixReuse
from app.state.side.rate_series import RateSeries
from engines.build.server import is_remote, model_of
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.measure.timing import RateWindow
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.estimate.estimate import Estimate
from engines.worker import protocol

UNRESPONSIVE_SECONDS = 10.0
"""A worker that was asked to stop and has not done so for this long can be ended by the user."""


class Side:
    """What is known of a side. Its engine is run by an EngineLifecycle, the only code that changes `phase`.

    The conversation stays when the engine dies or is replaced.
    """

    def __init__(self, name: str, on_change: Callable[[Side], None] = lambda _: None) -> None:
        self.name = name
        """`left` or `right`."""
        self.conversation = Conversation()
        self.spec: EngineSpec | None = None
        """The engine that was asked for, then the one that was prepared."""
        self.checkpoint: Checkpoint | None = None
        self.build: BuildState | None = None
        """Progress of the last preparation."""
        self.digest = ""
        """Fingerprint and KV precision of the engine that was prepared."""
        self.machine = ""
        """The vendor's name of the device that the engine runs on."""
        self.versions: dict[str, str] = {}
        """Library to version, of the engine that was prepared."""
        self.build_seconds: float | None = None
        """What building the engine took, also when it was built by an earlier run."""
        self.estimate: Estimate | None = None
        """What was expected of the loaded engine."""
        self.ready: protocol.Ready | None = None
        """Set while an engine is loaded."""
        self.pid: int | None = None
        """Of the worker process."""
        self.error: protocol.Error | None = None
        """Why the engine failed."""
        self.kv: protocol.KVUsage | None = None
        self.memory: protocol.MemoryUsage | None = None
        self.phase = Phase.EMPTY
        self.phase_since = time.monotonic()
        self.stop_sent: float | None = None
        """When the worker was asked to stop its answer, in monotonic seconds, until it has."""
        self.rates = RateSeries()
        self.reuse = PrefixReuse()
        self.record = AnswerRecord()
        self._rate = RateWindow()
        self._last_rate: float | None = None
        """Decode tok/s at the end of the last answer, until it was sampled."""
        self._token_at = 0.0
        self._on_change = on_change

    @property
    def title(self) -> str:
        """`OpenVINO int8`; empty before an engine was chosen."""
        return engine_title(self.spec) if self.spec else ""

    @property
    def checkpoint_name(self) -> str:
        """`demo`, a hub id or a folder's name; empty while there is no engine."""
        if self.spec is not None and is_remote(self.spec):
            return checkpoint_title(model_of(self.spec)) if self.ready else ""
        if self.spec is None or self.checkpoint is None:
            return ""
        return DEMO if self.spec.checkpoint == str(CHECKPOINT) else self.checkpoint.name

    @property
    def model_name(self) -> str:
        """As `checkpoint_name`, also while the engine is being prepared; empty before one was chosen."""
        if self.checkpoint_name or self.spec is None:
            return self.checkpoint_name
        named = model_of(self.spec) if is_remote(self.spec) else self.spec.checkpoint
        return checkpoint_title(named) if named else ""

    @property
    def can_answer(self) -> bool:
        """Whether a prompt may be sent now."""
        return self.phase is Phase.READY

    def rate(self) -> float:
        """Return the decode tok/s of the last second, or of the last tokens if they took longer."""
        return self._rate.rate(time.monotonic_ns())

    def sample_rate(self) -> float:
        """Return the decode tok/s for a plot over time: 0 between answers.

        The first sample after an answer is its rate: the answer may have been shorter than the time between
        samples.
        """
        last, self._last_rate = self._last_rate, None
        return self.rate() if self.phase is Phase.DECODE else last or 0.0

    @property
    def stalled_seconds(self) -> float:
        """Seconds without a token while decoding; 0 while that is the answer's usual pace."""
        silent = time.monotonic() - self._token_at
        return silent if self.phase is Phase.DECODE and silent > self.record.stall_seconds else 0.0

    @property
    def is_unresponsive(self) -> bool:
        """Whether the worker was asked to stop and has not done so for UNRESPONSIVE_SECONDS."""
        return self.stop_sent is not None and time.monotonic() - self.stop_sent > UNRESPONSIVE_SECONDS

    def enter(self, phase: Phase) -> None:
        """Change the phase and publish it."""
        if self.phase is Phase.DECODE:
            self._last_rate = self._rate.newest()
        self.phase, self.phase_since, self.stop_sent = phase, time.monotonic(), None
        self.record.enter(phase, phase in ANSWERING)
        self._on_change(self)

    def take(self, event: protocol.Event) -> None:
        """Record what an event of an answer says about the engine."""
        match event:
            case protocol.Chunk(unit="pieces"):
                self._token_at = time.monotonic()
                self.record.pieces(event.t_ns)
            case protocol.Chunk():
                self.add_tokens(event.t_ns)
            case protocol.KV():
                self.kv = event.usage
            case protocol.Memory():
                self.memory = event.usage

    def add_tokens(self, times_ns: Sequence[int]) -> None:
        """Record when tokens arrived, in monotonic nanoseconds.

        The worker's clock is this machine's monotonic clock, so its time stamps can be used directly.
        """
        now = time.monotonic_ns()
        self._token_at = now / 1e9
        self.record.tokens(times_ns)
        self._rate.add(times_ns, now)

    def clear_rate(self) -> None:
        """Start measuring the rate of another answer."""
        self._rate.clear()

    def unload(self) -> None:
        """Forget everything about the engine's process."""
        self.ready = self.kv = self.memory = self.build_seconds = self.estimate = self.pid = None
