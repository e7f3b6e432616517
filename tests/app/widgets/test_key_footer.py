"""The footer shows the keys that work now, whether or not Textual announces a change."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from app.widgets.key_footer import KeyFooter
from tests.app.driving import wait_until


class Keys(App[None]):
    """Two keys; the second one works when `allowed`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "first", "First"),
        Binding("f3", "second", "Second"),
    ]
    allowed = False

    def compose(self) -> ComposeResult:
        yield KeyFooter()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.allowed or action != "second"


def shown(app: Keys) -> str:
    """Return the labels in the footer."""
    return " ".join(key.description for key in app.query("FooterKey").results())  # type: ignore[attr-defined]


async def test_a_change_that_is_not_announced_is_shown() -> None:
    app = Keys()
    async with app.run_test() as pilot:
        await wait_until(pilot, lambda: shown(app).startswith("First"), 10.0)
        assert "Second" not in shown(app)
        app.allowed = True
        await wait_until(pilot, lambda: "Second" in shown(app), 10.0)


async def test_missing_keys_are_mounted_again() -> None:
    app = Keys()
    async with app.run_test() as pilot:
        await wait_until(pilot, lambda: "First" in shown(app), 10.0)
        await app.query_one(Footer).remove_children()
        assert not shown(app)
        await wait_until(pilot, lambda: "First" in shown(app), 10.0)
