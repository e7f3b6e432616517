"""What the plan says of a checkpoint, by its config.json, is what the backends do with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoConfig

from engines.backends.llama_cpp.backend import LlamaCppBackend
from engines.backends.openvino.building import described
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.loadable import refuse_unloadable, support_of
from engines.plan.decoder.config_check import refuse_layer_inputs
from engines.plan.decoder.converted import ConvertedDecoder
from engines.plan.decoder.decoder import Decoder, read_decoder
from engines.plan.hardware.hardware import Device
from engines.plan.precision import support
from engines.plan.support import CHECKPOINT_SUPPORT
from engines.plan.support.openvino import CONVERTED
from tests.doubles.recording_report import RecordingReport
from tests.families import CONFIGS, FAMILIES, make_checkpoint

CPU = Device("cpu", "cpu", "CPU", None, None)
GRAPHS = {"openvino": "int8", "onnxruntime": "int8", "llama-cpp": "q8_0"}
"""Backends whose engines this project builds, each with a precision that runs on every CPU."""


def refused(backend: str, folder: Path) -> str:
    """Return the message with which a hub id would be refused before its weights are downloaded."""
    try:
        refuse_unloadable(backend, folder)
    except EngineError as error:
        return error.message
    return ""


def write_engine(folder: Path) -> Decoder:
    """Write the checkpoint as a GGUF file beside it."""
    directory = folder / "engine"
    directory.mkdir()
    spec = EngineSpec(str(folder), "llama-cpp", "q8_0")
    LlamaCppBackend().prepare(spec, folder, directory, RecordingReport())
    return read_decoder(folder)


def taken_by_worker(backend: str, folder: Path) -> Decoder | ConvertedDecoder | str:
    """Return from what the graph of a checkpoint is made, or the message with which it is refused."""
    try:
        if backend == "openvino":
            return described(folder)
        if backend == "llama-cpp":
            return write_engine(folder)
        decoder = read_decoder(folder)
        refuse_layer_inputs(decoder.per_layer_inputs is not None)
        return decoder
    except EngineError as error:
        return error.message


@pytest.mark.parametrize("name", FAMILIES)
def test_graphs_that_are_planned_are_built(name: str, tmp_path: Path) -> None:
    """The plan refuses exactly what the worker refuses, with its words, and names what is converted."""
    folder = make_checkpoint(name, tmp_path)
    checkpoint = read_checkpoint(folder)
    for backend, precision in GRAPHS.items():
        taken = taken_by_worker(backend, folder)
        found = support_of(backend, precision, CPU, checkpoint)
        assert refused(backend, folder) == (taken if isinstance(taken, str) else "")
        if isinstance(taken, str):
            assert (found.state, found.reason) == ("unavailable", taken)
        elif isinstance(taken, ConvertedDecoder):
            assert found == CONVERTED
        else:
            assert found == support(backend, precision, CPU)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("context", [64, 2048])
def test_attention_that_is_planned_is_compiled(name: str, context: int, tmp_path: Path) -> None:
    """`compiled` refuses by transformers' static cache what the plan refuses by config.json."""
    from engines.backends.compiled.cache import BucketedCache

    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[name]))
    config = AutoConfig.from_pretrained(tmp_path).get_text_config(decoder=True)
    try:
        BucketedCache(config, context)
        works = True
    except (EngineError, AttributeError):
        works = False
    found = CHECKPOINT_SUPPORT["compiled"]("", CONFIGS[name], None, "fp32", CPU, context)
    assert (found is None) == works, found


@pytest.mark.parametrize("name", FAMILIES)
def test_pytorch_runs_every_family(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[name]))
    assert refused("pytorch", tmp_path) == ""


def test_a_family_that_transformers_lacks_is_refused_before_the_download(tmp_path: Path) -> None:
    config = CONFIGS["llama3-8b"] | {"model_type": "exaone", "architectures": ["ExaoneForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "no ExaoneForCausalLM" in refused("pytorch", tmp_path)
