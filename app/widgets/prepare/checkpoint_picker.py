"""Choose a checkpoint: the demo, one of the hub cache, a folder, or a hub id."""

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
from app.state.side.pacing import displayable
from app.units import bytes_text, count_text
from engines.build.prepare import local_folder
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.checkpoint.hub_cache import hub_cache_checkpoints, hub_cache_folder


class CheckpointPicker(Vertical):
    """The Input holds the choice; the list is a way to fill it."""

    HELP = """\
# Checkpoint

A Hugging Face model folder with `config.json`, safetensors and a tokenizer. **demo** ships with the
project: a toy of 7 million parameters that can talk about this program and little else. A hub id such
as `org/name` is downloaded first.
"""

    @dataclass
    class Chosen(Message):
        """Another checkpoint was named. `checkpoint` is None while it is not on this disk, or not usable."""

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
        """What is on this disk, a field for anything else, the facts."""
        yield OptionList(id="checkpoints", markup=False)
        hint = "demo, a folder, or a hub id (org/name)"
        yield Input(self.chosen, placeholder=hint, id="checkpoint", compact=True)
        yield Static(id="checkpoint-facts", markup=False)

    def on_mount(self) -> None:
        """List what is here and look at the choice."""
        self.list_local()
        self.look(self.chosen)

    @work(exclusive=True, group="list", exit_on_error=False)
    async def list_local(self) -> None:
        """Fill the list: the demo first, then the hub cache."""
        cached = await asyncio.to_thread(hub_cache_checkpoints, hub_cache_folder())
        options = self.query_one("#checkpoints", OptionList)
        options.clear_options()
        options.add_option(Option("demo · a toy of 7 million parameters, ships with the project", id=DEMO))
        options.add_options(
            Option(f"{one.hub_id} · {bytes_text(one.weight_bytes)} · hub cache", id=one.hub_id)
            for one in cached
            if one.is_main
        )

    @on(OptionList.OptionHighlighted, "#checkpoints")
    def fill_in(self, event: OptionList.OptionHighlighted) -> None:
        """The list fills the field, once the user is in the list."""
        if event.option_list.has_focus and event.option_id:
            self.query_one("#checkpoint", Input).value = event.option_id

    @on(OptionList.OptionSelected, "#checkpoints")
    def take(self, event: OptionList.OptionSelected) -> None:
        """A click or Enter fills it in any case."""
        if event.option_id:
            self.query_one("#checkpoint", Input).value = event.option_id

    @on(Input.Changed, "#checkpoint")
    def changed(self, event: Input.Changed) -> None:
        """Look at what is named."""
        self.look(event.value.strip())

    @property
    def settled(self) -> bool:
        """Whether what is named has been looked at."""
        return self.query_one("#checkpoint", Input).value.strip() == self.chosen

    @work(exclusive=True, group="look", exit_on_error=False)
    async def look(self, name: str) -> None:
        """Read the facts of `name` off the event loop and show them."""
        await asyncio.sleep(0.05)  # typing: only the last of a burst of keys is worth a look at the disk
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
        return "Not on this disk: it is downloaded first."
    shape = checkpoint.shape
    parts = [
        checkpoint.architecture,
        f"{count_text(checkpoint.parameters)} parameters",
        f"{checkpoint.dtype}, {bytes_text(checkpoint.weight_bytes)}",
        f"{shape.layers} layers",
        f"KV cache {bytes_text(checkpoint.kv_bytes_per_token(2))} a token at 16 bits",
    ]
    if checkpoint.quantisation:
        parts.append(f"already quantised: {checkpoint.quantisation.name}")
    if not checkpoint.has_chat_template:
        parts.append("no chat template: a base model that continues text")
    return " · ".join(parts)
