"""ONNX graphs of decoders, for ONNX Runtime and TensorRT alike. Needs the package onnx, and no PyTorch."""
