"""NVIDIA TensorRT-LLM through its LLM API. Runs in a worker with a separate interpreter."""
