"""loop to upstream MLIR: scf loops over memrefs, tiles as one-dimensional vectors."""
