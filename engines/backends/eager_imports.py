"""Import transformers without what only compiled or distributed models use.

transformers marks some of its functions for `torch.compile` while it is imported. The marks alone import
torch._dynamo, and with it torch._inductor and torch.distributed.tensor. Where they are installed, it also
imports scipy, scikit-learn, torchao and torchvision. Together they are 2 of the 7 CPU seconds and
90 of the 450 MB of a process that loads a small model and answers (`tests/benchmarks/imports.py`).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

DYNAMO = "torch._dynamo"
MASKS = "torch._dynamo._trace_wrapped_higher_order_op"
"""Used by transformers' attention masks, and complete without the rest of its package."""
MARKS = ("disable", "allow_in_graph", "assume_constant_result")
"""Functions of torch._dynamo that only mark another function for the compiler."""
ABSENT = tuple(
    f"is_{name}_available" for name in ("scipy", "sklearn", "torchao", "torch_distributed", "torchvision")
)
"""Functions that transformers calls before it imports optional packages."""


class MarksOnly(ModuleType):
    """torch._dynamo with MARKS that return the function unchanged. Any other name imports the real module."""

    def __getattr__(self, name: str) -> Any:
        """Return what the real module has under this name."""
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(DYNAMO) is self:
            del sys.modules[DYNAMO]
        return getattr(importlib.import_module(DYNAMO), name)


def skip_compiler() -> None:
    """Keep later imports of transformers in this process from importing the compiler and torch.distributed.

    Does nothing once torch._dynamo is imported. For processes that run nothing but eager models: functions
    that transformers defines afterwards lack their marks for the compiler.
    """
    import torch

    if DYNAMO in sys.modules:
        return
    _import_alone(MASKS)
    marks = MarksOnly(DYNAMO)
    marks.__file__ = None
    for name in MARKS:
        setattr(marks, name, _unchanged)
    sys.modules[DYNAMO] = torch._dynamo = marks
    skip_optional_packages()


def skip_optional_packages() -> None:
    """Keep later imports of transformers in this process from importing what ABSENT names."""
    from transformers import utils

    for name in ABSENT:
        for module in (utils, utils.import_utils):
            setattr(module, name, _false)


def _unchanged(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
    """Return the function, or this function where a decorator is called with options only."""
    return _unchanged if function is None else function


def _false(*_: Any, **__: Any) -> bool:
    return False


def _import_alone(name: str) -> None:
    """Import a module without running the `__init__` of its package."""
    package = find_spec(name.rpartition(".")[0])
    assert package is not None
    spec = PathFinder.find_spec(name, package.submodule_search_locations)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
