"""Quantise with NVIDIA ModelOpt to a Hugging Face checkpoint. Also runs on the CPU.

The formats and their configurations are those of ModelOpt's `examples/hf_ptq`.
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

from engines.backends.base import Report
from engines.backends.tensorrt_llm.reference import write_reference
from engines.errors import EngineError

CONFIGURATIONS = {
    "fp8": "FP8_DEFAULT_CFG",
    "int4-awq": "INT4_AWQ_CFG",
    "int8-sq": "INT8_SMOOTHQUANT_CFG",
    "w4a8-awq": "W4A8_AWQ_BETA_CFG",
    "nvfp4": "NVFP4_DEFAULT_CFG",
}
"""Precision to the name of its configuration in `modelopt.torch.quantization`."""
CALIBRATION_TOKENS = 512
"""Largest number of tokens of one calibration text."""
NEEDS_GPU = ("nvfp4", "w4a8-awq")
"""ModelOpt's kernels for blocks of 16 need a GPU; W4A8 did not finish within a minute on a CPU."""
TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "chat_template*",
    "vocab.*",
    "merges.txt",
    "added_tokens.json",
)


def quantise(
    checkpoint: Path,
    precision: str,
    target: Path,
    texts: list[str],
    report: Report,
    *,
    device: str = "cpu",
) -> dict[str, object]:
    """Write the quantised checkpoint to `target`, and the unquantised model's reference scores to its parent.

    Stages: `reference`, `quantise` and `export`.

    Returns:
        Facts for the manifest: the number of calibration texts, and the bytes of the weights.

    Raises:
        EngineError: `unsupported-precision`: it is not in CONFIGURATIONS; `no-device`: it needs a GPU.
    """
    if precision not in CONFIGURATIONS:
        raise EngineError(
            "unsupported-precision",
            f"Supported ModelOpt precisions are {', '.join(CONFIGURATIONS)}, not {precision}.",
            "Choose one of them.",
        )
    if precision in NEEDS_GPU and not device.startswith("cuda"):
        raise EngineError("no-device", f"Calibrating {precision} needs an NVIDIA GPU.", "Choose fp8.")
    report.stage("reference")
    _import_modelopt()
    target.mkdir(parents=True, exist_ok=True)
    _quantise(checkpoint, precision, target, texts, report, device)
    return {"calibration_texts": len(texts), "weight_bytes": _bytes(target)}


def _import_modelopt() -> None:
    """Import ModelOpt before the model is loaded.

    PuLP, a dependency of ModelOpt, stores its ImportErrors with their tracebacks. Their frames, with all
    local variables, then stay alive as long as the process, including a model on the GPU.
    """
    import modelopt.torch.export
    import modelopt.torch.quantization  # noqa: F401 - imported for its side effects


def _quantise(
    checkpoint: Path, precision: str, target: Path, texts: list[str], report: Report, device: str
) -> None:
    model, tokenizer = read_model(checkpoint, device)
    write_reference(model, checkpoint, target.parent)
    report.stage("quantise")
    model = quantised(model, tokenizer, precision, texts, report)
    report.stage("export")
    export(model, checkpoint, target)


def read_model(checkpoint: Path, device: str) -> tuple[Any, Any]:
    """Return the model of a checkpoint, on `device`, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto", local_files_only=True)
    return model.to(device).eval(), AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)


def quantised(model: Any, tokenizer: Any, precision: str, texts: list[str], report: Report) -> Any:
    """Return the model with ModelOpt's quantisers inserted, calibrated with the texts."""
    import modelopt.torch.quantization as mtq
    import torch

    config = copy.deepcopy(getattr(mtq, CONFIGURATIONS[precision]))
    batches = [
        tokenizer(text, return_tensors="pt", truncation=True, max_length=CALIBRATION_TOKENS).input_ids
        for text in texts
    ]

    def calibrate(calibrated: Any) -> None:
        # Called once for the ranges, and again for the search of AWQ: the progress then restarts.
        with torch.inference_mode():
            for done, batch in enumerate(batches, 1):
                calibrated(batch.to(model.device), use_cache=False)
                report.progress(done, len(batches), "texts")

    return mtq.quantize(model, config, calibrate)


def export(model: Any, checkpoint: Path, target: Path) -> None:
    """Write the model that `quantised` returned as a Hugging Face checkpoint, with the tokenizer files."""
    import torch
    from modelopt.torch.export import export_hf_checkpoint

    target.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        export_hf_checkpoint(model, export_dir=target)
    for pattern in TOKENIZER_FILES:
        for file in checkpoint.glob(pattern):
            if file.is_file() and not (target / file.name).exists():
                shutil.copy2(file, target / file.name)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
