"""Choose a model: from the list, by a filter, or by the name of a folder or of a model on the hub."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.worker import Worker

from app.interface import playground
from app.state.models import catalogue
from app.state.models.catalogue import Found
from app.state.models.model_entry import ModelEntry, is_name, matching
from app.state.models.model_facts import facts_text
from app.state.models.named_model import NamedModel, named_model
from app.state.settings.settings import DEMO
from app.terminal_text import displayable
from app.unjoined_thread import in_unjoined_thread
from app.widgets.models.model_list import ModelList
from app.widgets.panels.drawing import MUTED
from engines.plan.checkpoint.checkpoint import Checkpoint

NOTHING = "No model here has that name. Enter searches the hub; Esc clears the text."
SEARCHES = "Enter sends the text to huggingface.co and lists what it finds."


class ModelPicker(Vertical):
    """A field that filters or names, the list, and the facts of the chosen model."""

    HELP = """\
# Model

A Hugging Face model folder with `config.json`, safetensors and a tokenizer, or a GGUF file. **demo** ships
with the project: a toy model of 7 million parameters that can answer questions about this program and little
else. GGUF files of LM Studio and ollama are listed too; they are only read.

**/** filters the list. A folder, a file, or a hub id such as `org/name` can be typed or pasted too. The last
line of the list searches the Hugging Face Hub; nothing is sent before you press Enter on it. What is not on
this disk is downloaded when its engines are built: **Esc** pauses a download, **Enter** resumes it.

✓ fits into free memory, ▲ only at the precision named, ✗ too large: by the estimate for the left backend.
"""

    @dataclass
    class Chosen(Message):
        """Another model was chosen."""

        model: NamedModel

    class Submitted(Message):
        """The user wants the engines of the chosen model to be opened."""

    def __init__(self, chosen: str) -> None:
        super().__init__(id="checkpoint-picker")
        self.border_title = "Model"
        self.model = NamedModel(chosen)
        """What is known of the chosen model."""
        self._wanted = chosen
        self._here: tuple[ModelEntry, ...] = ()
        self._found = Found("")
        self._is_searching = False
        self._was_read = asyncio.Event()

    def compose(self) -> ComposeResult:
        """Yield the field, the list and the facts."""
        yield Input(
            placeholder="/ filter · a folder · a hub id (org/name)",
            id="checkpoint",
            compact=True,
        )
        yield ModelList()
        yield Static(id="checkpoint-facts", markup=False)

    def on_mount(self) -> None:
        """Read the chosen model and list the others."""
        self.list_models()
        self.read(self._wanted)

    @property
    def chosen(self) -> str:
        """Name of the chosen model."""
        return self.model.name

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Facts of the chosen model; None where it has a problem, or its facts are not known yet."""
        return self.model.checkpoint

    @property
    def problem(self) -> str:
        """Why the chosen model cannot be used; empty if it can."""
        return self.model.problem

    @property
    def is_up_to_date(self) -> bool:
        """Whether the facts shown are those of what is chosen."""
        return self._wanted == self.model.name

    async def until_read(self) -> None:
        """Wait until the facts of what is chosen are read."""
        await self._was_read.wait()

    @work(exclusive=True, group="list", exit_on_error=False)
    async def list_models(self) -> None:
        """List what is on this disk and what is suggested."""
        app = playground(self)
        context = catalogue.Context(app.settings, app.device, app.gpu, app.store)
        self._here = await asyncio.to_thread(catalogue.local_and_suggested, context)
        self._list()

    @on(Input.Changed, "#checkpoint")
    def filter(self) -> None:
        """Choose what the text names, or the best match of a filter."""
        self._list()
        if is_name(self._text):
            self.read(self._text)
        else:
            self._choose()

    @on(OptionList.OptionHighlighted, "#checkpoints")
    def highlight(self, event: OptionList.OptionHighlighted) -> None:
        """Choose the model that the user moved to; a name that was typed is dropped."""
        event.stop()
        if is_name(self._text):
            with self.prevent(Input.Changed):
                self.query_one(Input).value = ""
        self._choose()

    @on(OptionList.OptionSelected, "#checkpoints")
    def click(self, event: OptionList.OptionSelected) -> None:
        """Choose a model that was clicked, also where it was highlighted already."""
        self.highlight(OptionList.OptionHighlighted(event.option_list, event.option, event.option_index))

    @on(Input.Submitted, "#checkpoint")
    @on(ModelList.Submitted)
    def submit(self, event: Message) -> None:
        """Search the hub, or ask for the engines of the chosen model."""
        event.stop()
        if self.query_one(ModelList).searches:
            self.search_hub(self._text)
        else:
            self.post_message(self.Submitted())

    @on(ModelList.FilterRequested)
    def focus_filter(self) -> None:
        """Move to the field."""
        self.query_one(Input).focus()

    async def choose_demo(self) -> None:
        """Choose the demo; returns once its facts are read."""
        self.query_one(Input).value = ""
        self._list(DEMO)
        await self.read(DEMO).wait()

    def clear_filter(self) -> bool:
        """Empty the field and return to the list. Returns False if neither changes anything."""
        field, models = self.query_one(Input), self.query_one(ModelList)
        if not (field.value or field.has_focus):
            return False
        field.value = ""
        models.focus()
        return True

    @work(exclusive=True, group="hub", exit_on_error=False)
    async def search_hub(self, text: str) -> None:
        """List what the hub finds; without a network, what it found the last time."""
        self._is_searching = True
        self._list()
        try:
            self._found = await in_unjoined_thread(catalogue.search_hub, text)
        finally:
            self._is_searching = False
        first = next((one.name for one in self._found.entries), "")
        if self._text != text:  # another text was typed meanwhile
            self._list()
            return
        self._list(first)
        if first:
            self.query_one(ModelList).focus()
            self.read(first)

    @property
    def _text(self) -> str:
        return self.query_one(Input).value.strip()

    def _list(self, chosen: str = "") -> None:
        """Fill the list with the models that match the text."""
        text = self._text
        entries = [*self._here, *self._found.entries] if text == self._found.text else list(self._here)
        query = "" if is_name(text) else text
        known = matching(entries, query, lambda words, candidate: Matcher(words).match(candidate))
        once = list({one.name: one for one in reversed(known)}.values())[::-1]
        note = "searching …" if self._is_searching else self._found.note if text == self._found.text else ""
        search = query if not self._is_searching and text != self._found.text else ""
        self.query_one(ModelList).show(once, chosen or self._wanted, search, note)

    def _choose(self) -> None:
        text, models = self._text, self.query_one(ModelList)
        if entry := models.chosen:
            self.read(entry.name)
        elif models.searches:
            self._wanted = text
            self.workers.cancel_group(self, "read")
            self._show(NamedModel(text, problem=SEARCHES if models.has_focus else NOTHING))

    def read(self, name: str) -> Worker[None]:
        """Choose `name`: read its facts in a thread, show them and post `Chosen`."""
        self._wanted = name
        self._was_read.clear()
        return self._read(name)

    @work(exclusive=True, group="read", exit_on_error=False)
    async def _read(self, name: str) -> None:
        await asyncio.sleep(0.05)  # while typing, read the disk only after the last key of a burst
        model = await asyncio.to_thread(named_model, name)
        self._show(model)
        if model.is_remote and any(one.name == name for one in self._found.entries):
            await asyncio.sleep(0.3)  # the hub is asked only for a model on which the user stays
            self._show(await in_unjoined_thread(catalogue.preview, name))

    def _show(self, model: NamedModel) -> None:
        self.model = model
        self._was_read.set()
        entry = next((one for one in (*self._here, *self._found.entries) if one.name == model.name), None)
        text = facts_text(model, entry)
        self.query_one("#checkpoint-facts", Static).update(
            Content.styled(displayable(text), "" if model.problem else MUTED)
        )
        self.post_message(self.Chosen(model))
