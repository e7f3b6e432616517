"""How the linear layers of a decoder are quantised to int4: calibrated, or each weight to its nearest level.

What calibration knows is the mean square of each input of a layer, on texts. The error of a weight counts as
often as its input: that decides where groups are clipped, by which factors weights are scaled against their
inputs (AWQ, arXiv:2306.00978; see `folded_reader`), and which layers are int8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engines.plan.decoder.decoder import Decoder, Layer, Linear, Norm
from engines.weights.folded_reader import FoldedReader
from engines.weights.group_scales import group_scales, output_errors
from engines.weights.quantise import int4_group
from engines.weights.reader import Floats

EXPONENTS = tuple(np.float32(step / 10) for step in range(1, 9))
"""Candidates: scales are the magnitude of the input to this power."""
QUIETEST = np.float32(1e-4)
"""Least mean square of an input, as a part of the mean: a short text may leave inputs at zero."""
SAMPLED_ROWS = 256
"""Outputs of a layer from which its error is estimated; they are spread over all."""
INT8_SHARE = 0.05
"""How many bytes int8 layers may add to those of the engine."""
INT4_BYTES, INT8_BYTES = 4.25 / 8, 1.0
"""Bytes of a weight, scales included."""


@dataclass(frozen=True)
class Int4Recipe:
    """How the layers are quantised."""

    power: Mapping[str, Floats] = field(default_factory=dict, hash=False)
    """Mean square of each input by the name of the weight, after folding; the others are not clipped."""
    int8: frozenset[str] = frozenset()
    """Weights that are stored in int8."""
    zero_points: bool = False
    """Whether groups are asymmetric."""


PLAIN = Int4Recipe()
"""Each weight is rounded to the nearest level of its group."""


def floored(power: Floats) -> Floats:
    """Return the mean square of each input, none of them below QUIETEST."""
    least = max(power.mean() * QUIETEST, np.finfo(np.float32).tiny)
    values: Floats = np.maximum(power, least, dtype=np.float32)
    return values


def fold_scales(reader: FoldedReader, layer: Layer, power: Mapping[str, Floats], *, gated: bool) -> None:
    """Choose the scales of a layer's inputs that lower the error of its outputs, and fold them.

    Inputs of linear layers are divided by the scales where they are made: in the norm before, or in the half
    of a gated MLP that has no activation. What attention returns stays as it is, and so does what no norm
    has made.
    """
    for norm, linears in _normed_inputs(layer):
        scales = _input_scales(reader, linears, power[linears[0].weight])
        if scales is not None:
            reader.fold_norm(norm, linears, scales)
    if gated:
        scales = _input_scales(reader, (layer.mlp_out,), power[layer.mlp_out.weight])
        if scales is not None:
            reader.fold_outputs(layer.mlp_in[-1], layer.mlp_out, scales)


def _normed_inputs(layer: Layer) -> Iterator[tuple[Norm, tuple[Linear, ...]]]:
    """Yield the norms that have weights, each with all linear layers that read it."""
    first, second = layer.attention_norm, layer.mlp_norm
    if first and first.weight:
        parallel = () if second else layer.mlp_in
        yield first, (*layer.attention_in, *parallel)
    if second and second.weight:
        yield second, layer.mlp_in


def folded_power(reader: FoldedReader, power: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the mean square of each input after folding, by the name of the weight."""
    folded = dict(power)
    for name in reader.columns.keys() & power.keys():
        folded[name] = (power[name] / np.square(reader.columns[name])).astype(np.float32)
    return folded


def int8_gains(reader: FoldedReader, layer: Layer, recipe: Int4Recipe) -> dict[Linear, float]:
    """Return the error of int4 relative to the outputs, for each byte that int8 adds."""
    linears = (*layer.attention_in, layer.attention_out, *layer.mlp_in, layer.mlp_out)
    return {linear: _gain(reader, linear, recipe) for linear in linears if int4_group(linear.inputs)}


def int8_weights(decoder: Decoder, gains: Mapping[Linear, float]) -> frozenset[str]:
    """Return the weights whose int8 form helps most for its bytes, within INT8_SHARE."""
    tables = decoder.vocabulary * decoder.hidden * (1 if decoder.tied else 2)
    left = INT8_SHARE * (tables * INT8_BYTES + sum(map(_size, gains)) * INT4_BYTES)
    chosen = set()
    for linear in sorted(gains, key=lambda one: -gains[one]):
        more = _size(linear) * (INT8_BYTES - INT4_BYTES)
        if more <= left:
            left -= more
            chosen.add(linear.weight)
    return frozenset(chosen)


def _input_scales(reader: FoldedReader, linears: Sequence[Linear], power: Floats) -> Floats | None:
    """Return the best scales of the inputs that the layers share, [inputs]; None if 1 is best."""
    sampled = [(linear, _sampled_rows(reader, linear)) for linear in linears if int4_group(linear.inputs)]
    magnitude = np.sqrt(power)
    best: Floats | None = None
    least = sum(_error(rows, linear, power) for linear, rows in sampled)
    for exponent in EXPONENTS:
        scales: Floats = magnitude**exponent
        scales /= np.sqrt(scales.max() * scales.min())
        left = (power / np.square(scales)).astype(np.float32)
        error = sum(_error(rows * scales, linear, left) for linear, rows in sampled)
        if error < least:
            least, best = error, scales
    return best


def _error(rows: Floats, linear: Linear, power: Floats, *, recipe: Int4Recipe | None = None) -> float:
    """Return the squared error of the outputs, of full-range groups unless a recipe is given."""
    group = int4_group(linear.inputs)
    assert group is not None
    groups, powers = rows.reshape(len(rows), -1, group), power.reshape(-1, group)
    zero_points = recipe is not None and recipe.zero_points
    found = group_scales(groups, powers if recipe else None, zero_points=zero_points)
    return float(output_errors(groups, *found, powers).sum())


def _gain(reader: FoldedReader, linear: Linear, recipe: Int4Recipe) -> float:
    rows, power = _sampled_rows(reader, linear), recipe.power[linear.weight]
    outputs = float((np.square(rows) * power).sum())
    return _error(rows, linear, power, recipe=recipe) / outputs / _size(linear) if outputs else 0.0


def _size(linear: Linear) -> int:
    return linear.inputs * linear.outputs


def _sampled_rows(reader: FoldedReader, linear: Linear) -> Floats:
    """Return at most SAMPLED_ROWS rows of the weight, evenly spread."""
    step = -(-linear.outputs // SAMPLED_ROWS)
    return np.concatenate([rows[-begin % step :: step] for begin, rows in reader.chunks(linear)])
