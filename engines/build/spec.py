"""What an engine is made from, and the fingerprint that names it in the store.

Standard library only, Python 3.10 and newer: workers of other environments read it too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

CALIBRATION = "calibration"
"""The option that names a file with texts to calibrate with."""
RECIPE = "recipe"
"""The option with how weights are quantised; without it each is rounded to the nearest level."""
CALIBRATED = "calibrated"
"""The recipe whose choices depend on what the inputs of each layer are like on the calibration text."""
GPUS = "tensor_parallel_size"
"""The option with the number of GPUs over which the weights are split."""
TARGET = "target"
"""The option with the GPU architecture that an engine is built for, such as `sm89`."""
DEQUANTISED = "dequantised"
"""The option with the precision of the GGUF file whose weights an engine has in another precision."""
CONTEXT = "context"
"""The option with the tokens of the KV cache, where an engine is built for a certain number."""


@dataclass(frozen=True)
class EngineSpec:
    """Everything that defines an engine, apart from the versions that build it."""

    checkpoint: str
    """A Hugging Face model folder, or a hub id such as `org/name`."""
    backend: str
    """A name of `engines.backends.registry`."""
    precision: str
    """How weights are stored: a name of `engines.plan.precision.PRECISIONS`."""
    device: str = "cpu"
    """`cpu`, or `cuda:N`."""
    kv_precision: str = "auto"
    """How the KV cache is stored: `auto` (the backend's choice), `f32`, `bf16`, `f16`, `u8` or `fp8`."""
    context: int = 2048
    """Tokens of prompt and answer together that the engine must hold."""
    revision: str | None = None
    """Commit, tag or branch of a hub id; None for the default branch."""
    trust_remote_code: bool = False
    """Whether code found in the checkpoint may run. Only set at the user's explicit request."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of one backend, by its own names."""

    @property
    def calibration(self) -> str:
        """Path of the user's calibration file; empty for the texts that ship with the project."""
        return self.options.get(CALIBRATION, "")

    @property
    def recipe(self) -> str:
        """How weights are quantised: CALIBRATED, or empty."""
        return self.options.get(RECIPE, "")

    @property
    def gpus(self) -> int:
        """Number of GPUs over which the weights are split, counted from `device`."""
        return max(1, int(self.options.get(GPUS, "1")))

    @property
    def target(self) -> str:
        """The GPU architecture that it is built for; empty where the engine does not depend on it."""
        return self.options.get(TARGET, "")

    @property
    def devices(self) -> tuple[str, ...]:
        """`device`, and the following ones that hold a part of the weights."""
        if self.gpus == 1:
            return (self.device,)
        kind, _, first = self.device.partition(":")
        return tuple(f"{kind}:{int(first or 0) + place}" for place in range(self.gpus))

    def to_json(self) -> dict[str, object]:
        """Return plain data, the inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, object]) -> EngineSpec:
        """Rebuild a spec; unknown fields are ignored so that newer manifests stay readable.

        Raises:
            TypeError: a required field is missing.
        """
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        return cls(**known)  # type: ignore[arg-type]


CHECKPOINT = "checkpoint: "
"""Prefix of the names of inputs that come from the checkpoint."""
CONTENT = "content: "
"""Prefix of the names of inputs that are the content of a file which an option names."""
VERSION = "version of "
"""Prefix of the names of inputs that are versions, or the GPU."""
BUILD_FIELDS = ("backend", "precision", "options")
"""Fields that change the files of an engine; the others only affect loading."""


def fingerprint_inputs(
    spec: EngineSpec,
    checkpoint: dict[str, str],
    versions: dict[str, str],
    contents: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the named facts that an engine depends on, so that a mismatch can be reported by name.

    Args:
        checkpoint: identity of the checkpoint's content, as `Checkpoint.identity` gives it.
        versions: library name to version, as the backend's probe gives them. A backend whose engines fit
            one GPU only adds the GPU's architecture to them.
        contents: digests of the files that options name, by option. They replace the paths of the files.
    """
    facts = {f"{CHECKPOINT}{name}": value for name, value in checkpoint.items()}
    contents = contents or {}
    built = {name: getattr(spec, name) for name in BUILD_FIELDS}
    built["options"] = {name: value for name, value in spec.options.items() if name not in contents}
    facts |= {name: json.dumps(value, sort_keys=True) for name, value in built.items()}
    facts |= {f"{CONTENT}{name}": digest for name, digest in contents.items()}
    facts["device"] = spec.device.partition(":")[0]
    facts |= {f"{VERSION}{name}": version for name, version in versions.items()}
    return facts


def versions_of(inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the versions among the inputs of a fingerprint, by library."""
    return {
        name.removeprefix(VERSION): version for name, version in inputs.items() if name.startswith(VERSION)
    }


def fingerprint(inputs: dict[str, str]) -> str:
    """Return 20 hex digits (80 bits) of the SHA-256 of the inputs: the engine's folder name."""
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]
