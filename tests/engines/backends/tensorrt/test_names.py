"""Every name of the library that the backend uses exists in the installed wheel, with its arguments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tensorrt_rtx as trt

SOURCES = sorted((Path(__file__).parents[4] / "engines" / "backends" / "tensorrt").glob("*.py"))
OWNERS = {
    "builder": trt.Builder,
    "network": trt.INetworkDefinition,
    "config": trt.IBuilderConfig,
    "parser": trt.OnnxParser,
    "profile": trt.IOptimizationProfile,
    "layer": trt.ILayer,
    "engine": trt.ICudaEngine,
    "self._engine": trt.ICudaEngine,
    "self._runtime": trt.Runtime,
    "self._context": trt.IExecutionContext,
    "self._cache": trt.IRuntimeCache,
    "inspector": trt.EngineInspector,
}
"""Names of variables in the sources, and the classes of their values."""
CONFIG_OF_RUNTIME = (
    "cuda_graph_strategy",
    "dynamic_shapes_kernel_specialization_strategy",
    "create_runtime_cache",
    "set_runtime_cache",
)


def used(owner: str) -> list[str]:
    text = "\n".join(path.read_text() for path in SOURCES)
    return sorted(set(re.findall(rf"(?<![\w.]){re.escape(owner)}\.(\w+)", text)))


@pytest.mark.parametrize("owner", OWNERS)
def test_members_exist(owner: str) -> None:
    kind = OWNERS[owner]
    own = (*CONFIG_OF_RUNTIME, "attention") if owner in ("config", "layer") else ()
    names = [name for name in used(owner) if name not in own]
    assert names, f"{owner} is not used any more"
    assert [name for name in names if not hasattr(kind, name)] == []


def test_the_runtime_config_has_its_members() -> None:
    assert [name for name in CONFIG_OF_RUNTIME if not hasattr(trt.IRuntimeConfig, name)] == []
    assert hasattr(trt.IAttentionInputLayer, "attention")
    assert hasattr(trt.IAttention, "decomposable")


def test_names_of_the_module_exist() -> None:
    names = sorted({name for owner in ("trt", "self._trt") for name in used(owner)})
    assert len(names) > 10
    assert [name for name in names if not hasattr(trt, name)] == []


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("ComputeCapability", ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121")),
        ("CudaGraphStrategy", ("WHOLE_GRAPH_CAPTURE",)),
        ("DynamicShapesKernelSpecializationStrategy", ("LAZY",)),
        ("DataType", ("FLOAT", "HALF", "BF16", "INT64", "INT32")),
        ("LayerType", ("ATTENTION_INPUT",)),
        ("LayerInformationFormat", ("JSON",)),
        ("ProfilingVerbosity", ("DETAILED",)),
        ("NetworkDefinitionCreationFlag", ("STRONGLY_TYPED",)),
    ],
)
def test_members_of_enums_exist(group: str, members: tuple[str, ...]) -> None:
    assert [name for name in members if not hasattr(getattr(trt, group), name)] == []
