"""Tensor parallelism: one model over several GPUs, one process a GPU."""
