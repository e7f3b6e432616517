"""Convert transformers' own model to a stateful OpenVINO model, for what no graph is described for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import openvino as ov
import torch
from openvino import opset15 as op
from openvino.frontend.pytorch import ConversionExtension, ModuleExtension

from engines.backends.openvino.delta_rule import delta_rule
from engines.backends.openvino.layer_state import LayerState
from engines.backends.openvino.nodes import END, Node, integer, integers
from engines.backends.openvino.traced_layers import (
    AttentionCall,
    Call,
    ConvolutionCall,
    DeltaCall,
    TracedDecoder,
    replaced_functions,
)
from engines.errors import EngineError, first_line

Convert: TypeAlias = Callable[[Any], list[Node]]
"""Returns the outputs of an operation, given the frontend's context with its inputs."""
INPUTS = ("input_ids", "attention_mask", "position_ids", "beam_idx")
TRACED_TOKENS = 3
"""More than one, or a model may be traced as it answers, token by token."""


def convert(model: Any) -> ov.Model:
    """Return a model with the inputs and outputs of `graph.build`.

    Args:
        model: of `AutoModelForCausalLM` in float32, loaded with the attention and the experts of
            `traced_layers.NAME`.

    Raises:
        EngineError: `unsupported-architecture`: the model cannot be traced or converted.
    """
    decoder = TracedDecoder(model).eval()
    example = {
        "input_ids": torch.arange(TRACED_TOKENS)[None],
        "attention_mask": torch.ones(1, TRACED_TOKENS, dtype=torch.int64),
        "position_ids": torch.arange(TRACED_TOKENS)[None],
        "beam_idx": torch.zeros(1, dtype=torch.int32),
    }
    try:
        with torch.no_grad(), replaced_functions(decoder):
            decoder(**example)  # makes the modules that are replaced
            states = _States()
            extensions = states.extensions(decoder)
            converted = ov.convert_model(decoder, example_input=example, extension=extensions)
    except EngineError:
        raise
    except Exception as error:  # of the tracer, of the frontend, and of any model's own code
        raise EngineError(
            "unsupported-architecture",
            f"OpenVINO cannot convert transformers' model: {first_line(error)}",
            "Choose PyTorch for this checkpoint.",
        ) from error
    converted.add_sinks(states.sinks)
    for found, name in zip(converted.inputs, INPUTS, strict=True):
        found.get_tensor().set_names({name})
        found.get_node().set_partial_shape(ov.PartialShape([-1] * (1 if name == "beam_idx" else 2)))
    converted.outputs[0].get_tensor().set_names({"logits"})
    converted.validate_nodes_and_infer_types()
    return converted


class _States:
    """Converts the calls of a traced decoder to nodes with a state."""

    def __init__(self) -> None:
        self._state: LayerState | None = None

    @property
    def sinks(self) -> list[Node]:
        """The nodes that write the states."""
        return [] if self._state is None else self._state.sinks

    def extensions(self, decoder: TracedDecoder) -> list[Any]:
        """Return what replaces each called module by an operation, and each operation by nodes."""
        found: list[Any] = []
        for place, module in enumerate(decoder.modules_called):
            name = f"LayerCall{place}"
            found.append(ModuleExtension(module, name))
            found.append(ConversionExtension(name, self._conversion(module.call)))
        return found

    def _conversion(self, call: Call) -> Convert:
        if isinstance(call, AttentionCall):
            return lambda context: [self._attention(call, context)]
        if isinstance(call, ConvolutionCall):
            return lambda context: [self._convolution(call, context)]
        return lambda context: [self._delta_rule(call, context)]

    def _read(self, context: Any, count: int) -> tuple[LayerState, list[Node]]:
        """Return the decoder's state, and the first inputs of an operation, before the decoder's own."""
        nodes = [context.get_input(place) for place in range(count + len(INPUTS))]
        if self._state is None:
            self._state = LayerState(*nodes[count:])
        return self._state, nodes[:count]

    def _attention(self, call: AttentionCall, context: Any) -> Node:
        state, (query, key, value) = self._read(context, 3)
        mixed = state.attend(query, (key, value), call.index, call.sizes, call.window, call.scale)
        return mixed.output(0)

    def _convolution(self, call: ConvolutionCall, context: Any) -> Node:
        state, (values, weight) = self._read(context, 2)
        name = f"cache_params.past.conv.{call.index}cache_params.present.conv.{call.index}"
        variable, past = state.past(name, (call.channels, call.kernel))
        joined = op.concat([past, values], -1)
        weight = op.reshape(weight, integers(call.channels, 1, 1, call.kernel), False)
        mixed = op.group_convolution(joined, weight, [1], [0], [0], [1])
        tokens = op.gather(op.shape_of(values, "i64"), integers(2), integer(0))
        state.keep(variable, _last(joined, integers(-call.kernel)))
        return _last(mixed, op.negative(tokens)).output(0)

    def _delta_rule(self, call: DeltaCall, context: Any) -> Node:
        state, inputs = self._read(context, 5)
        name = f"cache_params.past.ssm.{call.index}cache_params.present.ssm.{call.index}"
        variable, past = state.past(name, (call.heads, call.key_width, call.value_width))
        query, key, value, gate, beta = inputs
        mixed, after = delta_rule((query, key, value, gate, beta), past, normalised=call.normalised)
        state.keep(variable, after)
        return mixed.output(0)


def _last(values: Node, begin: Node) -> Node:
    """Return the end of the axis of tokens, of [B, channels, tokens]."""
    return op.slice(values, begin, integers(END), integers(1), integers(2))
