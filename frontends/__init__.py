"""Ways into the graph and te dialects: ONNX files, the symbol API, te expressions in Python."""
