"""Where the figures of an answer by a server come from, as sentences for the user."""

from __future__ import annotations

from app.state.conversation.turn import Turn
from app.units import rate_text, seconds_text

CLIENT = "client figures, with the network"
_CANCELLED = {"confirmed": "the server has stopped", "running": "the server was still computing after 0.5 s"}


def server_words(turn: Turn) -> list[str]:
    """Return what is to be known of the figures: empty for an engine on this machine."""
    server = turn.server
    if server is None:
        return []
    counted = {
        "estimate": "tokens estimated from the text",
        "tokenizer": "tokens counted by the server's tokenizer",
    }.get(server.counted_by, "")
    figures = [
        f"decode {rate_text(server.decode_rate).strip()}" if server.decode_rate else "",
        f"prefill {rate_text(server.prefill_rate).strip()}" if server.prefill_rate else "",
        f"TTFT {seconds_text(server.ttft)}" if server.ttft else "",
        f"load {seconds_text(server.load_seconds)}" if server.load_seconds else "",
    ]
    own = ", ".join(filter(None, figures))
    ignored = ", ".join(name.replace("_", " ") for name in server.ignored_sampling)
    parts = (
        CLIENT,
        counted,
        f"server: {own}" if own else "",
        f"the server does not take {ignored}" if ignored else "",
        _CANCELLED.get(server.cancelled, ""),
    )
    return [part for part in parts if part]
