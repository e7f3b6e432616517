"""TensorRT: TensorRT for RTX (the package `tensorrt_rtx`), or TensorRT 11 and newer (`tensorrt`)."""
