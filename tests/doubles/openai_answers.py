"""What nine kinds of OpenAI-compatible servers say of themselves, refuse, and compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.doubles.openai_server import OpenAIServer

KINDS = ("vllm", "trtllm", "sglang", "llama", "ollama", "lmstudio", "ovms", "triton", "transformers")
MODELS = {
    "llama": "/models/tiny-Q4_1.gguf", "ollama": "tiny:latest", "lmstudio": "tiny-q4_k_m", "ovms": "tiny-ov",
    "triton": "tiny-repository",
}  # fmt: skip
OWNERS = {
    "vllm": "vllm", "trtllm": "tensorrt_llm", "sglang": "sglang", "llama": "llamacpp", "ollama": "library",
    "lmstudio": "organization_owner", "ovms": "OVMS", "triton": "Triton Inference Server",
    "transformers": "acme", "plain": "someone",
}  # fmt: skip
STRICT = {
    "triton": {"top_k", "min_p", "repetition_penalty", "chat_template_kwargs"},
    "plain": {"min_p", "repetition_penalty"},
    "transformers": {"top_k", "min_p", "repetition_penalty", "ignore_eos"},
}
"""Fields that a kind refuses, with the name of the field in its message."""
VLLM_METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 2.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="tiny"} 200.0
vllm:prefix_cache_hits_total{engine="0",model_name="tiny"} 50.0
vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="0",num_gpu_blocks="400"} 1.0
"""
SGLANG_METRICS = (
    "sglang:num_running_reqs{} 1\nsglang:num_queue_reqs{} 0\nsglang:token_usage{} 0.5\n"
    "sglang:cache_hit_rate{} 0.75\nsglang:num_used_tokens{} 640\n"
)
TRITON_METRICS = """\
nv_trt_llm_request_metrics{model="tiny",request_type="active",version="1"} 3
nv_trt_llm_request_metrics{model="tiny",request_type="waiting",version="1"} 1
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="used",model="tiny"} 40
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="tiny"} 100
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="tokens_per",model="tiny"} 64
"""
TRTLLM_ITERATION = {
    "iter": 7, "numActiveRequests": 1, "numQueuedRequests": 2,
    "kvCacheStats": {"maxNumBlocks": 100, "usedNumBlocks": 30, "freeNumBlocks": 70, "tokensPerBlock": 32,
                     "cacheHitRate": 0.5},
}  # fmt: skip

TRANSFORMERS_PATHS = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/systemone", "/v1/audio/transcriptions",
    "/load_model", "/reset", "/v1/models", "/health",
)  # fmt: skip


def described(double: OpenAIServer, path: str) -> object:
    """Return what a GET finds; None for 404."""
    kind, name = double.kind, double.model
    if path in ("/v1/models", "/v3/models"):
        if path.startswith("/v3") != (kind == "ovms"):
            return None
        listed = "acme/other" if double.breakage == "lists-another" else name
        entry: dict[str, Any] = {"id": listed, "object": "model", "owned_by": OWNERS[kind]}
        if kind in ("vllm", "sglang"):
            entry |= {"root": f"/models/{name}", "max_model_len": 4096}
        if kind == "llama":
            entry["meta"] = {
                "n_vocab": 50,
                "n_ctx_train": 8192,
                "n_params": 1000,
                "size": 500,
                "ftype": "Q4_1",
            }
        return {"object": "list", "data": [entry]}
    own: dict[tuple[str, str], object] = {
        ("vllm", "/version"): {"version": "0.24.0"},
        ("vllm", "/metrics"): VLLM_METRICS,
        ("trtllm", "/version"): {"version": "1.2.1"},
        ("sglang", "/get_server_info"): {
            "version": "0.6.0", "dtype": "bfloat16", "quantization": "fp8", "kv_cache_dtype": "auto",
            "enable_metrics": True,
        },
        ("sglang", "/metrics"): SGLANG_METRICS,
        ("llama", "/props"): {
            "default_generation_settings": {"n_ctx": 2048}, "total_slots": 2, "build_info": "b9999-abc",
            "model_path": name, "chat_template": "{{ enable_thinking }}", "endpoint_slots": True,
        },
        ("llama", "/slots"): [
            {"n_ctx": 2048, "is_processing": True, "n_prompt_tokens": 100, "next_token": [{"n_decoded": 20}]},
            {"n_ctx": 2048, "is_processing": False},
        ],
        ("llama", "/metrics"): "llamacpp:requests_processing 1\nllamacpp:requests_deferred 3\n",
        ("ollama", "/api/version"): {"version": "0.30.0"},
        ("lmstudio", "/api/v1/models"): {
            "models": [
                {
                    "key": name, "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
                    "loaded_instances": [{"id": name, "config": {"context_length": 8192}}],
                    "max_context_length": 32768,
                }
            ]
        },
        ("ovms", "/v2"): {"name": "OpenVINO Model Server", "version": "2026.4"},
        ("ovms", "/metrics"): 'ovms_current_requests{name="tiny"} 1\n',
        ("triton", "/metrics"): TRITON_METRICS,
        ("transformers", "/openapi.json"): {
            "openapi": "3.1.0", "info": {"title": "FastAPI", "version": "0.1.0"},
            "paths": {path: {} for path in TRANSFORMERS_PATHS},
        },
    }  # fmt: skip
    if (kind, path) == ("trtllm", "/metrics"):
        found, double.iterations = double.iterations, []
        return found
    return own.get((kind, path))


def computed(double: OpenAIServer, path: str, body: dict[str, Any]) -> object:
    """Return what another POST finds; None for 404."""
    words = len(str(body.get("content", body.get("prompt", ""))).split())
    if (double.kind, path) == ("vllm", "/tokenize"):
        return {"count": 9 if "messages" in body else words, "max_model_len": 4096, "tokens": double.tokens}
    if (double.kind, path) == ("llama", "/apply-template"):
        return {"prompt": "<|user|> " + " ".join(one["content"] for one in body["messages"])}
    if (double.kind, path) == ("llama", "/tokenize"):
        return {"tokens": list(range(words))}
    if (double.kind, path) == ("ollama", "/api/show"):
        return {"details": {"quantization_level": "Q4_K_M"}, "model_info": {"llama.context_length": 131072}}
    if (double.kind, path) == ("vllm", "/v1/completions"):
        ids = body["prompt"]
        rows = [
            None,
            *(
                {str(one): {"logprob": -0.5, "rank": 1}, "40": {"logprob": -1.5, "rank": 2}}
                for one in ids[1:]
            ),
        ]
        return {"choices": [{"text": "x", "prompt_logprobs": rows}]}
    if (double.kind, path) == ("sglang", "/generate"):
        ids = body["input_ids"]
        own = [[None if place == 0 else -0.5, one, None] for place, one in enumerate(ids)]
        tops = [None, *([[-0.5, one, None], [-1.5, 40, None]] for one in ids[1:])]
        return {"meta_info": {"input_token_logprobs": own, "input_top_logprobs": tops}}
    return None


def refusal(double: OpenAIServer, body: dict[str, Any]) -> tuple[object, int] | None:
    """Return the answer to a chat request that a server of this kind refuses."""
    if double.busy:
        double.busy -= 1
        return {"error": {"message": "queue is full", "type": "rate_limit"}}, 429
    if double.kind == "transformers" and body.get("model") != double.model:
        return {"detail": f"Server is pinned to '{double.model}'; requested '{body.get('model')}'."}, 400
    if body.get("model") != double.model:
        return {"error": {"message": f"The model `{body.get('model')}` does not exist."}}, 404
    if double.breakage == "context" and len(body["messages"]) > 1:
        words = "This model's maximum context length is 64 tokens, and you requested 99."
        return {"object": "error", "message": words, "code": 400}, 400
    if double.kind == "ovms" and body.get("include_stop_str_in_output") is False and body["stream"]:
        words = "include_stop_str_in_output cannot be set to false if streaming is used"
        return {"error": f"Mediapipe execution failed. MP status - INVALID_ARGUMENT: {words}"}, 400
    unknown = sorted(STRICT.get(double.kind, set()) & body.keys())
    if unknown and double.kind == "transformers":
        return {"detail": f"Unexpected fields in the request: {set(unknown)}"}, 422
    if unknown:
        return {"detail": [{"loc": ["body", unknown[0]], "msg": f"Extra inputs: {unknown[0]}"}]}, 422
    if double.breakage == "vague" and "stream_options" in body:
        return {"error": "bad request"}, 400
    if double.breakage == "fatal":
        return {"error": {"message": "the engine is dead"}}, 500
    return None
