"""The precisions of one side: what is highlighted when the table changes under the user's fingers."""

from __future__ import annotations

from textual.app import App, ComposeResult

from app.widgets.prepare.precision_list import PrecisionList
from engines.plan.precision import PRECISIONS
from engines.plan.support import Support

NATIVE = {name: Support("native", "It runs.") for name in PRECISIONS}
WITHOUT_INT8 = NATIVE | {"int8": Support("unavailable", "Not here.")}


class ListApp(App[None]):
    """Nothing but the list."""

    def compose(self) -> ComposeResult:
        """The list."""
        yield PrecisionList()


def highlighted(precisions: PrecisionList) -> str:
    assert precisions.highlighted_option
    return precisions.highlighted_option.id or ""


async def test_a_move_that_nobody_has_heard_of_is_kept() -> None:
    app = ListApp()
    async with app.run_test():
        precisions = app.query_one(PrecisionList)
        precisions.show(NATIVE, "int8")
        assert highlighted(precisions) == "int8"
        precisions.highlighted = precisions.get_option_index("int4")
        precisions.show(WITHOUT_INT8, "int8")
        assert highlighted(precisions) == "int4"


async def test_what_the_picker_chose_itself_is_shown() -> None:
    """With another backend, say, that does not run what was chosen."""
    app = ListApp()
    async with app.run_test():
        precisions = app.query_one(PrecisionList)
        precisions.show(NATIVE, "int8")
        precisions.show(WITHOUT_INT8, "fp32")
        assert highlighted(precisions) == "fp32"
        precisions.show(NATIVE, "fp32")
        assert highlighted(precisions) == "fp32"
