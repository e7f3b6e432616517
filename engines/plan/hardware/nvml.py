"""A wrapper of NVIDIA's management library (NVML) that returns None instead of raising errors.

`pynvml` (package nvidia-ml-py) is imported on first use; it loads the driver library in `nvmlInit`.
"""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import Any


class Nvml:
    """An initialised library. `nvmlInit` is reference-counted, so several instances can be open together."""

    def __init__(self, library: Any) -> None:
        self._library = library

    @classmethod
    def open(cls) -> Nvml | None:
        """Initialise NVML; None without the package, a driver or the permission to use it."""
        try:
            library = import_module("pynvml")
            library.nvmlInit()
        except Exception:  # ImportError, NVMLError of every kind, OSError of a broken driver library
            return None
        return cls(library)

    def ask(self, function: str, *arguments: object) -> Any:
        """Return the result of `function`; None if the device, driver or package does not support it."""
        try:
            return getattr(self._library, function)(*arguments)
        except Exception:  # NVMLError of every kind; AttributeError of an older package
            return None

    def is_alive(self) -> bool:
        """Return whether the driver responds; after a reload every call fails until NVML is reopened."""
        return self.ask("nvmlDeviceGetCount") is not None

    def devices(self) -> list[Any]:
        """Return handles of the devices usable by CUDA; a GPU in MIG mode is replaced by its instances."""
        handles: list[Any] = []
        for index in range(self.ask("nvmlDeviceGetCount") or 0):
            handle = self.ask("nvmlDeviceGetHandleByIndex", index)
            if handle is not None:
                handles += self._instances(handle) if self._is_split(handle) else [handle]
        return handles

    def text(self, function: str, *arguments: object) -> str:
        """Return the result of `function` as text; empty if there is none. Old packages return bytes."""
        answer = self.ask(function, *arguments)
        return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer or "")

    def close(self) -> None:
        """Shut NVML down."""
        with contextlib.suppress(Exception):
            self._library.nvmlShutdown()

    def _is_split(self, handle: Any) -> bool:
        mode = self.ask("nvmlDeviceGetMigMode", handle)
        return mode is not None and mode[0] == 1

    def _instances(self, handle: Any) -> list[Any]:
        count = self.ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0
        found = (self.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index) for index in range(count))
        return [instance for instance in found if instance is not None]
