"""Weights for the graph builders: read from safetensors, and quantised."""
