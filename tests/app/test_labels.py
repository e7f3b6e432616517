"""No label of a form is cut, from 80 columns up."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.widget import Widget
from textual.widgets import Button, Static

from app.widgets.forms.ascii_checkbox import AsciiCheckbox
from app.widgets.forms.options_form import OptionsForm
from engines.worker.template_arguments import BUDGETS, EFFORTS, SWITCHES
from tests.app.driving import wait_until
from tests.app.rendered import cells
from tests.app.still import StillPlayground, chat_answered, settle


def is_displayed(widget: Widget) -> bool:
    """Return whether a widget and all around it are displayed: fields that no template reads are not."""
    return all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget))


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("key", ["f4", "f6"])
async def test_labels_are_shown_whole(key: str, width: int) -> None:
    """Titles, buttons and checkboxes: each has the width of its text, and no sign that something is cut."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(width, 60)) as pilot:
        await chat_answered(pilot)
        before = app.screen
        await pilot.press(key)
        await wait_until(pilot, lambda: app.screen is not before)
        await settle(pilot)
        for title in filter(is_displayed, app.screen.query(".form-label, .setting-title").results(Static)):
            assert title.content_size.width >= cell_len(str(title.content)), title.content
        for button in app.screen.query(Button):
            assert button.content_size.width >= cell_len(str(button.label)), button.label
        for box in app.screen.query(AsciiCheckbox):
            shown = "".join(cell.character for cell in cells(app, box.region))
            assert str(box.label) in shown
            assert shown.strip().startswith("[")


@pytest.mark.parametrize("width", [80, 200])
async def test_fields_about_thinking_are_one_line_each(width: int) -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(width, 60)) as pilot:
        await chat_answered(pilot)
        before = app.screen
        await pilot.press("f4")
        await wait_until(pilot, lambda: app.screen is not before)
        for form in app.screen.query(OptionsForm):
            form.offer_thinking((*SWITCHES, *EFFORTS, *BUDGETS))
        await settle(pilot)
        rows = [one.parent for one in app.screen.query(".thinking-form .form-label")]
        assert [row.size.height for row in rows if isinstance(row, Widget)] == [1] * 6
