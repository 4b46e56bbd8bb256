"""What the bridges to upstream MLIR share: types, index arithmetic, scalar bodies."""
