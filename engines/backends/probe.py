"""Whether the packages of a backend are installed, without importing them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec

from engines.backends.base import Availability


def probe_packages(packages: Sequence[str], devices: tuple[str, ...]) -> Availability:
    """Return the availability of a backend that needs all of these distributions, on kinds of devices."""
    versions = {}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    missing = [name for name in packages if name not in versions or not find_spec(name.replace("-", "_"))]
    if missing:
        return Availability(
            available=False,
            versions=versions,
            reason=f"{' and '.join(missing)} not installed.",
            hint=f"pip install {' '.join(packages)}",
        )
    return Availability(available=True, versions=versions, devices=devices)
