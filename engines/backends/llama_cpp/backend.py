"""The llama.cpp backend: a GGUF file as it is, or one written from safetensors."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engines.backends.base import (
    Availability,
    Backend,
    Emit,
    Generated,
    Report,
    Scores,
    Stopped,
    context_window,
    require_loaded,
)
from engines.backends.calibration_rows import calibration_rows
from engines.backends.probe import probe_packages
from engines.backends.weight_progress import weight_progress
from engines.build.spec import CALIBRATED, EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.plan.decoder.decoder_config import read_config
from engines.plan.decoder.gguf_families import refuse_unwritable
from engines.worker.checks import check_ids
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.backends.llama_cpp.loaded_file import LoadedFile
    from engines.weights.reader import Floats
    from engines.worker.logprob_rows import RowReader, RowWriter

PRECISIONS = ("fp32", "bf16", "fp16", "q8_0", "q4_k_m", "q4_0")
PACKAGES = ("xllamacpp", "gguf")
SPINS = 1000
"""How often a thread of OpenMP looks for the others before it sleeps; GNU's default is 300,000."""
FILE = "model.gguf"
"""In the engine's folder."""
CELLS = 256
"""The KV cache has a multiple of these."""


class LlamaCppBackend(Backend):
    """llama.cpp on the CPU, through the server that xllamacpp has in its library.

    Token ids in and out: the worker's tokenizer makes them, so both sides of a comparison have the same.
    """

    name: ClassVar[str] = "llama-cpp"
    title: ClassVar[str] = "llama.cpp"
    prepare_stages: ClassVar[tuple[str, ...]] = ("calibrate", "convert")
    load_stages: ClassVar[tuple[str, ...]] = ("import", "load")

    def __init__(self) -> None:
        self._loaded: LoadedFile | None = None
        self._tokens = 0

    @classmethod
    def start_process(cls) -> None:
        """See `Backend.start_process`. Threads that wait for others sleep soon; set before the library loads.

        Where other programs run, threads that spin take the time that the ones they wait for need.
        """
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))

    @classmethod
    def probe(cls) -> Availability:
        """See `Backend.probe`. Needs both PACKAGES."""
        return probe_packages(PACKAGES, ("cpu",))

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """See `Backend.prepare`. The facts: weight_bytes, precision, seconds, version of gguf."""
        _check(spec)
        started = time.monotonic()
        decoder, entries = read_decoder(checkpoint), tensor_entries(checkpoint)
        refuse_unwritable(read_config(checkpoint))
        from engines.backends.llama_cpp.gguf_file import write_gguf
        from engines.weights.reader import WeightReader

        importance = _importance(spec, checkpoint, decoder.max_positions, report)
        report.stage("convert")
        reader = WeightReader(entries, weight_progress(decoder, report))
        write_gguf(decoder, reader, directory / FILE, spec.precision, importance)
        return {
            "weight_bytes": (directory / FILE).stat().st_size,
            "precision": spec.precision,
            "seconds": round(time.monotonic() - started, 3),
            "gguf": metadata.version("gguf"),
        }

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """See `Backend.load`. A checkpoint that is a GGUF file is loaded as it is.

        Raises:
            EngineError: `load-failed`, `not-built`, or an unsupported option.
        """
        is_file = checkpoint.is_file()  # an ollama blob has no suffix
        _check(spec, builds=not is_file)
        if directory is None and not is_file:
            raise EngineError("not-built", "The GGUF file has not been written.", "Prepare it.")
        report.stage("import")
        from engines.backends.llama_cpp.loaded_file import load_checkpoint_file, load_engine_file

        report.stage("load")
        self.close()
        if is_file or directory is None:
            self._loaded = load_checkpoint_file(checkpoint, spec)
            self.context_tokens = context_window(spec, self._loaded.positions, report.log)
        else:
            decoder = read_decoder(checkpoint)
            self.context_tokens = context_window(spec, decoder.max_positions, report.log)
            self._loaded = load_engine_file(directory / FILE, decoder, spec, self.context_tokens)
        self._tokens = 0

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """See `Backend.generate`. Tokens at the start of the prompt that are in the KV cache stay there."""
        from engines.backends.llama_cpp.completion import Completion

        loaded = self.loaded
        check_ids(token_ids, loaded.vocabulary)
        eos = frozenset() if sampling.ignore_eos else eos_token_ids
        completion = Completion(loaded.server, token_ids, sampling, loaded.names_eos)
        self._tokens = len(token_ids)
        for new in completion.tokens(stopped):
            emit(new)
            # The last token was sampled, but its keys and values were not computed.
            self._tokens = len(token_ids) + len(completion.answer) - 1
            if eos.intersection(new):
                return Generated("stop", completion.cached)
            if stopped():
                return Generated("stopped", completion.cached)
        return Generated(completion.reason, completion.cached)

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
    ) -> Scores:
        """See `Backend.score`. A request for each token, because the server scores no prompt."""
        import torch

        from engines.backends.scores import scores_from_logits

        loaded = self.loaded
        check_ids(token_ids, loaded.vocabulary)
        if reference or keep:
            rows = (torch.from_numpy(row)[None] for row in loaded.distributions.rows(token_ids))
            scores = scores_from_logits(rows, token_ids, top_k, reference, keep)
        else:
            scores = loaded.distributions.scores(token_ids, top_k)
        self._tokens = len(token_ids) - 1
        return scores

    def kv_usage(self) -> KVUsage | None:
        """Return the cells in use; the cache is allocated in full from the start."""
        if self._loaded is None:
            return None
        each, cells = self._loaded.bytes_per_token, -(-self.context_tokens // CELLS) * CELLS
        return KVUsage(
            tokens=self._tokens,
            capacity_tokens=self.context_tokens,
            bytes_used=round(self._tokens * each),
            bytes_total=round(cells * each),
        )

    def memory_usage(self) -> MemoryUsage | None:
        """Return the size of the weights and of the KV cache."""
        kv = self.kv_usage()
        if self._loaded is None or kv is None:
            return None
        return MemoryUsage(weights=self._loaded.weight_bytes, kv=kv.bytes_total)

    def close(self) -> None:
        """See `Backend.close`."""
        if self._loaded is not None:
            self._loaded.server.close()
        self._loaded = None

    @property
    def loaded(self) -> LoadedFile:
        """The loaded file.

        Raises:
            EngineError: `not-loaded`.
        """
        return require_loaded(self._loaded)


def _importance(spec: EngineSpec, checkpoint: Path, positions: int, report: Report) -> dict[str, Floats]:
    """Return the importance matrix; empty where the spec has no calibration."""
    if spec.recipe != CALIBRATED:
        return {}
    from engines.backends.llama_cpp.importance import importance_of

    report.stage("calibrate")
    rows = calibration_rows(checkpoint, spec.calibration, positions)
    report.log(f"calibrating with {sum(map(len, rows)):,} tokens")
    return importance_of(spec, checkpoint, rows, lambda done: report.progress(done, len(rows), "texts"))


def _check(spec: EngineSpec, *, builds: bool = True) -> None:
    if spec.device != "cpu":
        raise EngineError(
            "unsupported-device",
            f"llama.cpp runs on the CPU here, not on {spec.device}.",
            "Choose the device cpu.",
        )
    if builds and spec.precision not in PRECISIONS:
        raise EngineError(
            "unsupported-precision",
            f"{spec.precision} is not written to GGUF files.",
            f"Choose one of {', '.join(PRECISIONS)}.",
        )
    if spec.kv_precision not in ("auto", "f32", "f16", "q8_0"):
        raise EngineError(
            "unsupported-kv-precision",
            f"llama.cpp has no KV cache in {spec.kv_precision} here.",
            "Choose auto, f32, f16 or q8_0.",
        )
