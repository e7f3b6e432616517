"""Files with which trtllm-serve, Triton and NIM run an engine of this backend. DEPLOY.md explains them.

The options are those with which `backend.py` loads the engine, sized for a server. Sources: NVIDIA's
references of `trtllm-serve` (`tests/unittest/api_stability/references/trtllm_serve_cli.yaml`) and of Triton's
LLM API backend (`triton_backend/all_models/llmapi`), and the user guides of Triton 26.09 and NIM 2.1.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from engines.backends.tensorrt_llm import arguments
from engines.backends.tensorrt_llm.model_folder import ENGINE, model_folder
from engines.deploy.checkpoint_servers import MODELOPT, checkpoint_scripts, vllm_options
from engines.deploy.served import (
    MODELS,
    ServedEngine,
    ServerFiles,
    ShellWord,
    script,
    service,
    weight_folders,
    yaml_text,
)
from engines.environments.recipe import RECIPES
from engines.errors import EngineError

RECIPE = RECIPES["tensorrt-llm"]
IMAGE = f"${{TENSORRT_LLM_IMAGE:-nvcr.io/nvidia/tensorrt-llm/release:{RECIPE.release}}}"
TRITON_IMAGE = "${TRITON_IMAGE:-nvcr.io/nvidia/tritonserver:26.09-trtllm-python-py3}"
PORT, TRITON_PORT = 8000, 8000
OPTIONS = "trtllm-serve.yaml"
SERVER_FRACTION = 0.9
"""Of the free GPU memory for the KV cache, if its tokens need more: a server has its GPUs to itself."""
ON_COMMAND_LINE = {
    "tensor_parallel_size": "--tp_size",
    "pipeline_parallel_size": "--pp_size",
    "max_batch_size": "--max_batch_size",
    "max_num_tokens": "--max_num_tokens",
    "max_seq_len": "--max_seq_len",
}
"""Arguments of `LLM` to options of trtllm-serve. These have a default there, so they are given there."""
_PLAIN = SimpleNamespace(KvCacheConfig=dict, CudaGraphConfig=dict)
"""The names of `llmapi` that the arguments use, as plain data."""
ADD_BACKEND = """\
#!/bin/sh
# Adds NVIDIA's model.py, helpers.py and config.pbtxt to the model repository. They must be of the release of
# TensorRT-LLM in the container: run this in it, or name the release as the first argument.
cd -- "$(dirname -- "$0")" || exit 1
set -eu
release=${1:-$(python3 -c 'import importlib.metadata as m; print(m.version("tensorrt_llm"))')}
GIT_LFS_SKIP_SMUDGE=1 git clone --depth 1 --branch "v$release" \\
    https://github.com/NVIDIA/TensorRT-LLM.git source
from=source/triton_backend/all_models/llmapi/tensorrt_llm
cp "$from/config.pbtxt" tensorrt_llm/
cp "$from/1/model.py" "$from/1/helpers.py" tensorrt_llm/1/
rm -rf source
"""


def llm_arguments(engine: ServedEngine, folder: str) -> dict[str, Any]:
    """Return the arguments of `tensorrt_llm.LLM` as plain data.

    Args:
        folder: where the model is for the server.
    """
    spec, size, context = engine.spec, engine.size, engine.context
    options = arguments.shared_arguments(spec, engine.checkpoint.folder, context, size.requests)
    options |= arguments.torch_arguments(spec, context, _PLAIN, SERVER_FRACTION, size.requests)
    parallel = {
        "tensor_parallel_size": size.tensor_parallel,
        "pipeline_parallel_size": size.pipeline_parallel,
    }
    # The class reads the type of the weights from config.json, where `write_view` writes it.
    del options["dtype"]
    return options | {"model": folder, "tokenizer": folder} | parallel


def server_files(engine: ServedEngine) -> ServerFiles:
    """Return scripts, options, a compose file and a Triton model repository.

    Raises:
        EngineError: `not-built`, or `no-server`: it is a TensorRT engine.
    """
    model = model_folder(engine.spec, engine.checkpoint.folder, engine.directory)
    if model.name == ENGINE:
        words = "This is a TensorRT engine, which only TensorRT-LLM up to 1.2 serves, on GPUs of this kind."
        raise EngineError("no-server", words, "Export fp8, int4-awq, w4a8-awq, nvfp4, bf16 or fp16.")
    dtype = arguments.DTYPES.get(engine.spec.precision, "")
    folder = f"/models/{engine.name}"
    silent = {RECIPE.no_telemetry: "1"}
    listen = ["--host", "127.0.0.1", "--port", str(engine.size.port)]
    start = script(
        f"{engine.title}, with trtllm-serve",
        ["trtllm-serve", f"./{MODELS}/{engine.name}", *listen, *serve_options(engine, OPTIONS)],
        silent,
    )
    mounts = {f"./{MODELS}": "/models", **weight_folders(model)}
    texts = {
        "trtllm-serve.sh": start,
        OPTIONS: yaml_text("Arguments of LLM that trtllm-serve has no option for", _file_options(engine)),
        "compose.yaml": yaml_text(
            f"{engine.title}\ndocker compose up trtllm-serve\ndocker compose --profile triton up triton",
            {"services": _services(engine, mounts)},
        ),
        "triton/tensorrt_llm/1/model.yaml": yaml_text(
            "Arguments of LLM, and triton_config", triton_model(engine, folder)
        ),
        "triton/add-backend.sh": ADD_BACKEND,
    }
    if engine.spec.precision in (*MODELOPT, *arguments.DTYPES):
        texts |= checkpoint_scripts(engine, dtype or "auto") | {
            "nim.sh": _nim(engine, dtype, weight_folders(model))
        }
    return ServerFiles(texts, model, dtype)


def serve_options(engine: ServedEngine, options_file: str) -> list[str]:
    """Return the options of trtllm-serve after the model, without host and port."""
    options = llm_arguments(engine, "")
    words = [word for name, flag in ON_COMMAND_LINE.items() for word in (flag, str(options[name]))]
    words += ["--trust_remote_code"] if options["trust_remote_code"] else []
    # Also named --config; this name is in all releases.
    return [*words, "--extra_llm_api_options", options_file]


def _file_options(engine: ServedEngine) -> dict[str, Any]:
    """Return the arguments for the file of options: none is an option too, since releases let either win."""
    given = {*ON_COMMAND_LINE, "model", "tokenizer", "trust_remote_code"}
    return {name: value for name, value in llm_arguments(engine, "").items() if name not in given}


def triton_model(engine: ServedEngine, folder: str) -> dict[str, Any]:
    """Return the `model.yaml` of Triton's LLM API backend: arguments of `LLM`, and its own settings."""
    # Triton does not batch: the library does, and streams where the model is decoupled.
    return llm_arguments(engine, folder) | {"triton_config": {"max_batch_size": 0, "decoupled": True}}


def _services(engine: ServedEngine, mounts: dict[str, str]) -> dict[str, Any]:
    serve = ["trtllm-serve", f"/models/{engine.name}", "--host", "0.0.0.0", "--port", str(PORT)]
    serve += serve_options(engine, f"/config/{OPTIONS}")
    files = {f"./{OPTIONS}": f"/config/{OPTIONS}"}
    trtllm = service(engine, IMAGE, serve, mounts | files, PORT)
    launch = ["tritonserver", "--model-repository=/triton"]
    triton = service(engine, TRITON_IMAGE, launch, mounts | {"./triton": "/triton"}, TRITON_PORT)
    return {
        "trtllm-serve": trtllm | {"environment": {RECIPE.no_telemetry: "1"}},
        "triton": triton | {"environment": {RECIPE.no_telemetry: "1"}, "profiles": ["triton"]},
    }


def _nim(engine: ServedEngine, dtype: str, folders: dict[str, str]) -> str:
    """Return a script for the model-free NIM, whose image the user names: it runs vLLM."""
    command = ["docker", "run", "--rm", "--gpus", "all", "--ipc", "host"]
    command += ["-p", f"127.0.0.1:{engine.size.port}:{PORT}", "-e", f"NIM_MODEL_PATH=/models/{engine.name}"]
    command += ["--mount", ShellWord(f'type=bind,source="$PWD"/{MODELS},target=/models,readonly')]
    for folder in folders:  # the value is a line of CSV
        quoted = folder.replace('"', '""')
        command += ["--mount", f'type=bind,"source={quoted}","target={quoted}",readonly']
    image = ShellWord('"${NIM_LLM_IMAGE:?set it to the model-free image with vLLM of the NGC catalog}"')
    options = vllm_options(engine, dtype or "auto")
    return script(f"{engine.title}, with the model-free NIM, which runs vLLM", [*command, image, *options])
