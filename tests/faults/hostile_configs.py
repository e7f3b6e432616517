"""Hostile config.json, generation_config.json and random_weights.json."""

from __future__ import annotations

from tests.faults.hostile_case import Case, both, content, remove, update

CONFIG, GENERATION, MARKER = "config.json", "generation_config.json", "random_weights.json"
NUMBERS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "vocab_size", "max_position_embeddings", "head_dim",
)  # fmt: skip


def _sized(field: str, value: object) -> Case:
    return update(CONFIG, **{field: value})


CONFIGS: dict[str, Case] = {
    "empty": content(CONFIG, ""),
    "not json": content(CONFIG, "{"),
    "binary": content(CONFIG, bytes(range(256)) * 40),
    "utf-16": content(CONFIG, "{}".encode("utf-16")),
    "a list": content(CONFIG, "[]"),
    "null": content(CONFIG, "null"),
    "deeply nested": content(CONFIG, '{"a":' * 50_000 + "1" + "}" * 50_000),
    "nested arrays": content(CONFIG, "[" * 200_000),
    "9 MB of arrays": content(CONFIG, b'{"a":[' + b"[]," * 3_000_000 + b"[]]}"),
    "9 MB of objects": content(CONFIG, b'{"a":[' + b"{}," * 3_000_000 + b"{}]}"),
    "9 MB of spaces": content(CONFIG, b"{" + b" " * 9_000_000 + b"}"),
    "9 MB in a string": content(CONFIG, b'{"architectures":["' + b"x" * 9_000_000 + b'"]}'),
    "30 MB of arrays": content(CONFIG, b'{"a":[' + b"[]," * 10_000_000 + b"[]]}"),
    "a number of a million digits": content(CONFIG, b'{"hidden_size":' + b"9" * 1_000_000 + b"}"),
    "duplicate keys": content(CONFIG, '{"architectures":["A"],"architectures":["LlamaForCausalLM"]}'),
    "no architecture": remove(CONFIG, "architectures"),
    "no model_type": remove(CONFIG, "model_type"),
    "unknown model_type": update(CONFIG, model_type="nosuch"),
    "model_type is a path": update(CONFIG, model_type="../../etc"),
    "model_type of another family": update(CONFIG, model_type="gpt2"),
    "model_type is a number": update(CONFIG, model_type=7),
    "architecture of another family": update(CONFIG, architectures=["MambaForCausalLM"]),
    "architecture with escapes": update(CONFIG, architectures=["\x1b]52;c;AAAA\x07ForCausalLM"]),
    "an encoder": update(CONFIG, architectures=["BertModel"], model_type="bert"),
    "remote code": update(CONFIG, auto_map={"AutoModelForCausalLM": "x.Y"}, model_type="nosuch"),
    "heads that do not divide": update(CONFIG, num_attention_heads=3),
    "kv heads that do not divide": update(CONFIG, num_key_value_heads=3),
    "odd head_dim": update(CONFIG, head_dim=31),
    "activation unknown": update(CONFIG, hidden_act="nosuch"),
    "activation is an object": update(CONFIG, hidden_act={"a": 1}),
    "epsilon NaN": content(CONFIG, ""),
    "epsilon infinite": update(CONFIG, rms_norm_eps=float("inf")),
    "epsilon negative": update(CONFIG, rms_norm_eps=-1.0),
    "epsilon a string": update(CONFIG, rms_norm_eps="tiny"),
    "epsilon enormous": update(CONFIG, rms_norm_eps=1e300),
    "rope_theta NaN": update(CONFIG, rope_theta=float("nan")),
    "rope_theta zero": update(CONFIG, rope_theta=0),
    "rope_theta nested NaN": update(
        CONFIG, rope_parameters={"rope_type": "default", "rope_theta": float("nan")}
    ),
    "rope type unknown": update(CONFIG, rope_parameters={"rope_type": "nosuch", "rope_theta": 1e4}),
    "rope parameters are a list": update(CONFIG, rope_parameters=[1, 2]),
    "rope factor zero": update(
        CONFIG,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 1e4,
            "factor": 0.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256,
        },
    ),
    "rope factor NaN": update(
        CONFIG, rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": float("nan")}
    ),
    "layer types too few": update(CONFIG, layer_types=["full_attention"]),
    "layer types unknown": update(CONFIG, layer_types=["nosuch", "nosuch"]),
    "quantisation unknown": update(CONFIG, quantization_config={"quant_method": "nosuch"}),
    "quantisation is a string": update(CONFIG, quantization_config="int8"),
    "quantisation gptq without weights": update(
        CONFIG, quantization_config={"quant_method": "gptq", "bits": 4}
    ),
    "quantisation bitsandbytes": update(CONFIG, quantization_config={"load_in_4bit": True}),
    "dtype unknown": update(CONFIG, dtype="float7"),
    "eos is a string": update(CONFIG, eos_token_id="x"),
    "eos is enormous": update(CONFIG, eos_token_id=2**70),
    "eos is a long list": update(CONFIG, eos_token_id=list(range(100_000))),
    "tied to nothing": update(CONFIG, tie_word_embeddings=True),
    "attention implementation unknown": update(CONFIG, _attn_implementation="nosuch"),
    "initializer NaN": update(CONFIG, initializer_range=float("nan")),
    "dropout of one": update(CONFIG, attention_dropout=1.0),
    "attention bias without tensors": update(CONFIG, attention_bias=True),
    "pretraining_tp": update(CONFIG, pretraining_tp=1000),
    "hf_quant_config is broken": content("hf_quant_config.json", "{"),
    "adapter config": content("adapter_config.json", '{"base_model_name_or_path": "/etc"}'),
    "generation config is broken": content(GENERATION, "{"),
    "generation config is a list": content(GENERATION, "[]"),
    "generation config with NaN": content(GENERATION, '{"temperature": NaN, "top_p": -3, "do_sample": "x"}'),
    "generation config with custom code": content(GENERATION, '{"custom_generate": "x/y"}'),
    "random weights: seed a word": content(MARKER, '{"seed": "x"}'),
    "random weights: seed negative": content(MARKER, '{"seed": -1}'),
    "random weights: seed enormous": content(MARKER, '{"seed": 1e999}'),
    "random weights: no seed": content(MARKER, "{}"),
    "random weights: not json": content(MARKER, "\0"),
    "random weights: a list": content(MARKER, "[]"),
    "random weights: config without sizes": both(
        content(MARKER, '{"seed": 1}'), remove(CONFIG, "intermediate_size", "num_key_value_heads")
    ),
    "random weights: a million layers": both(
        content(MARKER, '{"seed": 1}'), _sized("num_hidden_layers", 10**6)
    ),
    "random weights: no heads": both(content(MARKER, '{"seed": 1}'), _sized("num_attention_heads", 0)),
}
CONFIGS["epsilon NaN"] = update(CONFIG, rms_norm_eps=float("nan"))
for _field in NUMBERS:
    CONFIGS[f"{_field} doubled"] = _sized(_field, 3000)
    CONFIGS[f"{_field} enormous"] = _sized(_field, 2**31 - 1)
    CONFIGS[f"{_field} is a string"] = _sized(_field, "64")
for _field in ("hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"):
    CONFIGS[f"{_field} zero"] = _sized(_field, 0)
    CONFIGS[f"{_field} beyond 64 bits"] = _sized(_field, 2**80)
    CONFIGS[f"{_field} a float"] = _sized(_field, 1e300)
