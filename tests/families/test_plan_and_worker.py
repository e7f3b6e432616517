"""What the plan says of a checkpoint, by its config.json, is what the backends do with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoConfig

from engines.backends.llama_cpp.backend import LlamaCppBackend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.loadable import refuse_unloadable, support_of
from engines.plan.decoder.config_check import refuse_layer_inputs, refuse_soft_cap
from engines.plan.decoder.decoder import read_decoder
from engines.plan.hardware.hardware import Device
from engines.plan.precision import support
from engines.plan.support import CHECKPOINT_SUPPORT
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


def write_engine(folder: Path) -> None:
    """Write the checkpoint as a GGUF file beside it."""
    directory = folder / "engine"
    directory.mkdir()
    spec = EngineSpec(str(folder), "llama-cpp", "q8_0")
    LlamaCppBackend().prepare(spec, folder, directory, RecordingReport())


def refused_by_builder(backend: str, folder: Path) -> str:
    """Return the message with which the graph of a checkpoint is refused; empty if it is built."""
    try:
        decoder = read_decoder(folder)
        if backend == "openvino":
            refuse_soft_cap(decoder.softcap)
        elif backend == "llama-cpp":
            write_engine(folder)
        else:
            refuse_layer_inputs(decoder.per_layer_inputs is not None)
    except EngineError as error:
        return error.message
    return ""


@pytest.mark.parametrize("name", FAMILIES)
def test_graphs_that_are_planned_are_built(name: str, tmp_path: Path) -> None:
    """The plan refuses exactly what the graph builder refuses, with its words."""
    folder = make_checkpoint(name, tmp_path)
    checkpoint = read_checkpoint(folder)
    for backend, precision in GRAPHS.items():
        message = refused_by_builder(backend, folder)
        table = support(backend, precision, CPU)
        found = support_of(backend, precision, CPU, checkpoint)
        assert refused(backend, folder) == message
        assert found == table if not message else (found.state, found.reason) == ("unavailable", message)


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
