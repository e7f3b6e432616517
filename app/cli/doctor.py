"""`trt-playground doctor`: hardware, libraries and backend support of this machine."""

from __future__ import annotations

import asyncio
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from app.cli.environments import environment_lines, finding_lines
from app.cli.output import echo
from app.cli.step_output import print_step
from app.state.prepare.bandwidth_cache import read_bandwidth
from app.state.prepare.decode_measurement import measure_engine
from app.state.prepare.engine_speeds import read_speeds
from app.state.settings import paths
from app.state.settings.interpreters import known_environments, named_in_settings
from app.units import bytes_text, rate_text
from engines.backends.registry import BACKENDS, LOCAL
from engines.build.store import EngineStore
from engines.environments.bytecode import bytecode_advice
from engines.environments.environment import Environment, register_all
from engines.environments.preflight import preflight
from engines.environments.recipe import RECIPES
from engines.environments.start import start_worker
from engines.errors import EngineError, error_text
from engines.plan.hardware.hardware import Device, cpu, devices
from engines.plan.precision import PRECISIONS, rule, support
from engines.worker import protocol
from engines.worker.log_files import log_file

PACKAGES = (
    "trt-playground",
    "textual",
    "rich",
    "transformers",
    "torch",
    "openvino",
    "openvino-genai",
    "onnx",
    "onnxruntime",
    "xllamacpp",
    "gguf",
    "httpx2",
)


async def report() -> list[str]:
    """Collect the lines of the report; starts one worker per backend."""
    found = devices()
    known = await asyncio.to_thread(known_environments, named_in_settings())
    register_all(known)
    lines = [*_machine(found), "", *_folders(), ""]
    for name in LOCAL:
        lines += await _backend(name, found)
    return [*lines, "", *await asyncio.to_thread(_environments, known)]


def _machine(found: list[Device]) -> Iterator[str]:
    yield f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}"
    yield ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    if advice := bytecode_advice():
        yield advice
    for device in found:
        memory = f"{bytes_text(device.memory_available)} of {bytes_text(device.memory_total)} free"
        capability = device.compute_capability
        extra = f", compute capability {capability[0]}.{capability[1]}" if capability else ""
        speed = read_bandwidth(device) or device.bandwidth
        reads = (
            f", reads {speed / 1e9:.3g} GB/s"
            if speed
            else ", memory bandwidth not measured (F5 on the Models screen measures it)"
        )
        yield f"{device.name}: {device.title}, {memory}{extra}{reads}"
        if device.kind == "cpu":
            yield f"decode of the demo: {_speeds(device)}"
    if len(found) == 1:
        yield "no NVIDIA GPU found"


def _speeds(device: Device) -> str:
    speeds = read_speeds(device)
    if not any(one.rate for one in speeds):
        return "not measured (trt-playground doctor --measure)"
    return ", ".join(f"{one.title} {rate_text(one.rate) if one.rate else 'not measured'}" for one in speeds)


async def measure_speeds() -> None:
    """Measure how fast the engines of the CPU decode the demo, one after the other, and print it."""
    device, store = cpu(), EngineStore(paths.engine_store())
    for engine in read_speeds(device):
        echo(f"Measuring {engine.title} …", err=True)
        try:
            rate = await measure_engine(device, engine, store, print_step)
        except EngineError as error:
            echo(f"{engine.title}: {error_text(error)}", err=True)
        else:
            echo(f"{engine.title}: {rate_text(rate)}", err=True)


def _folders() -> Iterator[str]:
    yield f"settings: {paths.settings_file()}"
    store = paths.engine_store()
    existing = next(folder for folder in (store, *store.parents) if folder.exists())
    yield f"engine store: {store}, {bytes_text(shutil.disk_usage(existing).free)} free on its disk"
    yield f"logs: {paths.log_folder()}"


def _environments(found: list[Environment]) -> list[str]:
    """Return the environments, and for each missing one the checks that creating it would start with."""
    root = paths.environment_folder()
    lines = environment_lines(found)
    for recipe in (RECIPES[one.name] for one in found if one.name in RECIPES):
        if recipe.no_telemetry:
            lines.append(
                f"  {recipe.package} sends no usage statistics: {recipe.no_telemetry}=1 in its workers"
            )
    for name in RECIPES.keys() - {one.name for one in found}:
        lines += [
            f"no environment for {name}; checks for creating one:",
            *finding_lines(preflight(RECIPES[name], root)),
        ]
    return lines


async def _backend(name: str, found: list[Device]) -> list[str]:
    """Ask a worker for the backend's versions; any error becomes a line of the report."""
    title = BACKENDS[name].title
    precisions = [line for device in found for line in precision_lines(name, device)]
    try:
        process = await start_worker(name, log_file(paths.log_folder(), "doctor"))
    except EngineError as error:
        return [f"{title}: {error.message} {error.hint}", *precisions]
    try:
        described = await process.ask(protocol.Describe(process.next_id()))
    finally:
        await process.close()
    if isinstance(described, protocol.Error):
        return [f"{title}: {described.message} {described.hint}", *precisions]
    assert isinstance(described, protocol.Described)
    if not described.available:
        return [f"{title}: {described.reason} {described.hint}", *precisions]
    versions = ", ".join(f"{library} {number}" for library, number in described.versions.items())
    return [f"{title}: {versions}", *precisions]


def precision_lines(backend: str, device: Device) -> Iterator[str]:
    """Return the states of the Backend support screen, with reason and source."""
    for precision in PRECISIONS:
        found, row = support(backend, precision, device), rule(backend, precision, device)
        reason = f"{found.reason} {found.remedy}".strip()
        source = f" [{row.source}]" if row else ""
        yield f"  {device.name} {precision:<8} {found.state:<12} {reason}{source}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def print_report(*, measure: bool = False) -> None:
    """Print the report.

    Args:
        measure: whether the decode speeds are measured before.
    """
    if measure:
        asyncio.run(measure_speeds())
    for line in asyncio.run(report()):
        echo(line)
