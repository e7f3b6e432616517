"""transformers made fast by PyTorch itself: static cache, torch.compile, CUDA graphs, torchao's weights."""
