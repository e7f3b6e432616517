"""PyTorch: transformers in eager mode, the reference that every speed-up is against.

It runs as a newcomer to transformers would run it: `from_pretrained`, then `generate`, with the
default attention (but cuDNN's) and a cache that grows. Nothing is kept from one prompt to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engines.backends.base import Availability, Backend, Emit, Generated, Report, Scores, Stopped, context_of
from engines.backends.random_weights import is_random, random_model
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.checks import check_ids
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
SCORE_ROWS = 256


class PyTorchBackend(Backend):
    """The model class of transformers, with weights in one of DTYPES."""

    name = "pytorch"
    title = "PyTorch"
    load_stages = ("import", "load")

    def __init__(self) -> None:
        self._model: Any = None
        self._cache: Any = None
        self._weight_bytes = 0

    @classmethod
    def probe(cls) -> Availability:
        """Versions of torch and transformers, from their metadata."""
        try:
            versions = {name: version(name) for name in ("torch", "transformers")}
        except PackageNotFoundError as error:
            return Availability(
                False, {}, f"{error.name} is not installed.", "pip install torch transformers"
            )
        return Availability(True, versions, devices=("cpu", "cuda"))

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Load the weights; `directory` is None, as there is nothing to build.

        Raises:
            EngineError: the precision is none of DTYPES, or transformers cannot read the checkpoint.
        """
        if spec.precision not in DTYPES:
            raise EngineError(
                "unsupported-precision",
                f"PyTorch eager runs {', '.join(DTYPES)}, not {spec.precision}.",
                "It is the reference: quantised precisions belong to the other side.",
            )
        report.stage("import")
        import torch
        from transformers import GenerationConfig

        if spec.device.startswith("cuda") and not torch.cuda.is_available():
            raise EngineError(
                "no-device",
                f"This PyTorch ({torch.__version__}) finds no NVIDIA GPU.",
                "Choose the CPU, or install a build of PyTorch for CUDA.",
            )
        # cuDNN's attention, which PyTorch 2.11 prefers on Hopper, is planned anew for each length. On one
        # H200 an answer took 40 ms a token where it was the first of its length, and 5 ms when it was
        # repeated: no baseline for a chat, in which every length is new.
        torch.backends.cuda.enable_cudnn_sdp(False)
        report.stage("load")
        dtype = getattr(torch, DTYPES[spec.precision])
        if is_random(checkpoint):
            self._model = random_model(checkpoint, dtype, spec.device).eval()
        else:
            self._model = read_model(spec, checkpoint, dtype).to(spec.device).eval()
        # What a request leaves open, `generate` takes from here: the checkpoint's own sampling, or its
        # end-of-answer tokens, would mix into every answer.
        self._model.generation_config = GenerationConfig()
        self._weight_bytes = int(self._model.get_memory_footprint())
        positions = getattr(self._model.config, "max_position_embeddings", None)
        self.context_tokens = context_of(spec, positions)

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """Run `generate` of transformers, with its streamer and stopping criteria."""
        import torch
        from transformers import DynamicCache, StoppingCriteriaList

        check_ids(token_ids, self._vocabulary)
        eos = frozenset() if sampling.ignore_eos else eos_token_ids
        torch.manual_seed(sampling.seed)
        self._cache = DynamicCache(config=self._model.config)
        inputs = torch.tensor([list(token_ids)], device=self._model.device)
        with torch.inference_mode():
            output = self._model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                generation_config=_generation_config(sampling, eos),
                past_key_values=self._cache,
                streamer=_Streamer(emit),
                stopping_criteria=StoppingCriteriaList([_stop_criterion(stopped)]),
            )
        new = output[0, len(token_ids) :].tolist()
        if new and new[-1] in eos:
            return Generated("stop", cached=0)
        return Generated("length" if len(new) >= sampling.max_tokens else "stopped", cached=0)

    def score(self, token_ids: Sequence[int], top_k: int = 0) -> Scores:
        """One forward pass over all tokens, log-softmax in fp32."""
        import torch

        check_ids(token_ids, self._vocabulary)
        inputs = torch.tensor([list(token_ids)], device=self._model.device)
        picked: list[float] = []
        top_ids: list[list[int]] = []
        top_logprobs: list[list[float]] = []
        with torch.inference_mode():
            logits = self._model(inputs, use_cache=False).logits[0, :-1]
            # In parts: 8192 rows of 150,000 figures in fp32 are 5 GB, and a copy as much again.
            for rows, wanted in zip(logits.split(SCORE_ROWS), inputs[0, 1:].split(SCORE_ROWS), strict=True):
                logprobs = rows.float().log_softmax(-1)
                picked += logprobs.gather(1, wanted[:, None])[:, 0].tolist()
                if top_k:
                    best = logprobs.topk(min(top_k, logprobs.shape[-1]))
                    top_ids += best.indices.tolist()
                    top_logprobs += best.values.tolist()
        return Scores(picked, top_ids, top_logprobs)

    @property
    def _vocabulary(self) -> int:
        return int(self._model.get_input_embeddings().weight.shape[0])

    def kv_usage(self) -> KVUsage:
        """Tokens and bytes of the last answer's cache: contiguous, so there are no blocks."""
        if self._cache is None:
            return KVUsage(capacity_tokens=self.context_tokens)
        tensors = [
            tensor
            for layer in self._cache.layers
            for tensor in (layer.keys, layer.values)
            if tensor is not None
        ]
        used = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return KVUsage(int(self._cache.get_seq_length()), self.context_tokens, used)

    def memory_usage(self) -> MemoryUsage:
        """Weights by their tensors, KV by the cache; rest and peak as CUDA's allocator counts them."""
        import torch

        device, weights, kv = self._model.device, self._weight_bytes, self.kv_usage().bytes_used
        if device.type != "cuda":
            return MemoryUsage(weights, kv)
        rest = max(0, torch.cuda.memory_reserved(device) - weights - kv)
        return MemoryUsage(weights, kv, rest, torch.cuda.max_memory_allocated(device))

    def close(self) -> None:
        """Drop the model and hand CUDA's cached memory back."""
        if self._model is None:
            return
        import torch

        self._model = self._cache = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def read_model(spec: EngineSpec, checkpoint: Path, dtype: Any, **options: Any) -> Any:
    """The checkpoint's model on the CPU, with all of its weights.

    Args:
        options: for `from_pretrained`, such as `attn_implementation`.

    Raises:
        EngineError: transformers cannot read it, or weights are missing.
    """
    from transformers import AutoModelForCausalLM

    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            checkpoint,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=spec.trust_remote_code,
            output_loading_info=True,
            **options,
        )
    except Exception as error:  # OSError, ValueError, KeyError, SafetensorError, RuntimeError of a shape …
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise EngineError(
            "load-failed",
            f"transformers cannot load this checkpoint: {words[0][:300]}",
            "See the log; the checkpoint may need another version of transformers.",
        ) from error
    if missing := sorted(found["missing_keys"]):
        # transformers warns and fills them with random numbers.
        raise EngineError(
            "broken-weights",
            f"The checkpoint lacks {len(missing)} of the model's tensors, such as {missing[0]}.",
            "Fetch it again; it may not be complete.",
        )
    return model


def _generation_config(sampling: Sampling, eos: frozenset[int]) -> Any:
    """Our sampling in transformers' words."""
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
        repetition_penalty=sampling.repetition_penalty,
        eos_token_id=sorted(eos) or None,
        pad_token_id=min(eos, default=0),  # never used with one prompt, but missed
        **options,
    )


class _Streamer:
    """What `generate` calls with the prompt first, and then with each new token."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._prompt_seen = False

    def put(self, value: Any) -> None:
        if self._prompt_seen:
            self._emit(value.reshape(-1).tolist())
        self._prompt_seen = True

    def end(self) -> None:
        pass


def _stop_criterion(stopped: Stopped) -> Any:
    import torch

    def criterion(input_ids: Any, scores: Any, **_: Any) -> Any:
        return torch.full((input_ids.shape[0],), stopped(), device=input_ids.device, dtype=torch.bool)

    return criterion
