"""A worker whose engine generates Markdown at a fixed rate.

It is the real worker with an additional backend, `paced`. `interpreter` writes a script that
`EngineProcess.start` accepts as a Python interpreter. The seed of the request is the rate in tokens per
second, so that the rate can change from one prompt to the next; nothing is random here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from engines.backends.base import Availability, Backend, Emit, Generated, Report, Stopped
from engines.backends.registry import BACKENDS, BackendEntry
from engines.build.spec import EngineSpec
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling
from tests.doubles.interpreter_script import interpreter_script, run_worker

NAME = "paced"
DEFAULT_RATE = 100
BLOCK_TOKENS = 32
UNLIMITED = 1_000_000
MARKDOWN = """\
## How the cache is filled

Every token that is **read or written** leaves a key and a value behind in each layer, and later tokens look \
back at them. A cache in *blocks* hands out memory piece by piece, so that a short answer does not pay for a \
long one, and two prompts that begin alike can share what they have in common.

1. The prompt is computed in one go, and its blocks are filled.
2. Each new token adds a row to the last block.
   - When that block is full, `allocate()` takes a free one.
   - When none is free, the youngest request has to wait.
3. At the end the blocks return to the pool.

```python
def allocate(pool: list[int], needed: int) -> list[int]:
    \"\"\"Take blocks from the pool, or none at all.\"\"\"
    if needed > len(pool):
        raise MemoryError(f"{needed} blocks wanted, {len(pool)} free")
    return [pool.pop() for _ in range(needed)]
```

| precision | bytes a token | tokens in 1 GB |
|---|---|---|
| f32 | 16,384 | 61,035 |
| f16 | 8,192 | 122,070 |
| u8 | 5,120 | 195,312 |

> A cache that is too small does not make answers wrong; it makes them wait.

"""


class PacedBackend(Backend):
    """Generates MARKDOWN repeatedly, at the requested rate."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Paced"

    def __init__(self) -> None:
        self._script: list[int] = []
        self._context = 0
        self._held = 0

    @classmethod
    def probe(cls) -> Availability:
        """Return that it is always available."""
        return Availability(True, {NAME: "1"}, devices=("cpu",))

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Tokenize the text with the checkpoint's tokenizer."""
        from tokenizers import Tokenizer

        report.stage("load")
        self._script = Tokenizer.from_file(str(checkpoint / "tokenizer.json")).encode(MARKDOWN).ids
        self._context = spec.context
        self.context_tokens = UNLIMITED  # conversations of any length

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """Emit tokens at the requested rate; a late token does not delay the following ones."""
        rate = sampling.seed or DEFAULT_RATE
        started = time.monotonic()
        for count in range(sampling.max_tokens):
            if stopped():
                return Generated("stopped", 0)
            time.sleep(max(0.0, started + count / rate - time.monotonic()))
            self._held = len(token_ids) + count + 1
            emit([self._script[count % len(self._script)]])
        return Generated("length", 0)

    def kv_usage(self) -> KVUsage:
        """Return blocks like those of a paged cache, for the panel."""
        total = -(-self._context // BLOCK_TOKENS)
        used = min(total, -(-self._held // BLOCK_TOKENS))
        return KVUsage(
            tokens=min(self._held, self._context),
            capacity_tokens=self._context,
            bytes_used=used * 163_840,
            bytes_total=total * 163_840,
            block_tokens=BLOCK_TOKENS,
            used_blocks=used,
            free_blocks=total - used,
            total_blocks=total,
            reused_blocks=0,
        )

    def memory_usage(self) -> MemoryUsage:
        """Return fixed values, for the panel."""
        return MemoryUsage(weights=153_000_000, kv=self.kv_usage().bytes_total)


ENTRY = BackendEntry(PacedBackend.title, f"{__name__}:PacedBackend", builds=False)
"""Its entry in the registry."""


def register() -> None:
    """Add `paced` to the registry of this process."""
    BACKENDS[NAME] = ENTRY


def interpreter(folder: Path) -> str:
    """Write a script that takes an interpreter's arguments and runs this worker; return its path."""
    return interpreter_script(folder, "tests.doubles.paced_worker")


if __name__ == "__main__":
    # `-m` runs this file as __main__. Import it by name, so that there is only one class PacedBackend.
    from tests.doubles import paced_worker

    paced_worker.register()
    run_worker()
