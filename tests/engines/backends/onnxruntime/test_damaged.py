"""Engines that are damaged, or made by a stranger, are refused in plain words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from engines.backends.onnxruntime.backend import OnnxRuntimeBackend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from tests.doubles.recording_report import RecordingReport
from tests.engines.backends.onnxruntime.conftest import Build
from tests.engines.conftest import Checkpoint
from tests.engines.measures import answer

Damage = Callable[[Path], None]
GRAPH, DATA = "model.onnx", "model.onnx.data"


def rewritten(change: Callable[[onnx.ModelProto], None]) -> Damage:
    """Return damage that changes the graph, and not its data."""

    def damage(directory: Path) -> None:
        model = onnx.load(directory / GRAPH, load_external_data=False)
        change(model)
        (directory / GRAPH).write_bytes(model.SerializeToString())

    return damage


def moved(location: str) -> Damage:
    """Return damage that lets the data be read from elsewhere."""

    def change(model: onnx.ModelProto) -> None:
        for constant in model.graph.initializer:
            for entry in constant.external_data:
                if entry.key == "location":
                    entry.value = location

    return rewritten(change)


def moved_outside(directory: Path) -> None:
    shutil.copy(directory / DATA, directory.parent / "x")
    moved("../x")(directory)


def moved_far_outside(directory: Path) -> None:
    shutil.copy(directory / DATA, directory.parent.parent / "x")
    moved("../../x")(directory)


def moved_to_an_absolute_path(directory: Path) -> None:
    shutil.copy(directory / DATA, directory.parent / "x")
    moved(str(directory.parent / "x"))(directory)


def linked_outside(directory: Path) -> None:
    shutil.move(directory / DATA, directory.parent / "x")
    (directory / DATA).symlink_to(directory.parent / "x")


def beyond_the_end(model: onnx.ModelProto) -> None:
    for constant in model.graph.initializer:
        for entry in constant.external_data:
            if entry.key == "offset":
                entry.value = str(1 << 40)


def negative(model: onnx.ModelProto) -> None:
    for constant in model.graph.initializer:
        for entry in constant.external_data:
            if entry.key == "offset":
                entry.value = "-4096"


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[10].op_type = "Mystery"


def of_another_model(directory: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "other", [value], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    (directory / GRAPH).write_bytes(model.SerializeToString())


DAMAGE: dict[str, Damage] = {
    "nothing there": lambda directory: shutil.rmtree(directory),
    "no graph": lambda directory: (directory / GRAPH).unlink(),
    "no data": lambda directory: (directory / DATA).unlink(),
    "empty graph": lambda directory: os.truncate(directory / GRAPH, 0),
    "graph cut": lambda directory: os.truncate(directory / GRAPH, 3000),
    "graph replaced": lambda directory: (directory / GRAPH).write_bytes(b"\xff\x00" * 5000),
    "data cut": lambda directory: os.truncate(directory / DATA, (directory / DATA).stat().st_size - 1),
    "data empty": lambda directory: os.truncate(directory / DATA, 0),
    "offset beyond the end": rewritten(beyond_the_end),
    "negative offset": rewritten(negative),
    "unknown operator": rewritten(unknown_operator),
    "another model": of_another_model,
    "data in the folder above": moved_outside,
    "data two folders above": moved_far_outside,
    "absolute path": moved_to_an_absolute_path,
    "link": linked_outside,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_engine_is_refused(
    damage: Damage, checkpoint: Checkpoint, build: Build, tmp_path: Path
) -> None:
    folder, directory = checkpoint(), tmp_path / "store" / "engine"
    shutil.copytree(build(folder), directory)
    damage(directory)
    spec, backend = EngineSpec(str(folder), "onnxruntime", "fp32", context=128), OnnxRuntimeBackend()
    with pytest.raises(EngineError) as caught:
        backend.load(spec, folder, directory, RecordingReport())
    print(caught.value.message)
    assert caught.value.code == "load-failed"
    assert "Traceback" not in caught.value.message
    assert caught.value.hint
    assert backend.memory_usage() is None


def test_an_engine_of_another_checkpoint_is_refused(checkpoint: Checkpoint, build: Build) -> None:
    folder = checkpoint()
    spec, backend = EngineSpec(str(folder), "onnxruntime", "fp32", context=128), OnnxRuntimeBackend()
    for other in (checkpoint("gpt2"), checkpoint("qwen3"), checkpoint(num_hidden_layers=3)):
        with pytest.raises(EngineError) as caught:
            backend.load(spec, folder, build(other), RecordingReport())
        assert caught.value.code == "load-failed"
    backend.load(spec, folder, build(folder), RecordingReport())
    assert len(answer(backend, [1, 2, 3])) == 24
