"""Snapshots of the prompt with a file, a long paste and the token counter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from app.state.conversation.attachment import Attachment, pasted
from app.widgets.chat.composer import Composer
from engines.worker.protocol import TokensCounted
from tests.app import still
from tests.app.driving import wait_until
from tests.app.still import StillPlayground
from tests.app.widgets.samples import FULL

LONG_NAME = "measurements of the [other] machine, second try, without its GPU.csv"


async def prompt_full(pilot: Pilot[None]) -> None:
    """Show two attachments, a prompt of two lines, and a context window that is nearly full."""
    await still.chat_answered(pilot)
    composer = pilot.app.screen.query_one(Composer)
    await composer.attach(Attachment(LONG_NAME, "1,2\n" * 212))
    await composer.attach(pasted("line\n" * 240))
    composer.box.write("What do they have in common?\nAnswer in one line.")
    await pilot.pause()
    left, right = (TokensCounted(1, tokens, 2048, tokens, 0, (848, 480)) for tokens in (1804, 1790))
    composer.token_counter.tokens.update(zip(composer.attachments, left.texts, strict=True))
    await wait_until(
        pilot, lambda: all(one.is_finished for one in pilot.app.workers if one.group == "prompt")
    )
    composer.show_count({"left": left, "right": right})
    await still.settle(pilot)


@pytest.mark.parametrize(("size", "theme"), [((80, 24), "playground-dark"), ((120, 36), "playground-light")])
def test_prompt_with_attachments(
    snap_compare: Callable[..., bool], size: tuple[int, int], theme: str
) -> None:
    """One line per attachment with its keys; the token count is in the border, in colour."""
    app = StillPlayground(theme, chosen=True, snapshot=FULL)
    assert snap_compare(app, terminal_size=size, run_before=prompt_full)
