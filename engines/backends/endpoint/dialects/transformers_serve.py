"""`transformers serve`, Hugging Face's own server."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import ClassVar

from engines.backends.endpoint.dialects.dialect import Dialect, Listing
from engines.errors import EngineError
from engines.worker.protocol import Sampling

OWN_PATHS = frozenset({"/load_model", "/v1/responses", "/v1/audio/transcriptions"})


class TransformersServe(Dialect):
    """It lists the models in its hub cache, and runs others too, such as the folder that it was started with.

    A request for another model than that is refused, and the refusal names the right one.
    """

    title: ClassVar[str] = "transformers serve"
    lists_all: ClassVar[bool] = False
    streams_stop: ClassVar[bool] = True

    def recognises(self, listing: Listing) -> bool:
        """Look for its paths in its description: the owner of a model is the author of its repository."""
        with suppress(EngineError):
            found = self.http.get("/openapi.json")
            paths = found.get("paths") if isinstance(found, dict) else None
            return isinstance(paths, dict) and paths.keys() >= OWN_PATHS
        return False

    def sampling_fields(self, sampling: Sampling) -> dict[str, object]:
        """Return a GenerationConfig: other fields are refused, and without it every answer is greedy."""
        config: dict[str, object] = {
            "do_sample": sampling.temperature > 0,
            "repetition_penalty": sampling.repetition_penalty,
        }
        if sampling.temperature > 0:
            config |= {"top_k": sampling.top_k, "min_p": sampling.min_p}
        if sampling.ignore_eos:
            config["min_new_tokens"] = sampling.max_tokens
        return {"generation_config": json.dumps(config)}
