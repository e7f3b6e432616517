"""Checkpoints that a stranger may have made: each case damages a copy of a good one.

A backend must refuse each case with a message, or answer: it never hangs, never
ends without an answer, never reports `internal`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.faults.hostile_case import Case
from tests.faults.hostile_configs import CONFIGS
from tests.faults.hostile_files import FILES
from tests.faults.hostile_gguf import GGUF
from tests.faults.hostile_templates import TEMPLATES
from tests.faults.hostile_tokenizers import TOKENIZERS
from tests.faults.hostile_weights import WEIGHTS

CASES: dict[str, Case] = {
    f"{kind}: {name}": case
    for kind, cases in (
        ("config", CONFIGS),
        ("tokenizer", TOKENIZERS),
        ("template", TEMPLATES),
        ("weights", WEIGHTS),
        ("file", FILES),
        ("gguf", GGUF),
    )
    for name, case in cases.items()
}
"""By name. A case gets a copy of the good checkpoint."""


def write(name: str, good: Path, folder: Path) -> Path:
    """Copy the checkpoint `good` to `folder`, apply the case and return the folder to open."""
    shutil.copytree(good, folder)
    return CASES[name](folder) or folder
