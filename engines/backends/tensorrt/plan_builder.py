"""Build a plan from an ONNX graph: parse it, set its shapes and target, and let TensorRT compile it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.backends.tensorrt.failures import build_failure
from engines.backends.tensorrt.library import Messages, library, logger
from engines.errors import EngineError
from engines.plan.hardware.targets import capability_of

UNUSED = "Unused Input"
"""The parser drops inputs that it does not know, and the engine then answers with fluent nonsense."""
USUAL_TOKENS = 64
"""New tokens in a step and …"""
USUAL_CONTEXT = 512
"""… tokens that attention sees, for which kernels are chosen."""
SHOWN_DEPTH = 2
"""Phases of the build that are shown: of about thirty levels, these change every few seconds."""

OnPhase = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """The largest sizes of a plan."""

    context: int
    """Tokens of the KV cache."""
    chunk_tokens: int
    """New tokens in one step."""


@dataclass(frozen=True)
class Plan:
    """A built engine."""

    data: Any
    """A buffer, as the library returns it."""
    layers: list[dict[str, object]]
    """Name, type, precision and shape of each layer of the parsed network."""


def build_plan(graph: Path, sizes: Sizes, target: str, module: str, on_phase: OnPhase) -> Plan:
    """Parse a graph and build its plan.

    Args:
        target: architecture such as `sm89`.
        module: name of the library, see `library.installed`.
        on_phase: called with the name of each phase that begins.

    Raises:
        EngineError: `build-failed` or `out-of-memory`, with the library's own reason.
    """
    trt = library()
    log, messages = logger()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(trt, network, graph)
    _allow_any_attention(trt, network)
    config = builder.create_builder_config()
    _set_target(trt, config, target)
    config.add_optimization_profile(_profile(builder, network, sizes))
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # the inspector shows names of layers
    config.progress_monitor = _monitor(trt, on_phase)
    layers = _layers(network)
    messages.clear()
    data = builder.build_serialized_network(network, config)
    _refuse_unused(messages)
    if data is None:
        raise build_failure(f"{_title(module)} cannot build this engine", messages.errors)
    return Plan(data, layers)


def _title(module: str) -> str:
    return "TensorRT for RTX" if module.endswith("rtx") else "TensorRT"


def _parse(trt: Any, network: Any, graph: Path) -> None:
    log, messages = logger()
    messages.clear()
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(graph)):
        found = [parser.get_error(place).desc() for place in range(parser.num_errors)]
        raise build_failure("TensorRT cannot read the graph", found)
    _refuse_unused(messages)


def _refuse_unused(messages: Messages) -> None:
    """Refuse a network of which an input has no use; the parser or the builder says so, as a warning."""
    if unused := [line for line in messages.lines if UNUSED in line]:
        raise build_failure("TensorRT does not use every input of the graph", unused)


def _allow_any_attention(trt: Any, network: Any) -> None:
    """Let TensorRT compute attention with other operations where it has no kernel, as in fp32."""
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        if layer.type == trt.LayerType.ATTENTION_INPUT:
            layer.__class__ = trt.IAttentionInputLayer  # `get_layer` returns the base class
            layer.attention.decomposable = True


def _set_target(trt: Any, config: Any, target: str) -> None:
    """Compile for one architecture. By default TensorRT for RTX compiles for several, also for such that
    cannot compute the types of the graph."""
    if not hasattr(config, "set_compute_capability"):
        return  # TensorRT itself: the GPU of this machine
    name = "SM{}{}".format(*capability_of(target))
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(getattr(trt.ComputeCapability, name), 0):
        raise EngineError(
            "unsupported-target", f"TensorRT does not build for {target}.", "Choose another GPU."
        )


def _profile(builder: Any, network: Any, sizes: Sizes) -> Any:
    """Return the sizes of the inputs. One profile for prompt and decode: a second one doubles the weights."""
    limits = {
        "T": (1, min(USUAL_TOKENS, sizes.chunk_tokens), sizes.chunk_tokens),
        "S": (1, min(USUAL_CONTEXT, sizes.context), sizes.context),
        "R": (1, 1, sizes.chunk_tokens),
    }
    profile = builder.create_optimization_profile()
    for place in range(network.num_inputs):
        tensor = network.get_input(place)
        shape = list(tensor.shape)
        if -1 in shape:
            name = tensor.get_dimension_name(shape.index(-1))
            least, usual, most = ([limit if one == -1 else one for one in shape] for limit in limits[name])
            profile.set_shape(tensor.name, least, usual, most)
    return profile


def _layers(network: Any) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for place in range(network.num_layers):
        layer = network.get_layer(place)
        output = layer.get_output(0) if layer.num_outputs else None
        found.append(
            {
                "name": layer.name,
                "type": layer.type.name,
                "precision": output.dtype.name if output else "",
                "shape": [int(size) for size in output.shape] if output and _has_rank(output) else [],
                "fused": [],
            }
        )
    return found


def _has_rank(tensor: Any) -> bool:
    try:
        return len(tensor.shape) >= 0
    except ValueError:  # a shape that is not known yet
        return False


def _monitor(trt: Any, on_phase: OnPhase) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Reports phases. The longest one calls nothing meanwhile, so a build is cancelled by its process."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._depths: dict[str, int] = {}
            self._begun: dict[str, float] = {}

        def phase_start(self, name: str, parent: str | None, _steps: int) -> None:
            self._depths[name] = depth = self._depths.get(parent or "", -1) + 1
            self._begun[name] = time.monotonic()
            if depth <= SHOWN_DEPTH:
                on_phase(name)

        def step_complete(self, _name: str, _step: int) -> bool:
            return True

        def phase_finish(self, name: str) -> None:
            seconds = time.monotonic() - self._begun.pop(name, time.monotonic())
            if self._depths.pop(name, SHOWN_DEPTH + 1) <= SHOWN_DEPTH and seconds >= 1:
                on_phase(f"{name}: {seconds:.0f} s")

    return Monitor()
