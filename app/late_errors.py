"""Errors of screens and widgets that are being removed; of these the app is not ended."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

from textual._context import active_message_pump  # whose handler runs; Textual has no public name for it
from textual.app import App, ScreenStackError
from textual.css.query import NoMatches
from textual.dom import DOMNode, NoScreen
from textual.message_pump import CallbackError
from textual.widget import Widget
from textual.widgets import OptionList
from textual.worker import WorkerFailed

LOOKUPS = (NoMatches, NoScreen, ScreenStackError)
"""What a query raises once the children, the screen or the last screen are gone."""


def is_being_removed(node: DOMNode) -> bool:
    """Return whether a node leaves the screen, has left it, or belongs to an app that ends.

    Its children are removed before it is: until then its messages, timers and background tasks may find none.
    A widget that is removed while it is composed never gets any.
    """
    if isinstance(node, App):
        return node._exit or not any(node._screen_stacks.values())
    # Textual has no public flags for it; before it publishes a signal it looks at the same ones.
    leaving = any(one._pruning or one._closing for one in node.ancestors_with_self if isinstance(one, Widget))
    return leaving or not node.is_attached or _is_popped(node)


def _is_popped(node: DOMNode) -> bool:
    """Return whether the node's screen has been closed; it is removed a little later."""
    try:
        screen = node.screen
    except LOOKUPS:
        return True
    return not any(screen in stack for stack in node.app._screen_stacks.values())


def can_act(node: DOMNode) -> bool:
    """Return whether a node is completely composed and not being removed: its actions find its children."""
    if isinstance(node, App):
        return True
    composed = all(one.is_mounted for one in node.ancestors_with_self if isinstance(one, Widget))
    return composed and not is_being_removed(node) and has_lines(node)


def has_lines(node: DOMNode) -> bool:
    """Return whether a list is laid out: Textual's actions that move by a page raise where it has no room."""
    return not isinstance(node, OptionList) or bool(node.scrollable_content_region)


def is_late(error: BaseException) -> bool:
    """Return whether a query failed because its widgets are being removed: nothing is lost."""
    error = cause_of(error)
    return isinstance(error, LOOKUPS) and any(map(is_being_removed, _nodes(error)))


@contextlib.contextmanager
def late_errors_ignored(node: DOMNode) -> Iterator[None]:
    """Ignore such an error in a handler of a node that stays: Textual would take no more messages for it."""
    try:
        yield
    except Exception as error:
        if not is_late(error):
            raise
        node.log.warning(f"ignored, because its widget is being removed: {error!r}")


def cause_of(error: BaseException) -> BaseException:
    """Return the error that a background task or a timer raised, which Textual wraps."""
    while isinstance(error, WorkerFailed | CallbackError):
        inner = error.error if isinstance(error, WorkerFailed) else error.__context__
        if inner is None:
            break
        error = inner
    return error


def _nodes(error: BaseException) -> Iterator[DOMNode]:
    """Yield the node whose handler runs, and the one that was queried."""
    running = active_message_pump.get(None)
    if isinstance(running, DOMNode):
        yield running
    queried = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    yield from [one for one in queried if isinstance(one, DOMNode)][-1:]
