"""graph: which operator. Pure values, ONNX semantics, named symbolic dims."""
