"""The form for one side's preset, system prompt, thinking and sampling parameters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Checkbox, Input, Select, Static, TextArea

from app.state.settings.presets import all_presets, applied, preset_of
from app.state.settings.sampling_fields import FIELDS, Field, stop_lines, stop_texts
from app.state.settings.settings import ChatOptions, Settings
from app.terminal_text import displayable
from app.widgets.forms.ascii_checkbox import AsciiCheckbox
from app.widgets.forms.form_area import FormArea
from app.widgets.forms.thinking_form import ThinkingForm

MEANINGS: Final = {
    "preset": "Sets all fields, and the system prompt if the preset has one.",
    "system-prompt": "Instructions sent before the conversation. Empty: no system prompt.",
    "thinking-switch": "Whether the model thinks first; by default its chat template decides.",
    "thinking-effort": "How much it thinks.",
    "thinking-budget": "How many tokens it is told to think at most; 0 is not at all.",
    "ignore-eos": "Generate up to max tokens even after an end-of-text token. For measurements.",
    "stop": "Texts that end the answer, one per line; \\n is a line break.",
    **{field.name: field.meaning for field in FIELDS},
}
"""One line of help for each control, by its CSS class."""


class OptionsForm(Vertical):
    """The form of one side. Valid values apply immediately; invalid ones are listed below the form."""

    @dataclass
    class Changed(Message):
        """The options of a side changed."""

        side: str
        options: ChatOptions

    @dataclass
    class SaveRequested(Message):
        """The user asked to save the options as a preset."""

        side: str

    @dataclass
    class RenameRequested(Message):
        """The user asked to rename a preset."""

        preset: str

    @dataclass
    class DeleteRequested(Message):
        """The user asked to delete a preset."""

        preset: str

    def __init__(self, side: str, settings: Settings) -> None:
        super().__init__(id=f"options-{side}", classes="options-form")
        self.border_title = side.capitalize()
        self.side = side
        self.options = settings.chat(side)
        self._settings = settings

    @property
    def preset(self) -> str:
        """Return the name of the preset that equals the options; empty if none does."""
        return preset_of(self.options, self._settings)

    def compose(self) -> ComposeResult:
        """Yield preset, system prompt, sampling fields and stop conditions."""
        options = self.options
        with Horizontal(classes="form-row"):
            yield Static("Preset", classes="form-label")
            yield Select[str]([], prompt="custom", compact=True, classes="preset")
        with Horizontal(classes="form-buttons"):
            yield Button("Save as …", compact=True, classes="save")
            yield Button("Rename", compact=True, classes="rename")
            yield Button("Delete", compact=True, classes="delete")
        yield Static("System prompt")
        yield FormArea(
            displayable(options.system_prompt),
            compact=True,
            placeholder="No system prompt",
            classes="system-prompt",
        )
        yield ThinkingForm(options.thinking)
        for field in FIELDS:
            with Horizontal(classes="form-row"):
                yield Static(field.title, classes="form-label")
                yield Input(
                    field.text(options.sampling), compact=True, max_length=19, classes=f"field {field.name}"
                )
        yield AsciiCheckbox(
            "Ignore end-of-text", options.sampling.ignore_eos, compact=True, classes="ignore-eos"
        )
        yield Static("Stop sequences")
        stop = displayable(stop_lines(options.sampling.stop))
        yield FormArea(stop, compact=True, placeholder="None", classes="stop")
        yield Static(classes="form-problems", markup=False)
        yield Static(classes="form-ignored", markup=False)

    def on_mount(self) -> None:
        """Fill the list of presets."""
        self._show_presets()

    def show(self, options: ChatOptions, settings: Settings) -> None:
        """Show other options, or the same ones after the presets changed."""
        self.options, self._settings = options, settings
        sampling = options.sampling
        with self.prevent(Input.Changed, TextArea.Changed, Checkbox.Changed):
            for entry in self.query(Input):
                entry.value = field_of(entry).text(sampling)
            _load(self.query_one(".system-prompt", TextArea), displayable(options.system_prompt))
            _load(self.query_one(".stop", TextArea), displayable(stop_lines(sampling.stop)))
            self.query_one(Checkbox).value = sampling.ignore_eos
        self.query_one(ThinkingForm).show(options.thinking)
        self._show_presets()
        self._show_problems()

    def show_ignored(self, names: Collection[str], engine: str) -> None:
        """Disable the fields that the side's engine ignores, and say so below the form.

        Args:
            names: names of fields of Sampling.
            engine: its title.
        """
        ignored = [field for field in FIELDS if field.name in names]
        for entry in self.query(Input):
            entry.disabled = field_of(entry) in ignored
        note = self.query_one(".form-ignored", Static)
        note.update(f"{engine} ignores {', '.join(field.title.lower() for field in ignored)}.")
        note.display = bool(ignored)

    @on(Input.Changed)
    @on(TextArea.Changed)
    @on(Checkbox.Changed)
    def read(self) -> None:
        """Apply the valid values and list the invalid ones."""
        self._show_problems()
        values = {
            field.name: value
            for entry in self.query(Input)
            if (value := (field := field_of(entry)).value(entry.value)) is not None
        }
        sampling = replace(
            self.options.sampling,
            **values,  # type: ignore[arg-type]
            stop=self._stop(),
            ignore_eos=self.query_one(Checkbox).value,
        )
        self._apply(ChatOptions(self._system_prompt(), sampling, self.options.thinking))

    @on(ThinkingForm.Changed)
    def read_thinking(self, event: ThinkingForm.Changed) -> None:
        """Apply another choice about thinking."""
        event.stop()
        self._apply(ChatOptions(self.options.system_prompt, self.options.sampling, event.thinking))

    def offer_thinking(self, variables: Collection[str]) -> None:
        """Show what a chat template that reads these variables lets one choose about thinking."""
        self.query_one(ThinkingForm).offer(variables)

    # Control characters are shown replaced, so an unedited text area keeps the original value.

    def _system_prompt(self) -> str:
        text, now = self.query_one(".system-prompt", TextArea).text, self.options.system_prompt
        return now if text == displayable(now) else text

    def _stop(self) -> tuple[str, ...]:
        lines, now = self.query_one(".stop", TextArea).text, self.options.sampling.stop
        return now if lines == displayable(stop_lines(now)) else stop_texts(lines)

    @on(Select.Changed, ".preset")
    def apply_preset(self, event: Select.Changed) -> None:
        """Apply the selected preset."""
        presets = all_presets(self._settings)
        if event.value in presets:
            options = applied(presets[str(event.value)], self.options)
            self._apply(options)
            self.show(options, self._settings)
        else:
            self._show_presets()

    def _apply(self, options: ChatOptions) -> None:
        if options != self.options:
            self.options = options
            self.post_message(self.Changed(self.side, options))
            self._show_presets()

    def _show_presets(self) -> None:
        names, chosen = list(all_presets(self._settings)), self.preset
        select: Select[str] = self.query_one(".preset", Select)
        with self.prevent(Select.Changed):
            select.set_options((Content(displayable(name)), name) for name in names)
            select.value = chosen or Select.NULL
        for button in self.query(".rename, .delete").results(Button):
            button.disabled = chosen not in self._settings.presets

    def _show_problems(self) -> None:
        problems = []
        for entry in self.query(Input):
            problem = field_of(entry).problem(entry.value)
            entry.set_class(bool(problem), "-wrong")
            problems += [f"✗ {problem}"] if problem else []
        shown = self.query_one(".form-problems", Static)
        shown.update("\n".join(problems))
        shown.display = bool(problems)

    @on(Button.Pressed, ".save")
    def request_save(self) -> None:
        """Post the request to save the options as a preset."""
        self.post_message(self.SaveRequested(self.side))

    @on(Button.Pressed, ".rename")
    def request_rename(self) -> None:
        """Post the request to rename the preset."""
        self.post_message(self.RenameRequested(self.preset))

    @on(Button.Pressed, ".delete")
    def request_delete(self) -> None:
        """Post the request to delete the preset."""
        self.post_message(self.DeleteRequested(self.preset))


def field_of(entry: Input) -> Field:
    """Return the sampling field that an input edits."""
    return next(field for field in FIELDS if entry.has_class(field.name))


def _load(area: TextArea, text: str) -> None:
    if area.text != text:  # load_text moves the cursor
        area.load_text(text)
