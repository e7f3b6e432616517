"""Read the layers of a network, and those of the engine that was compiled from it.

The engine's are what TensorRT's inspector writes. Its form depends on the release and on how much detail the
engine keeps, so that whatever a layer has is shown, and the rest is left empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from engines.backends.tensorrt.plan_file import ENGINE_LAYERS, LAYER_TIMES, LAYERS
from engines.inspect.data_types import BITS, tensorrt_type
from engines.inspect.inspection import ENGINE, MAX_PARTS, MAX_ROWS, NETWORK, Listing, Row, short
from engines.plan.checkpoint.json_file import TooManyValues, parse_json
from engines.regular_file import read_regular

MAX_LAYER_BYTES = 32_000_000

_LARGEST = 1 << 60
_METADATA_SEPARATOR = "\x1e"
_JOINED = re.compile(r"\s\+\s|\[Fused\]")
_FOREIGN = re.compile(r"ForeignNode\[(.{1,300}?)\.\.\.(.{1,300}?)\]")


class _UnreadableError(Exception):
    """Why a file cannot be used, as a sentence."""


def read_network(folder: Path) -> Listing:
    """Return the layers of the network as it was parsed from the ONNX graph."""
    try:
        layers = _layers(_read(folder / LAYERS), LAYERS)
    except FileNotFoundError:
        return Listing(NETWORK, LAYERS, exists=False)
    except _UnreadableError as error:
        return Listing(NETWORK, LAYERS, problem=str(error))
    return _listing(NETWORK, LAYERS, map(_row, layers))


def read_engine(folder: Path) -> Listing:
    """Return the layers of the compiled engine with their times: measured layers alone if it lists none."""
    problem, times = "", dict[str, float]()
    try:
        times = _times(folder)
    except _UnreadableError as error:
        problem = str(error)
    try:
        layers = _layers(_read(folder / ENGINE_LAYERS), ENGINE_LAYERS)
    except FileNotFoundError:
        if not times and not problem:
            return Listing(ENGINE, ENGINE_LAYERS, exists=False)
        layers = []
    except _UnreadableError as error:
        problem, layers = f"{error} {problem}".strip(), []
    return replace(_listing(ENGINE, ENGINE_LAYERS, _with_times(map(_row, layers), times)), problem=problem)


def _listing(name: str, file: str, rows: Iterable[Row]) -> Listing:
    kept, omitted = list[Row](), 0
    for row in rows:
        if len(kept) < MAX_ROWS:
            kept.append(row)
        else:
            omitted += 1
    return Listing(name, file, tuple(kept), omitted=omitted)


def _with_times(rows: Iterable[Row], times: dict[str, float]) -> Iterator[Row]:
    """Yield the rows with their times, then rows for what was measured and is not listed."""
    for row in rows:
        yield replace(row, microseconds=times.pop(row.name, None))
    for name, microseconds in times.items():
        yield Row(name, microseconds=microseconds, parts=_fused(name))


def _read(file: Path) -> Any:
    try:
        return parse_json(read_regular(file, MAX_LAYER_BYTES))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _UnreadableError(f"{file.name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, TooManyValues) else "it is not JSON"
        raise _UnreadableError(f"{file.name} is damaged: {why}.") from error


def _layers(value: Any, file: str) -> list[Any]:
    found = (
        next((value[key] for key in ("layers", "Layers") if key in value), None)
        if _is_object(value)
        else value
    )
    if not isinstance(found, list):
        raise _UnreadableError(
            f"{file} has a form that this release does not know: it has no list of layers."
        )
    return found


def _times(folder: Path) -> dict[str, float]:
    try:
        value = _read(folder / LAYER_TIMES)
    except FileNotFoundError:
        return {}
    if not _is_object(value):
        raise _UnreadableError(f"{LAYER_TIMES} has a form that this release does not know.")
    return {short(name): float(time) for name, time in value.items() if _is_time(time)}


def _row(layer: Any) -> Row:
    if not _is_object(layer):
        name = layer if isinstance(layer, str) else repr(layer)
        return Row(short(name), parts=_fused(name))
    name = _text(layer, "name", "Name")
    outputs = layer.get("Outputs")
    output = outputs[0] if isinstance(outputs, list) and outputs and _is_object(outputs[0]) else {}
    weights, weight_bytes = _weights(layer)
    return Row(
        name,
        _text(layer, "type", "LayerType", "ParameterType"),
        tensorrt_type(_text(layer, "precision", "Precision") or _text(output, "Format/Datatype", "Datatype")),
        weights,
        weight_bytes,
        _shape(layer.get("shape", output.get("Dimensions"))),
        parts=_named_parts(layer) or _fused(name),
    )


def _weights(layer: dict[str, Any]) -> tuple[str, int | None]:
    """Return precision and bytes of a layer's weights, as the inspector lists them: type and count."""
    found = [value for key, value in layer.items() if key in ("Weights", "Bias") and _is_object(value)]
    sizes = {tensorrt_type(_text(one, "Type")): one.get("Count") for one in reversed(found)}
    known = {
        name: count * BITS[name] // 8
        for name, count in sizes.items()
        if name in BITS and isinstance(count, int) and 0 < count < _LARGEST
    }
    return (max(known, key=lambda name: known[name]), sum(known.values())) if known else ("", None)


def _named_parts(layer: dict[str, Any]) -> tuple[str, ...]:
    """Return what the layer says that it was made of: a list of names, or the metadata of the parser."""
    listed = layer.get("fused")
    if isinstance(listed, list):
        return tuple(short(str(one)) for one in listed[:MAX_PARTS])
    metadata = layer.get("Metadata")
    if not isinstance(metadata, str):
        return ()
    names = (
        one.strip().removeprefix("[ONNX Layer: ").removesuffix("]")
        for one in metadata.split(_METADATA_SEPARATOR)
    )
    return tuple(short(name) for name in names if name)[:MAX_PARTS]


def _fused(name: str) -> tuple[str, ...]:
    """Return the names that a layer's name is joined of; empty for a layer that nothing was fused into."""
    if ends := _FOREIGN.search(name):
        return (short(f"{ends[1]} … {ends[2]}"),)
    parts = tuple(short(part.strip()) for part in _JOINED.split(name) if part.strip())
    return parts[:MAX_PARTS] if len(parts) > 1 or "[Fused]" in name else ()


def _shape(value: Any) -> tuple[int | str, ...] | None:
    """Return the sizes of a list; None for no list or an empty one: layers of an unknown rank have it."""
    return tuple(map(_size, value[:16])) if isinstance(value, list) and value else None


def _size(value: Any) -> int | str:
    """Return a size, or `?` for one that may vary: TensorRT writes -1."""
    if isinstance(value, int) and abs(value) < _LARGEST:
        return value if value >= 0 else "?"
    return short(str(value))


def _text(layer: dict[str, Any], *keys: str) -> str:
    """Return the first text under one of the keys, shortened; empty if there is none."""
    return next((short(layer[key]) for key in keys if isinstance(layer.get(key), str)), "")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_time(value: Any) -> bool:
    """Return whether a value is a time in microseconds: JSON of Python may hold NaN and infinity."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < _LARGEST and math.isfinite(value) and value >= 0
