"""The exported options are those that the backend loads the engine with, and the double's LLM takes them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from engines.backends.tensorrt_llm import arguments
from engines.backends.tensorrt_llm.serve import ON_COMMAND_LINE, server_files
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.deploy.served import ServedEngine, ServerFiles, ServerSize
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint

CHECK = """
import json, sys
from tensorrt_llm.llmapi.llm_args import TorchLlmArgs
print(TorchLlmArgs(**json.load(sys.stdin)).model_dump_json())
"""
OPTIONS_OF_TRTLLM_SERVE = {
    "--host", "--port", "--tp_size", "--pp_size", "--ep_size", "--max_batch_size", "--max_num_tokens",
    "--max_seq_len", "--kv_cache_free_gpu_memory_fraction", "--free_gpu_memory_fraction", "--kv_cache_dtype",
    "--config", "--extra_llm_api_options", "--tokenizer", "--trust_remote_code", "--enable_chunked_prefill",
    "--served_model_name", "--reasoning_parser", "--tool_parser", "--log_level", "--no-telemetry",
}  # fmt: skip
"""Those of its reference that an export may need."""
SIZE = ServerSize(requests=5, tensor_parallel=2, pipeline_parallel=3)
SPEC = EngineSpec(str(CHECKPOINT), "tensorrt-llm", "fp8", "cuda:0", kv_precision="fp8", context=512)


@pytest.fixture
def quantised(tmp_path: Path) -> Path:
    """The folder of a quantised engine in the store: what is in its checkpoint does not matter here."""
    shutil.copytree(CHECKPOINT, tmp_path / "engine" / "checkpoint")
    return tmp_path / "engine"


def files(directory: Path | None, spec: EngineSpec = SPEC) -> ServerFiles:
    return server_files(ServedEngine(spec, read_checkpoint(CHECKPOINT), directory, SIZE, spec.context))


def taken(python: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as `LLM` of a release reads them; it refuses unknown ones."""
    text = json.dumps(options)
    done = subprocess.run([python, "-c", CHECK], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def served(found: ServerFiles) -> dict[str, Any]:
    """Return the arguments of `LLM` as trtllm-serve puts them together from options and file."""
    words = found.texts["trtllm-serve.sh"].replace("\\\n", " ").split()
    given = {name: int(words[words.index(flag) + 1]) for name, flag in ON_COMMAND_LINE.items()}
    return given | yaml.safe_load(found.texts["trtllm-serve.yaml"])


def test_every_release_takes_the_options_of_both_servers(python: str, quantised: Path) -> None:
    """trtllm-serve and Triton start the same engine; nothing but its size differs from the playground's."""
    found = files(quantised)
    triton = yaml.safe_load(found.texts["triton/tensorrt_llm/1/model.yaml"])
    assert triton.pop("triton_config") == {"max_batch_size": 0, "decoupled": True}
    folder = {name: triton.pop(name) for name in ("model", "tokenizer")}
    assert triton.pop("trust_remote_code") is False
    assert triton == served(found)
    by_server = taken(python, triton | folder)
    plain = SimpleNamespace(KvCacheConfig=dict, CudaGraphConfig=dict)
    own = arguments.shared_arguments(SPEC, CHECKPOINT, 512) | arguments.torch_arguments(SPEC, 512, plain)
    by_backend = taken(python, own)
    differing = {name for name in by_backend if by_backend[name] != by_server[name]}
    sized = {"max_batch_size", "tensor_parallel_size", "pipeline_parallel_size"}
    assert differing == sized | {"model", "tokenizer", "kv_cache_config", "cuda_graph_config"}
    cache = by_server["kv_cache_config"]
    assert cache["dtype"] == by_backend["kv_cache_config"]["dtype"] == "fp8"
    assert cache["max_tokens"] == 5 * by_backend["kv_cache_config"]["max_tokens"]
    assert by_server["cuda_graph_config"]["batch_sizes"] == [1, 2, 4, 5]
    assert by_server["enable_iter_perf_stats"]


def test_every_option_is_one_of_trtllm_serve(quantised: Path) -> None:
    """Also in the file for Docker; with code of the checkpoint, the option for that too."""
    trusted = replace(SPEC, trust_remote_code=True)
    for spec in (SPEC, trusted):
        found = files(quantised, spec)
        script = found.texts["trtllm-serve.sh"].replace("\\\n", " ").split()
        compose = yaml.safe_load(found.texts["compose.yaml"])["services"]["trtllm-serve"]["command"]
        for words in (script, compose):
            given = [str(word) for word in words if str(word).startswith("--") and word != "--"]
            assert len(given) == len(set(given)) >= 8
            assert set(given) <= OPTIONS_OF_TRTLLM_SERVE
            assert ("--trust_remote_code" in given) is (spec is trusted)


def test_the_quantised_weights_are_served_and_only_by_servers_that_read_them(quantised: Path) -> None:
    """vLLM and NIM read ModelOpt's FP8 and NVFP4, not its AWQ formats."""
    found = files(quantised)
    assert found.model == quantised / "checkpoint"
    assert found.dtype == ""
    assert {"vllm.sh", "nim.sh"} <= set(found.texts)
    assert "--dtype auto" in found.texts["vllm.sh"].replace("\\\n", " ")
    assert "--kv-cache-dtype fp8" in found.texts["vllm.sh"].replace("\\\n", " ")
    awq = files(quantised, EngineSpec(str(CHECKPOINT), "tensorrt-llm", "int4-awq", context=512))
    assert not {"vllm.sh", "sglang.sh", "nim.sh"} & set(awq.texts)


def test_a_tensorrt_engine_is_not_exported(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    with pytest.raises(EngineError, match="TensorRT engine") as raised:
        files(tmp_path)
    assert raised.value.code == "no-server"


def test_compose_has_both_servers_and_all_gpus(quantised: Path) -> None:
    services = yaml.safe_load(files(quantised).texts["compose.yaml"])["services"]
    assert set(services) == {"trtllm-serve", "triton"}
    for one in services.values():
        assert one["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 6
        assert one["environment"] == {"TRTLLM_NO_USAGE_STATS": "1"}
        assert all(mount["read_only"] for mount in one["volumes"])
    assert services["triton"]["profiles"] == ["triton"]


@pytest.mark.parametrize(
    ("requests", "sizes"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (32, [1, 2, 4, 8, 16, 32])]
)
def test_graphs_are_captured_for_powers_of_two_and_the_largest_batch(requests: int, sizes: list[int]) -> None:
    assert arguments.graph_batches(requests) == sizes
