"""te to upstream MLIR: linalg.generic on tensors."""
