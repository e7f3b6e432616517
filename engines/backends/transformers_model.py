"""Checks and model loading shared by the backends that run transformers models in this process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import Any

from engines.backends.base import Availability
from engines.build.spec import EngineSpec
from engines.errors import EngineError, first_line
from engines.plan.checkpoint.json_file import read_json_object
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.checkpoint.text_part import HEADS, TEXT_NAMES, is_wrapper
from engines.plan.checkpoint.transformers_models import SAME_TEXT_MODEL


def probe_transformers() -> Availability:
    """Return whether torch and transformers are installed, from their metadata; neither is imported."""
    try:
        versions = {name: version(name) for name in ("torch", "transformers")}
    except PackageNotFoundError as error:
        return Availability(
            available=False,
            reason=f"{error.name} is not installed.",
            hint="pip install torch transformers",
        )
    return Availability(available=True, versions=versions, devices=("cpu", "cuda"))


def check_device(device: str) -> None:
    """Check that PyTorch can use the device.

    Raises:
        EngineError: `no-device`: a GPU was requested that PyTorch does not find.
    """
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EngineError(
            "no-device",
            f"This PyTorch ({torch.__version__}) finds no NVIDIA GPU.",
            "Choose the CPU, or install a build of PyTorch for CUDA.",
        )
    count = torch.cuda.device_count()
    if device.startswith("cuda") and (torch.device(device).index or 0) >= count:
        words = f"PyTorch finds {count} GPU{'s' if count > 1 else ''}, and no {device}."
        raise EngineError("no-device", words, "Choose another GPU (F2).")


def read_model(spec: EngineSpec, checkpoint: Path, dtype: Any, **options: Any) -> Any:
    """Return the model of a checkpoint on the CPU, with all of its weights.

    Args:
        options: For `from_pretrained`, such as `attn_implementation`.

    Raises:
        EngineError: `load-failed`: transformers cannot load the checkpoint; `broken-weights`: tensors are
            missing, or have other shapes than the config says.
    """
    from transformers import AutoModelForCausalLM

    try:
        config = decoder_config(spec, checkpoint)
        _compare_sizes(spec, checkpoint, config)
        model, info = AutoModelForCausalLM.from_pretrained(
            checkpoint,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=spec.trust_remote_code,
            key_mapping=TEXT_NAMES if is_wrapper(read_json_object(checkpoint / "config.json")) else None,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # its own error names no tensor
            **options,
        )
    except EngineError:
        raise
    except Exception as error:  # OSError, ValueError, KeyError, SafetensorError, RuntimeError, …
        raise EngineError(
            "load-failed",
            f"transformers cannot load this checkpoint: {first_line(error)}",
            "The checkpoint may be damaged, or need another version of transformers.",
        ) from error
    _refuse_mismatched(info["mismatched_keys"])
    if missing := sorted(info["missing_keys"]):
        # transformers only warns, and initialises the missing tensors with random numbers.
        raise EngineError(
            "broken-weights",
            f"The checkpoint lacks {len(missing)} of the model's tensors, such as {missing[0]}.",
            "Download it again; it may be incomplete.",
        )
    return model


def decoder_config(spec: EngineSpec, checkpoint: Path) -> Any:
    """Return the config of the checkpoint's text decoder, for a class of `AutoModelForCausalLM`.

    Of a model that also reads images it is a part: the rest is neither built nor loaded.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        checkpoint, local_files_only=True, trust_remote_code=spec.trust_remote_code
    )
    if not is_wrapper(read_json_object(checkpoint / "config.json")):
        return config
    text = config.get_text_config(decoder=True)
    if same := SAME_TEXT_MODEL.get(text.model_type):
        text = AutoConfig.for_model(same, **_fields_for_text(text.to_dict()))
    if (quantisation := getattr(config, "quantization_config", None)) is not None:
        text.quantization_config = quantisation
    text.tie_word_embeddings = not any(name.startswith(HEADS) for name in tensor_entries(checkpoint))
    return text


def _fields_for_text(text: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without those for the positions of images."""
    rope = {name: value for name, value in text["rope_parameters"].items() if not name.startswith("mrope")}
    return {name: value for name, value in text.items() if name != "model_type"} | {"rope_parameters": rope}


def _compare_sizes(spec: EngineSpec, checkpoint: Path, config: Any) -> None:
    """Refuse tensors of another size than the config's before transformers allocates what that says."""
    import torch
    from transformers import AutoModelForCausalLM

    if getattr(config, "quantization_config", None) is not None:  # several weights are packed into one number
        return
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=spec.trust_remote_code)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    # By the number of values: transformers transposes some tensors while it loads them.
    _refuse_mismatched(
        (name, entry.shape, expected[name])
        for name, entry in tensor_entries(checkpoint).items()
        if name in expected and entry.elements != prod(expected[name])
    )


def _refuse_mismatched(found: Iterable[tuple[str, Sequence[int], Sequence[int]]]) -> None:
    """Refuse tensors whose shape is not that of the config's model.

    Args:
        found: name, shape in the file and shape by the config.
    """
    for name, stored, expected in sorted(found, key=lambda one: one[0]):
        raise EngineError(
            "broken-weights",
            f"{name} has the shape {list(stored)}, and config.json says {list(expected)}.",
            "The config.json may belong to another model: download the checkpoint again.",
        )
