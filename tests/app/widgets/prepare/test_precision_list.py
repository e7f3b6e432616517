"""The precision list: which entry is highlighted after the table changes."""

from __future__ import annotations

from textual.app import App, ComposeResult

from app.widgets.prepare.precision_list import PrecisionList
from engines.plan.precision import PRECISIONS
from engines.plan.support import Support

NATIVE = {name: Support("native", "It runs.") for name in PRECISIONS}
WITHOUT_INT8 = NATIVE | {"int8": Support("unavailable", "Unavailable.")}


class ListApp(App[None]):
    """An app with the list."""

    def compose(self) -> ComposeResult:
        """Yield the list."""
        yield PrecisionList()


def highlighted(precisions: PrecisionList) -> str:
    assert precisions.highlighted_option
    return precisions.highlighted_option.id or ""


async def test_an_unhandled_highlight_by_the_user_is_kept() -> None:
    app = ListApp()
    async with app.run_test():
        precisions = app.query_one(PrecisionList)
        precisions.show(NATIVE, "int8")
        assert highlighted(precisions) == "int8"
        precisions.highlighted = precisions.get_option_index("int4")
        precisions.show(WITHOUT_INT8, "int8")
        assert highlighted(precisions) == "int4"


async def test_a_precision_set_by_the_picker_is_highlighted() -> None:
    """As after a change to a backend that does not support the chosen precision."""
    app = ListApp()
    async with app.run_test():
        precisions = app.query_one(PrecisionList)
        precisions.show(NATIVE, "int8")
        precisions.show(WITHOUT_INT8, "fp32")
        assert highlighted(precisions) == "fp32"
        precisions.show(NATIVE, "fp32")
        assert highlighted(precisions) == "fp32"
