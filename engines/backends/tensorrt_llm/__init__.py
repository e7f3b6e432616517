"""NVIDIA TensorRT-LLM through its LLM API. Runs in a worker with an interpreter of its own."""
