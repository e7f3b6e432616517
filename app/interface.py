"""What screens and widgets use of the app, so that they need not import it: the app imports them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from textual.message_pump import MessagePump
from textual.signal import Signal
from textual.worker import Worker

from app.engine_lifecycle import EngineLifecycle
from app.state.comparison.quality_job import QualityJob
from app.state.conversation.conversation_file import ConversationFile, Record
from app.state.conversation.votes import Votes
from app.state.prepare.build_state import BuildState
from app.state.settings.last_write import SaveFailures
from app.state.settings.settings import EngineChoice, Settings
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.state.side.telemetry_sampler import TelemetrySampler
from engines.build.prepare import StartWorker
from engines.build.store import EngineStore
from engines.measure.energy import EnergyCounter
from engines.plan.hardware.hardware import Device


class PlaygroundApp(Protocol):
    """The part of `Playground` that screens and widgets use. Textual's own members stay on `node.app`."""

    left: Side
    right: Side
    settings: Settings
    store: EngineStore
    history: ConversationFile
    """The file of the conversation that is shown."""
    votes: Votes
    """The blind votes on its answers."""
    save_failures: SaveFailures
    """What could not be saved."""
    unsaved_changed: Signal[str]
    """Sends `save_failures.text` after it has changed."""
    keeps_prompts: bool
    """Whether drafts and the history of prompts are saved."""
    quality: QualityJob
    """Measures engines in the background."""
    energy: EnergyCounter
    sampler: TelemetrySampler
    device: Device
    """The CPU."""
    gpu: Device | None
    """The GPU that engines use by default."""
    gpus: tuple[Device, ...]
    snapshots: Signal[Snapshot]
    side_changed: Signal[Side]
    build_changed: Signal[str]
    """Sends the name of the side."""
    settings_changed: Signal[Settings]

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right, as on the screen."""

    @property
    def start_worker(self) -> StartWorker:
        """What starts workers, in the interpreter that their backend needs."""

    @property
    def builds(self) -> Mapping[str, BuildState]:
        """The last preparation of each side that had one, by the name of the side."""

    @property
    def settings_path(self) -> Path | None:
        """The settings file; None if the settings are not saved."""

    def change_settings(self, **changes: object) -> None:
        """Replace the named settings, publish them and save them."""

    def engine(self, side: Side) -> EngineLifecycle:
        """Return the owner of a side's engine."""

    def choose(self, checkpoint: str, context: int, choices: Mapping[str, EngineChoice]) -> None:
        """Save what was chosen on Models for one or both sides, by name, then open their engines."""

    def restart_failed(self) -> None:
        """Open the engines again of sides that failed or do not respond."""

    def cancel_builds(self) -> None:
        """Cancel every preparation."""

    async def find_interpreters(self) -> None:
        """Find the interpreters of backends that need their own, in a thread."""

    def open_conversation(self, record: Record, path: Path | None) -> None:
        """Show a conversation on both sides; one without a path gets a file with its first prompt."""

    def swap(self) -> None:
        """Exchange left and right."""

    def show_chat(self) -> None:
        """Close the screens above the chat."""

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Report an exception of a background task."""


def playground(node: MessagePump) -> PlaygroundApp:
    """Return the app of a screen or widget as its interface; a cast, not a check."""
    return cast(PlaygroundApp, node.app)
