"""The compiled engine: what transformers, torch.compile, CUDA graphs and torchao make of a checkpoint.

Nothing of the model is written here: the decoder is transformers', the kernels are Inductor's and torchao's.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.backends.base import Availability, Backend, Emit, Generated, Report, Scores, Stopped, context_of
from engines.backends.random_weights import is_random
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.hardware.hardware import gpus
from engines.worker.checks import check_ids
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.backends.compiled.artefacts import CompilerCache
    from engines.backends.compiled.runner import Runner

SCORE_ROWS = 256


class CompiledBackend(Backend):
    """One model, one static cache, one conversation at a time."""

    name = "compiled"
    title = "PyTorch compiled"
    prepare_stages = ("import", "weights", "compile", "save")
    load_stages = ("import", "weights", "compile")
    engine_format = 2  # the cache lies in parts: graphs saved before do not fit

    def __init__(self) -> None:
        self._runner: Runner | None = None
        self._compiler: CompilerCache | None = None
        self._weight_bytes = 0
        self._prepared: tuple[EngineSpec, Path] | None = None
        """What is loaded because it was just prepared, and where its files are."""

    @classmethod
    def probe(cls) -> Availability:
        """Versions from metadata; a C++ compiler on the path, without which PyTorch compiles nothing."""
        try:
            versions = {name: version(name) for name in ("torch", "transformers")}
        except PackageNotFoundError as error:
            return Availability(
                False, {}, f"{error.name} is not installed.", "pip install torch transformers"
            )
        if not _compiler_on_path():
            return Availability(
                False,
                versions,
                "PyTorch compiles with a C++ compiler, and none is found here.",
                "Install one, such as g++ (apt install g++), or name it in CXX.",
            )
        versions |= {name: _version(name) for name in ("torchao", "triton")}
        if found := sorted({f"{one.name} {one.compute_capability}" for one in gpus()}):
            versions["GPU"] = ", ".join(found)  # kernels are tuned for it
        return Availability(True, versions, devices=("cpu", "cuda"))

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """Quantise once and save the result; compile once and save what the compiler made.

        The engine stays loaded for a `load` that follows, which would compile everything again to find out
        what is known. Plain precisions have no weights of their own: the checkpoint's are read when it is
        loaded. So have random ones, which are made faster than read.
        """
        self._import(spec, report)
        from engines.backends.compiled.model import QUANTISED, make_model, save_weights

        assert self._compiler is not None
        report.stage("weights")
        model = make_model(spec, checkpoint)
        stored = spec.precision in QUANTISED and not is_random(checkpoint)
        if stored:
            save_weights(model, directory)
        self._start(spec, model, report)
        report.stage("save")
        cached = self._compiler.save(directory)
        facts: dict[str, object] = {
            "weight_bytes": self._weight_bytes,
            "weights_stored": stored,
            "compiler_cache_bytes": cached,
            "graphs_compiled": self._compiler.compiled,
            "precision": spec.precision,
        }
        self._prepared = spec, directory
        return facts

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Load the weights, fill the compiler's caches, compile what they lack and capture the graphs.

        Raises:
            EngineError: the precision cannot be run here, or the engine's files are broken.
        """
        if directory is not None and self._prepared == (spec, directory):
            self._check_files(directory, report)
            return
        self._import(spec, report)
        from engines.backends.compiled.model import WEIGHTS, load_weights, make_model

        assert self._compiler is not None
        report.stage("weights")
        if directory is not None and (directory / WEIGHTS).is_file():
            model = load_weights(spec, checkpoint, directory)
        else:
            model = make_model(spec, checkpoint)
        filled = directory is not None and self._compiler.fill(directory)
        self._start(spec, model, report)
        if compiled := self._compiler.compiled:
            why = "the engine's compile cache does not fit here" if filled else "there is no compile cache"
            report.log(f"compiled {compiled} graphs anew: {why}")
        else:
            report.log("compiled nothing: every graph came from the engine's cache")

    def _check_files(self, directory: Path, report: Report) -> None:
        from engines.backends.compiled.model import WEIGHTS, check_weights

        if (directory / WEIGHTS).is_file():
            report.stage("weights")
            check_weights(self._loaded.model, directory)

    def _import(self, spec: EngineSpec, report: Report) -> None:
        report.stage("import")
        import torch

        from engines.backends.compiled.artefacts import CompilerCache
        from engines.backends.compiled.model import check_precision

        if spec.device.startswith("cuda"):
            if not torch.cuda.is_available():
                raise EngineError(
                    "no-device",
                    f"This PyTorch ({torch.__version__}) finds no NVIDIA GPU.",
                    "Choose the CPU, or install a build of PyTorch for CUDA.",
                )
            torch.cuda.set_device(spec.device)
        if not _compiler_on_path():
            raise EngineError(
                "no-compiler", "PyTorch compiles with a C++ compiler, and none is found here.", "Install g++."
            )
        check_precision(spec)
        self.close()
        self._compiler = CompilerCache()

    def _start(self, spec: EngineSpec, model: Any, report: Report) -> None:
        """Compile, or take from the cache, and capture."""
        import torch

        from engines.backends.compiled.cache import BucketedCache
        from engines.backends.compiled.model import weight_bytes
        from engines.backends.compiled.runner import Runner

        report.stage("compile")
        self._weight_bytes = weight_bytes(model)
        positions = getattr(model.config, "max_position_embeddings", None)
        self.context_tokens = context_of(spec, positions)
        with torch.no_grad():
            self._runner = Runner(model, BucketedCache(model.config, self.context_tokens))
            self._runner.warm_up(lambda done, total: report.progress(done, total, "graphs"))
        gc.collect()  # tracing leaves much behind

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """Compute what the cache lacks of the prompt, then one token after the other."""
        import torch

        from engines.backends.compiled.answer_loop import AnswerLoop

        runner = self._loaded
        check_ids(token_ids, self._vocabulary)
        eos = frozenset() if sampling.ignore_eos else eos_token_ids
        with torch.no_grad():
            return AnswerLoop(runner, token_ids, sampling, eos, emit, stopped).run()

    def score(self, token_ids: Sequence[int], top_k: int = 0) -> Scores:
        """Through the cache and the stored weights, in parts; log-softmax in fp32."""
        import torch

        runner = self._loaded
        check_ids(token_ids, self._vocabulary)
        picked: list[float] = []
        top_ids: list[list[int]] = []
        top_logprobs: list[list[float]] = []
        wanted = torch.tensor(list(token_ids[1:]), device=runner.device)
        done = 0
        with torch.no_grad():
            for part in runner.all_logits(token_ids[:-1]):
                for rows in part.split(SCORE_ROWS):
                    logprobs = rows.float().log_softmax(-1)
                    picked += logprobs.gather(1, wanted[done : done + len(rows), None])[:, 0].tolist()
                    done += len(rows)
                    if top_k:
                        best = logprobs.topk(min(top_k, logprobs.shape[-1]))
                        top_ids += best.indices.tolist()
                        top_logprobs += best.values.tolist()
        return Scores(picked, top_ids, top_logprobs)

    @property
    def _loaded(self) -> Runner:
        if self._runner is None:
            raise EngineError("not-loaded", "No engine is loaded.", "Load one first.")
        return self._runner

    @property
    def _vocabulary(self) -> int:
        return int(self._loaded.model.get_input_embeddings().weight.shape[0])

    def kv_usage(self) -> KVUsage | None:
        """Tokens held of those that fit; the memory is taken from the start."""
        if self._runner is None:
            return None
        kept = self._runner.kept
        used = len(kept.held)
        return KVUsage(used, self.context_tokens, used * kept.token_bytes, kept.capacity * kept.token_bytes)

    def memory_usage(self) -> MemoryUsage | None:
        """Weights and cache by their tensors; the rest and the peak as CUDA's allocator counts them."""
        if self._runner is None:
            return None
        import torch

        kv = self._runner.kept.capacity * self._runner.kept.token_bytes
        if not self._runner.on_gpu:
            return MemoryUsage(self._weight_bytes, kv)
        device = self._runner.device
        held = torch.cuda.memory_reserved(device)
        return MemoryUsage(
            self._weight_bytes,
            kv,
            max(0, held - self._weight_bytes - kv),
            torch.cuda.max_memory_allocated(device),
        )

    def close(self) -> None:
        """Drop model, cache and graphs, and hand CUDA's cached memory back."""
        self._prepared = None
        if self._runner is None and self._compiler is None:
            return
        import torch

        self._runner = None
        if self._compiler is not None:
            self._compiler.close()
            self._compiler = None
        torch.compiler.reset()  # compiled code holds on to the model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _compiler_on_path() -> bool:
    names = (os.environ.get("CXX", ""), "g++", "clang++", "cl")
    return any(name and shutil.which(name) for name in names)
