"""PyTorch: transformers in eager mode, the reference for every speed comparison.

It is used as the documentation of transformers shows: `from_pretrained`, then `generate`, with the default
attention (except cuDNN's) and the cache that transformers makes for the model. The cache is not reused for
the next prompt: a recurrent state cannot be cut back to an earlier token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
)
from engines.backends.distribution import no_distribution
from engines.backends.eager_imports import skip_compiler
from engines.backends.random_weights import is_random, random_model
from engines.backends.scores import scores_from_logits
from engines.backends.transformers_model import check_device, probe_transformers, read_model
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.checks import check_ids
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.worker.logprob_rows import RowReader, RowWriter

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class PyTorchBackend(Backend):
    """A transformers model with weights in one of DTYPES."""

    name = "pytorch"
    title = "PyTorch"
    load_stages = ("import", "load")
    reuses_prefix = False

    def __init__(self) -> None:
        self._model: Any = None
        self._cache: Any = None
        self._weight_bytes = 0
        self._gpus = 1

    @classmethod
    def start_process(cls) -> None:
        """See `Backend.start_process`: halve the time of the imports."""
        skip_compiler()

    @classmethod
    def probe(cls) -> Availability:
        """See `Backend.probe`."""
        return probe_transformers()

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Load the weights, of a GGUF file dequantised; `directory` is None because nothing is built.

        Raises:
            EngineError: `unsupported-precision`: it is not in DTYPES; `no-device`; transformers cannot load
                the checkpoint; or it cannot be placed on several GPUs.
        """
        if spec.precision not in DTYPES:
            raise EngineError(
                "unsupported-precision",
                f"PyTorch eager runs {', '.join(DTYPES)}, not {spec.precision}.",
                "Choose one of these: this backend is the unquantised reference.",
            )
        report.stage("import")
        import torch
        from transformers import GenerationConfig

        check_device(spec.device)
        if spec.device.startswith("cuda"):
            torch.cuda.set_device(spec.device)
        # PyTorch 2.11 prefers cuDNN's attention on Hopper, which builds a new plan for each sequence length.
        # On one H200 an answer took 40 ms per token at new lengths and 5 ms when it was repeated. In a chat
        # every length is new, so cuDNN would be an unfair baseline.
        torch.backends.cuda.enable_cudnn_sdp(False)
        report.stage("load")
        self._gpus = spec.gpus
        self._model = _placed(_read(spec, checkpoint, report), spec).eval()
        # `generate` takes unset parameters from here: the checkpoint's own sampling defaults or its
        # end-of-sequence tokens would otherwise apply to every answer.
        self._model.generation_config = GenerationConfig()
        self._weight_bytes = int(self._model.get_memory_footprint())
        positions = getattr(self._model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        self.context_tokens = context_window(spec, positions)

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """See `Backend.generate`. Calls transformers' `generate` with a streamer and a stopping criterion."""
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        check_ids(token_ids, self._vocabulary)
        eos = frozenset() if sampling.ignore_eos else eos_token_ids
        torch.manual_seed(sampling.seed)
        self._cache = None  # the last one's memory is free for this one
        inputs = torch.tensor([list(token_ids)], device=self._model.device)
        with torch.inference_mode(), self._watched_cache():
            output = self._model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=_generation_config(sampling, eos),
                return_dict_in_generate=True,
                streamer=_Streamer(emit),
                logits_processor=LogitsProcessorList([_refuse_no_distribution]),
                stopping_criteria=StoppingCriteriaList([_stop_criterion(stopped)]),
            )
        self._cache = output.past_key_values
        new = output.sequences[0, len(token_ids) :].tolist()
        if new and new[-1] in eos:
            return Generated("stop", cached=0)
        return Generated("length" if len(new) >= sampling.max_tokens else "stopped", cached=0)

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
    ) -> Scores:
        """See `Backend.score`. Runs one forward pass over all tokens."""
        import torch

        check_ids(token_ids, self._vocabulary)
        inputs = torch.tensor([list(token_ids)], device=self._model.device)
        with torch.inference_mode():
            logits = self._model(inputs, use_cache=False).logits[0, :-1]
            return scores_from_logits([logits], token_ids, top_k, reference, keep)

    @contextmanager
    def _watched_cache(self) -> Iterator[None]:
        """Keep the cache that `generate` makes while it runs: the panels show it as it grows."""

        def keep(_model: Any, _inputs: tuple[Any, ...], fields: dict[str, Any]) -> None:
            self._cache = fields.get("past_key_values", fields.get("cache_params"))

        hook = self._model.register_forward_pre_hook(keep, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    @property
    def _vocabulary(self) -> int:
        return int(self._model.get_input_embeddings().weight.shape[0])

    def kv_usage(self) -> KVUsage:
        """Return tokens and bytes of the last answer's cache, which is contiguous and has no blocks."""
        from engines.backends.transformers_cache import cache_usage

        used = cache_usage(self._cache)
        return KVUsage(
            tokens=used.tokens,
            capacity_tokens=self.context_tokens,
            bytes_used=used.kv_bytes,
            state_bytes=used.state_bytes,
        )

    def memory_usage(self) -> MemoryUsage:
        """Return bytes of the weights and the KV cache; on CUDA also the allocator's rest and peak."""
        import torch

        weights, kv = self._weight_bytes, self.kv_usage().bytes_used
        if self._model.device.type != "cuda":
            return MemoryUsage(weights=weights, kv=kv)
        first = self._model.device.index
        devices = range(first, first + self._gpus)
        return MemoryUsage(
            weights=weights,
            kv=kv,
            other=max(0, sum(map(torch.cuda.memory_reserved, devices)) - weights - kv),
            peak=sum(map(torch.cuda.max_memory_allocated, devices)),
        )

    def close(self) -> None:
        """Release the model and CUDA's cached memory."""
        if self._model is None:
            return
        import torch

        self._model = self._cache = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _read(spec: EngineSpec, checkpoint: Path, report: Report) -> Any:
    """Return the model of a checkpoint or of a GGUF file, or one of random weights."""
    import torch

    dtype = getattr(torch, DTYPES[spec.precision])
    if is_random(checkpoint):
        return random_model(checkpoint, dtype, spec.device)
    if checkpoint.is_file():
        from engines.backends.dequantised_model import dequantised_model

        return dequantised_model(checkpoint, dtype, report)
    return read_model(spec, checkpoint, dtype)


def _placed(model: Any, spec: EngineSpec) -> Any:
    """Return the model on the device of the spec, or on several GPUs."""
    if spec.gpus == 1 or not spec.device.startswith("cuda"):
        return model.to(spec.device)
    from engines.backends.device_map import on_several_gpus

    return on_several_gpus(model, spec.gpus)


def _generation_config(sampling: Sampling, eos: frozenset[int]) -> Any:
    """Return the GenerationConfig of transformers for our sampling parameters."""
    from transformers import GenerationConfig

    greedy = sampling.temperature <= 0
    options: dict[str, Any] = {} if greedy else {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p or None,
    }  # fmt: skip
    return GenerationConfig(
        max_new_tokens=sampling.max_tokens,
        do_sample=not greedy,
        use_cache=True,  # some configs (MPT) switch it off
        repetition_penalty=sampling.repetition_penalty,
        eos_token_id=sorted(eos) or None,
        pad_token_id=min(eos, default=0),  # not used with a single prompt, but transformers warns without it
        **options,
    )


class _Streamer:
    """The streamer of `generate`: it gets the prompt first, then each new token."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._prompt_seen = False

    def put(self, value: Any) -> None:
        if self._prompt_seen:
            self._emit(value.reshape(-1).tolist())
        self._prompt_seen = True

    def end(self) -> None:
        pass


def _refuse_no_distribution(input_ids: Any, scores: Any) -> Any:
    """The logits processor that checks the logits: the maximum is NaN if one of them is."""
    if not scores.max().isfinite():
        raise no_distribution()
    return scores


def _stop_criterion(stopped: Stopped) -> Any:
    import torch

    def criterion(input_ids: Any, scores: Any, **_: Any) -> Any:
        return torch.full((input_ids.shape[0],), stopped(), device=input_ids.device, dtype=torch.bool)

    return criterion
