"""Sampling: system prompt and sampling of each side, in two columns."""

from __future__ import annotations

import dataclasses

from msgspec.structs import replace
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Header, Input, Static

from app.screens.name import NameScreen
from app.screens.playground_screen import PlaygroundScreen
from app.state.settings.presets import deleted, name_problem, renamed, saved
from app.state.settings.settings import ChatOptions
from app.state.side.side import Side
from app.widgets.forms.confirm_twice import ConfirmTwice
from app.widgets.forms.options_form import MEANINGS, OptionsForm, field_of
from app.widgets.key_footer import KeyFooter

SIDES = ("left", "right")
WHEN = "Changes apply to the next prompt."


class SamplingScreen(PlaygroundScreen):
    """A form for each side."""

    TITLE = "Sampling"
    CSS_PATH = ["../styles/forms.tcss", "../styles/sampling.tcss"]  # noqa: RUF012
    AUTO_FOCUS = "#options-left .preset"
    HELP = """\
# Sampling

System prompt and sampling of each side, and how it thinks where the chat template lets one choose. A
**preset** is these under a name; the built-in ones cannot be changed, yours can be renamed and deleted.
Compare two engines with the same settings on both sides.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape,f4", "back", "Back", id="sampling.back"),
        Binding("ctrl+b,ctrl+t", "same", "Same on both", id="sampling.same"),
        Binding("ctrl+o", "save", "Save preset", id="sampling.save"),
        Binding("ctrl+r", "reset", "Reset", id="sampling.reset"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._pending_delete = ConfirmTwice(self)

    def compose(self) -> ComposeResult:
        """Two forms, and the explanation of the focused field."""
        yield Header()
        with VerticalScroll(id="sampling", can_focus=False), Horizontal(id="forms"):
            for side in SIDES:
                yield OptionsForm(side, self.playground.settings)
        with Vertical(id="sampling-notes"):
            yield Static(id="sampling-meaning", markup=False)
            yield Static(id="sampling-state", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show which engines these are, and how the sides differ."""
        for side in self.playground.sides:
            if side.title:
                self.form(side.name).border_title = f"{side.name.capitalize()} · {side.title}"
            if side.ready:
                self.form(side.name).show_ignored(side.ready.ignored_sampling, side.title)
                self.form(side.name).offer_thinking(side.ready.template_variables)
        self._show_state()

    def form(self, side: str) -> OptionsForm:
        """Return the form of the left or the right side."""
        return self.query_one(f"#options-{side}", OptionsForm)

    @property
    def focused_side(self) -> str:
        """The side where the focus is; else the left one."""
        return "right" if self.form("right").has_focus_within else "left"

    @on(events.DescendantFocus)
    @on(Input.Changed)
    def explain(self) -> None:
        """Explain the focused field, or show what is wrong with its value."""
        focused = self.focused
        problem = field_of(focused).problem(focused.value) if isinstance(focused, Input) else ""
        meanings = [MEANINGS[name] for name in focused.classes if name in MEANINGS] if focused else []
        meaning = self.query_one("#sampling-meaning", Static)
        meaning.set_class(bool(problem), "-wrong")
        meaning.update(problem or (meanings[0] if meanings else ""))

    @on(events.DescendantFocus)
    def reset_confirmation(self) -> None:
        """Ask again once another control than a Delete button has the focus."""
        if not (isinstance(self.focused, Button) and self.focused.has_class("delete")):
            self._pending_delete.reset()

    @on(OptionsForm.Changed)
    def change(self, event: OptionsForm.Changed) -> None:
        """Save the change; Delete has to be asked for again, as another preset may be selected."""
        self._pending_delete.reset()
        self.playground.change_settings(**{f"{event.side}_chat": event.options})
        self._show_state()

    def action_same(self) -> None:
        """Copy the focused side's options to the other side."""
        options = self.form(self.focused_side).options
        self._set(dict.fromkeys(SIDES, options))
        self.notify(f"Both sides now have the settings of the {self.focused_side} side.")

    def action_reset(self) -> None:
        """Reset the focused side to the defaults: no system prompt, greedy."""
        self._set({self.focused_side: ChatOptions()})
        self.notify(f"The {self.focused_side} side is reset: no system prompt, greedy.")

    def action_save(self) -> None:
        """Save the options of the focused side as a preset."""
        self.save(OptionsForm.SaveRequested(self.focused_side))

    @on(OptionsForm.SaveRequested)
    @work(group="name", exclusive=True, exit_on_error=False)
    async def save(self, event: OptionsForm.SaveRequested) -> None:
        """Ask for a name, then save the side's options under it."""
        settings = self.playground.settings
        question = NameScreen("Save as preset", lambda name: name_problem(name, settings))
        if name := await self.app.push_screen_wait(question):
            self._change_presets(saved(settings, name, settings.chat(event.side)))
            self.notify(f"Saved the preset {name}.", markup=False)

    @on(OptionsForm.RenameRequested)
    @work(group="name", exclusive=True, exit_on_error=False)
    async def rename(self, event: OptionsForm.RenameRequested) -> None:
        """Ask for another name."""
        settings, old = self.playground.settings, event.preset
        question = NameScreen("Rename the preset", lambda name: name_problem(name, settings, before=old), old)
        if name := await self.app.push_screen_wait(question):
            self._change_presets(renamed(settings, old, name))

    @on(OptionsForm.DeleteRequested)
    def delete(self, event: OptionsForm.DeleteRequested) -> None:
        """Delete a preset when the button is pressed twice: it cannot be undone."""
        if not self._pending_delete.press(event.preset):
            self.notify(f"Press again to delete {event.preset}.", severity="warning", markup=False)
            return
        self._change_presets(deleted(self.playground.settings, event.preset))
        self.notify(f"Deleted the preset {event.preset}.", markup=False)

    def action_back(self) -> None:
        """Close this screen."""
        self.dismiss()

    def _set(self, options: dict[str, ChatOptions]) -> None:
        self.playground.change_settings(**{f"{side}_chat": one for side, one in options.items()})
        self._show_all()

    def _change_presets(self, presets: dict[str, ChatOptions]) -> None:
        self.playground.change_settings(presets=presets)
        self._show_all()

    def _show_all(self) -> None:
        for side in SIDES:
            self.form(side).show(self.playground.settings.chat(side), self.playground.settings)
        self._show_state()

    def _show_state(self) -> None:
        settings = self.playground.settings
        unlike = differences(*(effective(settings.chat(side.name), side) for side in self.playground.sides))
        state = self.query_one("#sampling-state", Static)
        state.set_class(bool(unlike), "-unlike")
        summary = f"The sides differ in {', '.join(unlike)}." if unlike else "Same settings on both sides."
        state.update(f"{summary} {WHEN}")


def effective(options: ChatOptions, side: Side) -> ChatOptions:
    """Return the options of a side without those that its engine or its chat template ignores."""
    ignored = side.ready.ignored_sampling if side.ready else ()
    thinking = options.thinking.within(side.ready.template_variables) if side.ready else options.thinking
    return replace(options, sampling=options.sampling.without(ignored), thinking=thinking)


def differences(left: ChatOptions, right: ChatOptions) -> list[str]:
    """Return the names of the fields in which the sides differ."""
    names = [] if left.system_prompt == right.system_prompt else ["system prompt"]
    names += [] if left.thinking == right.thinking else ["thinking"]
    mine, theirs = dataclasses.asdict(left.sampling), dataclasses.asdict(right.sampling)
    return names + [name.replace("_", " ") for name in mine if mine[name] != theirs[name]]
