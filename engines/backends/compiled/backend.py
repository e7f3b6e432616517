"""The compiled backend: transformers with torch.compile, CUDA graphs and torchao.

It contains no model code: the decoder is that of transformers, the kernels are those of Inductor and torchao.
"""

from __future__ import annotations

import gc
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from engines.backends.compiled.split.rank import WHOLE, Rank
from engines.backends.eager_imports import skip_optional_packages
from engines.backends.random_weights import is_random
from engines.backends.scores import scores_from_logits
from engines.backends.transformers_model import check_device, probe_transformers
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.hardware.hardware import gpus
from engines.worker.checks import check_ids
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.backends.compiled.artefacts import CompilerCache
    from engines.backends.compiled.cache import BucketedCache
    from engines.backends.compiled.early_imports import CompilerImports
    from engines.backends.compiled.runner import Runner
    from engines.backends.compiled.split.ranks import Ranks
    from engines.backends.compiled.work import CompilerWork
    from engines.worker.logprob_rows import RowReader, RowWriter


class CompiledBackend(Backend):
    """A model with a static KV cache for one conversation at a time."""

    name = "compiled"
    title = "PyTorch compiled"
    prepare_stages = ("import", "weights", "compile", "capture", "save")
    load_stages = ("import", "weights", "compile", "capture")
    engine_format = 5  # since 5 the weights of every quantised layer on a GPU are in our own layout

    @classmethod
    def start_process(cls) -> None:
        """See `Backend.start_process`: import less of what transformers finds installed."""
        gc.disable()  # until the engine is loaded; imports and tracing leave little to collect
        skip_optional_packages()

    def __init__(self) -> None:
        self._runner: Runner | None = None
        self._compiler: CompilerCache | None = None
        self._weight_bytes = 0
        self._rank = WHOLE
        """Which part of the model this process has; all parts of the weights and the KV cache are equal."""
        self._ranks: Ranks | None = None
        self._prepared: tuple[EngineSpec, Path] | None = None
        """The engine that `prepare` left loaded, and the folder of its files."""

    @classmethod
    def probe(cls) -> Availability:
        """See `Backend.probe`. Also needs a C++ compiler on the path, which torch.compile uses."""
        availability = probe_transformers()
        if not availability.available:
            return availability
        if not _compiler_on_path():
            return Availability(
                available=False,
                versions=availability.versions,
                reason="torch.compile needs a C++ compiler, and none was found.",
                hint="Install one, such as g++ (apt install g++), or name it in CXX.",
            )
        versions = availability.versions | {name: _version(name) for name in ("torchao", "triton")}
        if found := sorted({f"{gpu.title} {gpu.compute_capability}" for gpu in gpus()}):
            versions["GPU"] = ", ".join(found)  # kernels are tuned for it
        return replace(availability, versions=versions)

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """Quantise and compile the model, and save the weights and the compile cache.

        The engine stays loaded, so that the `load` that follows does not have to compile it again. Only
        quantised weights are saved: unquantised ones are read from the checkpoint at each load, and random
        ones are created faster than they could be read.
        """
        with _collected_afterwards():
            facts = self._prepare(spec, checkpoint, directory, report)
        self._prepared = spec, directory
        return facts

    def _prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        compiler = self._import(spec, report)
        from engines.backends.compiled.model import QUANTISED, make_model, save_weights

        self._join_ranks(spec, checkpoint, None)
        imports = self._import_compiler(spec, workers=spec.device.startswith("cuda"))

        report.stage("weights")
        model = make_model(spec, checkpoint, self._rank)
        stored = spec.precision in QUANTISED and not is_random(checkpoint)
        if stored:
            if self._ranks:
                self._ranks.send("save", directory=str(directory))
            save_weights(model, directory, self._rank)
        work = self._start(spec, model, "the engine is new", imports, report)
        report.stage("save")
        cache_bytes = compiler.save(directory)
        return {
            "weight_bytes": self._weight_bytes * self._rank.count,
            "weights_stored": stored,
            "compiler_cache_bytes": cache_bytes,
            "graphs_compiled": work.compiled,
            "precision": spec.precision,
        }

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Load the weights and the compile cache, compile missing graphs, and capture the CUDA graphs.

        The log says what was done again, and how long it took.

        Raises:
            EngineError: The precision or device is not supported, or the engine's files are broken.
        """
        if directory is not None and self._prepared == (spec, directory):
            self._check_files(directory, report)
            return
        with _collected_afterwards():
            self._load(spec, checkpoint, directory, report)

    def _load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        compiler = self._import(spec, report)
        from engines.backends.compiled.model import load_weights, make_model, weights_file

        self._join_ranks(spec, checkpoint, directory)
        imports = self._import_compiler(spec, workers=False)

        report.stage("weights")
        if directory is not None and (directory / weights_file(self._rank)).is_file():
            model = load_weights(spec, checkpoint, directory, self._rank)
        else:
            model = make_model(spec, checkpoint, self._rank)
        restored = directory is not None and compiler.restore(directory)
        why = "the engine's compile cache does not match" if restored else "there is no compile cache"
        self._start(spec, model, why, imports, report)

    def _check_files(self, directory: Path, report: Report) -> None:
        from engines.backends.compiled.model import check_weights, weights_file

        if (directory / weights_file(self._rank)).is_file():
            report.stage("weights")
            check_weights(self.runner.model, directory, self._rank)

    def _import(self, spec: EngineSpec, report: Report) -> CompilerCache:
        """Import torch, check device and precision, and return a new, empty compile cache."""
        report.stage("import")
        import torch

        from engines.backends.compiled.artefacts import CompilerCache
        from engines.backends.compiled.model import check_precision

        check_device(spec.device)
        if spec.device.startswith("cuda"):
            torch.cuda.set_device(spec.device)
            # On Hopper PyTorch prefers cuDNN's attention, which is planned for each pair of lengths: in most
            # turns of a conversation the first token would wait for a new plan.
            torch.backends.cuda.enable_cudnn_sdp(False)
        if not _compiler_on_path():
            raise EngineError(
                "no-compiler", "torch.compile needs a C++ compiler, and none was found.", "Install g++."
            )
        check_precision(spec)
        self.close()
        self._compiler = CompilerCache()
        return self._compiler

    def _join_ranks(self, spec: EngineSpec, checkpoint: Path, directory: Path | None) -> None:
        """Start the processes of the other GPUs, if any, and join them."""
        self._rank = Rank(0, spec.gpus)
        if self._rank.is_split:
            from engines.backends.compiled.split.ranks import Ranks

            self._ranks = Ranks(spec, checkpoint, directory)
            self._ranks.join(self._rank, spec.device)

    def _import_compiler(self, spec: EngineSpec, workers: bool) -> CompilerImports:
        """Begin to import the compiler; wait for it where reading the weights may import parts of torch too.

        Args:
            workers: Whether there is something to compile for a GPU.
        """
        from engines.backends.compiled.early_imports import CompilerImports
        from engines.backends.compiled.model import QUANTISED

        imports = CompilerImports(workers)
        if spec.precision in QUANTISED or spec.trust_remote_code:
            imports.wait()
        return imports

    def _start(
        self, spec: EngineSpec, model: Any, why: str, imports: CompilerImports, report: Report
    ) -> CompilerWork:
        """Compile the model, or take the graphs from the cache, and capture the CUDA graphs.

        Args:
            why: The reason for the log if graphs must be compiled.
        """
        import torch

        from engines.backends.compiled.model import weight_bytes
        from engines.backends.compiled.work import CompilerWork, logged

        if model.device.type == "cuda":  # initialises cuBLAS, meanwhile
            some = torch.ones((16, 16), dtype=model.dtype, device=model.device)
            torch.mm(some, some)
        begun = time.monotonic()
        imports.wait()
        report.log(f"imported the compiler: waited {time.monotonic() - begun:.1f} s for it")
        from engines.backends.compiled.cache import BucketedCache

        report.stage("compile")
        begun = time.monotonic()
        self._weight_bytes = weight_bytes(model)
        positions = getattr(model.config, "max_position_embeddings", None)
        self.context_tokens = context_window(spec, positions)
        with torch.no_grad():
            self._runner = self._make_runner(model, BucketedCache(model.config, self.context_tokens))
            self._runner.allocate()
            report.log(f"ran the model once, uncompiled, in {time.monotonic() - begun:.1f} s")
            begun = time.monotonic()
            with logged(report.log):
                self._runner.compile(lambda done, total: report.progress(done, total, "functions"))
            work = CompilerWork.since_reset()
            for line in work.lines(why, time.monotonic() - begun):
                report.log(line)
            report.stage("capture")
            self._capture(self._runner, report)
        return work

    def _make_runner(self, model: Any, kv_cache: BucketedCache) -> Runner:
        from engines.backends.compiled.runner import Runner

        if self._ranks is None:
            return Runner(model, kv_cache)
        from engines.backends.compiled.split.mirrored_runner import MirroredRunner

        return MirroredRunner(model, kv_cache, self._rank, self._ranks)

    def _capture(self, runner: Runner, report: Report) -> None:
        begun = time.monotonic()
        if count := runner.capture(lambda done, total: report.progress(done, total, "graphs")):
            report.log(f"captured {count} CUDA graphs in {time.monotonic() - begun:.1f} s")
            begun = time.monotonic()
            runner.warm_up()
            report.log(f"ran each size of prompts and each graph once in {time.monotonic() - begun:.1f} s")

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """See `Backend.generate`. Only the part of the prompt that is not in the KV cache is computed."""
        import torch

        from engines.backends.compiled.answer_loop import AnswerLoop

        runner = self.runner
        check_ids(token_ids, self._vocabulary)
        eos = frozenset() if sampling.ignore_eos else eos_token_ids
        with torch.no_grad():
            return AnswerLoop(runner, token_ids, sampling, eos, emit, stopped).run()

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
    ) -> Scores:
        """See `Backend.score`. Computed in chunks, with the stored weights and through the KV cache."""
        import torch

        runner = self.runner
        check_ids(token_ids, self._vocabulary)
        with torch.no_grad():
            logits = runner.all_logits(token_ids[:-1])
            return scores_from_logits(logits, token_ids, top_k, reference, keep)

    @property
    def runner(self) -> Runner:
        """What computes the loaded model's logits.

        Raises:
            EngineError: `not-loaded`.
        """
        return require_loaded(self._runner)

    @property
    def _vocabulary(self) -> int:
        return int(self.runner.model.get_input_embeddings().weight.shape[0])

    def moved(self, directory: Path) -> None:
        """See `Backend.moved`. The peak of the build is not counted as that of the engine."""
        del directory  # all of it is in memory
        import torch

        if torch.cuda.is_available():
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.runner.device)

    def kv_usage(self) -> KVUsage | None:
        """Return the cached tokens of the context window; the cache is allocated in full from the start."""
        if self._runner is None:
            return None
        kv_cache = self._runner.kv_cache
        used, token_bytes = len(kv_cache.cached_ids), kv_cache.bytes_per_token * self._rank.count
        return KVUsage(
            tokens=used,
            capacity_tokens=self.context_tokens,
            bytes_used=used * token_bytes,
            bytes_total=kv_cache.capacity * token_bytes,
        )

    def memory_usage(self) -> MemoryUsage | None:
        """Return bytes of the weights and the KV cache; on CUDA also the allocator's rest and peak.

        Of a split engine this process has one of equal parts: the total is counted from it.
        """
        if self._runner is None:
            return None
        import torch

        kv = self._runner.kv_cache.capacity * self._runner.kv_cache.bytes_per_token
        parts = self._rank.count
        if not self._runner.on_gpu:
            return MemoryUsage(weights=self._weight_bytes * parts, kv=kv * parts)
        device = self._runner.device
        reserved = torch.cuda.memory_reserved(device)
        return MemoryUsage(
            weights=self._weight_bytes * parts,
            kv=kv * parts,
            other=max(0, reserved - self._weight_bytes - kv) * parts,
            peak=torch.cuda.max_memory_allocated(device) * parts,
        )

    def close(self) -> None:
        """Release the model, the KV cache, the CUDA graphs and CUDA's cached memory."""
        self._prepared = None
        if self._runner is None and self._compiler is None:
            return
        import torch

        self._runner = None
        if self._compiler is not None:
            self._compiler.close()
            self._compiler = None
        torch.compiler.reset()  # compiled code keeps references to the model
        gc.collect()
        if self._ranks is not None:
            self._ranks.close()
            self._ranks = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@contextmanager
def _collected_afterwards() -> Iterator[None]:
    """Return a context without garbage collection, which took an eighth of the time of a load."""
    gc.disable()
    try:
        yield
    finally:
        gc.collect()  # tracing leaves many reference cycles
        gc.enable()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _compiler_on_path() -> bool:
    names = (os.environ.get("CXX", ""), "g++", "clang++", "cl")
    return any(name and shutil.which(name) for name in names)
