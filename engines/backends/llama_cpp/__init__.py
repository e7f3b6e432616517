"""llama.cpp through xllamacpp: GGUF files as they are, or written from safetensors."""
