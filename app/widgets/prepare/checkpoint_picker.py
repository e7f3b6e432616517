"""Choose a checkpoint: the demo, one from the hub cache, a folder, or a hub id."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from app.state.settings.settings import DEMO
from app.terminal_text import displayable
from app.units import bytes_text, count_text
from engines.build.prepare import local_folder
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.checkpoint.hub_cache import hub_cache_checkpoints, hub_cache_folder


class CheckpointPicker(Vertical):
    """A text input for the choice, and a list of local checkpoints that fills it."""

    HELP = """\
# Checkpoint

A Hugging Face model folder with `config.json`, safetensors and a tokenizer. **demo** ships with the
project: a toy model of 7 million parameters that can answer questions about this program and little else.
A hub id such as `org/name` is downloaded first.
"""

    @dataclass
    class Chosen(Message):
        """Another checkpoint was named. `checkpoint` is None if it is not downloaded or not usable."""

        name: str
        checkpoint: Checkpoint | None
        problem: str

    def __init__(self, chosen: str) -> None:
        super().__init__(id="checkpoint-picker")
        self.border_title = "Checkpoint: demo, a folder, or a hub id"
        self.chosen = chosen
        self.checkpoint: Checkpoint | None = None
        self.problem = ""

    def compose(self) -> ComposeResult:
        """Yield the local checkpoints, the input, and the facts about the choice."""
        yield OptionList(id="checkpoints", markup=False)
        hint = "demo, a folder, or a hub id (org/name)"
        yield Input(self.chosen, placeholder=hint, id="checkpoint", compact=True)
        yield Static(id="checkpoint-facts", markup=False)

    def on_mount(self) -> None:
        """List the local checkpoints and read the chosen one."""
        self.list_local()
        self.read(self.chosen)

    @work(exclusive=True, group="list", exit_on_error=False)
    async def list_local(self) -> None:
        """Fill the list with the demo, then the checkpoints in the hub cache."""
        cached = await asyncio.to_thread(hub_cache_checkpoints, hub_cache_folder())
        options = self.query_one("#checkpoints", OptionList)
        options.clear_options()
        options.add_option(
            Option("demo · toy model of 7 million parameters, ships with the project", id=DEMO)
        )
        options.add_options(
            Option(f"{found.hub_id} · {bytes_text(found.weight_bytes)} · hub cache", id=found.hub_id)
            for found in cached
            if found.is_main
        )

    @on(OptionList.OptionHighlighted, "#checkpoints")
    def fill_in(self, event: OptionList.OptionHighlighted) -> None:
        """Copy the highlighted checkpoint into the input while the list has the focus."""
        if event.option_list.has_focus and event.option_id:
            self.query_one("#checkpoint", Input).value = event.option_id

    @on(OptionList.OptionSelected, "#checkpoints")
    def select(self, event: OptionList.OptionSelected) -> None:
        """Copy the clicked or entered checkpoint into the input."""
        if event.option_id:
            self.query_one("#checkpoint", Input).value = event.option_id

    @on(Input.Changed, "#checkpoint")
    def changed(self, event: Input.Changed) -> None:
        """Read the named checkpoint."""
        self.read(event.value.strip())

    @property
    def is_up_to_date(self) -> bool:
        """Return whether the facts shown are those of the named checkpoint."""
        return self.query_one("#checkpoint", Input).value.strip() == self.chosen

    @work(exclusive=True, group="read", exit_on_error=False)
    async def read(self, name: str) -> None:
        """Read the facts about `name` in a thread, show them and post `Chosen`."""
        await asyncio.sleep(0.05)  # while typing, read the disk only after the last key of a burst
        checkpoint, problem = await asyncio.to_thread(_read, name)
        self.chosen, self.checkpoint, self.problem = name, checkpoint, problem
        self.query_one("#checkpoint-facts", Static).update(
            Content(displayable(problem or _facts(checkpoint)))
        )
        self.post_message(self.Chosen(name, checkpoint, problem))


def _read(name: str) -> tuple[Checkpoint | None, str]:
    try:
        folder = CHECKPOINT if name == DEMO else local_folder(EngineSpec(name, "", ""))
        return (read_checkpoint(folder), "") if folder else (None, "")
    except EngineError as error:
        return None, f"{error.message} {error.hint}"


def _facts(checkpoint: Checkpoint | None) -> str:
    if checkpoint is None:
        return "Not downloaded yet. Prepare downloads it first."
    shape = checkpoint.shape
    parts = [
        checkpoint.architecture,
        f"{count_text(checkpoint.parameters)} parameters",
        f"{checkpoint.dtype}, {bytes_text(checkpoint.weight_bytes)}",
        f"{shape.layers} layers",
        f"KV cache {bytes_text(checkpoint.kv_bytes_per_token(2))} per token at 16 bits",
    ]
    if checkpoint.quantisation:
        parts.append(f"quantised: {checkpoint.quantisation.name}")
    if not checkpoint.has_chat_template:
        parts.append("no chat template: base model, continues text")
    return " · ".join(parts)
