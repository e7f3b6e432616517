"""Types of the support table: whether a backend runs a precision on a kind of device, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.hardware.hardware import Device
from engines.plan.support.release import is_older, release_of

State = Literal["native", "partial", "unavailable"]


@dataclass(frozen=True)
class Support:
    """Whether a backend runs a precision on a device."""

    state: State
    """`partial`: stored in this format and computed in another (weight-only or emulated), or built a longer
    way."""
    reason: str
    """One sentence for the user."""
    remedy: str = ""
    """What the user can do; empty where nothing helps."""


@dataclass(frozen=True)
class Rule:
    """A row of the table. The first row that applies decides."""

    backend: str
    precision: str
    """A name of PRECISIONS, or `*` for all of them."""
    kind: str
    """`cpu`, `cuda`, or `*`."""
    support: Support
    source: str
    """Where it was measured or is documented."""
    any_feature: frozenset[str] = frozenset()
    """CPU features of which the device must have at least one; empty for no requirement."""
    compute_capability: tuple[int, int] | None = None
    """Minimum compute capability of the GPU."""
    below: tuple[int, int] | None = None
    """The first compute capability that this row is not about."""
    since: str = ""
    """The first release of the backend's library that this row is about."""

    def applies(self, backend: str, precision: str, device: Device) -> bool:
        """Return whether this row is about `precision` with `backend` on `device`."""
        is_named = self.backend == backend and self.precision in (precision, "*")
        has_feature = not self.any_feature or bool(self.any_feature & device.features)
        minimum, actual = self.compute_capability, device.compute_capability
        is_new_enough = minimum is None or (actual is not None and actual >= minimum)
        is_old_enough = self.below is None or (actual is not None and actual < self.below)
        is_kind = self.kind in (device.kind, "*")
        is_here = is_named and has_feature and is_new_enough and is_old_enough and is_kind
        return is_here and not (self.since and is_older(release_of(self.backend), self.since))


class CheckpointSupport(Protocol):
    """The hook `checkpoint_support` of a backend's file."""

    def __call__(
        self,
        architecture: str,
        config: Mapping[str, object],
        quantisation: Quantisation | None,
        precision: str | None,
        device: Device | None = None,
        context: int | None = None,
    ) -> Support | None:
        """Return how the checkpoint limits the support of the backend; None where it does not.

        Args:
            architecture: class name in transformers.
            config: what config.json holds.
            quantisation: of the checkpoint; None for plain weights.
            precision: a name of PRECISIONS; None to ask for the checkpoint in general.
            device: where it would run; None to ask for no device in particular.
            context: tokens of the context window; None for the shortest that the backend has.
        """
