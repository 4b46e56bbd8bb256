"""The commands of `nnc`, one module each."""
