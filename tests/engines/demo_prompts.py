"""Prompts for comparing answers of the demo checkpoint."""

from __future__ import annotations

PROMPTS = (
    "What is a KV cache?",
    "What is TTFT?",
    "Why is decode memory bound?",
    "What does int8 mean?",
    "Explain quantisation to me.",
    "What is TensorRT-LLM?",
    "What is a token?",
    "Who are you?",
    "Tell me a story about a fox.",
    "Name three colours.",
)
