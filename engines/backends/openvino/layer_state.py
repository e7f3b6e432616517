"""What layers keep between steps, as variables of a stateful graph, and attention over what is kept.

OpenVINO GenAI recognises these forms and makes them paged; it drops other masks without a word.

Dimensions in comments: B sequences, T new tokens, S tokens including the past, H query heads, K key/value
heads, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset15 as op

from engines.backends.openvino.nodes import END, Node, integer, integers, number


@dataclass
class LayerState:
    """The inputs of a decoder, and the variables of its layers."""

    ids: Node
    """[B, T]."""
    attention_mask: Node
    """[B, S]; 1 where there is a token."""
    position_ids: Node
    """[B, T]."""
    beam: Node
    """The sequence of the last step that each one continues, [B]."""
    sinks: list[Node] = field(default_factory=list)
    """The nodes that write the variables."""
    masks: dict[int | None, Node] = field(default_factory=dict)

    def attend(
        self,
        query: Node,
        new: tuple[Node, Node],
        index: int,
        sizes: AttentionSizes,
        window: int | None,
        scale: float | None,
    ) -> Node:
        """Append keys and values to those of a layer, and return the attention to all of them, [B, H, T, D].

        Args:
            query: [B, H, T, D].
            new: keys and values, [B, K, T, D].
            index: of the layer.
            window: tokens that are seen; None for all.
            scale: the factor of the scores; None for 1 / sqrt(D).
        """
        widths = (sizes.key_width, sizes.value_width)
        key, value = (
            self._repeat(self._with_past(part, f"{index}.{name}", sizes.kv_heads, width), sizes, width)
            for part, name, width in zip(new, ("key", "value"), widths, strict=True)
        )
        inputs = [query, key, value, self._mask(window)]
        if scale is not None:
            inputs.append(number(scale))
        return op.scaled_dot_product_attention(*inputs)

    def past(self, name: str, shape: Sequence[int]) -> tuple[Any, Node]:
        """Return a variable and its value of the last step, [B, *shape]; zeros in the first step.

        Args:
            shape: -1 for the axis of tokens, of which there are none in the first step.
        """
        information = ov.op.util.VariableInfo()
        information.data_shape = ov.PartialShape([-1, *shape])
        information.data_type = ov.Type.f32
        information.variable_id = name
        variable = ov.op.util.Variable(information)
        sizes = integers(*(max(0, size) for size in shape))
        empty = op.broadcast(number(0), op.concat([self._batch, sizes], 0))
        return variable, op.gather(op.read_value(empty, variable), self.beam, integer(0))

    def keep(self, variable: Any, value: Node) -> None:
        """Write a variable for the next step."""
        self.sinks.append(op.assign(value, variable))

    @cached_property
    def _batch(self) -> Node:
        return op.gather(op.shape_of(self.ids, "i64"), integers(0), integer(0))

    def _with_past(self, new: Node, name: str, kv_heads: int, width: int) -> Node:
        variable, past = self.past(f"past_key_values.{name}present.{name}", (kv_heads, -1, width))
        full = op.concat([past, new], -2)
        self.keep(variable, full)
        return full

    def _repeat(self, values: Node, sizes: AttentionSizes, width: int) -> Node:
        """Repeat [B, K, S, D] to [B, H, S, D]: each key/value head serves H / K query heads."""
        if sizes.heads == sizes.kv_heads:
            return values
        shape = op.shape_of(values, "i64")
        front = op.gather(shape, integers(0, 1), integer(0))
        back = op.gather(shape, integers(2, 3), integer(0))
        target = op.concat([front, integers(sizes.heads // sizes.kv_heads), back], 0)
        copies = op.broadcast(op.unsqueeze(values, integer(2)), target, "BIDIRECTIONAL")
        return op.reshape(copies, integers(0, sizes.heads, -1, width), True)

    def _mask(self, window: int | None) -> Node:
        if window not in self.masks:
            self.masks[window] = self._causal_mask if window is None else self._window_mask(window)
        return self.masks[window]

    @cached_property
    def _columns(self) -> Node:
        """The places of the keys, [1, 1, 1, S]."""
        length = op.gather(op.shape_of(self.attention_mask, "i64"), integer(1), integer(0))
        columns = op.range(integer(0), length, integer(1), "i64")
        return op.unsqueeze(columns, integers(0, 1, 2))

    @cached_property
    def _visible(self) -> tuple[Node, Node]:
        """Which keys are not after the query, [B, 1, T, S], and which are no padding, [B, 1, 1, S]."""
        before = op.less_equal(self._columns, op.unsqueeze(self.position_ids, integers(1, 3)))
        return before, op.unsqueeze(op.convert(self.attention_mask, "boolean"), integers(1, 2))

    @cached_property
    def _causal_mask(self) -> Node:
        """The causal mask [B, 1, T, S]: 0 for visible positions, -65504 for all others."""
        return op.select(op.logical_and(*self._visible), number(0), number(-65504))

    def _window_mask(self, window: int) -> Node:
        """The causal mask of attention to the last `window` tokens.

        Exactly the pattern that OpenVINO recognises when it makes attention paged, as in its graph of
        gpt-oss.
        """
        before, real = self._visible
        places = op.unsqueeze(self.position_ids, integers(1, 3))
        inside = op.greater(self._columns, op.add(places, integer(-window)))
        always = op.constant(np.ones((1, 1, 1, 1), np.bool_))
        seen = op.bitwise_and(op.bitwise_and(always, inside), before)
        seen = op.bitwise_and(op.bitwise_and(real, seen), always)
        shape = op.shape_of(op.logical_and(*self._visible), "i64")
        mask = op.select(op.broadcast(seen, shape), number(0), number(-65504))
        return op.slice(mask, integers(0), integers(END), integers(1), integers(3))


@dataclass(frozen=True)
class AttentionSizes:
    """The sizes of a layer's attention."""

    heads: int
    kv_heads: int
    key_width: int
    value_width: int
