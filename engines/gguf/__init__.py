"""GGUF files, the format of llama.cpp: metadata, tensor table and tokenizer, read without the weights."""
