"""A GGUF file that llama.cpp has loaded, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.backends.llama_cpp.distribution import Distributions
from engines.backends.llama_cpp.server import KV_BYTES, LlamaServer, ServerSettings
from engines.build.spec import EngineSpec
from engines.plan.checkpoint.gguf_checkpoint import read_gguf
from engines.plan.decoder.decoder import Decoder
from engines.plan.hardware.hardware import usable_cores


@dataclass(frozen=True)
class LoadedFile:
    """A loaded file."""

    server: LlamaServer
    vocabulary: int
    weight_bytes: int
    bytes_per_token: float
    """Of the KV cache in all layers."""
    positions: int | None = None
    """Tokens of the longest text that the model was made for."""
    names_eos: bool = False
    """Whether the file names end-of-sequence tokens, at which the server ends an answer by itself."""
    complete_token: int | None = None
    """A token whose text is a complete character; None if those of all are."""

    @property
    def distributions(self) -> Distributions:
        """What it predicts after a text."""
        return Distributions(self.server, self.vocabulary, self.complete_token)


def load_engine_file(file: Path, decoder: Decoder, spec: EngineSpec, context: int) -> LoadedFile:
    """Load a file that this project wrote.

    Raises:
        EngineError: `load-failed`.
    """
    kv = "f32" if spec.precision == "fp32" else "f16"
    settings = _settings(file, spec, context, kv)
    values = sum(2 * layer.kv_heads * layer.head_dim for layer in decoder.layers)
    return LoadedFile(
        server=LlamaServer(settings),
        vocabulary=decoder.vocabulary,
        weight_bytes=file.stat().st_size,
        bytes_per_token=values * KV_BYTES[settings.kv_precision],
    )


def load_checkpoint_file(file: Path, spec: EngineSpec) -> LoadedFile:
    """Load the user's file as it is.

    Args:
        file: the first of its parts.

    Raises:
        EngineError: `load-failed`.
    """
    settings = _settings(file, spec, spec.context, "f16")
    kv_bytes = read_gguf(file).attention_bytes_per_token(KV_BYTES[settings.kv_precision], 0)
    server = LlamaServer(settings)
    facts = server.ask("/v1/models")["data"][0]["meta"]
    letter = server.ask("/tokenize", {"content": "a", "add_special": False})["tokens"]
    return LoadedFile(
        server=server,
        vocabulary=facts["n_vocab"],
        weight_bytes=facts["size"],
        bytes_per_token=kv_bytes,
        positions=facts["n_ctx_train"],
        names_eos=True,
        complete_token=letter[-1],
    )


def _settings(file: Path, spec: EngineSpec, context: int, kv: str) -> ServerSettings:
    chosen = kv if spec.kv_precision == "auto" else spec.kv_precision
    # Its threads wait for each other several times a layer, so one without a core of its own stops them all:
    # a core is left to the app and the other side. Not one of two: that took up to a third of the speed.
    cores = usable_cores()
    return ServerSettings(file, context, min(cores, max(2, cores - 1)), chosen)
