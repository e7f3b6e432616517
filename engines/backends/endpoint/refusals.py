"""Remember which fields of a request a server refuses: they are left out of all later ones."""

from __future__ import annotations

from engines.backends.endpoint.failures import StatusError

SAMPLING = {
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "repeat_penalty": "repetition_penalty",
    "seed": "seed",
    "top_p": "top_p",
    "temperature": "temperature",
    "ignore_eos": "ignore_eos",
}
"""Fields of Sampling by the names that servers have for them."""
_NESTED = ("continuous_usage_stats", "include_usage")
"""Fields of stream_options."""
_UNNAMED = (
    ("return_token_ids", "timings_per_token", "chat_template_kwargs"),
    ("continuous_usage_stats",),
    ("stream_options",),
    ("ignore_eos", "min_p", "top_k", "repetition_penalty", "repeat_penalty"),
    ("seed",),
)
"""What is left out, group by group, where a server does not say which field it refuses."""
REFUSED = frozenset({400, 422})


class Refusals:
    """The fields that one server refused."""

    def __init__(self) -> None:
        self.fields: list[str] = []
        self._renames: dict[str, str] = {}

    @property
    def sampling(self) -> tuple[str, ...]:
        """Fields of Sampling among them."""
        return tuple(dict.fromkeys(SAMPLING[name] for name in self.fields if name in SAMPLING))

    def without(self, body: dict[str, object]) -> dict[str, object]:
        """Return a request without the refused fields."""
        kept = {
            self._renames.get(name, name): value for name, value in body.items() if name not in self.fields
        }
        options = kept.get("stream_options")
        if isinstance(options, dict):
            kept["stream_options"] = {key: value for key, value in options.items() if key not in self.fields}
        return kept

    def take(self, error: StatusError, body: dict[str, object]) -> bool:
        """Remember what an error refuses. Returns whether the request is to be sent again.

        Args:
            body: the request that was refused.
        """
        if error.status not in REFUSED or error.code != "refused":
            return False
        if "max_completion_tokens" in error.said and "max_tokens" in body:
            self._renames["max_tokens"] = "max_completion_tokens"
            return True
        sent = _sent(body)
        optional = {one for group in _UNNAMED for one in group} | SAMPLING.keys()
        named = [name for name in sent if name in optional and name in error.said]
        # `top_k` is part of no other name here, but a message about stream_options may name what is in it.
        for group in (named, *(_UNNAMED if not named else ())):
            found = [name for name in group if name in sent]
            if found:  # several requests may be refused at once for the same field
                self.fields += [name for name in found if name not in self.fields]
                return True
        return False


def _sent(body: dict[str, object]) -> set[str]:
    options = body.get("stream_options")
    return {*body, *(options if isinstance(options, dict) else ())}
