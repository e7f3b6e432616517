"""Regional compilation: one decoder layer is traced, compiled and tuned, and the result serves all like it.

transformers' own loop over the layers runs as plain Python. It calls each layer through a compiled function
that takes the layer and the layer's own KV cache as arguments, so that equal layers share one graph: what is
traced does not grow with their number. Layers that differ, in shape or in kind, get a graph for each kind.
On a GPU the whole step is then captured in a CUDA graph, in which no Python is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch

from engines.backends.compiled.attention import SPLIT_TOKENS
from engines.backends.compiled.cache import BucketedCache
from engines.backends.compiled.split.shards import gather_outputs

DECODE_OPTIONS = {
    # With this option Inductor compiles matrix-vector products to fused reductions, which unpack quantised
    # weights on the fly and run at memory bandwidth. Without it they are library calls, which cannot.
    "coordinate_descent_tuning": True,
    # Scales down blocks that the tuning above has already chosen, and compiles and times them at every load.
    "dynamic_scale_rblock": False,
    # Kernels saved for the static launcher are tuned again at every load (torch 2.11).
    "use_static_cuda_launcher": False,
}
Mode = Literal["eager", "prefill", "decode"]
"""Which functions run the parts of the model: none is compiled, those for prompts, or those for one token."""


class Regions:
    """The parts of a model, which call compiled functions from now on: layers, LM head, norm and RoPE.

    On the CPU only the layers and the LM head are compiled, and for one token only: prefill is compute bound,
    and compiling a small part takes longer than it can save.
    """

    def __init__(self, model: Any, kv_cache: BucketedCache, on_gpu: bool, joined: bool = False) -> None:
        """Replace the `forward` of each part.

        Args:
            joined: whether the model is one of several parts, whose LM heads have a part of the vocabulary.
        """
        self._joined = joined
        self._kv_cache = kv_cache
        self._on_gpu = on_gpu
        self._mode: Mode = "eager"
        self._tracing = False
        """Whether tensors must be marked where they are dynamic. Graphs that exist need no marks."""
        self._mask: Any = None
        """The mask that transformers hands to the layers, [1, 1, tokens, columns]."""
        self._split_mask: Any = None
        """The same by split, [1, 1, tokens, splits, SPLIT_TOKENS]: its dynamic dimension is a split count."""
        self._decode_layer = _compiled(_decode_layer, DECODE_OPTIONS)
        self._prefill_layer = _compiled(_prefill_layer, None)
        self._decode_part = _compiled(_decode_part, None)  # reads no weights: not worth tuning
        self._decode_head = _compiled(_decode_head, DECODE_OPTIONS)
        self._final_norm: Any = None
        """The norm whose output is what the LM head reads: both are compiled to one graph."""
        self._norm_outputs: dict[Any, Any] | None = {}
        """Outputs of the first call by norm, from which `_final_norm` is found; None once that is done."""
        self._mask_values: tuple[Any, Any] | None = None
        layers = decoder_layers(model)
        self._kinds_limit = len(layers) + 8
        _forget_indices(model, layers)
        for layer, cache in zip(layers, kv_cache.cache.layers, strict=True):
            layer.forward = partial(self._run_layer, layer, cache)
        head = model.get_output_embeddings()
        head.forward = partial(self._run_head, head)
        for part in _small_parts(model) if on_gpu else ():
            part.forward = partial(self._run_part, part)

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Return a context in which functions are traced; each layer may be of a kind of its own."""
        limit = max(self._kinds_limit, torch._dynamo.config.recompile_limit)
        self._tracing = True
        try:
            with torch._dynamo.config.patch(recompile_limit=limit, run_gc_after_compile=False):
                yield
        finally:
            self._tracing = False

    def begin(self, mode: Mode, positions: Any, columns: Any, dtype: Any) -> Any:
        """Set how the next call of the model runs, and where its layers write to the cache.

        Args:
            positions: [tokens], positions in the context window.
            columns: Positions of the cache that attention reads, [splits, SPLIT_TOKENS].
            dtype: Type of the mask.

        Returns:
            The mask for that call, [1, 1, tokens, columns].
        """
        self._mode = mode
        written = self._kv_cache.positions
        if self._mask_values is None:
            self._mask_values = mask_values(dtype, columns.device)
        inputs = step_inputs(positions, columns, self._mask_values)
        self._split_mask, written.splits, written.offsets = inputs
        if self._tracing:
            torch._dynamo.mark_dynamic(self._split_mask, 3)
            if mode == "prefill" and self._on_gpu:
                _mark_tokens((written.splits, written.offsets))
                torch._dynamo.mark_dynamic(self._split_mask, 2)
        self._mask = self._split_mask.flatten(-2)
        return self._mask

    def _run_layer(self, layer: Any, cache: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a layer with its own KV cache in place of the model's."""
        run = self._layer_function()
        mask = self._mask if run is _plain else self._split_mask
        own = [(self._kv_cache.cache, cache), (self._mask, mask)]
        args = tuple(_replace(value, own) for value in args)
        kwargs = {name: _replace(value, own) for name, value in kwargs.items()}
        if self._tracing and run is self._prefill_layer:
            _mark_tokens((*args, *kwargs.values()))
        return run(layer, *args, **kwargs)

    def _layer_function(self) -> Callable[..., Any]:
        if self._mode == "decode":
            return self._decode_layer
        return self._prefill_layer if self._mode == "prefill" and self._on_gpu else _plain

    def _run_head(self, head: Any, hidden: Any) -> Any:
        logits = self._run_own_head(head, hidden)
        return gather_outputs(logits) if self._joined else logits

    def _run_own_head(self, head: Any, hidden: Any) -> Any:
        """Run the LM head, and the final norm with it; the head of a prompt reads one token too."""
        if self._mode != "eager":
            return self._decode_head(self._final_norm, head, hidden)
        if self._norm_outputs is not None:
            norms, self._norm_outputs = self._norm_outputs, None
            self._final_norm = next((norm for norm in norms if _is_same(norms[norm], hidden)), None)
        return _plain(head, hidden)

    def _run_part(self, part: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a norm or RoPE; the final norm is left to `_run_head`."""
        if part is self._final_norm and self._mode != "eager":
            return args[0]
        result = (self._decode_part if self._mode == "decode" else _plain)(part, *args, **kwargs)
        if self._norm_outputs is not None and len(args) == 1 and isinstance(result, torch.Tensor):
            self._norm_outputs[part] = result
        return result


def decoder_layers(model: Any) -> Sequence[Any]:
    """Return the layers of the decoder: its list of as many modules as the config says."""
    count = model.config.get_text_config().num_hidden_layers
    for module in model.base_model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return list(module)
    raise AssertionError(f"{type(model).__name__} has no list of {count} layers")


def mask_values(dtype: Any, device: Any) -> tuple[Any, Any]:
    """Return what a mask adds to the scores of tokens that are seen, and of those that are not."""
    values = (0.0, torch.finfo(dtype).min)
    seen, hidden = (torch.full((), value, dtype=dtype, device=device) for value in values)
    return seen, hidden


def step_inputs(positions: Any, columns: Any, values: tuple[Any, Any]) -> tuple[Any, Any, Any]:
    """Return what all layers of a step read: four small kernels, too few to be compiled.

    Returns:
        The causal mask [1, 1, tokens, splits, SPLIT_TOKENS], and for each token the index of the split that
        it is written to and its offset there.
    """
    mask = torch.where(columns <= positions[:, None, None], *values)
    return mask[None, None], positions // SPLIT_TOKENS, positions % SPLIT_TOKENS


# Dynamo keeps its graphs by the code of the function: each of these has its own, also where they are equal.


def _decode_layer(layer: Any, *args: Any, **kwargs: Any) -> Any:
    return type(layer).forward(layer, *args, **kwargs)


def _prefill_layer(layer: Any, *args: Any, **kwargs: Any) -> Any:
    return type(layer).forward(layer, *args, **kwargs)


def _decode_part(part: Any, *args: Any, **kwargs: Any) -> Any:
    return type(part).forward(part, *args, **kwargs)


def _decode_head(norm: Any, head: Any, hidden: Any) -> Any:
    if norm is not None:
        hidden = type(norm).forward(norm, hidden)
        hidden = materialised(hidden)
    return type(head).forward(head, hidden)


def _plain(module: Any, *args: Any, **kwargs: Any) -> Any:
    return type(module).forward(module, *args, **kwargs)


def materialised(x: Any) -> Any:
    """Make Inductor compute the input of a decode-step linear layer once, in memory.

    `as_strided` forces Inductor to materialise its argument. Otherwise the input is fused into the product
    and recomputed in each of its blocks: on one H200 the activation of an MLP took half as long as the 8-bit
    product that reads it.
    """
    if x.shape[-2] != 1 or x.device.type != "cuda":
        return x
    return x.as_strided(x.shape, x.stride())


def _is_same(output: Any, hidden: Any) -> bool:
    """Return whether `hidden` is `output` or a view of all of it, unchanged since."""
    shared = output.untyped_storage().data_ptr() == hidden.untyped_storage().data_ptr()
    return bool(shared and output.shape == hidden.shape and output._version == 0)


def _compiled(function: Callable[..., Any], options: dict[str, bool] | None) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(function, fullgraph=True, options=options)
    return compiled


def _small_parts(model: Any) -> list[Any]:
    """Return the norms and RoPE modules outside of the layers: a few small kernels each."""
    decoder = model.get_decoder()
    kinds = (torch.nn.ModuleList, torch.nn.Embedding, torch.nn.Dropout)
    return [part for part in decoder.children() if not isinstance(part, kinds)]


def _forget_indices(model: Any, layers: Sequence[Any]) -> None:
    """Give all layers the same index, which would make each a kind of its own.

    They need it only to find their part of the KV cache, which they are handed. Code outside of transformers
    may use it for something else and keeps it, as do models that scale by it.
    """
    if getattr(model.config, "scale_attn_by_inverse_layer_idx", False):
        return
    for layer in layers:
        for module in layer.modules():
            if hasattr(module, "layer_idx") and type(module).__module__.startswith("transformers."):
                module.layer_idx = 0


def _replace(value: Any, own: Sequence[tuple[Any, Any]]) -> Any:
    return next((new for old, new in own if value is old), value)


def _mark_tokens(values: Sequence[Any]) -> None:
    """Mark the number of tokens as dynamic in tensors [tokens] and [1, tokens, …]."""
    for value in values:
        if isinstance(value, tuple):
            _mark_tokens(value)
        elif isinstance(value, torch.Tensor) and value.ndim < 5:
            torch._dynamo.mark_dynamic(value, min(1, value.ndim - 1))
