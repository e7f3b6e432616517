"""vLLM and SGLang for a Hugging Face checkpoint: as it is, or quantised by ModelOpt.

Options of `vllm serve` 0.29 (docs.vllm.ai) and `python -m sglang.launch_server` (docs.sglang.ai).
"""

from __future__ import annotations

from engines.deploy.served import (
    MODELS,
    ServedEngine,
    ServerFiles,
    script,
    service,
    weight_folders,
    yaml_text,
)
from engines.errors import EngineError

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""`--dtype` by precision; for a quantised checkpoint it is `auto`."""
MODELOPT = ("fp8", "nvfp4")
"""Precisions of ModelOpt that vLLM reads from `hf_quant_config.json`; it has none for its AWQ formats."""
VLLM_IMAGE = "${VLLM_IMAGE:-vllm/vllm-openai:v0.29.0}"
PORT = 8000


def server_files(engine: ServedEngine) -> ServerFiles:
    """Return the files for a checkpoint that is served as it is.

    Raises:
        EngineError: `no-server`: the precision is made by this backend and stored in no checkpoint.
    """
    if engine.spec.precision not in DTYPES:
        words = f"{engine.spec.precision} of this backend is stored in no checkpoint that a server reads."
        raise EngineError("no-server", words, "Export fp32, bf16 or fp16, or a TensorRT-LLM precision.")
    dtype = DTYPES[engine.spec.precision]
    model = engine.checkpoint.folder
    options = vllm_options(engine, dtype)
    # The image runs `vllm serve` by itself.
    command = [f"/models/{engine.name}", "--host", "0.0.0.0", "--port", str(PORT), *options]
    folders = {f"./{MODELS}": "/models", **weight_folders(model)}
    compose = {"services": {"vllm": service(engine, VLLM_IMAGE, command, folders, PORT)}}
    comment = f"{engine.title}: docker compose up"
    texts = checkpoint_scripts(engine, dtype) | {"compose.yaml": yaml_text(comment, compose)}
    return ServerFiles(texts, model, dtype)


def checkpoint_scripts(engine: ServedEngine, dtype: str) -> dict[str, str]:
    """Return scripts that start vLLM and SGLang with the exported model."""
    folder, size, spec = f"./{MODELS}/{engine.name}", engine.size, engine.spec
    listen = ["--host", "127.0.0.1", "--port", str(size.port)]
    vllm = ["vllm", "serve", folder, *listen, *vllm_options(engine, dtype)]
    sglang = ["python3", "-m", "sglang.launch_server", "--model-path", folder, *listen]
    sglang += ["--served-model-name", engine.name, "--dtype", dtype, "--context-length", str(engine.context)]
    sglang += ["--tp-size", str(size.tensor_parallel), "--pp-size", str(size.pipeline_parallel)]
    sglang += ["--max-running-requests", str(size.requests), "--enable-metrics"]
    sglang += ["--kv-cache-dtype", "fp8_e4m3"] if spec.kv_precision == "fp8" else []
    sglang += ["--trust-remote-code"] if spec.trust_remote_code else []
    return {
        "vllm.sh": script(f"{engine.title}, with vLLM", vllm),
        "sglang.sh": script(f"{engine.title}, with SGLang", sglang),
    }


def vllm_options(engine: ServedEngine, dtype: str) -> list[str]:
    """Return the options of `vllm serve` after the model, without host and port."""
    size = engine.size
    options = ["--served-model-name", engine.name, "--dtype", dtype, "--max-model-len", str(engine.context)]
    options += ["--max-num-seqs", str(size.requests)]
    options += ["--tensor-parallel-size", str(size.tensor_parallel)]
    options += ["--pipeline-parallel-size", str(size.pipeline_parallel)]
    options += ["--kv-cache-dtype", "fp8"] if engine.spec.kv_precision == "fp8" else []
    # Without it vLLM samples as generation_config.json says, where a request leaves a field out.
    options += ["--generation-config", "vllm"]
    return [*options, "--trust-remote-code"] if engine.spec.trust_remote_code else options
