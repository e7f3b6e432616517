"""Which sampling settings the PyTorch sampler of an installed TensorRT-LLM reads.

`SamplingParams` accepts all of them in every release, but the sampler of older releases never looks at some:
no error, no effect. Read by AST: importing the package would initialise MPI and need a GPU.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = "_torch/pyexecutor"
"""Within the package. The sampler is `sampler.py` in it; in newer releases a folder `sampler`."""
CONFIG = "sampling_config"
"""The attribute of a request that holds its settings."""
SETTINGS: dict[str, tuple[str, ...]] = {
    "seed": ("random_seed", "seed"),  # the second since its class is Python instead of C++
    "min_p": ("min_p",),
    "repetition_penalty": ("repetition_penalty",),
}
"""Settings that some releases ignore: our name, and the library's names within `sampling_config`."""


@dataclass(frozen=True)
class SettingRead:
    """Where the sampler reads a setting."""

    file: str
    """Within the package."""
    line: int


def ignored_settings(package: Path) -> tuple[str, ...]:
    """Return which of SETTINGS the release's PyTorch sampler does not read.

    Args:
        package: the folder of the installed `tensorrt_llm`; read once per folder.

    Returns:
        Our names of the settings. Empty if all are read, and if no source of a sampler can be read.
    """
    found = setting_reads(package)
    return () if found is None else tuple(name for name in SETTINGS if name not in found)


@cache
def setting_reads(package: Path) -> dict[str, SettingRead] | None:
    """Return where each of SETTINGS is read; None if no source of a sampler can be read."""
    trees = [(file, tree) for file in sampler_files(package) if (tree := _parsed(file))]
    if not trees:
        return None
    found: dict[str, SettingRead] = {}
    for file, tree in trees:
        lines = dict(_reads(tree))
        for ours, theirs in SETTINGS.items():
            if line := next((lines[name] for name in theirs if name in lines), 0):
                found.setdefault(ours, SettingRead(file.relative_to(package).as_posix(), line))
    return found


def sampler_files(package: Path) -> list[Path]:
    """Return the source files of the PyTorch sampler, in both layouts."""
    folder = package / FOLDER
    return sorted([*folder.glob("sampler*.py"), *folder.glob("sampler/**/*.py")])


def _parsed(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError):
        return None


def _reads(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield name and line of everything that is read from `sampling_config`, last first."""
    aliases = {CONFIG, *_aliases(tree)}
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and _is_config(node.value, aliases)
        ):
            found.append((node.attr, node.lineno))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) > 1:
            owner, name = node.args[:2]
            if _is_config(owner, aliases) and isinstance(name, ast.Constant):
                found.append((str(name.value), node.lineno))
    yield from sorted(found, key=lambda one: -one[1])


def _aliases(tree: ast.Module) -> Iterator[str]:
    """Yield names that `….sampling_config` is assigned to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_config(node.value, {CONFIG}):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))


def _is_config(node: ast.expr, names: set[str]) -> bool:
    return (isinstance(node, ast.Name) and node.id in names) or (
        isinstance(node, ast.Attribute) and node.attr == CONFIG
    )
