"""The implementation that the LLM classes of both releases share."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

from tensorrt_llm import _double
from tensorrt_llm.executor.base_worker import BaseWorker
from tensorrt_llm.executor.result import GenerationResult
from tensorrt_llm.sampling_params import SamplingParams


class DoubleLLM:
    """Checks arguments twice, like the library, loads the model, and runs requests in an executor."""

    _args_class: type[Any]

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        tokenizer_mode: str = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        for key in kwargs:
            if key not in self._args_class.model_fields and key not in ("_mpi_session", "backend"):
                raise ValueError(f"LLM got invalid argument: {key}")
        self.args = self._args_class(
            model=model,
            tokenizer=tokenizer,
            skip_tokenizer_init=skip_tokenizer_init,
            trust_remote_code=trust_remote_code,
            tensor_parallel_size=tensor_parallel_size,
            dtype=dtype,
            **kwargs,
        )
        visible = _double.visible_gpus()
        if tensor_parallel_size > visible:
            raise RuntimeError(f"Only {visible} GPUs are available, but {tensor_parallel_size} are required.")
        self._shutdown = False
        self._read_config()
        _double.on_load()
        with _double.engine_process():
            self._build_model()
        cache = self.args.kv_cache_config
        self._executor = BaseWorker(
            self._model,
            cache.max_tokens or 1_000_000,
            cache.tokens_per_block,
            statistics=self._statistics(),
            context_logits=self._context_logits(),
        )
        self._ids = itertools.count(1)

    def _read_config(self) -> None:
        """Do nothing: an engine has its own configuration."""

    def _build_model(self) -> None:
        self._model = _double.load_model(Path(self.args.model))

    def _statistics(self) -> bool:
        return True

    def _context_logits(self) -> bool:
        return True

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the checkpoint."""
        return self.args.tokenizer

    def _submit(
        self, result: type[GenerationResult], inputs: Any, params: SamplingParams | None, salt: str | None
    ) -> Any:
        if self._shutdown:
            raise RuntimeError("LLM is shutting down")
        ids = inputs["prompt_token_ids"] if isinstance(inputs, dict) else inputs
        if not isinstance(ids, list):
            raise TypeError(f"The inputs must be type list of int, but got {type(inputs)}")
        params = params or SamplingParams()
        if not self.args.enable_chunked_prefill and len(ids) > (self.args.max_num_tokens or 8192):
            raise ValueError(f"The prompt has {len(ids)} tokens, more than max_num_tokens")
        request = result(list(ids))
        if salt is not None:
            self._executor.clear_cache()
        if error := _double.sampling_failure(params):
            request.put(error)
            return request
        self._executor.submit(request, params, params.end_id)
        return request

    def get_kv_cache_events(self, timeout: float | None = 2) -> list[dict[str, Any]]:
        """Return no events."""
        return []

    def _end(self) -> None:
        self._shutdown = True
        if _double.fails("hang-at-shutdown"):
            time.sleep(3600)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> bool:
        self._end()
        return False

    def __getstate__(self) -> None:
        raise RuntimeError(f"{type(self).__name__} object can not be pickled.")


class DoubleTorchLLM(DoubleLLM):
    """Warms up, and records statistics if they are enabled."""

    _graph_line: str
    """What the release logs before it captures a graph."""

    def _read_config(self) -> None:
        from transformers import AutoConfig

        # As in the library: the checkpoint's code is run whatever `trust_remote_code` says.
        self._hf_model_config = AutoConfig.from_pretrained(self.args.model, trust_remote_code=True)

    def _build_model(self) -> None:
        folder, cache = Path(self.args.model), self.args.kv_cache_config
        config = _double.load_config(folder)
        _double.check_kv_cache(folder, cache.dtype)
        self._model = _double.load_model(folder, config)
        _double.on_warm_up(self.args.cuda_graph_config.batch_sizes or [], self._graph_line)

    def _statistics(self) -> bool:
        return bool(self.args.enable_iter_perf_stats)
