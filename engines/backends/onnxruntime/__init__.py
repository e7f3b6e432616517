"""ONNX Runtime on the CPU, with the graph of `engines.onnx`."""
