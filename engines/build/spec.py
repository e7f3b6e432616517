"""What an engine is made from, and the fingerprint that names it in the store.

Standard library only, Python 3.10 and newer: workers of other environments read it too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class EngineSpec:
    """Everything that decides what an engine is, apart from the versions that build it."""

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
    """Whether code found in the checkpoint may run. Never set unless the user asks by name."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of one backend, by its own names."""

    def to_json(self) -> dict[str, object]:
        """Plain data, the inverse of `from_json`."""
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
"""How the names of the inputs begin that come from the checkpoint."""
BUILD_FIELDS = ("backend", "precision", "options")
"""Fields that change the files of an engine; the others only change how it is loaded."""


def fingerprint_inputs(
    spec: EngineSpec, checkpoint: dict[str, str], versions: dict[str, str]
) -> dict[str, str]:
    """The named facts an engine depends on, so that a mismatch can be told in words.

    Args:
        checkpoint: identity of the checkpoint's content, as `Checkpoint.identity` gives it.
        versions: library name to version, as the backend's probe gives them. A backend whose engines fit
            one GPU only adds the GPU's architecture to them.
    """
    facts = {f"{CHECKPOINT}{name}": value for name, value in checkpoint.items()}
    facts |= {name: json.dumps(getattr(spec, name), sort_keys=True) for name in BUILD_FIELDS}
    facts["device"] = spec.device.partition(":")[0]
    facts |= {f"version of {name}": version for name, version in versions.items()}
    return facts


def fingerprint(inputs: dict[str, str]) -> str:
    """Twenty hex digits (80 bits) of the SHA-256 of the inputs: the engine's folder name."""
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]
