"""Skeletons of TensorRT-LLM's source: where each release has the names that the adapter uses. Names only."""

from __future__ import annotations

from pathlib import Path

RELEASES = ("1.2.1", "1.4.0rc1", "newest")
"""`newest`: of the main branch after SamplingParams moved."""
SAMPLING_FIELDS = (
    "max_tokens temperature top_k top_p min_p seed end_id stop_token_ids repetition_penalty ignore_eos "
    "detokenize add_special_tokens return_context_logits"
)
TORCH_FIELDS = "cuda_graph_config enable_iter_perf_stats"
BASE_FIELDS = (
    "model tokenizer tensor_parallel_size dtype trust_remote_code max_batch_size max_seq_len max_num_tokens "
    "enable_chunked_prefill kv_cache_config"
)
LLM = """
class RequestOutput:
    pass


class BaseLLM:
    def generate_async(self, inputs, sampling_params, streaming, cache_salt):
        pass

    def get_stats(self, timeout):
        pass

    def shutdown(self):
        pass


class _TorchLLM(BaseLLM):
    pass


class _TrtLLM(BaseLLM):
    def save(self, engine_dir):
        pass


class LLM(_TorchLLM):
    pass
"""
RESULT = """
class CompletionOutput:
    finish_reason = None

    @property
    def token_ids_diff(self):
        pass


class GenerationResult:
    @property
    def finished(self):
        pass

    def abort(self):
        pass

    def result(self):
        pass

    def __iter__(self):
        pass

    def __next__(self):
        pass
"""
PROXY = """
def start(futures):
    if any(future.done() for future in futures):
        raise RuntimeError("Executor worker died during initialization")
    raise RuntimeError("Executor worker returned error")
"""
SAMPLER = """
def settings(request):
    sampling_config = request.sampling_config
    return sampling_config.temperature, sampling_config.top_p, sampling_config.top_k
"""
COMMON = "def settings(request):\n    config = request.sampling_config\n    return config.min_p\n"
SEED = "def seed(request):\n    return request.sampling_config.{name}\n"
PENALTIES = "def penalty(request):\n    return request.sampling_config.repetition_penalty\n"


def a_class(name: str, fields: str, base: str = "") -> str:
    """Source of a class with these fields."""
    lines = [f"    {field}: object = None" for field in fields.split()]
    return f"class {name}({base}):\n" + "\n".join(lines) + "\n\n\n"


def make_skeleton(folder: Path, release: str) -> Path:
    """Write the package as `release` lays it out, and return its folder."""
    package = folder / "tensorrt_llm"
    for name, text in {**_common(release), **_sampling(release), **_sampler(release)}.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return package


def _common(release: str) -> dict[str, str]:
    engines = release == "1.2.1"
    arguments = [
        a_class("CudaGraphConfig", "batch_sizes")
        if engines
        else a_class("BaseCudaGraphConfig", "batch_sizes")
        + a_class("DecodeCudaGraphConfig", "mode", "BaseCudaGraphConfig")
        + "CudaGraphConfig = DecodeCudaGraphConfig\n\n\n",
        a_class("KvCacheConfig", "max_tokens dtype tokens_per_block"),
        a_class("CalibConfig", "calib_dataset calib_batches"),
        a_class("BaseLlmArgs", BASE_FIELDS),
        a_class("TorchLlmArgs", TORCH_FIELDS, "BaseLlmArgs"),
        a_class("TrtLlmArgs", "quant_config calib_config workspace", "BaseLlmArgs") if engines else "",
    ]
    statistics = "base_worker" if engines else "stats_serialization"
    files = {
        "version.py": f'__version__ = "{release}"\n',
        "llmapi/llm.py": LLM if engines else LLM.replace("class _TrtLLM(BaseLLM)", "class _Other(BaseLLM)"),
        "llmapi/llm_args.py": "".join(arguments),
        "executor/__init__.py": "from .result import CompletionOutput, GenerationResult\n",
        "executor/result.py": RESULT,
        "executor/proxy.py": PROXY,
        "executor/base_worker.py": "",
        f"executor/{statistics}.py": "def serialize(stats):\n    return stats.to_json_str()\n",
        "quantization/mode.py": a_class(
            "QuantAlgo", "FP8 W4A16_AWQ W4A8_AWQ NVFP4 W8A8_SQ_PER_CHANNEL", "str"
        ),
    }
    if engines:
        files["_tensorrt_engine/__init__.py"] = "from tensorrt_llm.llmapi.llm import _TrtLLM as LLM\n"
    else:
        files["usage/__init__.py"] = ""
    return files


def _sampling(release: str) -> dict[str, str]:
    home = "executor/params/sampling.py" if release == "newest" else "sampling_params.py"
    module = home.removesuffix(".py").replace("/", ".")
    api = (
        f"from ..{module} import SamplingParams\n"
        "from .llm import LLM, RequestOutput\n"
        "from .llm_args import CalibConfig, CudaGraphConfig, KvCacheConfig\n"
        "from .llm_utils import QuantAlgo, QuantConfig\n"
    )
    files = {home: a_class("SamplingParams", SAMPLING_FIELDS), "llmapi/__init__.py": api}
    if release == "newest":
        files["sampling_params.py"] = f"from tensorrt_llm.{module} import *\n"
    return files


def _sampler(release: str) -> dict[str, str]:
    folder = "_torch/pyexecutor/sampler"
    if release == "1.2.1":
        return {f"{folder}.py": SAMPLER}
    seed = SEED.format(name="seed" if release == "newest" else "random_seed")
    return {
        f"{folder}/__init__.py": "",
        f"{folder}/sampler_common.py": f"{COMMON}\n\n{seed}",
        f"{folder}/penalties.py": PENALTIES,
    }
