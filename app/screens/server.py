"""Choose a server: a saved one or an address, its key, and one of the models that it lists."""

from __future__ import annotations

from msgspec.structs import replace
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from app.interface import PlaygroundApp, playground
from app.screens.guarded_screen import GuardedScreen
from app.screens.name import NameScreen
from app.state.prepare.server_check import contact
from app.state.settings.paths import log_folder
from app.state.settings.settings import Server
from app.terminal_text import displayable
from app.widgets.forms.confirm_twice import ConfirmTwice
from app.widgets.key_footer import KeyFooter
from app.widgets.marked_lists import MarkedOptionList
from engines.build.server import contact_words, header_lines, header_text, parse_address, server_spec
from engines.errors import EngineError, error_text
from engines.worker.log_files import log_file
from engines.worker.protocol import ServerFacts

HINT = "Enter asks the server what it runs."
HINTS = {
    "address": "127.0.0.1:8000 or https://host/v1",
    "model": "the first that it lists",
    "key": "none, env:NAME, file:PATH or keyring:NAME",
    "headers": "none, or NAME=env:NAME, NAME=value",
}
"""The fields, and what is shown in an empty one."""
SHOWN_MODELS = 200
"""Names that are listed; others can be typed."""


class SavedServers(MarkedOptionList):
    """The saved servers by name."""

    BINDINGS = [  # noqa: RUF012
        Binding("r", "screen.rename", "Rename"),
        Binding("delete", "screen.remove", "Remove"),
    ]


class ServerScreen(ModalScreen[Server], GuardedScreen[Server]):
    """A form over Models. The result is the server, or None after Esc."""

    CSS_PATH = "../styles/server.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#server-address"
    HELP = """\
# Server

Any OpenAI-compatible server: vLLM, trtllm-serve, Triton, NIM, SGLang, llama.cpp, Ollama, LM Studio, OpenVINO
Model Server, transformers serve. **Address**: its base URL, with or without /v1. **Key**: where the key is,
never the key itself: `env:NAME`, `file:PATH` or `keyring:NAME`. **Headers**: further headers that a gateway
asks for, such as `X-Team=red, X-Gate-Token=env:GATE`; a credential is named as the key is.

**Enter** asks the server what it is and what it runs, then takes it. **Ctrl+O** saves it under a name; **R**
renames a saved one, **Del** (twice) removes it.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+o", "save", "Save"),
    ]

    def __init__(self, server: Server) -> None:
        """Create the form with a server that was chosen before."""
        super().__init__()
        self._server = server
        self._facts: tuple[Server, ServerFacts] | None = None
        """What a server has answered, and which."""
        self._confirm = ConfirmTwice(self)

    @property
    def playground(self) -> PlaygroundApp:
        """Return the running app."""
        return playground(self)

    def compose(self) -> ComposeResult:
        """Yield the saved servers, four fields, the models, and what the server says."""
        with Vertical(id="server") as box:
            box.border_title = "Server"
            yield SavedServers(id="server-saved")
            for name, hint in HINTS.items():
                with Horizontal(classes="server-row"):
                    yield Static(name.capitalize(), classes="server-label")
                    value = _field(self._server, name)
                    yield Input(value, placeholder=hint, id=f"server-{name}", compact=True, max_length=2000)
            yield MarkedOptionList(id="server-models")
            yield Static(HINT, id="server-note", markup=False)
            yield Button("Use", variant="primary", id="server-use", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """List the saved servers; ask the one that is in the form."""
        self._list_saved()
        self.query_one("#server-models").display = False
        if self._server.address:
            self.check()

    @property
    def entered(self) -> Server:
        """What the form holds."""
        address, model, key, headers = (
            self.query_one(f"#server-{name}", Input).value.strip() for name in HINTS
        )
        return Server(address, model, key, header_lines(headers))

    @on(Input.Submitted)
    @on(Button.Pressed, "#server-use")
    def use(self) -> None:
        """Take the server if it has answered; ask it otherwise."""
        if self._facts and self._facts[0] == self.entered:
            self.dismiss(replace(self.entered, model=self._facts[1].model))
        else:
            self.check()

    @work(exclusive=True, group="contact", exit_on_error=False)
    async def check(self) -> None:
        """Ask the server what it is, and show it or what is wrong."""
        server = self.entered
        self._facts = None
        self._note(f"Asking {server.address} …")
        try:
            log = log_file(log_folder(), "server")
            facts = await contact(server, self.playground.start_worker, log)
        except EngineError as error:
            self._note(error_text(error), wrong=True)
            return
        if server == self.entered:
            self._facts = server, facts
            self._note(f"{contact_words(facts)}\nEnter takes it, Ctrl+O saves it.")
            self._list_models(facts)

    def _list_models(self, facts: ServerFacts) -> None:
        listed = self.query_one("#server-models", OptionList)
        listed.display = len(facts.models) > 1
        listed.clear_options()
        names = facts.models[:SHOWN_MODELS]
        listed.add_options(Option(Content(displayable(name))) for name in names)
        listed.highlighted = names.index(facts.model) if facts.model in names else None

    @on(OptionList.OptionSelected, "#server-models")
    def choose_model(self, event: OptionList.OptionSelected) -> None:
        """Take a model of the list, after asking what it is."""
        event.stop()
        if self._facts:
            self.query_one("#server-model", Input).value = self._facts[1].models[event.option_index]
            self.use()

    @on(OptionList.OptionSelected, "#server-saved")
    def choose_saved(self, event: OptionList.OptionSelected) -> None:
        """Put a saved server into the form and ask it."""
        event.stop()
        server = self.playground.settings.servers[self._saved_names[event.option_index]]
        for name in HINTS:
            self.query_one(f"#server-{name}", Input).value = _field(server, name)
        self.check()

    def action_save(self) -> None:
        """Ask for a name and save the server that is in the form."""
        if problem := _problem(self.entered):
            self._note(problem, wrong=True)
            return

        def save(name: str | None) -> None:
            if name:
                self._change(self.playground.settings.servers | {name: self.entered})

        host = parse_address(self.entered.address).host
        self.app.push_screen(NameScreen("Save the server as", _name_problem, host), save)

    def action_rename(self) -> None:
        """Ask for another name of the saved server under the cursor."""
        if (old := self._selected) is None:
            return

        def rename(new: str | None) -> None:
            if new:
                servers = self.playground.settings.servers
                self._change({new if name == old else name: one for name, one in servers.items()})

        self.app.push_screen(NameScreen("Rename the server", _name_problem, old), rename)

    def action_remove(self) -> None:
        """Remove the saved server under the cursor, at the second press."""
        if (name := self._selected) is None:
            return
        if self._confirm.press(name):
            servers = self.playground.settings.servers
            self._change({other: one for other, one in servers.items() if other != name})
        else:
            self.notify(f"Del again removes {displayable(name)}.", markup=False)

    def action_cancel(self) -> None:
        """Close without a server."""
        self.dismiss(None)

    @property
    def _saved_names(self) -> list[str]:
        return list(self.playground.settings.servers)

    @property
    def _selected(self) -> str | None:
        index = self.query_one("#server-saved", OptionList).highlighted
        return None if index is None else self._saved_names[index]

    def _change(self, servers: dict[str, Server]) -> None:
        self.playground.change_settings(servers=servers)
        self._list_saved()

    def _list_saved(self) -> None:
        listed = self.query_one("#server-saved", OptionList)
        listed.clear_options()
        servers = self.playground.settings.servers
        listed.add_options(
            Option(
                Content.assemble(f"{displayable(name)}  ", (displayable(one.address), "$foreground-muted"))
            )
            for name, one in servers.items()
        )
        listed.display = bool(servers)
        listed.highlighted = 0 if servers else None
        if not servers and listed.has_focus:
            self.query_one("#server-address").focus()

    def _note(self, text: str, *, wrong: bool = False) -> None:
        note = self.query_one("#server-note", Static)
        note.set_class(wrong, "-wrong")
        note.update(displayable(text))


def _field(server: Server, name: str) -> str:
    """Return what a field of the form holds of a server."""
    return header_text(server.headers) if name == "headers" else str(getattr(server, name))


def _problem(server: Server) -> str:
    """Return why a server cannot be saved; empty if it can."""
    try:
        server_spec(server.address, server.model, server.key, server.headers)
    except EngineError as error:
        return error_text(error)
    return ""


def _name_problem(name: str) -> str:
    """Return why a name cannot be used; empty if it can."""
    if not name:
        return "A name is needed."
    return "A name has no colon, slash or comma." if any(one in name for one in ":/,") else ""
