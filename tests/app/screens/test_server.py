"""A server is chosen on Models: asked at once, taken with one of its models, saved, renamed and removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Select, Static

from app.screens.models import ModelsScreen
from app.screens.name import NameScreen
from app.screens.server import ServerScreen
from app.state.settings.settings import Server, SettingsFile
from app.widgets.prepare.engine_picker import EnginePicker, ServerLine
from tests.app.driving import until_screen, wait_until
from tests.app.still import StillPlayground
from tests.doubles.openai_server import OpenAIServer


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer("vllm", key="sk-secret-123").running() as running:
        yield running


def note(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#server-note", Static).content)


async def until_note(pilot: Pilot[None], words: str) -> None:
    await wait_until(pilot, lambda: words in note(pilot))


async def fill(pilot: Pilot[None], **fields: str) -> None:
    """Fill fields of the form and press Enter."""
    for name, value in fields.items():
        pilot.app.screen.query_one(f"#server-{name}", Input).value = value
    pilot.app.screen.query_one("#server-address").focus()
    await pilot.press("enter")


async def test_a_server_is_asked_saved_and_chosen(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(140, 48)) as pilot:
        await pilot.press("f2")
        await until_screen(pilot, ModelsScreen)
        picker = app.screen.query_one("#engine-left", EnginePicker)
        picker.query_one(".backend", Select).value = "endpoint"
        await until_screen(pilot, ServerScreen)

        await fill(pilot, address="ftp://x")
        await until_note(pilot, "is not the address of a server")
        await fill(pilot, address="127.0.0.1:9")
        await until_note(pilot, "nothing listens there")
        await fill(pilot, address=server.url)
        await until_note(pilot, "asks for a key")
        await fill(pilot, key="sk-secret-123")
        await until_note(pilot, "The key itself is not accepted")
        await fill(pilot, key="env:MY_KEY", model="other")
        await until_note(pilot, "has no model 'other'")
        await fill(pilot, model="")
        await until_note(pilot, "vLLM 0.24.0 at")
        assert "context 4,096 tokens" in note(pilot)

        await pilot.press("ctrl+o")
        await until_screen(pilot, NameScreen)
        app.screen.query_one(Input).value = "desk"
        await pilot.press("enter")
        await until_screen(pilot, ServerScreen)
        assert app.settings.servers == {"desk": Server(server.url, "", "env:MY_KEY")}
        saved = app.screen.query_one("#server-saved", OptionList)
        saved.focus()
        await pilot.press("r")
        await until_screen(pilot, NameScreen)
        app.screen.query_one(Input).value = "lab"
        await pilot.press("enter")
        await until_screen(pilot, ServerScreen)
        assert list(app.settings.servers) == ["lab"]
        saved.focus()
        await pilot.press("enter")
        await until_note(pilot, "vLLM 0.24.0 at")

        await fill(pilot)
        await until_screen(pilot, ModelsScreen)
        assert picker.selection.choice.server == Server(server.url, "tiny", "env:MY_KEY")
        assert server.url in str(picker.query_one(ServerLine).content)
        assert not picker.query_one(".precisions").display
        await wait_until(pilot, lambda: "connect" in str(app.screen.query_one("#enter-plan", Static).content))
        app.action_open("models")

        await pilot.press("s")
        await until_screen(pilot, ServerScreen)
        app.screen.query_one("#server-saved").focus()
        await pilot.press("delete", "delete")
        assert app.settings.servers == {}
        await pilot.press("escape")
        await until_screen(pilot, ModelsScreen)
        picker.query_one(".backend", Select).value = "openvino"
        await wait_until(pilot, lambda: bool(picker.query_one(".precisions").display))


async def test_headers_are_entered_in_one_line_and_kept_without_their_secret(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All fields can be seen at 80 x 24 with a list of saved servers; a secret itself is refused."""
    monkeypatch.setenv("GATE", "sk-secret-123")
    server.key = ""
    lines = ("X-Team: red, blue", "X-Gate-Token: env:GATE")
    app = StillPlayground("playground-dark", chosen=True)
    saved = {f"desk {number}": Server("127.0.0.1:9") for number in range(8)}
    app.change_settings(servers=saved)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await until_screen(pilot, ModelsScreen)
        await pilot.press("s")
        await until_screen(pilot, ServerScreen)
        headers = app.screen.query_one("#server-headers", Input)
        await fill(pilot, address=server.url, headers="X-Team: sk-secret-123")
        await until_note(pilot, "The value of X-Team looks like a credential")
        assert "sk-secret-123" not in note(pilot)
        await fill(pilot, headers="no header")
        await until_note(pilot, "A header is written as")
        await fill(pilot, headers="X-Team=red, blue, X-Gate-Token=env:GATE")
        await until_note(pilot, "vLLM 0.24.0 at")
        sent = server.requests[-1].headers
        assert (sent["X-Team"], sent["X-Gate-Token"]) == ("red, blue", "sk-secret-123")
        shown = app.screen.query_one("#server").content_region
        assert all(one.region in shown for one in app.screen.query("Input, Button, #server-note"))

        await pilot.press("ctrl+o")
        await until_screen(pilot, NameScreen)
        app.screen.query_one(Input).value = "gate"
        await pilot.press("enter")
        await until_screen(pilot, ServerScreen)
        assert app.settings.servers["gate"] == Server(server.url, headers=lines)
        headers.value = ""
        listed = app.screen.query_one("#server-saved", OptionList)
        listed.focus()
        await pilot.press("end", "enter")
        assert headers.value == "X-Team=red, blue, X-Gate-Token=env:GATE"
        await until_note(pilot, "vLLM 0.24.0 at")
        await fill(pilot)
        await until_screen(pilot, ModelsScreen)
        picker = app.screen.query_one("#engine-left", EnginePicker)
        assert picker.selection.choice.server.headers == lines
    file = SettingsFile(tmp_path / "settings.toml")
    file.set_pending(app.settings)
    file.write()
    written = all_bytes(tmp_path)
    assert b"env:GATE" in written
    assert b"sk-secret-123" not in written


def all_bytes(folder: Path) -> bytes:
    """Return what all files of a folder hold."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
