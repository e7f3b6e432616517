"""transformers with a static KV cache, torch.compile, CUDA graphs and torchao quantisation."""
