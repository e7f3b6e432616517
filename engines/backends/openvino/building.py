"""Make the graph of a checkpoint: from its description, or from transformers' own model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.backends.base import Report
from engines.backends.calibration_rows import calibration_rows
from engines.backends.weight_progress import weight_progress
from engines.build.spec import CALIBRATED, EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.json_file import read_json_object
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.config_check import refuse_soft_cap
from engines.plan.decoder.converted import ConvertedDecoder, converted_decoder
from engines.plan.decoder.decoder import Decoder, read_decoder

if TYPE_CHECKING:
    from engines.weights.int4_recipe import Int4Recipe
    from engines.weights.reader import WeightReader

ASYMMETRIC = "int4-awq"
"""The precision whose groups have zero points: more accurate than int4, and slower."""


def described(checkpoint: Path) -> Decoder | ConvertedDecoder:
    """Return what the graph of a checkpoint is built from: its description, or transformers' model.

    Raises:
        EngineError: see `read_decoder`, where neither covers it.
    """
    try:
        decoder = read_decoder(checkpoint)
        refuse_soft_cap(decoder.softcap)
        return decoder
    except EngineError as error:
        if error.code != "unsupported-architecture":
            raise
        if (found := converted_decoder(read_json_object(checkpoint / "config.json"))) is None:
            raise
        return found


def model_of(
    spec: EngineSpec,
    checkpoint: Path,
    decoder: Decoder | ConvertedDecoder,
    directory: Path,
    report: Report,
) -> tuple[Any, list[Any]]:
    """Return the model that is saved, and the objects whose memory it shares until then.

    Args:
        decoder: of `described`.
        directory: of the engine. What transformers computes is written there, for `check_engine`, if its
            model is converted.
    """
    if isinstance(decoder, ConvertedDecoder):
        return _converted(spec, checkpoint, decoder, directory, report)
    return _built(spec, checkpoint, decoder, report)


def _built(spec: EngineSpec, checkpoint: Path, decoder: Decoder, report: Report) -> tuple[Any, list[Any]]:
    """Return the graph of a description, and the arrays whose memory it shares."""
    reader, recipe = _calibrated(spec, checkpoint, decoder, report)
    from engines.backends.openvino import graph

    report.stage("convert")
    reader.on_read = weight_progress(decoder, report)
    return graph.build(decoder, reader, _stored(spec), recipe)


def _converted(
    spec: EngineSpec,
    checkpoint: Path,
    decoder: ConvertedDecoder,
    directory: Path,
    report: Report,
) -> tuple[Any, list[Any]]:
    """Return transformers' model, converted, and the arrays whose memory it shares.

    What it computes is written to `directory` first, for `check_engine`.
    """
    import torch

    from engines.backends.openvino import constant_weights, conversion, reference, traced_layers
    from engines.backends.transformers_model import read_model
    from engines.weights.int4_recipe import Int4Recipe

    report.stage("convert")
    report.log("OpenVINO converts transformers' own model, as no graph is described for it.")
    model = read_model(spec, checkpoint, torch.float32).eval()
    reference.write_reference(model, decoder.vocabulary, directory)
    model.set_attn_implementation(traced_layers.NAME)
    model.set_experts_implementation(traced_layers.NAME)
    converted = conversion.convert(model)
    recipe = Int4Recipe(zero_points=spec.precision == ASYMMETRIC)
    shared = constant_weights.store_weights(
        converted, _stored(spec), recipe, lambda done, of: report.progress(done, of, "matrices")
    )
    return converted, [model, *shared]


def _calibrated(
    spec: EngineSpec, checkpoint: Path, decoder: Decoder, report: Report
) -> tuple[WeightReader, Int4Recipe]:
    """Return the weights and how they are quantised to int4, calibrated if the spec says so."""
    from engines.weights.int4_recipe import PLAIN, Int4Recipe
    from engines.weights.reader import WeightReader

    entries = tensor_entries(checkpoint)
    if spec.recipe != CALIBRATED and spec.precision != ASYMMETRIC:
        return WeightReader(entries), PLAIN
    zero_points = spec.precision == ASYMMETRIC
    if decoder.per_layer_inputs is not None:
        report.log("Layers with inputs of their own are quantised without calibration.")
        return WeightReader(entries), Int4Recipe(zero_points=zero_points)
    report.stage("calibrate")
    rows = calibration_rows(checkpoint, spec.calibration, decoder.max_positions)
    report.log(f"calibrating with {sum(map(len, rows)):,} tokens")
    from engines.backends.openvino.calibration import calibrate

    layers = len(decoder.layers)
    return calibrate(
        decoder,
        entries,
        rows,
        lambda done: report.progress(done, layers, "layers"),
        zero_points=zero_points,
    )


def _stored(spec: EngineSpec) -> str:
    return "int4" if spec.precision == ASYMMETRIC else spec.precision
